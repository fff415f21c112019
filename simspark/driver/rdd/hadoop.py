"""What needs Hadoop's classes, or Spark SQL's, and so Spark itself: every call says how to have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from simspark.driver.rdd.handle import Handle
from simspark.driver.user_errors import action
from simspark.publib.errors import NeedsSpark

if TYPE_CHECKING:
    from simspark.driver.rdd.core import RDD

T = TypeVar("T", covariant=True)

Settings = dict[str, str] | None


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
        raise _needs_spark("saveAsHadoopDataset", "saveAsPickleFile(path) or saveAsTextFile(path)")

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
        raise _needs_spark("saveAsHadoopFile", "saveAsPickleFile(path) or saveAsTextFile(path)")

    @action
    def saveAsNewAPIHadoopDataset(self, conf: dict[str, str], keyConverter: str | None = None,
                                  valueConverter: str | None = None) -> None:
        """Save pairs as ``conf`` tells a Hadoop output format of the new API.

        >>> sc.parallelize([(1, "a")]).saveAsNewAPIHadoopDataset({})
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: saveAsNewAPIHadoopDataset() needs Apache Spark. ...
        """
        raise _needs_spark("saveAsNewAPIHadoopDataset", "saveAsPickleFile(path) or saveAsTextFile(path)")

    @action
    def saveAsNewAPIHadoopFile(self, path: str, outputFormatClass: str, keyClass: str | None = None,
                               valueClass: str | None = None, keyConverter: str | None = None,
                               valueConverter: str | None = None, conf: Settings = None) -> None:
        """Save pairs by a Hadoop output format of the new API.

        >>> sc.parallelize([(1, "a")]).saveAsNewAPIHadoopFile("out", "some.OutputFormat")
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: saveAsNewAPIHadoopFile() needs Apache Spark. ...
        """
        raise _needs_spark("saveAsNewAPIHadoopFile", "saveAsPickleFile(path) or saveAsTextFile(path)")

    @action
    def saveAsSequenceFile(self, path: str, compressionCodecClass: str | None = None) -> None:
        """Save pairs as a Hadoop sequence file.

        >>> sc.parallelize([(1, "a")]).saveAsSequenceFile("out")
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: saveAsSequenceFile() needs Apache Spark. ...
        """
        raise _needs_spark("saveAsSequenceFile", "saveAsPickleFile(path)")

    @action
    def toDF(self, schema: Any = None, sampleRatio: float | None = None) -> Any:
        """Make a DataFrame of the rows.

        >>> sc.parallelize([(1, "a")]).toDF(["number", "letter"])
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: toDF() needs Apache Spark. ...
        """
        raise _needs_spark("toDF", "tuples in RDDs")


class HadoopSources:
    """Input formats that only Spark can read. Each raises NeedsSpark."""

    @action
    def sequenceFile(self, path: str, keyClass: str | None = None, valueClass: str | None = None,
                     keyConverter: str | None = None, valueConverter: str | None = None,
                     minSplits: int | None = None, batchSize: int = 0) -> RDD[Any]:
        """Read pairs of a Hadoop sequence file.

        >>> sc.sequenceFile("in")
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: sequenceFile() needs Apache Spark. ...
        """
        raise _needs_spark("sequenceFile", "pickleFile(path), of rows that saveAsPickleFile saved")

    @action
    def hadoopFile(self, path: str, inputFormatClass: str, keyClass: str, valueClass: str,
                   keyConverter: str | None = None, valueConverter: str | None = None,
                   conf: Settings = None, batchSize: int = 0) -> RDD[Any]:
        """Read pairs by a Hadoop input format of the old API.

        >>> sc.hadoopFile("in", "org.apache.hadoop.mapred.TextInputFormat", "K", "V")
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: hadoopFile() needs Apache Spark. ...
        """
        raise _needs_spark("hadoopFile", "textFile(path), binaryRecords(path, length) or pickleFile(path)")

    @action
    def hadoopRDD(self, inputFormatClass: str, keyClass: str, valueClass: str,
                  keyConverter: str | None = None, valueConverter: str | None = None, conf: Settings = None,
                  batchSize: int = 0) -> RDD[Any]:
        """Read pairs as ``conf`` tells a Hadoop input format of the old API.

        >>> sc.hadoopRDD("org.apache.hadoop.mapred.TextInputFormat", "K", "V")
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: hadoopRDD() needs Apache Spark. ...
        """
        raise _needs_spark("hadoopRDD", "textFile(path), binaryRecords(path, length) or pickleFile(path)")

    @action
    def newAPIHadoopFile(self, path: str, inputFormatClass: str, keyClass: str, valueClass: str,
                         keyConverter: str | None = None, valueConverter: str | None = None,
                         conf: Settings = None, batchSize: int = 0) -> RDD[Any]:
        """Read pairs by a Hadoop input format of the new API.

        >>> sc.newAPIHadoopFile("in", "some.InputFormat", "K", "V")
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: newAPIHadoopFile() needs Apache Spark. ...
        """
        raise _needs_spark("newAPIHadoopFile", "textFile(path), binaryRecords(path, length) or pickleFile(path)")

    @action
    def newAPIHadoopRDD(self, inputFormatClass: str, keyClass: str, valueClass: str,
                        keyConverter: str | None = None, valueConverter: str | None = None,
                        conf: Settings = None, batchSize: int = 0) -> RDD[Any]:
        """Read pairs as ``conf`` tells a Hadoop input format of the new API.

        >>> sc.newAPIHadoopRDD("some.InputFormat", "K", "V")
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: newAPIHadoopRDD() needs Apache Spark. ...
        """
        raise _needs_spark("newAPIHadoopRDD", "textFile(path), binaryRecords(path, length) or pickleFile(path)")


def _needs_spark(method: str, instead: str) -> NeedsSpark:
    return NeedsSpark(
        f'{method}() needs Apache Spark. Run this program there as it is: pip install "simspark[spark]" and '
        f'SparkContext("spark://host:7077"). simspark itself has {instead}. (SS106)'
    )
