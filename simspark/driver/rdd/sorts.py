"""Transformations that sort, and those that find duplicates."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from simspark.driver.call_site import call_site
from simspark.driver.node import StepsNode
from simspark.driver.rdd.handle import Handle
from simspark.driver.user_errors import action
from simspark.publib.hashing import portable_hash
from simspark.publib.lineage import row_functions as fn
from simspark.publib.lineage import steps
from simspark.publib.lineage.folding import keep_left
from simspark.publib.lineage.partitioner import HashPartitioner, RangePartitioner
from simspark.publib.lineage.result_functions import SAMPLED_PER_PARTITION, Sampled, SampleKeys, range_bounds
from simspark.publib.lineage.sinks import Count
from simspark.publib.lineage.sorting import Ordering
from simspark.publib.optimizations import uses

if TYPE_CHECKING:
    from _typeshed import SupportsRichComparison

    from simspark.driver.rdd.core import RDD

T = TypeVar("T", covariant=True)
K = TypeVar("K")
V = TypeVar("V")

LARGEST_SAMPLE_KEYS = 200_000


class SortTransformations(Handle[T]):
    """Rows in order."""

    @overload
    def sortByKey(self: Handle[tuple[SupportsRichComparison, Any]], ascending: bool | None = True,
                  numPartitions: int | None = None, keyfunc: None = None) -> RDD[T]: ...

    @overload
    def sortByKey(self: Handle[tuple[K, V]], ascending: bool | None, numPartitions: int | None,
                  keyfunc: Callable[[K], SupportsRichComparison]) -> RDD[tuple[K, V]]: ...

    @overload
    def sortByKey(self: Handle[tuple[K, V]], ascending: bool | None = True, numPartitions: int | None = None, *,
                  keyfunc: Callable[[K], SupportsRichComparison]) -> RDD[tuple[K, V]]: ...

    @action
    def sortByKey(self: Handle[tuple[K, V]], ascending: bool | None = True, numPartitions: int | None = None,
                  keyfunc: Callable[[K], Any] | None = None) -> RDD[Any]:
        """Sort (key, value) rows by ``keyfunc(key)``, or by the key itself; equal keys keep their order.

        Each partition holds a range of keys. Runs a job that samples the keys, unless there is one partition.

        >>> sc.parallelize([("b", 2), ("a", 1), ("c", 3)], 3).sortByKey(numPartitions=2).collect()
        [('a', 1), ('b', 2), ('c', 3)]
        """
        ordering = Ordering(keyfunc, bool(ascending), "sortByKey", str(call_site()))
        return _sorted(self, ordering, self._reduce_partitions(numPartitions), "sortByKey")

    @action
    def sortBy(self, keyfunc: Callable[[T], SupportsRichComparison], ascending: bool = True,
               numPartitions: int | None = None) -> RDD[T]:
        """Sort the rows by ``keyfunc(row)``; rows with equal keys keep their order.

        >>> sc.parallelize(["ccc", "a", "bb"], 2).sortBy(len, ascending=False).collect()
        ['ccc', 'bb', 'a']
        """
        keyed: Handle[Any] = self._step(steps.KeyBy, keyfunc, "sortBy")
        ordering = Ordering(None, bool(ascending), "sortBy", str(call_site()))
        ordered = _sorted(keyed, ordering, self._reduce_partitions(numPartitions), "sortBy")
        return ordered._step(steps.Map, fn.second, "sortBy")

    def repartitionAndSortWithinPartitions(
        self: Handle[tuple[K, V]], numPartitions: int | None = None,
        partitionFunc: Callable[[K], int] = portable_hash, ascending: bool = True,
        keyfunc: Callable[[K], Any] | None = None) -> RDD[tuple[K, V]]:
        """Place the rows by ``partitionFunc(key)`` and sort each partition by ``keyfunc(key)``.

        >>> pairs = sc.parallelize([(2, "b"), (1, "a"), (0, "c")])
        >>> pairs.repartitionAndSortWithinPartitions(2, lambda key: key % 2).glom().collect()
        [[(0, 'c'), (2, 'b')], [(1, 'a')]]
        """
        operation = "repartitionAndSortWithinPartitions"
        ordering = Ordering(keyfunc, bool(ascending), operation, str(call_site()))
        partitioner = HashPartitioner(self._reduce_partitions(numPartitions), partitionFunc)
        if self.partitioner == partitioner:
            return _sorted_in_place(self, ordering, operation)
        return self._shuffle(partitioner, operation, ordering=ordering)

    def distinct(self, numPartitions: int | None = None) -> RDD[T]:
        """The rows without duplicates.

        >>> sorted(sc.parallelize([1, 1, 2, 3]).distinct().collect())
        [1, 2, 3]
        """
        pairs = self._step(steps.MapPartitions, fn.paired_with_none, "distinct")
        return pairs.reduceByKey(keep_left, numPartitions)._step(steps.Map, fn.first, "distinct")


def _sorted(rdd: Handle[Any], ordering: Ordering, partitions: int, operation: str) -> RDD[Any]:
    if partitions == 1:
        one = rdd._self() if rdd.getNumPartitions() <= 1 else rdd._self().coalesce(1)
        return _sorted_in_place(one, ordering, operation)
    samples = _samples(rdd, partitions, operation)
    if not any(sample.size for sample in samples):
        return rdd._self()
    bounds = range_bounds(samples, partitions, ordering.function)
    partitioner = RangePartitioner(partitions, bounds, ordering.ascending, ordering.function)
    return rdd._shuffle(partitioner, operation, ordering=ordering)


def _samples(rdd: Handle[Any], partitions: int, operation: str) -> list[Sampled]:
    """Keys of all partitions, from one pass over the rows; from two where that would bring too many keys."""
    rows = 0
    keys = SAMPLED_PER_PARTITION * partitions * rdd.getNumPartitions()
    if keys > LARGEST_SAMPLE_KEYS or not uses("one-pass"):
        rows = sum(rdd._run(Count(), operation))
    return rdd._run(SampleKeys(partitions, rows), operation)


def _sorted_in_place(rdd: Handle[Any], ordering: Ordering, operation: str) -> RDD[Any]:
    step = fn.Sort(ordering, ordering.label, ordering.site)
    number = rdd.ctx.next_id("rdd")
    return rdd._rdd(StepsNode(number, operation, call_site(), rdd._node, step, keeps_partitioner=True))
