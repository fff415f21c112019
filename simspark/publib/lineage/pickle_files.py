"""Pickle files: rows of any kind, saved as segment files and read again, each batch verified before it is unpickled.

A file is one partition, a segment of it one batch of rows. A file is cut like a text file, but between batches: a
batch belongs to the split in which it begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import Any

from simspark.publib.blocks.segments import FILE_MAGIC, SegmentFile, SegmentStream, decode_batches, write_rows
from simspark.publib.errors import CorruptBlock, MissingBlock
from simspark.publib.lineage.saved_files import Output, at_write
from simspark.publib.lineage.storage import NewFile, Status, is_url, storage_of
from simspark.publib.lineage.task import ResultValue, TaskRun
from simspark.publib.lineage.text_files import cuts, goal_bytes
from simspark.publib.named_tuple import NamedTuple

LEAST_SPLIT_BYTES = 100 << 10
VIEW_BYTES = 4 << 20
WHOLE_FILE = 1 << 62
_HADOOP_MAGIC = b"SEQ"

PickleSplit = tuple[str, int, int]


class SavePickleSink(NamedTuple):
    """Saves rows as ``part-NNNNN``, ``batch_rows`` rows a batch; with 0 or less, as many as make a good size."""

    output: Output
    batch_rows: int = 10

    def run(self, rows: Iterator[Any], task: TaskRun) -> ResultValue:
        """Write the file; the value is whether this attempt's is there. Raises StorageFault."""

        def write(file: NewFile) -> None:
            stream = _Batches(SegmentStream(file), self.output.directory)
            if self.batch_rows > 0:
                while batch := list(islice(rows, self.batch_rows)):
                    stream.append(0, batch)
            else:
                write_rows(stream, 0, rows, task.batch_rows)
            stream.finish()

        return self.output.save(task, "", write)


class _Batches:
    """A segment for each batch."""

    def __init__(self, stream: SegmentStream, directory: str) -> None:
        self._stream = stream
        self._directory = directory
        self._numbers = count()

    def append(self, _: int, rows: list[Any]) -> int:
        """Add a batch; bytes written."""
        at_write(self._directory)
        return self._stream.append(next(self._numbers), rows)

    def finish(self) -> None:
        """That was all."""
        self._stream.finish()


def plan_pickle_splits(files: Sequence[Status], min_partitions: int) -> list[PickleSplit]:
    """The splits of files: (path, start, length), as Spark computes them for its own: none of them small."""
    goal = max(LEAST_SPLIT_BYTES, goal_bytes(files, min_partitions))
    return [(file.path, start, length) for file in files for start, length in _cuts(file, goal)]


def _cuts(file: Status, goal: int) -> Iterator[tuple[int, int]]:
    return iter(((0, WHOLE_FILE),)) if file.size < 0 else cuts(file.size, goal)


def check_pickle_file(path: str) -> None:
    """Raise ValueError if a file is none that ``saveAsPickleFile`` wrote."""
    with storage_of(path).open(path) as file:
        magic = file.read(len(FILE_MAGIC))
    if magic.startswith(_HADOOP_MAGIC):
        raise ValueError(
            f"Cannot read {path}: it is a sequence file of Hadoop, as Apache Spark's saveAsPickleFile writes it. Read "
            "it there, and save the rows as text."
        )
    if magic != FILE_MAGIC:
        raise ValueError(f"Cannot read {path}: simspark's saveAsPickleFile did not write it. For text: textFile().")


class PickleSource(NamedTuple):
    """The rows of pickle files. Split: (path, start, length)."""

    def rows(self, split: PickleSplit, task: TaskRun) -> Iterator[Any]:
        """The rows of the batches that begin in the split. Raises CorruptBlock, or OSError if it cannot be read."""
        path, start, length = split
        with _segments(path) as file:
            for view in file.runs(start, start + length, VIEW_BYTES):
                for batch in decode_batches(view, path):
                    yield from batch


def _segments(path: str) -> SegmentFile:
    if is_url(path):
        return _StoredFile(path)
    try:
        return SegmentFile(path)
    except MissingBlock:
        raise FileNotFoundError(f"{path} is not there: it was removed, or this machine does not see it") from None


class _StoredFile(SegmentFile):
    """A segment file of another storage, read by ranges."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._small = None
        self._file = storage_of(path).open(path)
        try:
            self._ends = self._checked_index(self._file.seek(0, 2))
        except BaseException:
            self.close()
            raise
        self.segment_count = len(self._ends)

    def close(self) -> None:
        """Let go of the file."""
        super().close()
        self._file.close()

    def _view(self, start: int, stop: int) -> memoryview:
        return memoryview(self._read(start, stop - start))

    def _read(self, start: int, length: int) -> bytearray:
        data = bytearray()
        self._file.seek(start)
        while len(data) < length and (chunk := self._file.read(length - len(data))):
            data += chunk
        if len(data) != length:
            raise CorruptBlock(f"{self._path}: shorter than its {start + length} bytes")
        return data
