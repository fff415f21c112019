
"""Sinks: where a partition's rows go. A shuffle's map output, or a value for the driver; see saved_files for files.

The classes at the end are the functions of common actions, for ResultSink: called as ``f(partition, rows)``.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import chain, count, islice
from operator import length_hint
from typing import Any

from simspark.publib.blocks.segments import FRAME_TARGET_BYTES, encode_rows_inline, write_rows
from simspark.publib.lineage.aggregation import Aggregator
from simspark.publib.lineage.budget import Share
from simspark.publib.lineage.partitioner import Partitioner, RangePartitioner
from simspark.publib.lineage.sorting import Ordering, SortedRows
from simspark.publib.lineage.spill import estimate_list
from simspark.publib.lineage.steps import Map, apply_steps
from simspark.publib.lineage.task import FileRef, FileSink, MapDone, ResultValue, SegmentRef, TaskRun
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.optimizations import uses

BUCKET_WINDOW_ROWS = 4096
_BATCH_SAMPLES = 8


class ShuffleWrite(NamedTuple):
    """Writes (key, value) rows as a map output: segment r of one file is reduce partition r.

    An aggregator combines first, and the distinct keys are placed; an ordering sorts first, and where the partitions
    are ranges of that order the sorted rows are cut at the bounds. Rows of a segment keep their order.
    """

    shuffle: int
    partitioner: Partitioner
    num_partitions: int
    aggregator: Aggregator | None = None
    ordering: Ordering | None = None

    def run(self, rows: Iterator[Any], task: TaskRun) -> MapDone:
        """Write everything; the sizes are bytes per reduce partition. Raises StorageFault."""
        if self.aggregator is not None:
            rows = self.aggregator.combine_values(rows, task)
        name = f"shuffle-{self.shuffle}-{task.partition}-{task.task_id}"
        if self.ordering is not None and self.ordering.fits(self.partitioner) and uses("cuts"):
            ordered = self.ordering.sort(rows, task)
            return MapDone(name, _committed(task, name, lambda file: self._write_cut(ordered, file, task)))
        buckets = _Buckets(self.num_partitions, task)
        if self.num_partitions == 1:
            buckets.fill_single(rows)
        else:
            buckets.fill(rows, self.partitioner)
        return MapDone(name, _committed(task, name, buckets.write_to))

    def _write_cut(self, ordered: SortedRows, file: FileSink, task: TaskRun) -> list[int]:
        assert isinstance(self.partitioner, RangePartitioner)
        sizes = [0] * self.num_partitions
        for number, rows in ordered.cut(self.partitioner):
            sizes[number] = write_rows(file, number, rows, task.batch_rows)
        file.append(self.num_partitions - 1, [])
        return sizes


def are_pairs(rows: Sequence[Any]) -> bool:
    """Whether all rows are exact tuples of two."""
    return set(map(type, rows)) == {tuple} and set(map(len, rows)) == {2}


def _committed(task: TaskRun, name: str, write: Callable[[FileSink], list[int]]) -> tuple[int, ...]:
    file = task.data.create(name)
    try:
        sizes = write(file)
        file.commit()
    except BaseException:
        file.abort()
        raise
    return tuple(sizes)


class _Buckets:
    """Rows on their way to reduce partitions: encoded as they fill a batch, spilled when too many bytes.

    While all rows are exact pairs, a bucket is keys and values by turns, and a frame holds a list of each (a tuple of
    two lists, where other rows are a list of rows): they are written and read in half the time of a list of tuples.
    """

    def __init__(self, partitions: int, task: TaskRun) -> None:
        self._task = task
        self._pairs = uses("columns")
        self._share = Share(task.budget)
        self._rows: list[list[Any]] = [[] for _ in range(partitions)]
        self._frames: list[list[bytes]] = [[] for _ in range(partitions)]
        self._frame_bytes = 0
        self._spilled: list[str] = []

    def fill(self, rows: Iterator[Any], partitioner: Partitioner) -> None:
        """Place all rows."""
        buckets = self._rows
        window = max(self._task.batch_rows, min(BUCKET_WINDOW_ROWS, 2 * len(buckets)))
        size = 16
        while batch := list(islice(rows, size)):
            places = partitioner.assign([row[0] for row in batch])
            if self._takes_pairs(batch):
                for place, row in zip(places, batch, strict=True):
                    buckets[place] += row
            else:
                for place, row in zip(places, batch, strict=True):
                    buckets[place].append(row)
            size = self._settle(batch, window)

    def fill_single(self, rows: Iterator[Any]) -> None:
        """Place all rows in the only partition."""
        size = 16
        while batch := list(islice(rows, size)):
            self._rows[0].extend(chain.from_iterable(batch) if self._takes_pairs(batch) else batch)
            size = self._settle(batch, self._task.batch_rows)

    def _takes_pairs(self, batch: list[Any]) -> bool:
        """Whether these rows go to the buckets as keys and values by turns."""
        if self._pairs and not are_pairs(batch):
            self._encode_all()
            self._pairs = False
        return self._pairs

    def _settle(self, batch: list[Any], window: int) -> int:
        """Encode and spill as needed after a batch; how many rows to take next."""
        added = estimate_list(batch, _BATCH_SAMPLES)
        width = 2 if self._pairs else 1
        frame_items = width * min(self._task.batch_rows, FRAME_TARGET_BYTES * len(batch) // added)
        for number, rows in enumerate(self._rows):
            if rows and len(rows) >= frame_items:
                self._encode(number)
        budget = self._task.memory_budget_bytes
        held = self._frame_bytes + sum(map(len, self._rows)) * added // (width * len(batch))
        if self._share.count(held) > budget:
            self._encode_all()
            self._spill()
        return max(1, min(window, 4 * len(batch), budget // 4 * len(batch) // added))

    def _encode_all(self) -> None:
        for number in range(len(self._rows)):
            self._encode(number)

    def _encode(self, number: int) -> None:
        rows = self._rows[number]
        if rows:
            frame = encode_rows_inline(self._batch(rows))
            self._frames[number].append(frame)
            self._frame_bytes += len(frame)
            rows.clear()

    def _batch(self, rows: list[Any]) -> Any:
        return (rows[::2], rows[1::2]) if self._pairs and rows else rows

    def _spill(self) -> None:
        from simspark.publib.blocks.segments import SegmentWriter

        path = self._task.data.scratch()
        file = SegmentWriter(path)
        try:
            for number, frames in enumerate(self._frames):
                for frame in frames:
                    file.append_frame(number, frame)
            file.commit()
        except BaseException:
            file.abort()
            raise
        self._spilled.append(path)
        self._frames = [[] for _ in self._rows]
        self._frame_bytes = 0

    def write_to(self, file: FileSink) -> list[int]:
        """Append everything, partition by partition: what was spilled, what is encoded, what is left."""
        from simspark.publib.blocks.segments import SegmentFile

        runs = [SegmentFile(path) for path in self._spilled]
        sizes = []
        for number, (frames, rows) in enumerate(zip(self._frames, self._rows, strict=True)):
            size = sum(file.append_frame(number, piece) for run in runs for piece in run.pieces(number))
            size += sum(file.append_frame(number, frame) for frame in frames)
            sizes.append(size + file.append(number, self._batch(rows)))
        for run, path in zip(runs, self._spilled, strict=True):
            run.close()
            os.unlink(path)
        return sizes


class ResultSink(NamedTuple):
    """Gives function(partition index, iterator of rows) to the driver."""

    function: Callable[[int, Iterator[Any]], Any]
    label: str = "runJob"
    site: str = ""

    def run(self, rows: Iterator[Any], task: TaskRun) -> ResultValue:
        """Call the function."""
        return ResultValue(self.function(task.partition, rows))


class KeepSink(NamedTuple):
    """Keeps the rows in a file of this machine, as partitions of an RDD that is on disk; the value is where it is."""

    rdd: int

    def run(self, rows: Iterator[Any], task: TaskRun) -> ResultValue:
        """Write the file; the value is a SegmentRef. Raises StorageFault."""
        name = f"cache-{self.rdd}-{task.partition}-{task.task_id}"
        sizes = _committed(task, name, lambda file: [write_rows(file, 0, rows, task.batch_rows)])
        task.cached_blocks.append((self.rdd, task.partition, name, sizes[0]))
        return ResultValue(SegmentRef(FileRef(task.data.owner, name), 0))


_RANGE_ITERATOR = type(iter(range(0)))


class Collect:
    """The rows, as a list."""

    def __call__(self, partition: int, rows: Iterator[Any]) -> list[Any]:
        """What the class says, of one partition."""
        return list(rows)


class Count:
    """How many rows there are."""

    def __call__(self, partition: int, rows: Iterator[Any]) -> int:
        """What the class says, of one partition."""
        if type(rows) is _RANGE_ITERATOR and uses("sizes"):
            return length_hint(rows)
        counter = count()
        deque(zip(rows, counter, strict=False), maxlen=0)
        return next(counter)


class Sum:
    """The sum of the rows, from 0."""

    def __call__(self, partition: int, rows: Iterator[Any]) -> Any:
        """What the class says, of one partition."""
        return sum(rows)


class Take(NamedTuple):
    """The first ``limit`` rows; no more are computed."""

    limit: int

    def __call__(self, partition: int, rows: Iterator[Any]) -> list[Any]:
        """What the class says, of one partition."""
        return list(islice(rows, self.limit))


class Reduce(NamedTuple):
    """The rows reduced by a function: a list of the one result, empty if there are no rows."""

    function: Callable[[Any, Any], Any]

    def __call__(self, partition: int, rows: Iterator[Any]) -> list[Any]:
        """What the class says, of one partition."""
        for first in rows:
            return [reduce(self.function, rows, first)]
        return []


class Fold(NamedTuple):
    """function(..., row) over the rows, from a copy of ``zero``. Also what ``aggregate`` does in a partition."""

    zero: Any
    function: Callable[[Any, Any], Any]

    def __call__(self, partition: int, rows: Iterator[Any]) -> Any:
        """What the class says, of one partition."""
        from copy import deepcopy

        return reduce(self.function, rows, deepcopy(self.zero))


class Foreach(NamedTuple):
    """Calls a function with each row, for its effects."""

    function: Callable[[Any], Any]
    site: str = ""

    def __call__(self, partition: int, rows: Iterator[Any]) -> None:
        """What the class says, of one partition."""
        # The step knows how to tell a StopIteration of the function from the end of the rows.
        task: Any = None
        deque(apply_steps([Map(self.function, "foreach", self.site)], rows, partition, task), maxlen=0)


class ForeachPartition(NamedTuple):
    """Calls a function with the iterator of the rows, for its effects."""

    function: Callable[[Iterator[Any]], object]

    def __call__(self, partition: int, rows: Iterator[Any]) -> None:
        """What the class says, of one partition."""
        result = self.function(rows)
        if isinstance(result, Iterator):
            deque(result, maxlen=0)
