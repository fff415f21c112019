# ruff: noqa: D102 - one signature for all, whoever needs which argument; the class says what a call does
"""What actions make of a partition: functions for ResultSink, called as ``f(partition, rows)``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from simspark.publib.lineage.stat_counter import StatCounter


class CountValues:
    """How often each row occurs."""

    def __call__(self, partition: int, rows: Iterator[Any]) -> dict[Any, int]:
        return dict(Counter(rows))


class Ordered(NamedTuple):
    """The ``limit`` smallest rows in order, or the largest in descending order."""

    limit: int
    function: Callable[[Any], Any] | None
    largest: bool

    def __call__(self, partition: int, rows: Iterator[Any]) -> list[Any]:
        from heapq import nlargest, nsmallest

        return (nlargest if self.largest else nsmallest)(self.limit, rows, key=self.function)


class ReduceValues(NamedTuple):
    """The values of each key reduced by a function."""

    function: Callable[[Any, Any], Any]

    def __call__(self, partition: int, rows: Iterator[tuple[Any, Any]]) -> dict[Any, Any]:
        function = self.function
        reduced: dict[Any, Any] = {}
        for key, value in rows:
            reduced[key] = function(reduced[key], value) if key in reduced else value
        return reduced


class Statistics:
    """Count, mean, variance and extremes of numbers."""

    def __call__(self, partition: int, rows: Iterator[Any]) -> StatCounter:
        return StatCounter(rows)


class Called(NamedTuple):
    """function(iterator of rows), as a list."""

    function: Callable[[Iterator[Any]], Any]

    def __call__(self, partition: int, rows: Iterator[Any]) -> list[Any]:
        return list(self.function(rows))


class Sampled(NamedTuple):
    """What a partition's rows contribute to a sample: how many there are, and ``keys`` drawn evenly from them."""

    size: int
    keys: list[Any]


class SampleKeys(NamedTuple):
    """The keys of at most ``limit`` rows, each row with the same chance; all of them if there are no more.

    Rows that are not drawn are skipped at the speed of C, so that a sample costs little more than reading.
    """

    limit: int

    def __call__(self, partition: int, rows: Iterator[tuple[Any, Any]]) -> Sampled:
        from random import Random

        keys = [key for key, _ in islice(rows, self.limit)]
        counted = _Counted(rows, len(keys))
        if len(keys) < self.limit:
            return Sampled(len(keys), keys)
        random = Random(f"sample {partition}")
        chance = 1.0
        while True:
            chance *= random.random() ** (1 / self.limit)
            row = counted.skip(_gap(random.random(), chance))
            if row is None:
                return Sampled(counted.seen, keys)
            keys[random.randrange(self.limit)] = row[0]


def _gap(uniform: float, chance: float) -> int:
    """How many rows to pass over until the next one is drawn."""
    from math import log, log1p

    if chance <= 0.0:
        return 1 << 62
    if chance >= 1.0 or uniform <= 0.0:
        return 0
    return min(1 << 62, int(log(uniform) / log1p(-chance)))


class _Counted:
    """An iterator that skips, and knows how many rows it has seen."""

    def __init__(self, rows: Iterator[Any], seen: int) -> None:
        self._rows = rows
        self.seen = seen

    def skip(self, gap: int) -> Any:
        """Pass over ``gap`` rows and return the next one, or None at the end."""
        passed = 0
        while passed < gap:
            some = sum(1 for _ in islice(self._rows, min(gap - passed, 1 << 20)))
            passed += some
            self.seen += some
            if some < min(gap - passed + some, 1 << 20):
                return None
        for row in self._rows:
            self.seen += 1
            return row
        return None


def range_bounds(samples: Sequence[Sampled], partitions: int, function: Callable[[Any], Any] | None) -> list[Any]:
    """Bounds that cut the sampled keys into ``partitions`` ranges of about the same number of rows.

    A key drawn from many rows weighs more than one drawn from few. When nothing was left out, these are exact.
    """
    order = function or _itself
    weighed = [(order(key), sample.size / len(sample.keys)) for sample in samples for key in sample.keys]
    weighed.sort(key=lambda pair: pair[0])
    total = sum(weight for _, weight in weighed)
    bounds: list[Any] = []
    passed = 0.0
    for key, weight in weighed:
        passed += weight
        while len(bounds) < partitions - 1 and passed > total * (len(bounds) + 1) / partitions:
            bounds.append(key)
    return bounds


def _itself(key: Any) -> Any:
    return key
