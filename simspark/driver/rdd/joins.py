"""Transformations that bring several RDDs together by key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from simspark.driver.call_site import call_site
from simspark.driver.dependency import Dependency, OneToOne
from simspark.driver.node import CoGroupedNode
from simspark.driver.rdd.handle import Handle
from simspark.publib.lineage import row_functions as fn
from simspark.publib.lineage import steps
from simspark.publib.lineage.partitioner import HashPartitioner, Partitioner
from simspark.publib.lineage.shared import ResultIterable
from simspark.publib.lineage.shuffle_read import CoGroupRead, IntersectRead, JoinRead, SubtractRead
from simspark.publib.lineage.task import Source

if TYPE_CHECKING:
    from simspark.driver.rdd.core import RDD

T = TypeVar("T", covariant=True)
K = TypeVar("K")
V = TypeVar("V")
U = TypeVar("U")
V1 = TypeVar("V1")
V2 = TypeVar("V2")
V3 = TypeVar("V3")


class JoinTransformations(Handle[T]):
    """Two RDDs or more, matched by key. Those partitioned alike already are not shuffled again."""

    def join(self: Handle[tuple[K, V]], other: RDD[tuple[K, U]],
             numPartitions: int | None = None) -> RDD[tuple[K, tuple[V, U]]]:
        """For each key of both: (key, (value, other's value)), each with each.

        >>> ages = sc.parallelize([("ann", 4), ("bob", 5)])
        >>> sorted(ages.join(sc.parallelize([("ann", "Rome"), ("ann", "Oslo")])).collect())
        [('ann', (4, 'Oslo')), ('ann', (4, 'Rome'))]
        """
        return _joined(self, other, "inner", "join", numPartitions)

    def leftOuterJoin(self: Handle[tuple[K, V]], other: RDD[tuple[K, U]],
                      numPartitions: int | None = None) -> RDD[tuple[K, tuple[V, U | None]]]:
        """As join, and for each key of this RDD that the other lacks: (key, (value, None)).

        >>> sorted(sc.parallelize([("a", 1), ("b", 4)]).leftOuterJoin(sc.parallelize([("a", 2)])).collect())
        [('a', (1, 2)), ('b', (4, None))]
        """
        return _joined(self, other, "left", "leftOuterJoin", numPartitions)

    def rightOuterJoin(self: Handle[tuple[K, V]], other: RDD[tuple[K, U]],
                       numPartitions: int | None = None) -> RDD[tuple[K, tuple[V | None, U]]]:
        """As join, and for each key of the other that this RDD lacks: (key, (None, other's value)).

        >>> sorted(sc.parallelize([("a", 2)]).rightOuterJoin(sc.parallelize([("a", 1), ("b", 4)])).collect())
        [('a', (2, 1)), ('b', (None, 4))]
        """
        return _joined(self, other, "right", "rightOuterJoin", numPartitions)

    def fullOuterJoin(self: Handle[tuple[K, V]], other: RDD[tuple[K, U]],
                      numPartitions: int | None = None) -> RDD[tuple[K, tuple[V | None, U | None]]]:
        """As join, and each key that only one of the two has, with None for the other.

        >>> sorted(sc.parallelize([("a", 1)]).fullOuterJoin(sc.parallelize([("b", 2)])).collect())
        [('a', (1, None)), ('b', (None, 2))]
        """
        return _joined(self, other, "full", "fullOuterJoin", numPartitions)

    def cogroup(self: Handle[tuple[K, V]], other: RDD[tuple[K, U]], numPartitions: int | None = None,
                ) -> RDD[tuple[K, tuple[ResultIterable[V], ResultIterable[U]]]]:
        """For each key of either: its values here, and its values in the other.

        >>> grouped = sc.parallelize([("a", 1)]).cogroup(sc.parallelize([("a", 2), ("b", 3)])).collect()
        >>> sorted((key, [list(values) for values in groups]) for key, groups in grouped)
        [('a', [[1], [2]]), ('b', [[], [3]])]
        """
        return _cogrouped([self, other], _cogroup_read, "cogroup", numPartitions)

    @overload
    def groupWith(self: Handle[tuple[K, V]], other: RDD[tuple[K, V1]],
                  ) -> RDD[tuple[K, tuple[ResultIterable[V], ResultIterable[V1]]]]: ...

    @overload
    def groupWith(self: Handle[tuple[K, V]], other: RDD[tuple[K, V1]], second: RDD[tuple[K, V2]], /,
                  ) -> RDD[tuple[K, tuple[ResultIterable[V], ResultIterable[V1], ResultIterable[V2]]]]: ...

    @overload
    def groupWith(
        self: Handle[tuple[K, V]], other: RDD[tuple[K, V1]], second: RDD[tuple[K, V2]], third: RDD[tuple[K, V3]], /,
    ) -> RDD[tuple[K, tuple[ResultIterable[V], ResultIterable[V1], ResultIterable[V2], ResultIterable[V3]]]]: ...

    @overload
    def groupWith(self: Handle[tuple[K, Any]], other: RDD[tuple[K, Any]], *others: RDD[tuple[K, Any]],
                  ) -> RDD[tuple[K, tuple[ResultIterable[Any], ...]]]: ...

    def groupWith(self: Handle[tuple[K, Any]], other: RDD[tuple[K, Any]], *others: RDD[tuple[K, Any]],
                  ) -> RDD[Any]:
        """Cogroup with any number of RDDs.

        >>> a, b, c = (sc.parallelize([("x", number)]) for number in range(3))
        >>> [(key, [list(values) for values in groups]) for key, groups in a.groupWith(b, c).collect()]
        [('x', [[0], [1], [2]])]
        """
        return _cogrouped([self, other, *others], _cogroup_read, "groupWith", None)

    def subtractByKey(self: Handle[tuple[K, V]], other: RDD[tuple[K, Any]],
                      numPartitions: int | None = None) -> RDD[tuple[K, V]]:
        """The rows whose key the other does not have.

        >>> sc.parallelize([("a", 1), ("b", 4), ("b", 5)]).subtractByKey(sc.parallelize([("a", 3)])).collect()
        [('b', 4), ('b', 5)]
        """
        return _cogrouped([self, other], lambda inputs: SubtractRead(*inputs), "subtractByKey", numPartitions)

    def subtract(self, other: RDD[T], numPartitions: int | None = None) -> RDD[T]:
        """The rows that the other does not have, as often as they are here.

        >>> sorted(sc.parallelize([1, 2, 2, 3]).subtract(sc.parallelize([3])).collect())
        [1, 2, 2]
        """
        mine = self._step(steps.MapPartitions, fn.paired_with_none, "subtract")
        left = mine.subtractByKey(other._step(steps.MapPartitions, fn.paired_with_none, "subtract"), numPartitions)
        return left._step(steps.Map, fn.first, "subtract")

    def intersection(self, other: RDD[T]) -> RDD[T]:
        """The distinct rows that both have.

        >>> sorted(sc.parallelize([1, 2, 3, 3]).intersection(sc.parallelize([2, 3, 4])).collect())
        [2, 3]
        """
        mine = self._step(steps.MapPartitions, fn.paired_with_none, "intersection")
        theirs = other._step(steps.MapPartitions, fn.paired_with_none, "intersection")
        both = _cogrouped([mine, theirs], lambda inputs: IntersectRead(*inputs), "intersection", None)
        return both._step(steps.Map, fn.first, "intersection")


def _joined(left: Handle[Any], right: Handle[Any], how: str, operation: str, partitions: int | None) -> RDD[Any]:
    def make(inputs: Sequence[Source]) -> Source:
        return JoinRead(inputs[0], inputs[1], how)

    return _cogrouped([left, right], make, operation, partitions)


def _cogrouped(rdds: Sequence[Handle[Any]], make: Callable[[Sequence[Source]], Source], operation: str,
               partitions: int | None) -> RDD[Any]:
    first = rdds[0]
    partitioner = _common_partitioner(rdds, partitions)
    dependencies: list[Dependency] = [
        OneToOne(rdd._node) if rdd.partitioner == partitioner else rdd._shuffle_dependency(partitioner)
        for rdd in rdds
    ]
    number = first.ctx.next_id("rdd")
    return first._rdd(CoGroupedNode(number, operation, call_site(), dependencies, partitioner, make))


def _common_partitioner(rdds: Sequence[Handle[Any]], partitions: int | None) -> Partitioner:
    """The one that all have already; or by hash, in as many partitions as their union has."""
    if partitions is not None:
        return HashPartitioner(rdds[0]._reduce_partitions(partitions))
    known, count = _of_union(rdds)
    by_hash = HashPartitioner(rdds[0].ctx.reduce_parallelism or count)
    return known if known is not None and known == by_hash else by_hash


def _of_union(rdds: Sequence[Handle[Any]]) -> tuple[Partitioner | None, int]:
    """The partitioner and the number of partitions of ``a.union(b).union(c)...``."""
    known, count = rdds[0].partitioner, rdds[0].getNumPartitions()
    for rdd in rdds[1:]:
        if known is None or rdd.partitioner != known:
            known = None
            count += rdd.getNumPartitions()
    return known, count


def _cogroup_read(inputs: Sequence[Source]) -> Source:
    return CoGroupRead(tuple(inputs))
