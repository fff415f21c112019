# ruff: noqa: D102 - one signature for all, whoever needs which argument; the class says what a call does
"""What actions make of a partition: functions for ResultSink, called as ``f(partition, rows)``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from simspark.publib.lineage.sampling import generator
from simspark.publib.lineage.stat_counter import StatCounter
from simspark.publib.named_tuple import NamedTuple

if TYPE_CHECKING:
    from simspark.publib.lineage.hyperloglog import HyperLogLog

SORT_SEED = 1  # these two are Spark's: sorted RDDs have Spark's partitions
SAMPLED_PER_PARTITION = 20.0
WINDOW_ROWS = 1000


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


class Extreme(NamedTuple):
    """The first of the greatest or of the smallest rows, by a key: a list of it, empty if there are no rows.

    As in Spark, which compares two rows at a time, a single row has its key never asked for.
    """

    choose: Callable[..., Any]
    function: Callable[[Any], Any] | None

    def __call__(self, partition: int, rows: Iterator[Any]) -> list[Any]:
        for first in rows:
            for second in rows:
                return [self.choose(chain((first, second), rows), key=self.function)]
            return [first]
        return []


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


class Distinct(NamedTuple):
    """A sketch of how many different rows there are."""

    precision: int

    def __call__(self, partition: int, rows: Iterator[Any]) -> HyperLogLog:
        from simspark.publib.lineage.hyperloglog import HyperLogLog

        sketch = HyperLogLog(self.precision)
        sketch.add_all(rows)
        return sketch


class Sampled(NamedTuple):
    """What a partition contributes to the bounds of a sort: how many rows it has, and keys, each with its draw."""

    size: int
    keys: list[tuple[float, Any]]


class SampleKeys(NamedTuple):
    """The keys of the rows that Spark would sample to sort into ``partitions``.

    Spark counts all rows, then draws each with the same chance, which depends on the count. Here one pass does both:
    as a row's draw does not depend on the chance, it keeps the rows that can be wanted still, now that there are so
    many; ``range_bounds`` drops those too many. ``least_rows`` are known to be there.
    """

    partitions: int
    least_rows: int = 0

    def __call__(self, partition: int, rows: Iterator[tuple[Any, Any]]) -> Sampled:
        draws = iter(generator(SORT_SEED, partition).random, None)
        kept: list[tuple[float, Any]] = []
        size, pruned_rows = 0, WINDOW_ROWS
        chance = sample_chance(self.partitions, self.least_rows)
        while window := list(islice(rows, WINDOW_ROWS)):
            kept.extend([(draw, row[0]) for row, draw in zip(window, draws, strict=False) if draw < chance])
            size += len(window)
            chance = sample_chance(self.partitions, max(size, self.least_rows))
            if len(kept) > pruned_rows:
                kept = [pair for pair in kept if pair[0] < chance]
                pruned_rows = 2 * len(kept) + WINDOW_ROWS
        return Sampled(size, kept)


def sample_chance(partitions: int, rows: int) -> float:
    """The chance of each of so many rows to be sampled for a sort into ``partitions``."""
    return min(partitions * SAMPLED_PER_PARTITION / max(rows, 1), 1.0)


def range_bounds(samples: Sequence[Sampled], partitions: int, function: Callable[[Any], Any] | None) -> list[Any]:
    """Bounds that cut the sampled keys evenly into ``partitions`` ranges, as ``function`` orders them."""
    chance = sample_chance(partitions, sum(sample.size for sample in samples))
    keys = [key for sample in samples for draw, key in sample.keys if draw < chance]
    if function is not None:
        keys = list(map(function, keys))
    keys.sort()
    return [keys[len(keys) * part // partitions] for part in range(1, partitions)] if keys else []
