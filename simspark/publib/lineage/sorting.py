"""Sorting the rows of a partition by key: stable, in memory or by merging sorted runs.

Equal keys keep the order of the rows, spilled or not, ascending or descending. Keys that do not compare (None with
numbers) raise the TypeError that Python raises; NaN has no place in an order, and where it comes out is not defined.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from operator import itemgetter
from typing import Any, TypeGuard

from simspark.publib.lineage.budget import Share
from simspark.publib.lineage.merging import end_of, merge_blocks
from simspark.publib.lineage.partitioner import RangePartitioner
from simspark.publib.lineage.spill import Run, Watch, estimate_list, windows
from simspark.publib.lineage.task import TaskRun
from simspark.publib.named_tuple import NamedTuple

FAN_IN = 32


class Ordering(NamedTuple):
    """Rows are (key, value), ordered by ``function(key)``, or by the key itself."""

    function: Callable[[Any], Any] | None = None
    ascending: bool = True
    label: str = "sortByKey"
    site: str = ""

    def row_key(self) -> Callable[[Any], Any]:
        """What rows are compared by."""
        function = self.function
        if function is None:
            return itemgetter(0)
        return lambda row: function(row[0])

    def fits(self, partitioner: Any) -> TypeGuard[RangePartitioner]:
        """Whether rows in this order are in the order of the partitions of ``partitioner``."""
        return (isinstance(partitioner, RangePartitioner) and partitioner.ascending == self.ascending
                and partitioner.func == self.function)

    def cut(self, keys: list[Any], partitioner: RangePartitioner) -> tuple[list[int], list[int]]:
        """The places of ``keys`` in the order that they have, and where in it each partition ends; one that fits."""
        function = self.function
        marks = keys if function is None else [function(key) for key in keys]
        order = sorted(range(len(marks)), key=marks.__getitem__, reverse=not self.ascending)
        return order, _cut_at_bounds([marks[at] for at in order], partitioner)

    def sort(self, rows: Iterator[Any], task: TaskRun) -> SortedRows:
        """All rows in order; see SortedRows."""
        return SortedRows(rows, self, task)


class SortedRows:
    """The rows of a partition in order, as sorted lists: one with all of them if they fitted, or merged from runs."""

    def __init__(self, rows: Iterator[Any], ordering: Ordering, task: TaskRun) -> None:
        self._key = ordering.row_key()
        self._reverse = not ordering.ascending
        self._task = task
        self._share = Share(task.budget)
        self._kept: list[Any] = []
        self._runs: list[tuple[int, Run]] = []
        for _, window in windows(rows, Watch(task.memory_budget_bytes, self._held_bytes, self._spill)):
            self._kept.extend(window)
        self._kept.sort(key=self._key, reverse=self._reverse)

    def _held_bytes(self, _: int) -> int:
        return self._share.count(estimate_list(self._kept))

    def _spill(self) -> None:
        self._kept.sort(key=self._key, reverse=self._reverse)
        self._add_run(0, [self._kept])
        self._kept.clear()

    def _add_run(self, level: int, blocks: Iterable[list[Any]]) -> None:
        """Keep a run; FAN_IN neighbours of one level become one of the next, so that never many are merged at once."""
        self._runs.append((level, Run(self._task).write([chain.from_iterable(blocks)])))
        last = self._runs[-FAN_IN:]
        if len(last) == FAN_IN and last[0][0] == level:
            del self._runs[-FAN_IN:]
            self._add_run(level + 1, self._merged(run.batches() for _, run in last))
            for _, run in last:
                run.remove()

    def _merged(self, runs: Iterable[Iterable[list[Any]]]) -> Iterator[list[Any]]:
        return merge_blocks(runs, self._key, self._reverse)

    def blocks(self) -> Iterator[list[Any]]:
        """The rows as sorted lists that follow one another."""
        if not self._runs:
            return iter([self._kept])
        return self._merged(chain((run.batches() for _, run in self._runs), [[self._kept]]))

    def __iter__(self) -> Iterator[Any]:
        rows = chain.from_iterable(self.blocks()) if self._runs else iter(self._kept)
        return self._share.until_read(rows)


def _cut_at_bounds(marks: list[Any], partitioner: RangePartitioner) -> list[int]:
    """Where each partition's part ends of what its bounds are compared with, sorted in its order."""
    if partitioner.ascending:
        ends = [bisect_right(marks, bound) for bound in partitioner.bounds]
        return ends + [len(marks)] * (partitioner.num_partitions - len(ends))
    # Partition n-1-i begins where marks are no longer above bounds[i-1].
    ends = [end_of(bound, marks, _itself, True, with_equal=False) for bound in reversed(partitioner.bounds)]
    lead = partitioner.num_partitions - 1 - len(partitioner.bounds)
    return [0] * lead + ends + [len(marks)]


def _itself(mark: Any) -> Any:
    return mark
