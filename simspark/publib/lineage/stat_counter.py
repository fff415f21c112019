"""Count, mean, variance and extremes of numbers, in one pass and mergeable."""

from __future__ import annotations

from collections.abc import Iterable
from math import nan, sqrt
from typing import Any

from simspark.publib.optimizations import uses


class StatCounter:
    """Statistics of the values merged so far; the variance by Welford's method, which does not cancel.

    >>> stats = StatCounter([1.0, 2.0, 3.0, 4.0])
    >>> stats.count(), stats.mean(), stats.variance()
    (4, 2.5, 1.25)
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        self.n = 0
        self.mu: Any = 0.0
        self.m2: Any = 0.0
        self.maxValue: Any = -float("inf")
        self.minValue: Any = float("inf")
        if uses("statistics") and type(self).merge is StatCounter.merge:
            self._merge_all(values or ())
            return
        for value in values or ():
            self.merge(value)

    def _merge_all(self, values: Iterable[Any]) -> None:
        """Merge each in the very steps of ``merge``, so that not even the rounding differs, without a call for each."""
        n, mu, m2, most, least = self.n, self.mu, self.m2, self.maxValue, self.minValue
        arrays = False
        for value in values:
            delta = value - mu
            n += 1
            mu = mu + delta / n
            m2 = m2 + delta * (value - mu)
            if arrays or hasattr(value, "dtype"):
                arrays = True
                most, least = _greater(most, value), _smaller(least, value)
                continue
            if value > most:  # noqa: PLR1730 (the call of max would cost more than all else)
                most = value
            if value < least:  # noqa: PLR1730
                least = value
        self.n, self.mu, self.m2, self.maxValue, self.minValue = n, mu, m2, most, least

    def merge(self, value: Any) -> StatCounter:
        """Add a value.

        >>> StatCounter().merge(3.0).max()
        3.0
        """
        delta = value - self.mu
        self.n += 1
        self.mu = self.mu + delta / self.n
        self.m2 = self.m2 + delta * (value - self.mu)
        self.maxValue = _greater(self.maxValue, value)
        self.minValue = _smaller(self.minValue, value)
        return self

    def mergeStats(self, other: StatCounter) -> StatCounter:
        """Add the values of another counter. Raises TypeError for anything else.

        >>> StatCounter([1.0]).mergeStats(StatCounter([3.0])).mean()
        2.0
        """
        if not isinstance(other, StatCounter):
            raise TypeError(f"Can only merge StatCounter but got {type(other)}")
        if other is self:
            return self.mergeStats(other.copy())
        if other.n == 0:
            return self
        if self.n == 0:
            self.__dict__.update(other.copy().__dict__)
            return self
        delta = other.mu - self.mu
        self.m2 = self.m2 + (other.m2 + delta * delta * self.n * other.n / (self.n + other.n))
        self.mu = _joint_mean(self, other, delta)
        self.n += other.n
        self.maxValue = _greater(self.maxValue, other.maxValue)
        self.minValue = _smaller(self.minValue, other.minValue)
        return self

    def copy(self) -> StatCounter:
        """An independent copy.

        >>> StatCounter([1.0]).copy().count()
        1
        """
        from copy import deepcopy

        return deepcopy(self)

    def count(self) -> int:
        """How many values.

        >>> StatCounter([5.0, 6.0]).count()
        2
        """
        return self.n

    def mean(self) -> Any:
        """Their mean; 0.0 without values.

        >>> StatCounter([5.0, 6.0]).mean()
        5.5
        """
        return self.mu

    def sum(self) -> Any:
        """Their sum.

        >>> StatCounter([5.0, 6.0]).sum()
        11.0
        """
        return self.n * self.mu

    def min(self) -> Any:
        """The smallest.

        >>> StatCounter([5.0, 6.0]).min()
        5.0
        """
        return self.minValue

    def max(self) -> Any:
        """The largest.

        >>> StatCounter([5.0, 6.0]).max()
        6.0
        """
        return self.maxValue

    def variance(self) -> Any:
        """The variance of the values; not a number without values.

        >>> StatCounter([1.0, 3.0]).variance()
        1.0
        """
        return self.m2 / self.n if self.n else nan

    def sampleVariance(self) -> Any:
        """The variance of what the values are a sample of; not a number for fewer than two.

        >>> StatCounter([1.0, 3.0]).sampleVariance()
        2.0
        """
        return self.m2 / (self.n - 1) if self.n > 1 else nan

    def stdev(self) -> Any:
        """The standard deviation of the values.

        >>> StatCounter([1.0, 3.0]).stdev()
        1.0
        """
        return _root(self.variance())

    def sampleStdev(self) -> Any:
        """The standard deviation of what the values are a sample of.

        >>> StatCounter([1.0, 5.0]).sampleStdev() == 8 ** 0.5
        True
        """
        return _root(self.sampleVariance())

    def asDict(self, sample: bool = False) -> dict[str, Any]:
        """All of them by name. The variance is that of the values if ``sample``, of what they are a sample of if not.

        >>> StatCounter([1.0, 3.0]).asDict()["variance"]
        2.0
        >>> StatCounter([1.0, 3.0]).asDict(sample=True)["variance"]
        1.0
        """
        return {
            "count": self.count(),
            "mean": self.mean(),
            "sum": self.sum(),
            "min": self.min(),
            "max": self.max(),
            "stdev": self.stdev() if sample else self.sampleStdev(),
            "variance": self.variance() if sample else self.sampleVariance(),
        }

    def __repr__(self) -> str:
        return (
            f"(count: {self.count()}, mean: {self.mean()}, stdev: {self.stdev()}, "
            f"max: {self.max()}, min: {self.min()})"
        )


def _joint_mean(some: StatCounter, more: StatCounter, delta: Any) -> Any:
    """The mean of the values of both: that of a much larger one corrected, which rounds less."""
    total = some.n + more.n
    if more.n * 10 < some.n:
        return some.mu + delta * more.n / total
    if some.n * 10 < more.n:
        return more.mu - delta * some.n / total
    return (some.mu * some.n + more.mu * more.n) / total


def _greater(left: Any, right: Any) -> Any:
    if _is_array(left) or _is_array(right):
        import numpy as np

        return np.maximum(left, right)
    return max(left, right)


def _smaller(left: Any, right: Any) -> Any:
    if _is_array(left) or _is_array(right):
        import numpy as np

        return np.minimum(left, right)
    return min(left, right)


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and value.ndim > 0


def _root(variance: Any) -> Any:
    return variance**0.5 if hasattr(variance, "dtype") else sqrt(variance)
