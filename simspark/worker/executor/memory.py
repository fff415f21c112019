"""Cached partitions of this executor: rows in memory within a budget, others in files.

A partition in memory is the list of its rows, so a second use costs nothing. Room is made as a new one grows: the
one not used for longest goes, to a file if its level allows, otherwise it is dropped and the driver told. Two kinds
stay. One that is being read: whoever reads it has the list, so its memory would not come back. And one of the same
RDD, as in Spark: an RDD that is larger than memory keeps the partitions that came first, where else each would go
just before it is used again. A partition for which there is no room is never held as a whole: it goes to a file, or
passes through uncached.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from sys import getrefcount
from typing import Any

from simspark.publib.blocks.segments import SegmentFile, write_rows
from simspark.publib.errors import BlockError, FetchFailed
from simspark.publib.lineage.spill import estimate_list
from simspark.publib.lineage.storage_level import StorageLevel
from simspark.publib.lineage.task import FileRef, SegmentRef, TaskRun
from simspark.publib.named_tuple import NamedTuple
from simspark.worker.executor.env import Environment

SAMPLE_ROWS = 32
_UNREAD_REFERENCES = 2  # to a list of rows: the one that _Held has, and the argument of getrefcount

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
        taken, size_bytes, fits = self._take(block, rows, task.batch_rows)
        if fits:
            self._put(block, _Held(taken, size_bytes, wanted.useDisk, task.task_id))
            task.cached_blocks.append((rdd, partition, "", size_bytes))
            return taken
        everything = chain.from_iterable(_one_after_another([taken, rows]))
        del taken
        return self._keep_in_file(block, everything, task) if wanted.useDisk else everything

    def drop(self, rdds: Iterable[int]) -> None:
        """Forget the partitions of these RDDs. Their files are removed by who owns the directory."""
        gone = set(rdds)
        with self._lock:
            for block in [block for block in self._held if block[0] in gone]:
                self._used_bytes -= self._held.pop(block).size_bytes
            for block in [block for block in self._files if block[0] in gone]:
                del self._files[block]

    def _take(self, block: BlockId, rows: Iterator[Any], batch_rows: int) -> tuple[list[Any], int, bool]:
        """Rows in a list until they end or there is no room for more; what counts for them, if all of them fit."""
        taken: list[Any] = []
        size_bytes, fits = 0, False
        try:
            while batch := list(islice(rows, batch_rows)):
                taken += batch
                more_bytes = estimate_list(batch, SAMPLE_ROWS)
                size_bytes += more_bytes
                if not self._make_room(block, more_bytes):
                    break
            else:
                fits = True
        finally:
            if not fits:
                with self._lock:
                    self._used_bytes -= size_bytes
        return taken, size_bytes, fits

    def _make_room(self, block: BlockId, more_bytes: int) -> bool:
        """Count more for a block that grows, and let others go for it; whether there is room."""
        evicted = []
        with self._lock:
            self._used_bytes += more_bytes
            while self._used_bytes > self._limit() and (oldest := self._oldest(block)) is not None:
                held = self._held.pop(oldest)
                self._used_bytes -= held.size_bytes
                evicted.append((oldest, held))
            fits = self._used_bytes <= self._limit()
        self._let_go(evicted)
        return fits

    def _oldest(self, growing: BlockId) -> BlockId | None:
        """The partition not used for longest of those that may go for this one."""
        for block, held in self._held.items():
            if block[0] != growing[0] and getrefcount(held.rows) <= _UNREAD_REFERENCES:
                return block
        return None

    def _limit(self) -> int:
        if self._limit_bytes < 0:
            self._limit_bytes = self._environment.storage_bytes()
        return self._limit_bytes

    def _put(self, block: BlockId, held: _Held) -> None:
        with self._lock:
            before = self._held.pop(block, None)
            self._used_bytes -= before.size_bytes if before else 0
            self._held[block] = held

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


def _one_after_another(parts: list[Iterable[Any]]) -> Iterator[Iterable[Any]]:
    """Each part; nothing has it any more when it has been read."""
    while parts:
        yield parts.pop(0)
