"""Sorting the rows of a partition by key: stable, in memory or by merging sorted runs.

Equal keys keep the order of the rows, spilled or not, ascending or descending. Keys that do not compare (None with
numbers) raise the TypeError that Python raises; NaN has no place in an order, and where it comes out is not defined.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any

from simspark.publib.lineage.partitioner import RangePartitioner
from simspark.publib.lineage.spill import Run, estimate_list, windows
from simspark.publib.lineage.task import TaskRun
from simspark.publib.named_tuple import NamedTuple


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

    def fits(self, partitioner: Any) -> bool:
        """Whether rows in this order are in the order of the partitions of ``partitioner``."""
        return (isinstance(partitioner, RangePartitioner) and partitioner.ascending == self.ascending
                and partitioner.func == self.function)

    def sort(self, rows: Iterator[Any], task: TaskRun) -> SortedRows:
        """All rows in order; see SortedRows."""
        return SortedRows(rows, self, task)


class SortedRows:
    """The rows of a partition in order: ``held`` is the list of all of them if they fitted, or else None."""

    def __init__(self, rows: Iterator[Any], ordering: Ordering, task: TaskRun) -> None:
        self._key = ordering.row_key()
        self._reverse = not ordering.ascending
        self._kept: list[Any] = []
        self._runs: list[Run] = []

        def spill() -> None:
            self._kept.sort(key=self._key, reverse=self._reverse)
            self._runs.append(Run(task).write([iter(self._kept)]))
            self._kept.clear()

        for window in windows(rows, task.memory_budget_bytes, lambda _: estimate_list(self._kept), spill):
            self._kept.extend(window)
        self._kept.sort(key=self._key, reverse=self._reverse)

    @property
    def held(self) -> list[Any] | None:
        """The rows as a list, or None if they were spilled."""
        return None if self._runs else self._kept

    def __iter__(self) -> Iterator[Any]:
        if not self._runs:
            return iter(self._kept)
        from heapq import merge

        runs = [run.read() for run in self._runs]
        return merge(*runs, self._kept, key=self._key, reverse=self._reverse)


def cut_at_bounds(rows: list[Any], key: Callable[[Any], Any], partitioner: RangePartitioner) -> list[int]:
    """Where each partition's rows end in ``rows``, which are sorted in the partitioner's order by ``key``.

    ``key`` gives what the bounds are compared with.
    """
    if partitioner.ascending:
        ends = [bisect_right(rows, bound, key=key) for bound in partitioner.bounds]
        ends += [len(rows)] * (partitioner.num_partitions - len(ends))
        return ends
    # Partition n-1-i begins where keys are no longer above bounds[i-1].
    ends = [_first_not_above(bound, rows, key) for bound in reversed(partitioner.bounds)]
    lead = partitioner.num_partitions - 1 - len(partitioner.bounds)
    return [0] * lead + ends + [len(rows)]


def _first_not_above(bound: Any, rows: list[Any], key: Callable[[Any], Any]) -> int:
    return bisect_left(range(len(rows)), 1, key=lambda at: 0 if bound < key(rows[at]) else 1)
