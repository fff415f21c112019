"""Actions on numbers, and on whatever adds or compares like them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import chain
from operator import add
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, overload

from simspark.driver.rdd.handle import Handle
from simspark.driver.user_errors import action
from simspark.publib.lineage.result_functions import Extreme, Statistics
from simspark.publib.lineage.sinks import Sum
from simspark.publib.lineage.stat_counter import StatCounter

if TYPE_CHECKING:
    from _typeshed import SupportsRichComparison

T = TypeVar("T", covariant=True)

NO_ROWS = "Can not reduce() empty RDD"


class Addable(Protocol):
    """What ``sum`` can add to 0."""

    def __radd__(self, other: Any, /) -> Any: ...


class NumericActions(Handle[T]):
    """Sums, extremes and statistics."""

    @action
    def sum(self: Handle[Addable]) -> T:
        """Add up the rows; 0 without rows.

        >>> sc.parallelize([1.0, 2.0, 3.0]).sum()
        6.0
        """
        return cast(T, reduce(add, self._run(Sum(), "sum"), 0))

    @overload
    def max(self: Handle[SupportsRichComparison], key: None = None) -> T: ...

    @overload
    def max(self, key: Callable[[T], SupportsRichComparison]) -> T: ...

    @action
    def max(self, key: Callable[[T], Any] | None = None) -> Any:
        """Return the largest row, by ``key(row)`` if given. Raises ValueError without rows.

        >>> sc.parallelize([1.0, 5.0, 43.0, 10.0]).max()
        43.0
        """
        return self._extreme(max, key, "max")

    @overload
    def min(self: Handle[SupportsRichComparison], key: None = None) -> T: ...

    @overload
    def min(self, key: Callable[[T], SupportsRichComparison]) -> T: ...

    @action
    def min(self, key: Callable[[T], Any] | None = None) -> Any:
        """Return the smallest row, by ``key(row)`` if given. Raises ValueError without rows.

        >>> sc.parallelize([2.0, 5.0, 43.0, 10.0]).min(key=str)
        10.0
        """
        return self._extreme(min, key, "min")

    def _extreme(self, choose: Callable[..., T], key: Callable[[T], Any] | None, operation: str) -> T:
        function = Extreme(choose, key)
        found = function(0, chain.from_iterable(self._run(function, operation)))
        if not found:
            raise ValueError(NO_ROWS)
        return cast(T, found[0])

    @action
    def stats(self: Handle[Addable]) -> StatCounter:
        """Return count, mean, variance and extremes, from one pass. Raises ValueError without partitions.

        >>> sc.parallelize([1, 2, 3]).stats().mean()
        2.0
        """
        parts = self._run(Statistics(), "stats")
        if not parts:
            raise ValueError(NO_ROWS)
        return cast(StatCounter, reduce(StatCounter.mergeStats, parts))

    @action
    def histogram(self, buckets: int | Sequence[T]) -> tuple[Sequence[T], list[int]]:
        """Count the rows that fall into each of several buckets; returns the buckets' bounds and the counts.

        ``buckets`` is a number of buckets of the same width, from the least row to the greatest, or a sorted list or
        tuple of bounds. A bucket holds its lower bound and not its upper one, but for the last, which holds both. Rows
        outside, None and NaN are not counted. Buckets that are equally wide are the quickest.

        Raises ValueError for bounds that are not two or more, ascending and different, and without rows; TypeError for
        other ``buckets``, and for a number of buckets of rows that are no numbers.

        >>> sc.parallelize(range(51)).histogram(2)
        ([0, 25, 50], [25, 26])
        >>> sc.parallelize([1, 4, 9, 16]).histogram([0, 5, 10])
        ([0, 5, 10], [2, 1])
        >>> sc.parallelize(["fig", "kiwi", "nut", "plum"]).histogram(("a", "l", "z"))
        (('a', 'l', 'z'), [2, 2])
        """
        from simspark.publib.lineage.histogram import added, buckets_between

        if isinstance(buckets, int):
            return self._even_histogram(buckets)
        if not isinstance(buckets, (list, tuple)):
            raise TypeError("buckets should be a list or tuple or number(int or long)")
        parts = self._run(buckets_between(buckets), "histogram")
        if not parts:
            raise ValueError(NO_ROWS)
        return buckets, added(parts)

    def _even_histogram(self, number: int) -> tuple[Sequence[T], list[int]]:
        from simspark.publib.lineage.histogram import FindExtent, added, even_buckets, joined

        if number < 1:
            raise ValueError("number of buckets must be >= 1")
        extents = joined([extent for part in self._run(FindExtent(), "histogram") for extent in part])
        if not extents:
            raise ValueError(NO_ROWS)
        count, low, high = extents[0]
        if low == high or number == 1:
            return [low, high], [count]
        function = even_buckets(low, high, number)
        return function.bounds, added(self._run(function, "histogram"))

    @action
    def mean(self: Handle[Addable]) -> float:
        """Return the mean of the rows.

        >>> sc.parallelize([1, 2, 3]).mean()
        2.0
        """
        return cast(float, _stats(self).mean())

    @action
    def variance(self: Handle[Addable]) -> float:
        """Return the variance of the rows.

        >>> sc.parallelize([1, 2, 3]).variance()
        0.666...
        """
        return cast(float, _stats(self).variance())

    @action
    def stdev(self: Handle[Addable]) -> float:
        """Return the standard deviation of the rows.

        >>> sc.parallelize([1, 2, 3]).stdev()
        0.816...
        """
        return cast(float, _stats(self).stdev())

    @action
    def sampleVariance(self: Handle[Addable]) -> float:
        """Return the variance of what the rows are a sample of.

        >>> sc.parallelize([1, 2, 3]).sampleVariance()
        1.0
        """
        return cast(float, _stats(self).sampleVariance())

    @action
    def sampleStdev(self: Handle[Addable]) -> float:
        """Return the standard deviation of what the rows are a sample of.

        >>> sc.parallelize([1, 2, 3]).sampleStdev()
        1.0
        """
        return cast(float, _stats(self).sampleStdev())


def _stats(rdd: Handle[Any]) -> StatCounter:
    return cast(NumericActions[Any], rdd).stats()
