"""Holding more rows than memory: when to spill, and how what was spilled comes back in the order it had.

A task counts the bytes that it holds: estimates from the sizes of sampled rows, the same at each attempt, compared
with a budget that is a constant of the application. Memory that others use does not matter, so a task that is
retried spills at the same row. And a spill changes nothing that can be seen: groups come out in the order in which
their keys were first seen, whether all of them were in memory or none.

Groups are spilled in runs. A run is a segment file of buckets (by the hash of the key) of (ordinal, key, content),
where ordinals count what was ever spilled, in its order. Merging takes one bucket at a time through all runs, so
that only a bucket's groups are in memory, and writes it with the ordinal at which each key first occurred; at the
end the buckets, each ascending, are merged by ordinal. The keys of a partition have much of their hashes in common,
so a bucket is chosen by bits that all of the hash has a part in. A bucket that is itself larger than memory is taken
apart by further bits and merged in the same way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from operator import itemgetter
from sys import getsizeof
from typing import Any

from simspark.publib.blocks.segments import FRAME_TARGET_BYTES, SegmentFile, SegmentWriter
from simspark.publib.lineage.budget import Share
from simspark.publib.lineage.merging import merge_blocks
from simspark.publib.lineage.task import TaskRun

BUCKETS = 64
CHUNK_ROWS = 1 << 13
BATCHES_IN_BUDGET = 2048  # encoded; in memory their rows are several times as large, and a merge reads BUCKETS of them
LEAST_WINDOW_BYTES = 4 << 10
_SPREAD = 0x9E3779B97F4A7C15
_HASH_SIZE = 64
_HASH_BITS = (1 << _HASH_SIZE) - 1
_BUCKET_BITS = 6
MOST_LEVELS = 3  # of buckets in buckets: more do not help, where most of the rows are of one key
ENCODED_IN_BUDGET = 8  # a bucket's groups may take half a budget in memory, where they are several times as large
FIRST_WINDOW_ROWS = 16
WINDOW_ROWS = 1 << 16
SAMPLES = 64
_ELEMENTS = 16
_DEPTH = 4
_Numbered = tuple[int, Any, Any]  # ordinal, key, content or group
_UNIT_BYTES = 16  # of memory: nothing takes less, and nothing takes a part of one
_LIST_BYTES = getsizeof([])
_ROW_BYTES = 72  # a tuple of two, and a place in a list
_SIMPLE = frozenset((int, str, float, bytes, bool, type(None)))
_FLAT = _SIMPLE - {str, bytes}
"""Groups of these types do not grow: a few at the ends tell for all, where a look at some of all reads every key."""


def estimate_bytes(value: Any, depth: int = _DEPTH) -> int:
    """About how much memory a value takes, with what it contains, from at most 16 elements of each container."""
    size = getsizeof(value) + _UNIT_BYTES - 1 & -_UNIT_BYTES
    kind = type(value)
    if kind in _SIMPLE or not depth:
        return size
    if kind in {tuple, list, set, frozenset} or isinstance(value, tuple):
        return size + _estimate_elements(value, len(value), depth)
    if isinstance(value, dict):
        keys = _estimate_elements(value, len(value), depth)
        return size + keys + _estimate_elements(value.values(), len(value), depth)
    held = getattr(value, "nbytes", 0)
    if isinstance(held, int) and held:
        return max(size, held)
    return size + estimate_bytes(getattr(value, "__dict__", None), depth - 1)


def _estimate_elements(elements: Iterable[Any], count: int, depth: int) -> int:
    if not count:
        return 0
    sampled = list(islice(elements, 0, None, -(-count // _ELEMENTS)))
    if _SIMPLE.issuperset(map(type, sampled)):
        return sum([getsizeof(each) + _UNIT_BYTES - 1 & -_UNIT_BYTES for each in sampled]) * count // len(sampled)
    return sum([estimate_bytes(each, depth - 1) for each in sampled]) * count // len(sampled)


def estimate_list(rows: list[Any], samples: int = SAMPLES) -> int:
    """About how much memory a list of rows takes."""
    step = -(-len(rows) // samples) or 1
    sample = [estimate_bytes(row) for row in rows[::step]]
    return getsizeof(rows) + (sum(sample) * len(rows) // len(sample) if sample else 0)


def estimate_columns(keys: list[Any], values: list[Any], samples: int = SAMPLES) -> int:
    """About how much memory rows take that have these keys and values."""
    step = -(-len(keys) // samples) or 1
    sample = [*map(estimate_bytes, keys[::step]), *map(estimate_bytes, values[::step])]
    return (_ROW_BYTES * len(sample) // 2 + sum(sample)) * len(keys) // (len(sample) // 2 or 1)


def estimate_groups(groups: dict[Any, Any]) -> int:
    """About how much memory a dictionary of groups takes."""
    sampled = [*islice(groups, SAMPLES // 2), *islice(reversed(groups), SAMPLES // 2)]
    if len(groups) <= SAMPLES or not _FLAT.issuperset(type(groups[key]) for key in sampled):
        sampled = _sampled_keys(groups)
    sample = [estimate_bytes(key) + estimate_bytes(groups[key]) for key in sampled]
    return getsizeof(groups) + (sum(sample) * len(groups) // len(sample) if sample else 0)


def estimate_lists(groups: dict[Any, list[Any]], count: int) -> int:
    """The same where groups are lists of ``count`` values in all, so that one huge list is not missed."""
    sampled = _sampled_keys(groups)
    if not sampled:
        return getsizeof(groups)
    keys = sum(map(estimate_bytes, sampled)) * len(groups) // len(sampled)
    lists = sum(getsizeof(groups[key]) for key in sampled) * len(groups) // len(sampled)
    values = [estimate_bytes(value) for key in sampled for value in groups[key][-2:]]
    held = sum(values) * count // len(values) if values else 0
    return getsizeof(groups) + keys + max(lists, _LIST_BYTES * len(groups) + 8 * count) + held


def _sampled_keys(groups: dict[Any, Any]) -> list[Any]:
    return list(islice(groups, 0, None, -(-len(groups) // SAMPLES) or 1))


class Watch:
    """Looks at what is held while rows are taken in, and calls ``spill`` behind those with which it is too much.

    ``held`` gives bytes for the number of rows since the last spill. It is asked when twice as many rows were taken as
    before, where the budget will be reached if what is held grows as it did, and at the end.
    """

    __slots__ = ("_budget_bytes", "_due", "_held", "_open", "_seen", "_spill")

    def __init__(self, budget_bytes: int, held: Callable[[int], int], spill: Callable[[], None]) -> None:
        self._budget_bytes = budget_bytes
        self._held = held
        self._spill = spill
        self._seen, self._due, self._open = 0, FIRST_WINDOW_ROWS, False

    @property
    def window(self) -> int:
        """How many rows may be taken until it looks."""
        return min(self._due - self._seen, WINDOW_ROWS)

    def took(self, rows: int) -> None:
        """So many rows were taken."""
        self._seen += rows
        self._open = self._seen < self._due
        if not self._open:
            self._look()

    def end(self) -> None:
        """No more rows come."""
        if self._open:
            self._look()

    def _look(self) -> None:
        size = self._held(self._seen)
        if size > self._budget_bytes:
            self._spill()
            self._seen, self._due = 0, FIRST_WINDOW_ROWS
            return
        more = (self._budget_bytes - size) * self._seen // max(size, 1) + 1
        self._due = self._seen + max(FIRST_WINDOW_ROWS, min(2 * self._seen, more))


def windows(rows: Iterator[Any], watch: Watch) -> Iterator[tuple[int, Iterator[Any]]]:
    """The rows in windows of at most so many, each to be read to its end, with a watch on what is held of them."""
    rows = iter(rows)
    for first in rows:
        window = watch.window
        yield window, chain((first,), islice(rows, window - 1))
        watch.took(window)
    watch.end()


class Run:
    """A scratch file with rows in segments; read any number of times, and gone after ``remove``.

    It is read a batch at a time, and its batches are so small that many runs can be read at once: all the runs of a
    merge, or all the buckets of one.
    """

    def __init__(self, task: TaskRun) -> None:
        self._path = task.data.scratch()
        self._batch_rows = task.batch_rows
        self._batch_bytes = min(FRAME_TARGET_BYTES, task.memory_budget_bytes // BATCHES_IN_BUDGET)

    def write(self, segments: Iterable[Iterator[Any]]) -> Run:
        """Write the rows of segment 0, 1, ..."""
        writer = SegmentWriter(self._path)
        try:
            limit = 1
            for number, rows in enumerate(segments):
                while batch := list(islice(rows, limit)):
                    fits = self._batch_bytes * len(batch) // writer.append(number, batch)
                    limit = max(1, min(self._batch_rows, fits, limit * 8))
            writer.commit()
        except BaseException:
            writer.abort()
            raise
        return self

    def segment_bytes(self, segments: Iterable[int]) -> int:
        """How much these segments take together, encoded."""
        with SegmentFile(self._path) as file:
            return sum(file.extent(segment)[1] for segment in segments)

    def opened(self) -> Callable[[int], Iterator[list[Any]]]:
        """Open the file: what is returned gives the rows of a segment, in lists."""
        file, window_bytes = SegmentFile(self._path), max(LEAST_WINDOW_BYTES, 2 * self._batch_bytes)
        return lambda segment: file.batches(segment, window_bytes)

    def batches(self) -> Iterator[list[Any]]:
        """The rows of segment 0, in lists."""
        return self.opened()(0)

    def remove(self) -> None:
        """Give the disk space back before the attempt ends; iterators that are open go on."""
        try:
            os.unlink(self._path)
        except OSError:
            pass


class BucketRuns:
    """Spilled (key, content) pairs, folded per key in the order in which they were spilled.

    A key's first content becomes a group by ``start(content)``; each later one makes it
    ``step(group, content)``. A run is a file of chunks, each with a segment for each bucket, so that no more than a
    chunk of pairs is taken apart at a time. ``level`` counts the buckets that these are in.
    """

    def __init__(self, task: TaskRun, start: Callable[[Any], Any], step: Callable[[Any, Any], Any],
                 level: int = 0) -> None:
        self._task = task
        self._start = start
        self._step = step
        self._level = level
        self._runs: list[tuple[Run, int]] = []
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._runs)

    def spill(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        """Write one run, after all others."""
        numbered = ((ordinal, key, content) for ordinal, (key, content) in enumerate(pairs, self._count))
        self._count += self._write(numbered, len(self._runs))

    def spill_first(self, groups: dict[Any, Any], content: Callable[[Any], Any]) -> None:
        """Write one run that counts as before all others: content(group) for each group. Once."""
        numbered = ((ordinal, key, content(group)) for ordinal, (key, group) in enumerate(groups.items(), -len(groups)))
        self._write(numbered, 0)

    def _write(self, numbered: Iterator[_Numbered], place: int) -> int:
        sizes = []

        def segments() -> Iterator[Iterator[Any]]:
            while chunk := list(islice(numbered, CHUNK_ROWS)):
                sizes.append(len(chunk))
                yield from map(iter, _bucketed(chunk, self._level))

        run = Run(self._task).write(segments())
        self._runs.insert(place, (run, len(sizes)))
        return sum(sizes)

    def merged(self) -> Iterator[tuple[Any, Any]]:
        """Each key once, with its group, in first-seen order."""
        return map(itemgetter(1, 2), self._merged())

    def _merged(self) -> Iterator[_Numbered]:
        result = Run(self._task).write(map(self._merged_bucket, range(BUCKETS)))
        for run, _ in self._runs:
            run.remove()
        batches_of = result.opened()
        result.remove()
        return chain.from_iterable(merge_blocks(map(batches_of, range(BUCKETS)), itemgetter(0)))

    def _merged_bucket(self, bucket: int) -> Iterator[_Numbered]:
        if self._is_too_large(bucket):
            parts = BucketRuns(self._task, self._start, self._step, self._level + 1)
            parts._write(self._rows_of_bucket(bucket), 0)
            return parts._merged()
        return self._folded(self._rows_of_bucket(bucket))

    def _is_too_large(self, bucket: int) -> bool:
        if self._level + 1 == MOST_LEVELS:
            return False
        encoded = sum(run.segment_bytes(range(bucket, chunks * BUCKETS, BUCKETS)) for run, chunks in self._runs)
        return encoded > max(self._task.memory_budget_bytes // ENCODED_IN_BUDGET, LEAST_WINDOW_BYTES)

    def _folded(self, rows: Iterator[_Numbered]) -> Iterator[_Numbered]:
        start, step = self._start, self._step
        ordinals: dict[Any, int] = {}
        groups: dict[Any, Any] = {}
        nan: Any = None
        for ordinal, key, content in rows:
            if key != key:  # noqa: PLR0124 - NaN
                key = nan = key if nan is None else nan  # noqa: PLW2901
            if key in groups:
                groups[key] = step(groups[key], content)
            else:
                groups[key] = start(content)
                ordinals[key] = ordinal
        return zip(ordinals.values(), groups.keys(), groups.values(), strict=True)

    def _rows_of_bucket(self, bucket: int) -> Iterator[_Numbered]:
        for run, chunks in self._runs:
            batches_of = run.opened()
            for chunk in range(chunks):
                yield from chain.from_iterable(batches_of(chunk * BUCKETS + bucket))


def _bucketed(rows: list[_Numbered], level: int) -> list[list[_Numbered]]:
    """Rows of (ordinal, key, content) in the buckets of their keys."""
    buckets: list[list[_Numbered]] = [[] for _ in range(BUCKETS)]
    shift = _HASH_SIZE - _BUCKET_BITS * (level + 1)
    for row in rows:
        key = row[1]
        place = (hash(key) * _SPREAD & _HASH_BITS) >> shift & BUCKETS - 1 if key == key else 0  # noqa: PLR0124 - NaN
        buckets[place].append(row)
    return buckets


class Replay:
    """Rows that can be read again and again: in memory while they fit, then from a scratch file."""

    def __init__(self, rows: Iterator[Any], task: TaskRun) -> None:
        self._kept: list[Any] = []
        self._runs: list[Run] = []
        share = Share(task.budget)

        def spill() -> None:
            self._runs.append(Run(task).write([iter(self._kept)]))
            self._kept = []

        def held(_: int) -> int:
            return share.count(estimate_list(self._kept))

        for _, window in windows(rows, Watch(task.memory_budget_bytes, held, spill)):
            self._kept.extend(window)

    @property
    def rows(self) -> Iterable[Any]:
        """What to iterate over, the rows themselves where all of them are in memory."""
        return self if self._runs else self._kept

    def __iter__(self) -> Iterator[Any]:
        return chain(chain.from_iterable(chain.from_iterable(run.batches() for run in self._runs)), self._kept)
