"""Actions: what makes a job run and brings something to the driver."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import reduce
from itertools import chain
from math import ceil
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from simspark.driver.call_site import call_site
from simspark.driver.engine import Prepared, Started
from simspark.driver.rdd.handle import Handle
from simspark.driver.user_errors import action
from simspark.publib.lineage import row_functions as fn
from simspark.publib.lineage import steps
from simspark.publib.lineage.aggregation import reducing
from simspark.publib.lineage.partitioner import HashPartitioner
from simspark.publib.lineage.result_functions import CountValues, Ordered
from simspark.publib.lineage.sinks import Collect, Count, Fold, Foreach, ForeachPartition, Reduce, Take

if TYPE_CHECKING:
    from _typeshed import SupportsRichComparison

T = TypeVar("T", covariant=True)
U = TypeVar("U")

_GROWTH = 4
_MARGIN = 1.5


class Actions(Handle[T]):
    """Whole partitions in, values in the driver out."""

    @action
    def collect(self) -> list[T]:
        """Bring all rows to the driver, in the order of partitions.

        Raises ResultTooLarge above ``spark.driver.maxResultSize``.

        >>> sc.parallelize([1, 2, 3]).collect()
        [1, 2, 3]
        """
        return list(chain.from_iterable(self._run(Collect(), "collect")))

    @action
    def collectWithJobGroup(self, groupId: str, description: str, interruptOnCancel: bool = False) -> list[T]:
        """Bring all rows to the driver by a job of this group; the thread's own group is what it was afterwards.

        Deprecated, as in Spark: ``setJobGroup`` and InheritableThread do it for all actions.

        >>> import warnings
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     sc.range(3).collectWithJobGroup("evening", "numbers")
        [0, 1, 2]
        """
        import warnings

        warnings.warn("collectWithJobGroup is deprecated: use InheritableThread and setJobGroup.", FutureWarning,
                      stacklevel=3)
        before = self.ctx.local_properties()
        try:
            self.ctx.setJobGroup(groupId, description, interruptOnCancel)
            return list(chain.from_iterable(self._run(Collect(), "collect")))
        finally:
            self.ctx.replace_local_properties(before)

    @action
    def toLocalIterator(self, prefetchPartitions: bool = False) -> Iterator[T]:
        """Iterate over all rows, bringing one partition at a time: its job runs when its first row is asked for.

        With ``prefetchPartitions`` the next partition is computed while this one is consumed, and at most two are
        held. Closing the iterator early cancels that.

        >>> list(sc.parallelize(range(4), 2).toLocalIterator())
        [0, 1, 2, 3]
        """
        prepared = self._prepare(Collect(), "toLocalIterator")
        ahead = 1 if prefetchPartitions else 0
        return _local_rows(prepared, self.getNumPartitions(), ahead)

    @action
    def count(self) -> int:
        """Count the rows.

        >>> sc.parallelize([2, 3, 4]).count()
        3
        """
        return sum(self._run(Count(), "count"))

    @action
    def take(self, num: int) -> list[T]:
        """Bring the first ``num`` rows, computing no more partitions than that seems to need.

        >>> sc.parallelize(range(100), 50).take(3)
        [0, 1, 2]
        """
        rounds = TakeRounds(num, self.getNumPartitions())
        while rounds.wanted:
            rounds.add(self._run(Take(rounds.missing), "take", rounds.wanted))
        return rounds.rows

    @action
    def first(self) -> T:
        """Return the first row. Raises ValueError if there is none.

        >>> sc.parallelize([2, 3, 4]).first()
        2
        """
        rows = self.take(1)
        if not rows:
            raise ValueError("RDD is empty")
        return rows[0]

    @action
    def isEmpty(self) -> bool:
        """Tell whether there is no row.

        >>> sc.parallelize([]).isEmpty()
        True
        """
        return self.getNumPartitions() == 0 or not self.take(1)

    @action
    def reduce(self, f: Callable[[T, T], T]) -> T:
        """Reduce all rows by a commutative and associative function. Raises ValueError without rows.

        >>> sc.parallelize([1, 2, 3, 4]).reduce(lambda a, b: a + b)
        10
        """
        parts = [value for part in self._run(Reduce(f), "reduce") for value in part]
        if not parts:
            raise ValueError("Can not reduce() empty RDD")
        return cast(T, reduce(f, parts))

    @action
    def treeReduce(self, f: Callable[[T, T], T], depth: int = 2) -> T:
        """Reduce all rows as ``reduce`` does, in a tree about ``depth`` deep: few values come to the driver at last.

        Raises ValueError without rows, and if ``depth`` is below 1.

        >>> sc.parallelize([-5, -4, 3, 2]).treeReduce(lambda a, b: a + b)
        -4
        """
        _check_depth(depth)
        reduced = self._step(steps.MapPartitions, fn.Reduced(f), "treeReduce")
        values = _tree_values(reduced, f, depth, "treeReduce")
        if not values:
            raise ValueError("Cannot reduce empty RDD.")
        return cast(T, reduce(f, values))

    @action
    def fold(self: Handle[U], zeroValue: U, op: Callable[[U, U], U]) -> U:
        """Fold each partition from ``zeroValue``, then the partitions' values from ``zeroValue``.

        >>> sc.parallelize([1, 2, 3, 4]).fold(0, lambda a, b: a + b)
        10
        """
        parts = self._run(Fold(zeroValue, op), "fold")
        return reduce(op, parts, deepcopy(zeroValue))

    @action
    def aggregate(self, zeroValue: U, seqOp: Callable[[U, T], U], combOp: Callable[[U, U], U]) -> U:
        """Fold each partition with ``seqOp``, then the partitions' values with ``combOp``.

        >>> sc.parallelize([1, 2, 3]).aggregate((0, 0), lambda a, x: (a[0] + x, a[1] + 1),
        ...                                     lambda a, b: (a[0] + b[0], a[1] + b[1]))
        (6, 3)
        """
        parts = self._run(Fold(zeroValue, seqOp), "aggregate")
        return reduce(combOp, parts, deepcopy(zeroValue))

    @action
    def treeAggregate(self, zeroValue: U, seqOp: Callable[[U, T], U], combOp: Callable[[U, U], U],
                      depth: int = 2) -> U:
        """Aggregate as ``aggregate`` does, in a tree about ``depth`` deep: few values come to the driver at last.

        ``zeroValue`` is used once for each partition, and not for joining them. Raises ValueError if ``depth`` is
        below 1.

        >>> sc.parallelize([1, 2, 3, 4]).treeAggregate(0, lambda a, x: a + x, lambda a, b: a + b)
        10
        """
        _check_depth(depth)
        if not self.getNumPartitions():
            return zeroValue
        folded = self._step(steps.MapPartitions, fn.Folded(zeroValue, seqOp), "treeAggregate")
        return cast(U, reduce(combOp, _tree_values(folded, combOp, depth, "treeAggregate")))

    @action
    def foreach(self, f: Callable[[T], object]) -> None:
        """Call ``f(row)`` for each row, in the tasks.

        >>> total = sc.accumulator(0)
        >>> sc.parallelize([1, 2, 3]).foreach(total.add)
        >>> total.value
        6
        """
        self._run(Foreach(f), "foreach")

    @action
    def foreachPartition(self, f: Callable[[Iterator[T]], object]) -> None:
        """Call ``f(iterator)`` for each partition, in the tasks.

        >>> total = sc.accumulator(0)
        >>> sc.parallelize([1, 2, 3], 2).foreachPartition(lambda rows: total.add(sum(rows)))
        >>> total.value
        6
        """
        self._run(ForeachPartition(f), "foreachPartition")

    @action
    def countByValue(self) -> dict[T, int]:
        """Count how often each row occurs. Raises ValueError without partitions.

        >>> sorted(sc.parallelize([1, 2, 1, 2, 2], 2).countByValue().items())
        [(1, 2), (2, 3)]
        """
        return counted(self._run(CountValues(), "countByValue"))

    @overload
    def takeOrdered(self: Handle[SupportsRichComparison], num: int, key: None = None) -> list[T]: ...

    @overload
    def takeOrdered(self, num: int, key: Callable[[T], SupportsRichComparison]) -> list[T]: ...

    @action
    def takeOrdered(self, num: int, key: Callable[[T], Any] | None = None) -> list[Any]:
        """Return the ``num`` smallest rows in ascending order, by ``key(row)`` if given.

        Raises ValueError if ``num`` is negative.

        >>> sc.parallelize([10, 1, 2, 9, 3], 2).takeOrdered(3)
        [1, 2, 3]
        """
        if num < 0:
            raise ValueError("top N cannot be negative.")
        if num == 0 or self.getNumPartitions() == 0:
            return []
        return self._ordered(Ordered(num, key, largest=False), "takeOrdered")

    @overload
    def top(self: Handle[SupportsRichComparison], num: int, key: None = None) -> list[T]: ...

    @overload
    def top(self, num: int, key: Callable[[T], SupportsRichComparison]) -> list[T]: ...

    @action
    def top(self, num: int, key: Callable[[T], Any] | None = None) -> list[Any]:
        """Return the ``num`` largest rows in descending order, by ``key(row)`` if given.

        Raises ValueError without partitions.

        >>> sc.parallelize([10, 4, 2, 12, 3], 2).top(2)
        [12, 10]
        """
        if self.getNumPartitions() == 0:
            raise ValueError("Can not reduce() empty RDD")
        return self._ordered(Ordered(num, key, largest=True), "top")

    def _ordered(self, function: Ordered, operation: str) -> list[T]:
        return function(0, chain.from_iterable(self._run(function, operation)))


def counted(parts: Sequence[dict[U, int]]) -> dict[U, int]:
    """How often something occurs in all partitions. Raises ValueError if there are none."""
    if not parts:
        raise ValueError("Can not reduce() empty RDD")
    counts: defaultdict[U, int] = defaultdict(int)
    for part in parts:
        for value, number in part.items():
            counts[value] += number
    return counts


def _check_depth(depth: int) -> None:
    if depth < 1:
        raise ValueError(f"Depth cannot be smaller than 1 but got {depth}.")


def _tree_values(values: Handle[Any], combine: Callable[[Any, Any], Any], depth: int, operation: str) -> list[Any]:
    """Values combined in shuffles, each to about the ``depth``-th root fewer partitions, while that makes less work.

    How many partitions there are then, and which values meet, is as in Spark.
    """
    partitions = float(values.getNumPartitions())
    scale = max(ceil(partitions ** (1.0 / depth)), 2)
    while partitions > scale + partitions / scale:
        partitions /= scale
        keyed = values._step(steps.MapPartitionsWithIndex, fn.KeyedByPartition(int(partitions)), operation)
        aggregator = reducing(combine, operation, str(call_site()))
        met = keyed._shuffle(HashPartitioner(int(partitions)), operation, aggregator=aggregator)
        values = met._step(steps.Map, fn.second, "values")
    return [value for part in values._run(Reduce(combine), operation) for value in part]


class TakeRounds:
    """The jobs of a take, one after another: as long as rows are missing, ``wanted`` partitions are looked at."""

    def __init__(self, num: int, partitions: int) -> None:
        self.rows: list[Any] = []
        self._num = num
        self._partitions = partitions
        self.wanted = range(0)
        self._look_on()

    @property
    def missing(self) -> int:
        """How many rows are missing."""
        return self._num - len(self.rows)

    def add(self, parts: list[list[Any]]) -> None:
        """What the wanted partitions gave."""
        for part in parts:
            self.rows.extend(part[: self.missing])
        self._look_on()

    def _look_on(self) -> None:
        scanned = self.wanted.stop
        more = _more_partitions(self._num, len(self.rows), scanned) if self.missing > 0 else 0
        self.wanted = range(scanned, min(self._partitions, scanned + more))


def _more_partitions(wanted: int, have: int, scanned: int) -> int:
    """How many partitions to try next, judged by those that were."""
    if scanned == 0:
        return 1
    if have == 0:
        return scanned * _GROWTH
    guess = int(_MARGIN * wanted * scanned / have) - scanned
    return min(max(guess, 1), scanned * _GROWTH)


def _local_rows(prepared: Prepared, partitions: int, ahead: int) -> Iterator[Any]:
    """The rows of all partitions in order; so many partitions are computed ahead."""
    started: deque[Started] = deque()
    begun = 0
    try:
        for partition in range(partitions):
            rows: Any = ()  # let the last partition's go before the next one's come
            if begun == partition:
                started.append(prepared.start([partition]))
                begun += 1
            rows = _only(started[0])
            started.popleft()
            while begun <= min(partition + ahead, partitions - 1):
                started.append(prepared.start([begun]))
                begun += 1
            yield from rows
    finally:
        for job in started:
            job.cancel("its rows are not wanted any more")


@action
def _only(started: Started) -> Any:
    return started.wait()[0]
