"""Sources behind a shuffle: what all map tasks wrote for one reduce partition, in the order of the map partitions.

That order, and first-seen order of keys within it, is what makes a retried task give the same rows in the same
order, however the fetches raced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from typing import Any

from simspark.publib.lineage.aggregation import Aggregator, Groups, extend_list, fold_nans
from simspark.publib.lineage.shared import ResultIterable
from simspark.publib.lineage.sorting import Ordering
from simspark.publib.lineage.sources import Part, rows_of_part
from simspark.publib.lineage.spill import BucketRuns, estimate_lists, windows
from simspark.publib.lineage.task import SegmentRef, Source, TaskRun
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.optimizations import uses


class ShuffleRead(NamedTuple):
    """One reduce partition of a shuffle. Split: its index, an int.

    With an aggregator, rows are merged per key: ``combined`` says that the map side wrote combiners. With an
    ordering they come sorted.
    """

    shuffle: int
    aggregator: Aggregator | None = None
    ordering: Ordering | None = None
    combined: bool = True

    def rows(self, split: int, task: TaskRun) -> Iterator[Any]:
        """The rows of the partition. Raises FetchFailed naming the map output that could not be had."""
        outputs = task.data.map_outputs(self.shuffle)
        refs = [SegmentRef(file, split, self.shuffle, index) for index, file in enumerate(outputs)]
        rows: Iterator[Any] = chain.from_iterable(task.data.read(refs))
        if self.aggregator is not None:
            aggregate = self.aggregator.merge_combined if self.combined else self.aggregator.combine_values
            rows = aggregate(rows, task)
        if self.ordering is not None:
            rows = iter(self.ordering.sort(rows, task))
        return rows


class CoGroupRead(NamedTuple):
    """The values of each key in several parents. Split: one (index, split) for each parent.

    A parent is any source of (key, value) rows: a plain ShuffleRead, or one that is partitioned alike. Rows are
    (key, one ResultIterable for each parent), keys in first-seen order, the first parent's first.
    """

    parents: tuple[Source, ...]

    def rows(self, split: Sequence[Part], task: TaskRun) -> Iterator[Any]:
        """The groups of one partition."""
        groups = _cogroup(self.parents, split, task)
        return ((key, tuple(map(ResultIterable, lists))) for key, lists in groups)


class JoinRead(NamedTuple):
    """Two parents joined by key. Split: ((index, split), (index, split)).

    ``how`` is "inner", "left", "right" or "full". Rows are (key, (left value, right value)): keys in first-seen
    order, the left parent's first; for each key every left value with every right value; None for a side that has
    none, where ``how`` keeps such keys.
    """

    left: Source
    right: Source
    how: str = "inner"

    def rows(self, split: Sequence[Part], task: TaskRun) -> Iterator[Any]:
        """The joined rows of one partition."""
        all_keys = self.how in {"right", "full"} or not uses("join-keys")
        groups = _cogroup((self.left, self.right), split, task, all_keys)
        return chain.from_iterable(map(_PAIRS[self.how], groups))


def _inner(group: tuple[Any, Sequence[Sequence[Any]]]) -> list[Any]:
    key, (left, right) = group
    return [(key, (v, w)) for v in left for w in right]


def _left(group: tuple[Any, Sequence[Sequence[Any]]]) -> list[Any]:
    key, (left, right) = group
    return [(key, (v, w)) for v in left for w in right or _NONE]


def _right(group: tuple[Any, Sequence[Sequence[Any]]]) -> list[Any]:
    key, (left, right) = group
    return [(key, (v, w)) for v in left or _NONE for w in right]


def _full(group: tuple[Any, Sequence[Sequence[Any]]]) -> list[Any]:
    key, (left, right) = group
    return [(key, (v, w)) for v in left or _NONE for w in right or _NONE]


_NONE = (None,)
_EMPTY: tuple[Any, ...] = ()
_PAIRS: dict[str, Callable[[Any], Sequence[Any]]] = {"inner": _inner, "left": _left, "right": _right, "full": _full}


def _cogroup(parents: Sequence[Source], split: Sequence[Part], task: TaskRun,
             right_keys: bool = True) -> Iterator[tuple[Any, Sequence[Sequence[Any]]]]:
    """(key, lists by parent) in first-seen order; without ``right_keys`` those of the first parent may do."""
    runs = BucketRuns(task, _own_lists, _extend_all)
    tables: list[Groups] = [defaultdict(list) for _ in parents]
    before = 0

    def held_bytes(seen: int) -> int:
        return before + estimate_lists(table, seen)

    def spill() -> None:
        nonlocal before
        runs.spill(_together(tables))
        before = 0
        for each in tables:
            each.clear()

    for parent, part, table in zip(parents, split, tables, strict=True):
        for window in windows(rows_of_part(parent, part, task), task.memory_budget_bytes, held_bytes, spill):
            for key, value in window:
                table[key].append(value)
        before += estimate_lists(table, sum(map(len, table.values())))
    if runs:
        spill()
        return runs.merged()
    return _together(tables, right_keys)


def _own_lists(lists: Sequence[Sequence[Any]]) -> tuple[list[Any], ...]:
    return tuple(map(list, lists))


def _extend_all(lists: tuple[list[Any], ...], more: Sequence[Sequence[Any]]) -> tuple[list[Any], ...]:
    for values, others in zip(lists, more, strict=True):
        values.extend(others)
    return lists


def _together(tables: list[Groups], right_keys: bool = True) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    nans = [fold_nans(table, extend_list) for table in tables]
    present = [nan for nan in nans if nan is not None]
    for table, nan in zip(tables, nans, strict=True):
        if nan is not None and nan is not present[0]:
            table[present[0]] = table.pop(nan)
    keys = dict.fromkeys(chain.from_iterable(tables if right_keys else tables[:1]))
    lookups = [map(table.get, keys, repeat(_EMPTY)) for table in tables]
    return zip(keys, zip(*lookups, strict=True), strict=True)
