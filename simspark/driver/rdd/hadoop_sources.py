"""What a context needs Hadoop's classes for, and so Spark itself: every call says how to have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simspark.driver.user_errors import action
from simspark.publib.errors import NeedsSpark

if TYPE_CHECKING:
    from simspark.driver.rdd.core import RDD

Settings = dict[str, str] | None


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
        raise needs_spark("sequenceFile", "pickleFile(path), of rows that saveAsPickleFile saved")

    @action
    def hadoopFile(self, path: str, inputFormatClass: str, keyClass: str, valueClass: str,
                   keyConverter: str | None = None, valueConverter: str | None = None,
                   conf: Settings = None, batchSize: int = 0) -> RDD[Any]:
        """Read pairs by a Hadoop input format of the old API.

        >>> sc.hadoopFile("in", "org.apache.hadoop.mapred.TextInputFormat", "K", "V")
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: hadoopFile() needs Apache Spark. ...
        """
        raise needs_spark("hadoopFile", "textFile(path), binaryRecords(path, length) or pickleFile(path)")

    @action
    def hadoopRDD(self, inputFormatClass: str, keyClass: str, valueClass: str,
                  keyConverter: str | None = None, valueConverter: str | None = None, conf: Settings = None,
                  batchSize: int = 0) -> RDD[Any]:
        """Read pairs as ``conf`` tells a Hadoop input format of the old API.

        >>> sc.hadoopRDD("org.apache.hadoop.mapred.TextInputFormat", "K", "V")
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: hadoopRDD() needs Apache Spark. ...
        """
        raise needs_spark("hadoopRDD", "textFile(path), binaryRecords(path, length) or pickleFile(path)")

    @action
    def newAPIHadoopFile(self, path: str, inputFormatClass: str, keyClass: str, valueClass: str,
                         keyConverter: str | None = None, valueConverter: str | None = None,
                         conf: Settings = None, batchSize: int = 0) -> RDD[Any]:
        """Read pairs by a Hadoop input format of the new API.

        >>> sc.newAPIHadoopFile("in", "some.InputFormat", "K", "V")
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: newAPIHadoopFile() needs Apache Spark. ...
        """
        raise needs_spark("newAPIHadoopFile", "textFile(path), binaryRecords(path, length) or pickleFile(path)")

    @action
    def newAPIHadoopRDD(self, inputFormatClass: str, keyClass: str, valueClass: str,
                        keyConverter: str | None = None, valueConverter: str | None = None,
                        conf: Settings = None, batchSize: int = 0) -> RDD[Any]:
        """Read pairs as ``conf`` tells a Hadoop input format of the new API.

        >>> sc.newAPIHadoopRDD("some.InputFormat", "K", "V")
        Traceback (most recent call last):
        simspark.publib.errors.NeedsSpark: newAPIHadoopRDD() needs Apache Spark. ...
        """
        raise needs_spark("newAPIHadoopRDD", "textFile(path), binaryRecords(path, length) or pickleFile(path)")


def needs_spark(method: str, instead: str) -> NeedsSpark:
    """The error of a method, and what there is instead of it."""
    return NeedsSpark(
        f'{method}() needs Apache Spark. Run this program there as it is: pip install "simspark[spark]" and '
        f'SparkContext("spark://host:7077"). simspark itself has {instead}. (SS106)'
    )
