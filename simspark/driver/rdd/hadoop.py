"""What an RDD needs Hadoop's classes for, or Spark SQL's, and so Spark itself: every call says how to have it."""

from __future__ import annotations

from typing import Any, TypeVar

from simspark.driver.rdd.hadoop_sources import Settings, needs_spark
from simspark.driver.rdd.handle import Handle
from simspark.driver.user_errors import action

T = TypeVar("T", covariant=True)


class HadoopFormats(Handle[T]):
    """Output formats that only Spark can write. Each raises NeedsSpark."""

    @action
    def saveAsHadoopDataset(self, conf: dict[str, str], keyConverter: str | None = None,
                            valueConverter: str | None = None) -> None:
        """Save pairs as ``conf`` tells a Hadoop output format of the old API.

        >>> sc.parallelize([(1, "a")]).saveAsHadoopDataset({})
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: saveAsHadoopDataset() needs Apache Spark. ...
        """
        raise needs_spark("saveAsHadoopDataset", "saveAsPickleFile(path) or saveAsTextFile(path)")

    @action
    def saveAsHadoopFile(self, path: str, outputFormatClass: str, keyClass: str | None = None,
                         valueClass: str | None = None, keyConverter: str | None = None,
                         valueConverter: str | None = None, conf: Settings = None,
                         compressionCodecClass: str | None = None) -> None:
        """Save pairs by a Hadoop output format of the old API.

        >>> sc.parallelize([(1, "a")]).saveAsHadoopFile("out", "org.apache.hadoop.mapred.TextOutputFormat")
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: saveAsHadoopFile() needs Apache Spark. ...
        """
        raise needs_spark("saveAsHadoopFile", "saveAsPickleFile(path) or saveAsTextFile(path)")

    @action
    def saveAsNewAPIHadoopDataset(self, conf: dict[str, str], keyConverter: str | None = None,
                                  valueConverter: str | None = None) -> None:
        """Save pairs as ``conf`` tells a Hadoop output format of the new API.

        >>> sc.parallelize([(1, "a")]).saveAsNewAPIHadoopDataset({})
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: saveAsNewAPIHadoopDataset() needs Apache Spark. ...
        """
        raise needs_spark("saveAsNewAPIHadoopDataset", "saveAsPickleFile(path) or saveAsTextFile(path)")

    @action
    def saveAsNewAPIHadoopFile(self, path: str, outputFormatClass: str, keyClass: str | None = None,
                               valueClass: str | None = None, keyConverter: str | None = None,
                               valueConverter: str | None = None, conf: Settings = None) -> None:
        """Save pairs by a Hadoop output format of the new API.

        >>> sc.parallelize([(1, "a")]).saveAsNewAPIHadoopFile("out", "some.OutputFormat")
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: saveAsNewAPIHadoopFile() needs Apache Spark. ...
        """
        raise needs_spark("saveAsNewAPIHadoopFile", "saveAsPickleFile(path) or saveAsTextFile(path)")

    @action
    def saveAsSequenceFile(self, path: str, compressionCodecClass: str | None = None) -> None:
        """Save pairs as a Hadoop sequence file.

        >>> sc.parallelize([(1, "a")]).saveAsSequenceFile("out")
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: saveAsSequenceFile() needs Apache Spark. ...
        """
        raise needs_spark("saveAsSequenceFile", "saveAsPickleFile(path)")

    @action
    def toDF(self, schema: Any = None, sampleRatio: float | None = None) -> Any:
        """Make a DataFrame of the rows.

        >>> sc.parallelize([(1, "a")]).toDF(["number", "letter"])
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: toDF() needs Apache Spark. ...
        """
        raise needs_spark("toDF", "tuples in RDDs")
