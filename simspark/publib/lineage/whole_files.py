"""Files as rows of bytes: whole files, and records of one length.

Whole files are packed into partitions as Hadoop packs them on one machine, so that partitions are Spark's: files in
their order fill a partition until it has the wanted size; then what is left over, with the empty files, in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

from simspark.publib.lineage.compression import codec_of, opened
from simspark.publib.lineage.storage import Status, shown
from simspark.publib.lineage.task import TaskRun
from simspark.publib.lineage.text_files import BLOCK_BYTES, cuts
from simspark.publib.named_tuple import NamedTuple

LARGEST_PARTITION_BYTES = 128 << 20
OPEN_COST_BYTES = 4 << 20
RECORDS_AT_ONCE = 256 << 10

WholeSplit = tuple[str, ...]
RecordSplit = tuple[str, int, int]


def text_packing_bytes(files: Sequence[Status], min_partitions: int) -> int:
    """How much text makes a partition, as Spark computes it for ``wholeTextFiles``."""
    return -(-sum(max(0, file.size) for file in files) // max(1, min_partitions))


def binary_packing_bytes(files: Sequence[Status], min_partitions: int, parallelism: int) -> int:
    """How many bytes make a partition, as Spark computes it for ``binaryFiles``: to open a file costs some, too."""
    total = sum(max(0, file.size) + OPEN_COST_BYTES for file in files)
    return min(LARGEST_PARTITION_BYTES, max(OPEN_COST_BYTES, total // max(1, parallelism, min_partitions)))


def pack_files(files: Sequence[Status], most_bytes: int) -> list[WholeSplit]:
    """The splits of whole files: the paths of each. ``most_bytes`` closes a partition; 0: all are one."""
    sizes = [max(0, file.size) for file in files]
    filled, rest = _packed([number for number, size in enumerate(sizes) if size], sizes, most_bytes)
    left = sorted([*rest, *(number for number, size in enumerate(sizes) if not size)])
    more, last = _packed(left, sizes, most_bytes)
    return [tuple(files[number].path for number in group) for group in (*filled, *more, last) if group]


def _packed(numbers: Iterable[int], sizes: Sequence[int], most_bytes: int) -> tuple[list[list[int]], list[int]]:
    """Groups that have the size, and what is left."""
    groups: list[list[int]] = []
    group: list[int] = []
    size = 0
    for number in numbers:
        group.append(number)
        size += sizes[number]
        if most_bytes and size >= most_bytes:
            groups.append(group)
            group, size = [], 0
    return groups, group


class WholeFileSource(NamedTuple):
    """(path, content) of whole files. Split: the paths.

    ``as_text``: the content is decompressed and decoded from UTF-8, with U+FFFD for what is not; without
    ``use_unicode``, path and content are bytes of UTF-8. Otherwise the content is the bytes of the file.
    """

    as_text: bool
    use_unicode: bool = True

    def rows(self, split: WholeSplit, task: TaskRun) -> Iterator[Any]:
        """One row for each file. Raises OSError if a file cannot be read."""
        return map(self._row, split)

    def _row(self, path: str) -> tuple[Any, Any]:
        key = shown(path)
        if not self.as_text:
            return key, _content(path, "")
        text = _content(path, codec_of(path)).decode("utf-8", "replace")
        return (key, text) if self.use_unicode else (key.encode(), text.encode())


def _content(path: str, codec: str) -> bytes:
    with opened(path, codec) as file:
        try:
            return b"".join(iter(lambda: file.read(RECORDS_AT_ONCE), b""))
        except EOFError as error:
            raise EOFError(f"{path}: {error}") from error


def plan_record_splits(files: Sequence[Status], record_bytes: int, block_bytes: int = BLOCK_BYTES) -> list[RecordSplit]:
    """The splits of files of records: (path, start, length), each a block of whole records.

    Raises ValueError for compressed files.
    """
    for file in files:
        if codec_of(file.path):
            raise ValueError(f"Cannot read records of {file.path}: it is compressed. Decompress it first.")
    goal = max(1, block_bytes // record_bytes) * record_bytes
    return [split for file in files for split in _record_splits(file, goal)]


def _record_splits(file: Status, goal: int) -> Iterator[RecordSplit]:
    if file.size < 0:
        return iter(((file.path, 0, -1),))
    return ((file.path, start, length) for start, length in cuts(file.size, goal))


class RecordSource(NamedTuple):
    """Records of ``record_bytes`` bytes each. Split: (path, start, length); length -1: to the end."""

    record_bytes: int

    def rows(self, split: RecordSplit, task: TaskRun) -> Iterator[bytes]:
        """The records of one split. Raises EOFError when the last one of the file is not whole."""
        path, start, length = split
        step = self.record_bytes
        at_once = max(1, RECORDS_AT_ONCE // step) * step
        with opened(path, "") as file:
            file.seek(start)
            end = start + length
            while chunk := _filled(file, at_once if length < 0 else min(at_once, end - start)):
                if len(chunk) % step:
                    raise EOFError(f"{path}: its last record has {len(chunk) % step} of {step} bytes")
                yield from (chunk[at : at + step] for at in range(0, len(chunk), step))
                start += len(chunk)


def _filled(file: IO[bytes], size: int) -> bytes:
    """``size`` bytes, fewer only at the end of the file."""
    chunks = []
    while size > 0 and (chunk := file.read(size)):
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)
