
"""Sinks: where a partition's rows go. A shuffle's map output, or a value for the driver; see saved_files for files.

The classes at the end are the functions of common actions, for ResultSink: called as ``f(partition, rows)``.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain, count, islice, pairwise
from operator import length_hint
from typing import Any

from simspark.publib.blocks.arrays import in_one
from simspark.publib.blocks.segments import FRAME_TARGET_BYTES, encode_rows_inline, write_rows
from simspark.publib.lineage.aggregation import Aggregator
from simspark.publib.lineage.budget import Share
from simspark.publib.lineage.folding import Groups
from simspark.publib.lineage.partitioner import Partitioner, RangePartitioner
from simspark.publib.lineage.sorting import Ordering
from simspark.publib.lineage.spill import FIRST_WINDOW_ROWS, estimate_columns, estimate_list
from simspark.publib.lineage.steps import Map, Step, StepRows, fused_after, note_end, one_by_one
from simspark.publib.lineage.task import FileRef, FileSink, MapDone, ResultValue, SegmentRef, TaskRun
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.optimizations import uses

BUCKET_WINDOW_ROWS = 4096
SORTED_WINDOW_ROWS = 4096
SORTED_WINDOW_BYTES = 2 << 20
SORTED_FRAME_ROWS = 100  # or more: the rows of many partitions are soon too many to be kept near until they are written
_BATCH_SAMPLES = 8


class ShuffleWrite(NamedTuple):
    """Writes (key, value) rows as a map output: segment r of one file is reduce partition r.

    An aggregator combines first, and the distinct keys are placed. Where there is an ordering of which the partitions
    are ranges, some thousands of rows at a time are sorted and cut at the bounds: as many as the processor keeps near,
    so that sorting and writing them wait for no memory, and who merges the runs finds them one after another. Rows of
    equal keys keep their order in a segment, and without an ordering all do.
    """

    shuffle: int
    partitioner: Partitioner
    num_partitions: int
    aggregator: Aggregator | None = None
    ordering: Ordering | None = None

    def run(self, rows: Iterator[Any], task: TaskRun) -> MapDone:
        """Write everything; the sizes are bytes per reduce partition. Raises StorageFault."""
        combined = None
        if self.aggregator is not None:
            combined = self.aggregator.combine_values(rows, task)
            rows = iter(combined)
        name = f"shuffle-{self.shuffle}-{task.partition}-{task.task_id}"
        buckets = _Buckets(self.num_partitions, task)
        if self.ordering is not None and self.ordering.fits(self.partitioner) and uses("cuts"):
            buckets.fill_sorted(rows, self.ordering, self.partitioner)
        elif combined is not None and combined.held is not None and self.ordering is None and uses("columns"):
            buckets.fill_groups(combined.held, combined.kinds, self.partitioner)
        elif self.num_partitions == 1:
            buckets.fill_single(rows)
        else:
            buckets.fill(rows, self.partitioner)
        return MapDone(name, _committed(task, name, buckets.write_to))


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

    While all rows are exact pairs, a bucket has their keys and their values, and a frame holds both lists (in a tuple,
    where other rows are a list of rows): they are written and read in half the time of a list of tuples.
    """

    def __init__(self, partitions: int, task: TaskRun) -> None:
        self._task = task
        self._pairs = uses("columns")
        self._share = Share(task.budget)
        self._keys: list[list[Any]] = [[] for _ in range(partitions)]
        self._rows: list[list[Any]] = [[] for _ in range(partitions)]
        self._window = max(task.batch_rows, min(BUCKET_WINDOW_ROWS, 2 * partitions))
        self._frames: list[list[bytes]] = [[] for _ in range(partitions)]
        self._frame_bytes = 0
        self._spilled: list[str] = []
        self._frame_rows = task.batch_rows

    def fill(self, rows: Iterator[Any], partitioner: Partitioner) -> None:
        """Place all rows."""
        windows = _Windows(rows, self._task)
        for window in windows:
            keys, values = self._columns_of(window)
            places = partitioner.assign(keys)
            if values is not None:
                self._place(places, keys, values)
                added_bytes = estimate_columns(keys, values, _BATCH_SAMPLES)
                windows.size = self._settle(len(keys), added_bytes, windows.size)
                continue
            buckets = self._rows
            for place, row in zip(places, window, strict=True):
                buckets[place].append(row)
            windows.size = self._settle(len(keys), estimate_list(window, _BATCH_SAMPLES), windows.size)

    def fill_single(self, rows: Iterator[Any]) -> None:
        """Place all rows in the only partition."""
        size = FIRST_WINDOW_ROWS
        while batch := list(islice(rows, size)):
            if self._takes_pairs(batch):
                self._keys[0] += [row[0] for row in batch]
                self._rows[0] += [row[1] for row in batch]
            else:
                self._rows[0] += batch
            size = self._settle(len(batch), estimate_list(batch, _BATCH_SAMPLES))

    def fill_sorted(self, rows: Iterator[Any], ordering: Ordering, partitioner: RangePartitioner) -> None:
        """Place all rows: so many at a time are sorted, and cut where the partitions, which are ranges, end."""
        self._window = SORTED_WINDOW_ROWS
        self._frame_rows = min(self._frame_rows, max(SORTED_FRAME_ROWS, SORTED_WINDOW_ROWS // len(self._rows)))
        windows = _Windows(rows, self._task)
        for window in windows:
            keys, values = self._columns_of(window)
            order, ends = ordering.cut(keys, partitioner)
            if values is not None:
                _deal(keys, order, ends, self._keys)
                _deal(values, order, ends, self._rows)
                added_bytes = estimate_columns(keys, values, _BATCH_SAMPLES)
            else:
                _deal(window, order, ends, self._rows)
                added_bytes = estimate_list(window, _BATCH_SAMPLES)
            fits = SORTED_WINDOW_BYTES * len(keys) // added_bytes
            windows.size = max(1, min(fits, self._settle(len(keys), added_bytes, windows.size)))

    def fill_groups(self, groups: Groups, kinds: Collection[type], partitioner: Partitioner) -> None:
        """Place the keys of a dictionary, which are of these types, with their values."""
        size = FIRST_WINDOW_ROWS
        some_keys, some_values = iter(groups), iter(groups.values())
        while keys := list(islice(some_keys, size)):
            values = list(islice(some_values, size))
            self._place(partitioner.assign(keys, kinds), keys, values)
            size = self._settle(len(keys), estimate_columns(keys, values, _BATCH_SAMPLES))

    def _place(self, places: list[int], keys: list[Any], values: list[Any]) -> None:
        key_lists, value_lists = self._keys, self._rows
        for place, key, value in zip(places, keys, values, strict=True):
            key_lists[place].append(key)
            value_lists[place].append(value)

    def _columns_of(self, window: Any) -> tuple[list[Any], list[Any] | None]:
        """The keys of a window's rows, and the values where they are to go to the buckets as both."""
        if type(window) is tuple:
            return window
        keys = [row[0] for row in window]
        return keys, [row[1] for row in window] if self._takes_pairs(window) else None

    def _takes_pairs(self, batch: list[Any]) -> bool:
        """Whether these rows go to the buckets as keys and values."""
        if self._pairs and not are_pairs(batch):
            self._encode_all()
            self._pairs = False
        return self._pairs

    def _settle(self, count: int, added_bytes: int, taken: int = 0) -> int:
        """Encode and spill as needed after so many rows, which may be few of those taken; how many to take next."""
        frame_rows = min(self._frame_rows, FRAME_TARGET_BYTES * count // added_bytes)
        for number, rows in enumerate(self._rows):
            if rows and len(rows) >= frame_rows:
                self._encode(number)
        budget = self._task.memory_budget_bytes
        held = self._frame_bytes + sum(map(len, self._rows)) * added_bytes // count
        if self._share.count(held) > budget:
            self._encode_all()
            self._spill()
        return max(1, min(self._window, 4 * max(count, taken), budget // 4 * count // added_bytes))

    def _encode_all(self) -> None:
        for number in range(len(self._rows)):
            self._encode(number)

    def _encode(self, number: int) -> None:
        if batch := self._batch(number):
            frame = encode_rows_inline(batch)
            self._frames[number].append(frame)
            self._frame_bytes += len(frame)
            self._rows[number].clear()
            self._keys[number].clear()

    def _batch(self, number: int) -> Any:
        rows = self._rows[number]
        if not (self._pairs and rows):
            return rows
        return self._keys[number], in_one(rows) if type(rows[0]).__name__ == "ndarray" else rows

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
        for number, frames in enumerate(self._frames):
            size = sum(file.append_frame(number, piece) for run in runs for piece in run.pieces(number))
            size += sum(file.append_frame(number, frame) for frame in frames)
            sizes.append(size + file.append(number, self._batch(number)))
        for run, path in zip(runs, self._spilled, strict=True):
            run.close()
            os.unlink(path)
        return sizes


class _Windows:
    """Rows, at most ``size`` at a time: lists, or keys and values where a loop makes these and no rows of them."""

    def __init__(self, rows: Iterator[Any], task: TaskRun) -> None:
        self.size = FIRST_WINDOW_ROWS
        self._rows = rows
        self._task = task

    def __iter__(self) -> Iterator[Any]:
        rows = self._rows
        after_rows = fused_after(self._task) if type(rows) is StepRows and uses("columns") else -1
        if after_rows < 0 or not isinstance(rows, StepRows):
            return self._lists(iter(rows))
        source, steps = rows.split()
        return self._columns(source, steps, after_rows) if steps else self._lists(iter(source))

    def _lists(self, rows: Iterator[Any]) -> Iterator[list[Any]]:
        while batch := list(islice(rows, self.size)):
            yield batch

    def _columns(self, source: Iterator[Any], steps: Sequence[Step], after_rows: int) -> Iterator[Any]:
        from simspark.publib.lineage.fusion import columns_loop, in_loop

        ended: list[bool] = []
        noted = chain(source, note_end(ended))
        yield from self._lists(one_by_one(steps, islice(noted, after_rows)))
        loop = None if ended else columns_loop(steps)
        while loop is not None and not ended:
            columns: tuple[list[Any], list[Any]] = ([], [])
            loop(*columns, islice(noted, self.size))
            if columns[0]:
                yield columns
        if not ended:
            yield from self._lists(in_loop(steps, noted))


def _deal(column: list[Any], order: list[int], ends: list[int], buckets: list[list[Any]]) -> None:
    """Add the rows in that order to the buckets, to each those up to where it ends."""
    for bucket, (start, stop) in zip(buckets, pairwise([0, *ends]), strict=True):
        if start < stop:
            bucket += [column[at] for at in order[start:stop]]


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


_KNOW_THEIR_SIZE = frozenset({type(iter(range(0))), type(iter([]))})  # a list's: that of a cached partition


class Collect:
    """The rows, as a list."""

    def __call__(self, partition: int, rows: Iterator[Any]) -> list[Any]:
        """What the class says, of one partition."""
        return list(rows)


class Count:
    """How many rows there are."""

    def __call__(self, partition: int, rows: Iterator[Any]) -> int:
        """What the class says, of one partition."""
        if type(rows) in _KNOW_THEIR_SIZE and uses("sizes"):
            return length_hint(rows)
        if type(rows).__name__ == "Lines" and uses("sizes"):
            from simspark.publib.lineage.text_files import Lines, count_lines

            if isinstance(rows, Lines) and rows.running is None:
                return sum(map(count_lines, rows.blocks()))
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
        from simspark.publib.lineage.fusion import reduced

        return reduced(self.function, rows)


class Fold(NamedTuple):
    """function(..., row) over the rows, from a copy of ``zero``. Also what ``aggregate`` does in a partition."""

    zero: Any
    function: Callable[[Any, Any], Any]

    def __call__(self, partition: int, rows: Iterator[Any]) -> Any:
        """What the class says, of one partition."""
        from copy import deepcopy

        from simspark.publib.lineage.fusion import reduced

        return reduced(self.function, rows, deepcopy(self.zero))[0]


class Foreach(NamedTuple):
    """Calls a function with each row, for its effects."""

    function: Callable[[Any], Any]
    site: str = ""

    def __call__(self, partition: int, rows: Iterator[Any]) -> None:
        """What the class says, of one partition."""
        # The step knows how to tell a StopIteration of the function from the end of the rows.
        deque(StepRows.of(rows, [Map(self.function, "foreach", self.site)], None), maxlen=0)


class ForeachPartition(NamedTuple):
    """Calls a function with the iterator of the rows, for its effects."""

    function: Callable[[Iterator[Any]], object]

    def __call__(self, partition: int, rows: Iterator[Any]) -> None:
        """What the class says, of one partition."""
        result = self.function(rows)
        if isinstance(result, Iterator):
            deque(result, maxlen=0)
