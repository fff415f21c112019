# ruff: noqa: D102 - one signature for all, whoever needs which argument; the class says what a call does
"""What actions make of a partition: functions for ResultSink, called as ``f(partition, rows)``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from simspark.publib.lineage.sampling import generator
from simspark.publib.lineage.stat_counter import StatCounter
from simspark.publib.lineage.steps import StepRows, fused_after, one_by_one
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.optimizations import uses

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

    Where the rows are made of lines by functions that are sure to return, only lines that are drawn become rows.
    """

    partitions: int
    least_rows: int = 0

    def __call__(self, partition: int, rows: Iterator[tuple[Any, Any]]) -> Sampled:
        kept = _Kept(self.partitions, self.least_rows)
        draw_next = generator(SORT_SEED, partition).random
        if (lines := _only_lines(rows)) is not None:
            return _sampled_lines(lines, draw_next, kept)
        while window := list(islice(rows, WINDOW_ROWS)):
            chance = kept.chance()
            drawn = [(draw, row[0]) for row in window if (draw := draw_next()) < chance]
            kept.add(drawn, len(window))
        return Sampled(kept.size, kept.rows)


class _Kept:
    """What can be wanted still of the rows that were seen, each with its draw."""

    def __init__(self, partitions: int, least_rows: int) -> None:
        self.rows: list[tuple[float, Any]] = []
        self.size = 0
        self._partitions = partitions
        self._least_rows = least_rows
        self._pruned_rows = WINDOW_ROWS

    def chance(self, more_rows: int = 0) -> float:
        """The most that a row's chance can be when so many more have been seen."""
        return sample_chance(self._partitions, max(self.size + more_rows, self._least_rows))

    def add(self, drawn: list[tuple[float, Any]], seen: int) -> None:
        """So many more were seen, and these drawn."""
        self.rows += drawn
        self.size += seen
        if len(self.rows) > self._pruned_rows:
            self.prune()
            self._pruned_rows = 2 * len(self.rows) + WINDOW_ROWS

    def prune(self) -> None:
        """Let go what cannot be wanted any more."""
        chance = self.chance()
        self.rows = [pair for pair in self.rows if pair[0] < chance]


def _only_lines(rows: Iterator[Any]) -> StepRows | None:
    """The rows, if they are lines of a file after steps of which nobody can tell for which lines they were done."""
    if not isinstance(rows, StepRows) or type(rows.rows).__name__ != "Lines" or rows.running is not None:
        return None
    if fused_after(rows.task) < 0 or not uses("sampled-lines"):
        return None
    from simspark.publib.lineage.sure_functions import sure_kind
    from simspark.publib.lineage.text_files import Lines

    if not isinstance(rows.rows, Lines) or rows.rows.running is not None or not rows.rows.use_unicode:
        return None
    row = sure_kind(rows.steps, str)
    return rows if type(row) is tuple and row else None


def _sampled_lines(rows: StepRows, draw_next: Callable[[], float], kept: _Kept) -> Sampled:
    """The same of lines: all are counted, but only those that are drawn are decoded, and few go through the steps."""
    from simspark.publib.lineage.text_files import Lines, count_lines, some_lines

    assert isinstance(rows.rows, Lines)
    for block in rows.rows.blocks():
        count = count_lines(block)
        chance = kept.chance(count)
        drawn = [(draw, number) for number in range(count) if (draw := draw_next()) < chance]
        lines = some_lines(block, [number for _, number in drawn])
        kept.add([(draw, line) for (draw, _), line in zip(drawn, lines, strict=True)], count)
    kept.prune()
    made = one_by_one(rows.steps, iter([line for _, line in kept.rows]))
    return Sampled(kept.size, [(draw, row[0]) for (draw, _), row in zip(kept.rows, made, strict=True)])


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
