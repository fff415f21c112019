"""Transformations without a shuffle: each partition is made of the parent's, in the same task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from simspark.driver.call_site import call_site
from simspark.driver.needs import is_made_together
from simspark.driver.node import AlikeUnionNode, CartesianNode, CoalescedNode, Node, StepsNode, UnionNode, ZippedNode
from simspark.driver.rdd.handle import Handle
from simspark.driver.user_errors import action
from simspark.publib.lineage import row_functions as fn
from simspark.publib.lineage import steps
from simspark.publib.lineage.partitioner import HashPartitioner
from simspark.publib.lineage.sinks import Count
from simspark.publib.lineage.spreading import Spread

if TYPE_CHECKING:
    from simspark.driver.rdd.core import RDD

T = TypeVar("T", covariant=True)
U = TypeVar("U")
K = TypeVar("K")


class NarrowTransformations(Handle[T]):
    """Rows in, rows out, partition by partition."""

    def map(self, f: Callable[[T], U], preservesPartitioning: bool = False) -> RDD[U]:
        """Each row becomes ``f(row)``.

        >>> sc.parallelize(["b", "a"]).map(lambda word: (word, 1)).collect()
        [('b', 1), ('a', 1)]
        """
        return self._step(steps.Map, f, "map", preservesPartitioning)

    def flatMap(self, f: Callable[[T], Iterable[U]], preservesPartitioning: bool = False) -> RDD[U]:
        """Each row becomes the elements of ``f(row)``.

        >>> sc.parallelize(["to be", "or not"]).flatMap(str.split).collect()
        ['to', 'be', 'or', 'not']
        """
        return self._step(steps.FlatMap, f, "flatMap", preservesPartitioning)

    def filter(self, f: Callable[[T], object]) -> RDD[T]:
        """Keep the rows for which ``f(row)`` is true; keys stay in place.

        >>> sc.parallelize([1, 2, 3, 4]).filter(lambda x: x % 2 == 0).collect()
        [2, 4]
        """
        return self._step(steps.Filter, f, "filter", keeps_partitioner=True)

    def mapPartitions(self, f: Callable[[Iterator[T]], Iterable[U]],
                      preservesPartitioning: bool = False) -> RDD[U]:
        """Each partition's iterator becomes ``f(iterator)``, called once for each partition.

        >>> sc.parallelize([1, 2, 3, 4], 2).mapPartitions(lambda rows: [sum(rows)]).collect()
        [3, 7]
        """
        return self._step(steps.MapPartitions, f, "mapPartitions", preservesPartitioning)

    def mapPartitionsWithIndex(self, f: Callable[[int, Iterator[T]], Iterable[U]],
                               preservesPartitioning: bool = False) -> RDD[U]:
        """Each partition's iterator becomes ``f(index of the partition, iterator)``.

        >>> sc.parallelize([1, 2, 3, 4], 2).mapPartitionsWithIndex(lambda i, rows: [(i, *rows)]).collect()
        [(0, 1, 2), (1, 3, 4)]
        """
        return self._step(steps.MapPartitionsWithIndex, f, "mapPartitionsWithIndex", preservesPartitioning)

    def mapPartitionsWithSplit(self, f: Callable[[int, Iterator[T]], Iterable[U]],
                               preservesPartitioning: bool = False) -> RDD[U]:
        """``mapPartitionsWithIndex`` under its old name, with a FutureWarning.

        >>> import warnings
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     sc.parallelize([1, 2, 3], 2).mapPartitionsWithSplit(lambda i, rows: [i]).sum()
        1
        """
        from warnings import warn

        warn("mapPartitionsWithSplit is deprecated; use mapPartitionsWithIndex instead", FutureWarning, stacklevel=2)
        return self.mapPartitionsWithIndex(f, preservesPartitioning)

    def pipe(self, command: str, env: Mapping[str, str] | None = None, checkCode: bool = False) -> RDD[str]:
        """Each partition's rows, as lines in UTF-8, become the lines that a program makes of them.

        ``command`` is split as a shell would, and no shell runs; ``env`` is the program's whole environment. What it
        writes to its error output goes to the executor's log. With ``checkCode`` the job raises PipeFailed when the
        program ends with another code than 0. It raises FileNotFoundError for a program that is not there.

        >>> sc.parallelize(["1", "2", "", "3"], 2).pipe("cat").collect()
        ['1', '2', '', '3']
        >>> sc.parallelize(["b", "c", "a"], 1).pipe("sort -r").collect()
        ['c', 'b', 'a']
        """
        from shlex import split

        from simspark.publib.lineage.pipe import Pipe

        words = tuple(split(command))
        if not words:
            raise ValueError("pipe() needs a command, such as 'grep -v ^#'.")
        site = call_site()
        step = Pipe(command, words, dict(env or {}), checkCode, "pipe", str(site))
        return self._rdd(StepsNode(self.ctx.next_id("rdd"), "pipe", site, self._node, step))

    def glom(self) -> RDD[list[T]]:
        """Each partition becomes one row: the list of its rows.

        >>> sc.parallelize([1, 2, 3, 4], 2).glom().collect()
        [[1, 2], [3, 4]]
        """
        return self._step(steps.Glom, None, "glom")

    def keyBy(self, f: Callable[[T], K]) -> RDD[tuple[K, T]]:
        """Each row becomes ``(f(row), row)``.

        >>> sc.parallelize(["kiwi", "fig"]).keyBy(len).collect()
        [(4, 'kiwi'), (3, 'fig')]
        """
        return self._step(steps.KeyBy, f, "keyBy")

    def union(self, other: RDD[U]) -> RDD[T | U]:
        """The rows of both, duplicates too: this RDD's partitions, then the other's.

        Where both are partitioned alike, partition i holds both partitions i, and keys stay in place.

        >>> sc.parallelize([1, 2]).union(sc.parallelize([2, 3])).collect()
        [1, 2, 2, 3]
        """
        nodes = (self._node, other._node)
        return self._rdd(union_node(nodes, self.ctx.next_id("rdd")))

    def __add__(self, other: RDD[U]) -> RDD[T | U]:
        """``a + b`` is ``a.union(b)``.

        >>> (sc.parallelize([1]) + sc.parallelize([2])).collect()
        [1, 2]
        """
        if not isinstance(other, Handle):
            return NotImplemented
        return self.union(other)

    def coalesce(self, numPartitions: int, shuffle: bool = False) -> RDD[T]:
        """Fewer partitions: neighbours read as one, or with ``shuffle`` all rows dealt out anew.

        >>> sc.parallelize([1, 2, 3, 4, 5], 3).coalesce(2).glom().collect()
        [[1], [2, 3, 4, 5]]
        """
        if not numPartitions > 0:
            raise ValueError("Number of partitions must be positive.")
        if shuffle:
            dealt = self._step(steps.MapPartitionsWithIndex, Spread(numPartitions), "coalesce")
            placed = dealt._shuffle(HashPartitioner(numPartitions), "coalesce")
            return placed._step(steps.Map, fn.second, "values")
        node = CoalescedNode(self.ctx.next_id("rdd"), "coalesce", call_site(), self._node, numPartitions)
        return self._rdd(node)

    def repartition(self, numPartitions: int) -> RDD[T]:
        """All rows dealt out anew to so many partitions, more or fewer than now.

        >>> sc.parallelize(range(100), 2).repartition(4).getNumPartitions()
        4
        """
        return self.coalesce(numPartitions, shuffle=True)

    def zip(self, other: RDD[U]) -> RDD[tuple[T, U]]:
        """Pairs of the rows of both, which must have as many partitions, each with as many rows.

        Raises ValueError for another number of partitions; the job raises it for another number of rows.

        >>> sc.parallelize([1, 2, 3]).zip(sc.parallelize("abc")).collect()
        [(1, 'a'), (2, 'b'), (3, 'c')]
        """
        if self.getNumPartitions() != other.getNumPartitions():
            raise ValueError("Can only zip with RDD which has the same number of partitions")
        return self._rdd(ZippedNode(self.ctx.next_id("rdd"), "zip", call_site(), self._node, other._node))

    @action
    def zipWithIndex(self) -> RDD[tuple[T, int]]:
        """Each row with its number, counted over all partitions; runs a job when there are several.

        >>> sc.parallelize(["a", "b", "c"], 2).zipWithIndex().collect()
        [('a', 0), ('b', 1), ('c', 2)]
        """
        starts = [0]
        last = self.getNumPartitions() - 1
        wanted = None if is_made_together(self._node) else range(last)
        for rows in self._run(Count(), "zipWithIndex", wanted) if last > 0 else ():
            starts.append(starts[-1] + rows)
        return self._step(steps.MapPartitionsWithIndex, fn.Numbered(starts), "zipWithIndex")

    def zipWithUniqueId(self) -> RDD[tuple[T, int]]:
        """Each row with a number that no other has: of n partitions, k counts k, n+k, 2n+k and so on.

        >>> sc.parallelize(["a", "b", "c", "d", "e"], 3).zipWithUniqueId().collect()
        [('a', 0), ('b', 1), ('c', 4), ('d', 2), ('e', 5)]
        """
        ids = fn.UniqueIds(max(1, self.getNumPartitions()))
        return self._step(steps.MapPartitionsWithIndex, ids, "zipWithUniqueId")

    def cartesian(self, other: RDD[U]) -> RDD[tuple[T, U]]:
        """Each row of this RDD with each row of the other.

        >>> sorted(sc.parallelize([1, 2]).cartesian(sc.parallelize("ab")).collect())
        [(1, 'a'), (1, 'b'), (2, 'a'), (2, 'b')]
        """
        return self._rdd(
            CartesianNode(self.ctx.next_id("rdd"), "cartesian", call_site(), self._node, other._node)
        )


def union_node(nodes: Sequence[Node], number: int) -> Node:
    """The union of several nodes; of nodes that are partitioned alike, one that keeps keys in place."""
    partitioner = nodes[0].partitioner
    if partitioner is not None and all(node.partitioner == partitioner for node in nodes):
        return AlikeUnionNode(number, "union", call_site(), nodes)
    return UnionNode(number, "union", call_site(), nodes)
