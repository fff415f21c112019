"""Cached partitions of this executor: rows in memory within a budget, others in files.

A partition in memory is the list of its rows, so a second use costs nothing. When the budget is used up,
the one not used for longest goes: to a file if its level allows, otherwise it is dropped and the driver
told. A partition too large for the budget is never held as a whole: it goes to a file, or passes through
uncached. Blocks being read stay readable: whoever has the list, or the mapping, has it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any

from simspark.publib.blocks.segments import SegmentFile, write_rows
from simspark.publib.errors import BlockError, FetchFailed
from simspark.publib.lineage.storage_level import StorageLevel
from simspark.publib.lineage.task import FileRef, SegmentRef, TaskRun
from simspark.publib.named_tuple import NamedTuple
from simspark.worker.executor.env import Environment

SAMPLE_ROWS = 32
ESTIMATE_DEPTH = 5

BlockId = tuple[int, int]


class _Held(NamedTuple):
    """A partition in memory."""

    rows: list[Any]
    size_bytes: int
    may_spill: bool
    task_id: int


class ExecutorCache:
    """The cached partitions that this executor has, or can reach (publib.lineage.task.BlockCache)."""

    def __init__(self, environment: Environment, report_dropped: Callable[[tuple[BlockId, ...]], None],
                 open_data: Callable[[int], Any]) -> None:
        self._environment = environment
        self._report_dropped = report_dropped
        self._open_data = open_data
        self._lock = threading.Lock()
        self._held: OrderedDict[BlockId, _Held] = OrderedDict()
        self._files: dict[BlockId, str] = {}
        self._used_bytes = 0
        self._limit_bytes = -1

    @property
    def used_bytes(self) -> int:
        """How much the partitions in memory take, by estimate."""
        return self._used_bytes

    def get(self, rdd: int, partition: int) -> Iterable[Any] | None:
        """The rows, if they are here or can be had from where they are."""
        block = (rdd, partition)
        with self._lock:
            held = self._held.get(block)
            if held is not None:
                self._held.move_to_end(block)
                return held.rows
            name = self._files.get(block)
        if name is not None:
            return self._rows_of_file(block, FileRef(self._environment.own_name, name))
        found = self._environment.cached(rdd, partition)
        return None if found is None else self._rows_of_file(block, found)

    def keep(self, rdd: int, partition: int, rows: Iterator[Any], level: int, task: TaskRun) -> Iterable[Any]:
        """Store the rows at a storage level and return them to be read once."""
        wanted = StorageLevel.from_code(level)
        block = (rdd, partition)
        if not wanted.useMemory:
            return self._keep_in_file(block, rows, task) if wanted.useDisk else rows
        taken, size_bytes, fits = self._take(rows, task.batch_rows)
        if fits:
            self._put(block, _Held(taken, size_bytes, wanted.useDisk, task.task_id))
            task.cached_blocks.append((rdd, partition, "", size_bytes))
            return taken
        everything = chain(taken, rows)
        return self._keep_in_file(block, everything, task) if wanted.useDisk else everything

    def drop(self, rdds: Iterable[int]) -> None:
        """Forget the partitions of these RDDs. Their files are removed by who owns the directory."""
        gone = set(rdds)
        with self._lock:
            for block in [block for block in self._held if block[0] in gone]:
                self._used_bytes -= self._held.pop(block).size_bytes
            for block in [block for block in self._files if block[0] in gone]:
                del self._files[block]

    def _take(self, rows: Iterator[Any], batch_rows: int) -> tuple[list[Any], int, bool]:
        """Rows in a list until they end or are more than could ever be kept."""
        taken: list[Any] = []
        size_bytes = 0
        limit_bytes = self._limit()
        while batch := list(islice(rows, batch_rows)):
            taken += batch
            size_bytes += estimated_bytes(batch)
            if size_bytes > limit_bytes:
                return taken, size_bytes, False
        return taken, size_bytes, True

    def _limit(self) -> int:
        if self._limit_bytes < 0:
            self._limit_bytes = self._environment.storage_bytes()
        return self._limit_bytes

    def _put(self, block: BlockId, held: _Held) -> None:
        with self._lock:
            before = self._held.pop(block, None)
            self._used_bytes += held.size_bytes - (before.size_bytes if before else 0)
            self._held[block] = held
            evicted = self._evicted(block)
        self._let_go(evicted)

    def _evicted(self, newest: BlockId) -> list[tuple[BlockId, _Held]]:
        """Take out what was not used for longest, until the rest fits."""
        evicted = []
        while self._used_bytes > self._limit() and next(iter(self._held)) != newest:
            block, held = self._held.popitem(last=False)
            self._used_bytes -= held.size_bytes
            evicted.append((block, held))
        return evicted

    def _let_go(self, evicted: list[tuple[BlockId, _Held]]) -> None:
        dropped = [block for block, held in evicted if not (held.may_spill and self._spill(block, held))]
        if dropped:
            self._report_dropped(tuple(dropped))

    def _spill(self, block: BlockId, held: _Held) -> bool:
        data = self._open_data(held.task_id)
        try:
            self._write(block, iter(held.rows), data, held.task_id, 1000)
        except (OSError, TypeError, ValueError, AttributeError, RecursionError):  # no room, or it cannot be pickled
            return False
        finally:
            data.end()
        return True

    def _keep_in_file(self, block: BlockId, rows: Iterator[Any], task: TaskRun) -> Iterable[Any]:
        name, size_bytes = self._write(block, rows, task.data, task.task_id, task.batch_rows)
        task.cached_blocks.append((*block, name, size_bytes))
        found = self._rows_of_file(block, FileRef(self._environment.own_name, name))
        if found is None:
            raise FetchFailed(self._environment.own_name, name, -1, -1, "it is gone as soon as it was written")
        return found

    def _write(self, block: BlockId, rows: Iterator[Any], data: Any, task_id: int, batch: int) -> tuple[str, int]:
        name = f"cache-{block[0]}-{block[1]}-{task_id}"
        sink = data.create(name)
        write_rows(sink, 0, rows, batch)
        size_bytes = sink.commit()
        with self._lock:
            self._files[block] = name
        return name, size_bytes

    def _rows_of_file(self, block: BlockId, file: FileRef) -> Iterable[Any] | None:
        """The rows of a cached file; None when it is not there, so that they are computed again."""
        directory = self._environment.local_directory(file.owner)
        try:
            if directory is None:
                batches = self._open_data(-1).read((SegmentRef(file, 0),))
                first: list[Any] = next(batches, [])
                return chain(first, chain.from_iterable(batches))
            batches = SegmentFile(os.path.join(directory, file.name)).batches(0)
            return self._guarded(block, file, batches)
        except (BlockError, OSError):
            self._forget(block)
            return None

    def _guarded(self, block: BlockId, file: FileRef, batches: Iterator[list[Any]]) -> Iterator[Any]:
        """A block that turns out to be damaged half-way fails the attempt, and is not used again."""
        try:
            for batch in batches:
                yield from batch
        except BlockError as error:
            self._forget(block)
            raise FetchFailed(file.owner, file.name, -1, -1, str(error)) from error

    def _forget(self, block: BlockId) -> None:
        self._environment.forget_cached(*block)
        with self._lock:
            self._files.pop(block, None)


def estimated_bytes(rows: list[Any]) -> int:
    """About how much memory a list of rows takes, from a sample of them."""
    if not rows:
        return 0
    sample = rows[:: max(1, len(rows) // SAMPLE_ROWS)]
    each = sum(_deep_size(row, ESTIMATE_DEPTH) for row in sample) / len(sample)
    return int(len(rows) * (each + 8))


def _deep_size(value: Any, depth: int) -> int:
    size = sys.getsizeof(value, 64)
    if depth == 0 or isinstance(value, (str, bytes, int, float, bool, type(None))):
        return size
    if isinstance(value, (tuple, list, set, frozenset)):
        return size + _sampled(list(islice(value, SAMPLE_ROWS)), len(value), depth)
    if isinstance(value, dict):
        parts = [part for item in islice(value.items(), SAMPLE_ROWS) for part in item]
        return size + _sampled(parts, 2 * len(value), depth)
    attributes = getattr(value, "__dict__", None)
    return size + _deep_size(attributes, depth - 1) if attributes else size


def _sampled(parts: list[Any], total: int, depth: int) -> int:
    if not parts:
        return 0
    return sum(_deep_size(part, depth - 1) for part in parts) * total // len(parts)
