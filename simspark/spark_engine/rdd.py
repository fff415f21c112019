"""PySpark's RDDs, broadcasts and accumulators, with simspark's edges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from pyspark.accumulators import Accumulator as SparkAccumulator
from pyspark.core.broadcast import Broadcast as SparkBroadcast
from pyspark.core.rdd import RDD as SparkRDD  # noqa: N811 (a class)
from pyspark.core.rdd import PipelinedRDD as SparkPipelinedRDD
from pyspark.core.rdd import RDDBarrier as SparkRDDBarrier

from simspark.publib.errors import NotSerializable
from simspark.spark_engine import futures
from simspark.spark_engine.edge import Edge, expected


def _to_local_iterator(self: Any, prefetchPartitions: bool = False) -> Iterator[Any]:
    """The rows, one partition after another; an error of a task comes while they are read."""
    try:
        yield from SparkRDD.toLocalIterator(self, prefetchPartitions)
    except Exception as error:
        made = expected(error, self)
        raise made from made.__cause__


def _lookup(self: Any, key: Any) -> list[Any]:
    """The values of a key. Where it is placed is asked in a task: Python hashes texts otherwise in each driver."""
    values = self.filter(lambda pair: pair[0] == key).values()
    partitioner = self.partitioner
    if partitioner is None:
        found: list[Any] = values.collect()
        return found
    place = self.ctx.parallelize([key], 1).map(partitioner).first()
    return list(self.ctx.runJob(values, lambda rows: rows, [place]))


def _reduce(_: Any) -> NoReturn:
    raise NotSerializable(
        "An RDD was used inside a function that runs in tasks. RDDs work in the driver only: join the two, or "
        "collect() this one first and use the result. (SS102)"
    )


WAYS = {"lookup": _lookup, **futures.WAYS}


class RDD(SparkRDD, Edge):
    """An RDD that Spark computes, in Java or from data."""

    stands_for = ("simspark.driver.rdd.core", "RDD")
    ways = WAYS
    toLocalIterator = _to_local_iterator
    __reduce__ = _reduce


class PipelinedRDD(SparkPipelinedRDD, Edge):
    """An RDD that Spark computes by Python functions."""

    stands_for = ("simspark.driver.rdd.core", "RDD")
    ways = WAYS
    toLocalIterator = _to_local_iterator
    __reduce__ = _reduce

    @property
    def _jrdd(self) -> Any:
        """Java's RDD, for which PySpark pickles the functions when it is first asked for."""
        if not self._jrdd_val:
            self.ctx.modules.refresh()
        return super()._jrdd


class RDDBarrier(SparkRDDBarrier, Edge):
    """A stage whose tasks run together."""

    stands_for = ("simspark.driver.rdd.barriers", "RDDBarrier")


class Broadcast(SparkBroadcast, Edge):
    """A value that Spark brings to its executors."""

    stands_for = ("simspark.publib.lineage.shared", "Broadcast")
    travels = True


class Accumulator(SparkAccumulator, Edge):
    """A sum that tasks on Spark add to; tasks that Spark repeats add again in transformations."""

    stands_for = ("simspark.publib.lineage.shared", "Accumulator")
    travels = True
