
"""Text files as rows: how files are cut, and the lines of one cut.

Lines and cuts are Hadoop's, so that partitions are Spark's. A line ends with LF, CRLF or a lone CR. A cut at byte x
is moved to just behind the first line end at or after x (or to the end of the file), for the end of one split and
the start of the next alike; so every line is in exactly one split, whatever the cuts. Compressed files are not cut,
nor are those whose size is unknown; empty ones have no split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import IO, Any, Final

from simspark.publib.lineage.compression import codec_of, opened
from simspark.publib.lineage.storage import Status
from simspark.publib.lineage.task import TaskRun
from simspark.publib.named_tuple import NamedTuple

BLOCK_BYTES = 32 << 20
SPLIT_SLOP = 1.1
READ_BYTES = 256 << 10
SEARCH_BYTES = 64 << 10
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
PLAIN = "plain"  # no codec, to be read as a whole all the same

TextSplit = tuple[str, int, int, str]


def plan_text_splits(files: Sequence[Status], min_partitions: int,
                     block_bytes: int = BLOCK_BYTES) -> list[TextSplit]:
    """The splits of files: (path, start, length, codec), as Spark computes them.

    Each is the total size divided by ``min_partitions``, a block at most; the last one of a file may be a tenth
    larger. Compressed files are one split each.
    """
    goal = goal_bytes(files, min_partitions, block_bytes)
    return [split for file in files for split in _splits_of(file, goal)]


def goal_bytes(files: Sequence[Status], min_partitions: int, block_bytes: int = BLOCK_BYTES) -> int:
    """How large a split should be."""
    total = sum(max(0, file.size) for file in files)
    return max(1, min(total // max(1, min_partitions), block_bytes))


def cuts(size: int, goal: int) -> Iterator[tuple[int, int]]:
    """(start, length) of each split of a file, none for an empty one."""
    start = 0
    while (size - start) / goal > SPLIT_SLOP:
        yield start, goal
        start += goal
    if start < size:
        yield start, size - start


def _splits_of(file: Status, goal: int) -> Iterator[TextSplit]:
    codec = codec_of(file.path) or ("" if file.size >= 0 else PLAIN)
    if codec:
        return iter(((file.path, 0, file.size, codec),) if file.size else ())
    return ((file.path, start, length, "") for start, length in cuts(file.size, goal))


class TextSource(NamedTuple):
    """Lines of text files, without their ends. Split: (path, start, length, codec).

    Lines are str, decoded from UTF-8 with U+FFFD for what is not, or bytes without ``use_unicode``.
    """

    use_unicode: bool = True

    def rows(self, split: TextSplit, task: TaskRun) -> Lines:
        """The lines of one split. Raises OSError if the file cannot be read."""
        return Lines(split, self.use_unicode)


class Lines(Iterator[Any]):
    """The lines of a split, to be gone through once; who wants few of them takes them from the blocks instead."""

    __slots__ = ("running", "split", "use_unicode")

    def __init__(self, split: TextSplit, use_unicode: bool) -> None:
        self.split: Final = split
        self.use_unicode: Final = use_unicode
        self.running: Iterator[Any] | None = None

    def __iter__(self) -> Iterator[Any]:  # noqa: PYI034 (what is made of C-level iterators, not itself)
        if self.running is None:
            lines = _unicode_lines if self.use_unicode else _byte_lines
            self.running = chain.from_iterable(map(lines, self.blocks()))
        return self.running

    def __next__(self) -> Any:
        return next(iter(self))

    def blocks(self) -> Iterator[bytes]:
        """The same, as they are in the file: some lines at a time, with their ends."""
        path, start, length, codec = self.split
        with opened(path, "" if codec == PLAIN else codec) as file:
            chunks = _whole(file) if codec else _between_cuts(file, start, start + length)
            try:
                yield from _line_blocks(_without_mark(chunks) if start == 0 else chunks)
            except EOFError as error:
                raise EOFError(f"{path}: {error}") from error


def count_lines(block: bytes) -> int:
    """How many lines a block has."""
    if b"\r" in block:
        return len(block.splitlines())
    return block.count(b"\n") + (not block.endswith(b"\n"))


def some_lines(block: bytes, numbers: Sequence[int]) -> list[str]:
    """The lines of a block that have these numbers, which ascend."""
    if not numbers:
        return []
    lines = block.splitlines() if b"\r" in block else block.split(b"\n", numbers[-1] + 1)
    return [lines[number].decode("utf-8", "replace") for number in numbers]


def _whole(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(READ_BYTES):
        yield chunk


def _between_cuts(file: IO[bytes], start: int, end: int) -> Iterator[bytes]:
    """The bytes from behind the first line end at or after ``start`` (all, from 0) to that of ``end``."""
    at = _behind_line_end(file, start) if start else 0
    file.seek(at)
    while at < end and (chunk := file.read(min(READ_BYTES, end - at))):
        at += len(chunk)
        yield chunk
    if start < end and at == end:
        file.seek(end)
        stop = _behind_line_end(file, end)
        file.seek(end)
        while end < stop and (chunk := file.read(min(READ_BYTES, stop - end))):
            end += len(chunk)
            yield chunk


def _behind_line_end(file: IO[bytes], at: int) -> int:
    """The offset just behind the first LF, CRLF or CR at or after ``at``, or the end of the file."""
    file.seek(at)
    after_cr = False
    while chunk := file.read(SEARCH_BYTES):
        if after_cr:
            return at + (chunk[:1] == b"\n")
        found = min((place for place in (chunk.find(b"\n"), chunk.find(b"\r")) if place >= 0), default=-1)
        if found < 0:
            at += len(chunk)
        elif chunk[found : found + 1] == b"\n":
            return at + found + 1
        elif found + 1 < len(chunk):
            return at + found + 1 + (chunk[found + 1 : found + 2] == b"\n")
        else:
            at, after_cr = at + len(chunk), True
    return at


def _without_mark(chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = b""
    for chunk in chunks:  # of a tiny file the first ones may be single bytes
        first += chunk
        if len(first) >= len(_BYTE_ORDER_MARK):
            break
    yield first.removeprefix(_BYTE_ORDER_MARK)
    yield from chunks


def _line_blocks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks that end at a line end, all but the last."""
    carried: list[bytes] = []
    for chunk in chunks:
        cut = max(chunk.rfind(b"\n"), chunk.rfind(b"\r", 0, len(chunk) - 1)) + 1
        if not cut:
            carried.append(chunk)
            continue
        carried.append(chunk[:cut])
        yield b"".join(carried)
        carried = [chunk[cut:]]
    if any(carried):
        yield b"".join(carried)


def _unicode_lines(block: bytes) -> list[str]:
    if b"\r" in block:
        return [line.decode("utf-8", "replace") for line in block.splitlines()]
    lines = block.decode("utf-8", "replace").split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _byte_lines(block: bytes) -> list[bytes]:
    return block.splitlines()
