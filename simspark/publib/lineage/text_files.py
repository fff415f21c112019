
"""Text files as rows: which files a path means, how they are cut, and the lines of one cut.

Lines and cuts are Hadoop's, so that partitions are Spark's. A line ends with LF, CRLF or a lone CR. A cut at byte x
is moved to just behind the first line end at or after x (or to the end of the file), for the end of one split and
the start of the next alike; so every line is in exactly one split, whatever the cuts. Compressed files are not cut.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import IO, Any, NamedTuple

from simspark.publib.lineage.task import TaskRun

BLOCK_BYTES = 32 << 20
SPLIT_SLOP = 1.1
READ_BYTES = 256 << 10
SEARCH_BYTES = 64 << 10
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CODECS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz"}

FileSize = tuple[str, int]
TextSplit = tuple[str, int, int, str]


def codec_of(path: str) -> str:
    """The compression that the suffix of a path means: "gzip", "bz2", "xz", or ""."""
    return _CODECS.get(os.path.splitext(path)[1].lower(), "")


def list_text_files(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[FileSize]:
    """The files that a path means, with their sizes in bytes, sorted within each path.

    A path may be a file, a directory (its files, not those whose names begin with ``_`` or ``.``), a glob with
    ``* ? [] {}``, several of them separated by commas, or an iterable of such; ``file://`` may precede it. Raises
    FileNotFoundError naming what is not there, with what it may have meant, and IsADirectoryError for a directory
    that has directories in it.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = _split_outside(os.fspath(paths), ",")
    return [(file, os.path.getsize(file)) for path in paths for file in _files_of(os.fspath(path))]


def _split_outside(text: str, separator: str) -> list[str]:
    """``text`` cut at separators that are not within braces."""
    parts, depth = [""], 0
    for char in text:
        depth += (char == "{") - (char == "}")
        if char == separator and depth <= 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part for part in parts if part]


def _files_of(path: str) -> list[str]:
    path = _without_scheme(path)
    if os.path.isdir(path):
        return _files_in(path)
    if os.path.exists(path):
        return [path]
    if any(char in path for char in "*?[{"):
        from glob import glob

        found = sorted({match for pattern in _expand_braces(path) for match in glob(pattern)})
        found = [match for match in found if not _is_hidden(match)]
        if not found:
            raise FileNotFoundError(f"no file matches {path}")
        return [file for match in found for file in (_files_in(match) if os.path.isdir(match) else [match])]
    raise FileNotFoundError(f"no such file or directory: {path}{_suggestion(path)}")


def _without_scheme(path: str) -> str:
    scheme, separator, rest = path.partition("://")
    if separator and scheme == "file":
        return rest[rest.find("/"):] if "/" in rest else rest
    if separator and scheme.isalnum():
        raise ValueError(f"cannot read {path}: only local paths and file:// are supported")
    return path.removeprefix("file:") if path.startswith("file:/") else path


def _files_in(directory: str) -> list[str]:
    entries = [os.path.join(directory, name) for name in sorted(os.listdir(directory)) if not _is_hidden(name)]
    for entry in entries:
        if os.path.isdir(entry):
            raise IsADirectoryError(f"{entry} is a directory inside of {directory}: name the files with a glob, "
                                    f"such as {os.path.join(entry, '*')}")
    return entries


def _is_hidden(path: str) -> bool:
    return os.path.basename(path).startswith(("_", "."))


def _expand_braces(pattern: str) -> list[str]:
    start = pattern.find("{")
    stop = pattern.find("}", start)
    if start < 0 or stop < 0:
        return [pattern]
    choices = pattern[start + 1 : stop].split(",")
    return [each for choice in choices for each in _expand_braces(pattern[:start] + choice + pattern[stop + 1 :])]


def _suggestion(path: str) -> str:
    from difflib import get_close_matches

    parent = os.path.dirname(path) or "."
    if not os.path.isdir(parent):
        return f" (there is no directory {parent})"
    near = get_close_matches(os.path.basename(path), os.listdir(parent), 3)
    return f"; did you mean {' or '.join(os.path.join(os.path.dirname(path), name) for name in near)}?" if near else ""


def plan_text_splits(files: Sequence[FileSize], min_partitions: int,
                     block_bytes: int = BLOCK_BYTES) -> list[TextSplit]:
    """The splits of files: (path, start, length, codec), as Spark computes them.

    Each is the total size divided by ``min_partitions``, a block at most; the last one of a file may be a tenth
    larger. Compressed files and empty ones are one split each.
    """
    total = sum(size for _, size in files)
    goal = max(1, min(total // max(1, min_partitions), block_bytes))
    return [split for path, size in files for split in _splits_of(path, size, goal)]


def _splits_of(path: str, size: int, goal: int) -> Iterator[TextSplit]:
    start, codec = 0, codec_of(path)
    while not codec and (size - start) / goal > SPLIT_SLOP:
        yield path, start, goal, codec
        start += goal
    if start < size or not size:
        yield path, start, size - start, codec


class TextSource(NamedTuple):
    """Lines of text files, without their ends. Split: (path, start, length, codec).

    Lines are str, decoded from UTF-8 with U+FFFD for what is not, or bytes without ``use_unicode``.
    """

    use_unicode: bool = True

    def rows(self, split: TextSplit, task: TaskRun) -> Iterator[Any]:
        """The lines of one split. Raises OSError if the file cannot be read."""
        return chain.from_iterable(_line_lists(split, _unicode_lines if self.use_unicode else _byte_lines))


def _line_lists(split: TextSplit, lines: Callable[[bytes], list[Any]]) -> Iterator[list[Any]]:
    path, start, length, codec = split
    with _opened(path, codec) as file:
        chunks = _whole(file) if codec else _between_cuts(file, start, start + length)
        try:
            for block in _line_blocks(_without_mark(chunks) if start == 0 else chunks):
                yield lines(block)
        except EOFError as error:
            raise EOFError(f"{path}: {error}") from error


def _opened(path: str, codec: str) -> IO[bytes]:
    if codec == "gzip":
        import gzip

        return gzip.open(path)  # type: ignore[return-value]
    if codec == "bz2":
        import bz2

        return bz2.open(path)
    if codec == "xz":
        import lzma

        return lzma.open(path)
    return open(path, "rb", 0)


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
    for first in chunks:
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
