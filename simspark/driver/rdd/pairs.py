"""Transformations and actions on rows that are (key, value) pairs: folding the values of each key, and placing keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar, cast

from simspark.driver.call_site import call_site
from simspark.driver.node import DataNode, StepsNode
from simspark.driver.rdd.actions import counted
from simspark.driver.rdd.handle import Handle
from simspark.driver.user_errors import action
from simspark.publib.hashing import portable_hash
from simspark.publib.lineage import row_functions as fn
from simspark.publib.lineage import steps
from simspark.publib.lineage.aggregation import Aggregator, grouping, reducing
from simspark.publib.lineage.folding import as_list, identity
from simspark.publib.lineage.partitioner import HashPartitioner
from simspark.publib.lineage.result_functions import CountValues, ReduceValues
from simspark.publib.lineage.shared import ResultIterable
from simspark.publib.lineage.sinks import Collect
from simspark.publib.lineage.sources import SliceSource
from simspark.publib.optimizations import uses

if TYPE_CHECKING:
    from simspark.driver.rdd.core import RDD

T = TypeVar("T", covariant=True)
K = TypeVar("K")
V = TypeVar("V")
U = TypeVar("U")


class PairTransformations(Handle[T]):
    """Rows with keys."""

    def keys(self: Handle[tuple[K, V]]) -> RDD[K]:
        """The first element of each row.

        >>> sc.parallelize([(1, "a"), (2, "b")]).keys().collect()
        [1, 2]
        """
        return self._step(steps.Map, fn.first, "keys")

    def values(self: Handle[tuple[K, V]]) -> RDD[V]:
        """The second element of each row.

        >>> sc.parallelize([(1, "a"), (2, "b")]).values().collect()
        ['a', 'b']
        """
        return self._step(steps.Map, fn.second, "values")

    def mapValues(self: Handle[tuple[K, V]], f: Callable[[V], U]) -> RDD[tuple[K, U]]:
        """Each (key, value) becomes ``(key, f(value))``; keys stay in place.

        >>> sc.parallelize([("a", 1), ("b", 2)]).mapValues(lambda value: value * 10).collect()
        [('a', 10), ('b', 20)]
        """
        return self._step(steps.MapValues, f, "mapValues", keeps_partitioner=True)

    def flatMapValues(self: Handle[tuple[K, V]], f: Callable[[V], Iterable[U]]) -> RDD[tuple[K, U]]:
        """Each (key, value) becomes (key, element) for the elements of ``f(value)``; keys stay in place.

        >>> sc.parallelize([("a", [1, 2]), ("b", [])]).flatMapValues(lambda values: values).collect()
        [('a', 1), ('a', 2)]
        """
        return self._step(steps.FlatMapValues, f, "flatMapValues", keeps_partitioner=True)

    def partitionBy(self: Handle[tuple[K, V]], numPartitions: int | None,
                    partitionFunc: Callable[[K], int] = portable_hash) -> RDD[tuple[K, V]]:
        """Bring the rows of each key to partition ``partitionFunc(key) % numPartitions``.

        Returns this RDD itself when it is partitioned so already.

        >>> pairs = sc.parallelize([(1, "a"), (2, "b"), (3, "c")])
        >>> pairs.partitionBy(2).glom().collect()
        [[(2, 'b')], [(1, 'a'), (3, 'c')]]
        """
        partitioner = HashPartitioner(self._reduce_partitions(numPartitions), partitionFunc)
        if self.partitioner == partitioner:
            return self._self()
        return self._shuffle(partitioner, "partitionBy")

    def combineByKey(self: Handle[tuple[K, V]], createCombiner: Callable[[V], U],
                     mergeValue: Callable[[U, V], U], mergeCombiners: Callable[[U, U], U],
                     numPartitions: int | None = None,
                     partitionFunc: Callable[[K], int] = portable_hash) -> RDD[tuple[K, U]]:
        """Fold the values of each key, first within partitions, then across them.

        >>> pairs = sc.parallelize([("a", 1), ("b", 1), ("a", 2)], 2)
        >>> lists = pairs.combineByKey(lambda v: [v], lambda values, v: values + [v], lambda a, b: a + b)
        >>> sorted(lists.collect())
        [('a', [1, 2]), ('b', [1])]
        """
        aggregator = Aggregator(createCombiner, mergeValue, mergeCombiners, "combineByKey", str(call_site()))
        return _combined(self, aggregator, "combineByKey", numPartitions, partitionFunc)

    def reduceByKey(self: Handle[tuple[K, V]], func: Callable[[V, V], V], numPartitions: int | None = None,
                    partitionFunc: Callable[[K], int] = portable_hash) -> RDD[tuple[K, V]]:
        """Reduce the values of each key by an associative and commutative function, first within partitions.

        >>> sorted(sc.parallelize([("a", 1), ("b", 1), ("a", 1)]).reduceByKey(lambda a, b: a + b).collect())
        [('a', 2), ('b', 1)]
        """
        aggregator = reducing(func, "reduceByKey", str(call_site()))
        return _combined(self, aggregator, "reduceByKey", numPartitions, partitionFunc)

    def aggregateByKey(self: Handle[tuple[K, V]], zeroValue: U, seqFunc: Callable[[U, V], U],
                       combFunc: Callable[[U, U], U], numPartitions: int | None = None,
                       partitionFunc: Callable[[K], int] = portable_hash) -> RDD[tuple[K, U]]:
        """Fold the values of each key from a copy of ``zeroValue``.

        >>> pairs = sc.parallelize([("a", 1), ("b", 1), ("a", 2)])
        >>> sums = pairs.aggregateByKey((0, 0), lambda s, v: (s[0] + v, s[1] + 1),
        ...                             lambda a, b: (a[0] + b[0], a[1] + b[1]))
        >>> sorted(sums.collect())
        [('a', (3, 2)), ('b', (1, 1))]
        """
        created = cast(Any, fn.Created(zeroValue, seqFunc))
        aggregator = Aggregator(created, seqFunc, combFunc, "aggregateByKey", str(call_site()))
        return _combined(self, aggregator, "aggregateByKey", numPartitions, partitionFunc)

    def foldByKey(self: Handle[tuple[K, V]], zeroValue: V, func: Callable[[V, V], V],
                  numPartitions: int | None = None,
                  partitionFunc: Callable[[K], int] = portable_hash) -> RDD[tuple[K, V]]:
        """Fold the values of each key with ``func`` from a copy of ``zeroValue``, used once in each partition.

        >>> sorted(sc.parallelize([("a", 1), ("b", 1), ("a", 1)]).foldByKey(0, lambda a, b: a + b).collect())
        [('a', 2), ('b', 1)]
        """
        created = cast(Any, fn.Created(zeroValue, func))
        aggregator = Aggregator(created, func, func, "foldByKey", str(call_site()))
        return _combined(self, aggregator, "foldByKey", numPartitions, partitionFunc)

    def groupByKey(self: Handle[tuple[K, V]], numPartitions: int | None = None,
                   partitionFunc: Callable[[K], int] = portable_hash) -> RDD[tuple[K, Iterable[V]]]:
        """Bring the values of each key together, in the order of the rows.

        To fold them, reduceByKey moves far less.

        >>> grouped = sc.parallelize([("a", 1), ("b", 1), ("a", 2)]).groupByKey()
        >>> sorted((key, list(values)) for key, values in grouped.collect())
        [('a', [1, 2]), ('b', [1])]
        """
        aggregator = grouping("groupByKey", str(call_site()))
        lists = _combined(self, aggregator, "groupByKey", numPartitions, partitionFunc)
        return lists._step(steps.MapValues, ResultIterable, "groupByKey", True)

    def groupBy(self, f: Callable[[T], K], numPartitions: int | None = None,
                partitionFunc: Callable[[K], int] = portable_hash) -> RDD[tuple[K, Iterable[T]]]:
        """Bring the rows together for which ``f(row)`` is the same.

        >>> grouped = sc.parallelize([1, 1, 2, 3, 5, 8]).groupBy(lambda x: x % 2).collect()
        >>> sorted((key, sorted(rows)) for key, rows in grouped)
        [(0, [2, 8]), (1, [1, 1, 3, 5])]
        """
        keyed = self._step(steps.KeyBy, f, "groupBy")
        return keyed.groupByKey(numPartitions, partitionFunc)

    @action
    def countByKey(self: Handle[tuple[K, V]]) -> dict[K, int]:
        """Count the rows of each key. Raises ValueError without partitions.

        >>> sorted(sc.parallelize([("a", 1), ("b", 1), ("a", 1)]).countByKey().items())
        [('a', 2), ('b', 1)]
        """
        keys: Handle[K] = self._step(steps.Map, fn.first, "keys")
        return counted(keys._run(CountValues(), "countByKey"))

    @action
    def collectAsMap(self: Handle[tuple[K, V]]) -> dict[K, V]:
        """Bring all pairs to the driver as a dict; of equal keys the last one stays.

        >>> sc.parallelize([(1, 2), (3, 4)]).collectAsMap()[3]
        4
        """
        return dict(chain.from_iterable(self._run(Collect(), "collectAsMap")))

    @action
    def reduceByKeyLocally(self: Handle[tuple[K, V]], func: Callable[[V, V], V]) -> dict[K, V]:
        """Reduce the values of each key, and bring the result to the driver as a dict.

        Raises ValueError without partitions.

        >>> sorted(sc.parallelize([("a", 1), ("b", 1), ("a", 1)]).reduceByKeyLocally(lambda a, b: a + b).items())
        [('a', 2), ('b', 1)]
        """
        reduced: dict[K, V] = {}
        parts = self._run(ReduceValues(func), "reduceByKeyLocally")
        if not parts:
            raise ValueError("Can not reduce() empty RDD")
        for part in parts:
            for key, value in part.items():
                reduced[key] = func(reduced[key], value) if key in reduced else value
        return reduced

    @action
    def lookup(self: Handle[tuple[K, V]], key: K) -> list[V]:
        """Bring the values of one key; computes only its partition when it is known where keys are.

        >>> sc.parallelize([(1, "a"), (2, "b"), (1, "c")]).lookup(1)
        ['a', 'c']
        """
        found = self._step(steps.Filter, fn.EqualsKey(key), "lookup")
        values: Handle[V] = found._step(steps.Map, fn.second, "values")
        known = self.partitioner is not None and self.getNumPartitions() > 0
        partitions = [_place(self, key)] if known else None
        return [value for part in values._run(Collect(), "lookup", partitions) for value in part]


def _combined(rdd: Handle[Any], aggregator: Aggregator, operation: str, partitions: int | None,
              function: Callable[[Any], int]) -> RDD[Any]:
    """The values of each key folded; without a shuffle when all rows of a key are together already."""
    partitioner = HashPartitioner(rdd._reduce_partitions(partitions), function)
    if rdd.partitioner == partitioner:
        step = fn.Combine(aggregator, aggregator.label, aggregator.site)
        number = rdd.ctx.next_id("rdd")
        return rdd._rdd(StepsNode(number, operation, call_site(), rdd._node, step, keeps_partitioner=True))
    combine = uses("combining") or not _may_wait(aggregator, function)
    return rdd._shuffle(partitioner, operation, aggregator=aggregator, combine=combine)


def _may_wait(aggregator: Aggregator, function: Callable[[Any], int]) -> bool:
    """Whether folding after the shuffle only comes to the same: a user's function may place equal keys apart."""
    return (aggregator.create is identity or aggregator.create is as_list) and function is portable_hash


def _place(rdd: Handle[Any], key: Any) -> int:
    """The partition of a key, asked of a task: the driver's own hash may differ."""
    assert rdd.partitioner is not None
    data = DataNode(rdd.ctx.next_id("rdd"), "lookup", call_site(), SliceSource(), [[key]])
    placed = rdd._rdd(data)._step(steps.Map, fn.Placed(rdd.partitioner), "lookup")
    return cast(int, placed._run(Collect(), "lookup")[0][0])
