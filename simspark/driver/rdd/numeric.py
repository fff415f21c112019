"""Actions on numbers, and on whatever adds or compares like them."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any, Protocol, TypeVar, cast

from simspark.driver.rdd.handle import Handle
from simspark.driver.user_errors import action
from simspark.publib.lineage.result_functions import Statistics
from simspark.publib.lineage.row_functions import Extreme
from simspark.publib.lineage.sinks import Reduce, Sum
from simspark.publib.lineage.stat_counter import StatCounter

T = TypeVar("T")


class Addable(Protocol):
    """What ``sum`` can add to 0."""

    def __radd__(self, other: Any, /) -> Any: ...


N = TypeVar("N", bound=Addable)


class NumericActions(Handle[T]):
    """Sums, extremes and statistics."""

    @action
    def sum(self: Handle[N]) -> N:
        """Add up the rows; 0 without rows.

        >>> sc.parallelize([1.0, 2.0, 3.0]).sum()
        6.0
        """
        return cast(N, reduce(add, self._run(Sum(), "sum"), 0))

    @action
    def max(self, key: Callable[[T], Any] | None = None) -> T:
        """Return the largest row, by ``key(row)`` if given. Raises ValueError without rows.

        >>> sc.parallelize([1.0, 5.0, 43.0, 10.0]).max()
        43.0
        """
        return self._extreme(max, key, "max")

    @action
    def min(self, key: Callable[[T], Any] | None = None) -> T:
        """Return the smallest row, by ``key(row)`` if given. Raises ValueError without rows.

        >>> sc.parallelize([2.0, 5.0, 43.0, 10.0]).min(key=str)
        10.0
        """
        return self._extreme(min, key, "min")

    def _extreme(self, choose: Callable[..., T], key: Callable[[T], Any] | None, operation: str) -> T:
        function = choose if key is None else cast(Callable[..., T], Extreme(choose, key))
        parts = [value for part in self._run(Reduce(function), operation) for value in part]
        if not parts:
            raise ValueError("Can not reduce() empty RDD")
        return cast(T, reduce(function, parts))

    @action
    def stats(self: Handle[N]) -> StatCounter:
        """Return count, mean, variance and extremes, from one pass.

        >>> sc.parallelize([1, 2, 3]).stats().mean()
        2.0
        """
        return reduce(StatCounter.mergeStats, self._run(Statistics(), "stats"), StatCounter())

    @action
    def mean(self: Handle[N]) -> float:
        """Return the mean of the rows.

        >>> sc.parallelize([1, 2, 3]).mean()
        2.0
        """
        return cast(float, _stats(self).mean())

    @action
    def variance(self: Handle[N]) -> float:
        """Return the variance of the rows.

        >>> sc.parallelize([1, 2, 3]).variance()
        0.666...
        """
        return cast(float, _stats(self).variance())

    @action
    def stdev(self: Handle[N]) -> float:
        """Return the standard deviation of the rows.

        >>> sc.parallelize([1, 2, 3]).stdev()
        0.816...
        """
        return cast(float, _stats(self).stdev())

    @action
    def sampleVariance(self: Handle[N]) -> float:
        """Return the variance of what the rows are a sample of.

        >>> sc.parallelize([1, 2, 3]).sampleVariance()
        1.0
        """
        return cast(float, _stats(self).sampleVariance())

    @action
    def sampleStdev(self: Handle[N]) -> float:
        """Return the standard deviation of what the rows are a sample of.

        >>> sc.parallelize([1, 2, 3]).sampleStdev()
        1.0
        """
        return cast(float, _stats(self).sampleStdev())


def _stats(rdd: Handle[Any]) -> StatCounter:
    return cast(NumericActions[Any], rdd).stats()
