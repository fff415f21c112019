"""Segment files: the one format of every data file, and the frames that it is made of.

A file is numbered segments of frames, an index and a trailer; it appears under its name by one rename, complete or
not at all. What is guaranteed: whoever reads gets exactly the rows that were written, or ``CorruptBlock``, or
``MissingBlock``; never other rows, and never a crash of the process for a short file. So each frame carries its
length and a checksum of all its bytes, padding too; the index and trailer carry their own; and the size is
checked before anything is mapped. Files are written with ``write()``: a full disk is an error of the writer,
where a mapping would be a SIGBUS.

    file     FILE_MAGIC, frames of segment 0, frames of segment 1, ..., index, trailer
    index    for each segment, where it ends (u64)
    trailer  number of segments (u64), crc32 of index and number (u32), END_MAGIC (4 bytes)
    frame    FRAME_MAGIC (4 bytes), crc32 of all that follows (u32), length of the frame (u64), length of the
             pickle (u64), number of buffers (u32), bytes before the pickle (u32), lengths of the buffers (u64
             each), so many bytes, the pickle, the buffers; frames and buffers at multiples of 8 bytes

The bytes before a pickle are there so that the first large value inside of it is at a multiple of 8, too: systems
write what is not aligned with the page cache at two thirds of the speed.

Large buffers (numpy arrays, PickleBuffer) stay outside the pickle and are seen again in place, without a copy: they
keep the mapping alive as long as they live. The mapping is private, so a task may change an array that it read
without changing the file; for that reason a SegmentFile belongs to one task and is not shared.
"""

from __future__ import annotations

import errno
import mmap
import os
import pickle
import struct
import sys
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from operator import gt
from types import TracebackType
from typing import Any, Self

from simspark.publib.blocks.arrays import in_one
from simspark.publib.errors import CorruptBlock, MissingBlock, StorageFault
from simspark.publib.optimizations import uses
from simspark.publib.wire import payload

FILE_MAGIC = b"SIMSEG1\n"
END_MAGIC = b"SEGE"
FRAME_MAGIC = b"SFR1"
MAP_FROM_BYTES = 64 << 10
OUT_OF_BAND_FROM_BYTES = 4 << 10
WRITE_BUFFER_BYTES = 256 << 10
FRAME_TARGET_BYTES = 4 << 20
PIECE_BYTES = 4 << 20
WINDOW_BYTES = 1 << 20
FRAME_OF_PICKLE_BYTES = 192 << 10
"""More than a pickler writes at once, unless it is the content of one value."""

_HEAD = struct.Struct("<4sIQQII")
_TRAILER = struct.Struct("<QI4s")
CHECKSUM_AT = 4
_CHECKED_FROM = 8
_NO_PADDING = (b"", b"\0" * 7, b"\0" * 6, b"\0" * 5, b"\0" * 4, b"\0" * 3, b"\0" * 2, b"\0")


def encode_batch(rows: Any) -> list[bytes | memoryview]:
    """One frame, in parts to be written one after another. ``rows`` is usually a list, but may be any value.

    Large bytes and arrays are parts themselves, not copies: write them before anybody can change them. Values of
    classes that live in ``__main__`` travel by value, because no other process has that module.
    """
    return checked(encode_unchecked(rows))


def checked(parts: list[bytes | memoryview]) -> list[bytes | memoryview]:
    """A frame with its checksum."""
    parts[0] = FRAME_MAGIC + checksum(parts) + parts[0][_CHECKED_FROM:]
    return parts


def checksum(parts: list[bytes | memoryview]) -> bytes:
    """What goes to CHECKSUM_AT in the frame that consists of these parts."""
    check = zlib.crc32(parts[0][_CHECKED_FROM:])
    for part in parts[1:]:
        check = zlib.crc32(part, check)
    return struct.pack("<I", check)


def encode_unchecked(rows: Any) -> list[bytes | memoryview]:
    """The same as ``encode_batch``, but for the checksum, which has still to be put in its place."""
    buffers: list[memoryview] = []

    def out_of_band(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < OUT_OF_BAND_FROM_BYTES:
            return True
        buffers.append(raw)
        return False

    pickled = _pickled(in_one(rows) if type(rows) is list else rows, out_of_band, buffers)
    return _framed(pickled, buffers)


class _Written:
    """What a pickler takes for a file: large bytes arrive in ``write`` as they are."""

    __slots__ = ("write",)

    def __init__(self, write: Callable[[Any], None]) -> None:
        self.write = write


def _pickled(rows: Any, out_of_band: Any, buffers: list[memoryview]) -> list[bytes | memoryview]:
    parts: list[Any] = []
    try:
        pickle.Pickler(_Written(parts.append), payload.PROTOCOL, buffer_callback=out_of_band).dump(rows)
        if len(parts) == 1:
            if b"__main__" not in parts[0]:
                return parts
        elif not _names_main(parts):
            return list(map(_unchangeable, parts))
    except (pickle.PicklingError, AttributeError, TypeError):
        pass
    import cloudpickle

    buffers.clear()
    parts.clear()
    cloudpickle.Pickler(_Written(parts.append), payload.PROTOCOL, buffer_callback=out_of_band).dump(rows)
    return list(map(_unchangeable, parts))


def _unchangeable(part: bytes | bytearray) -> bytes | memoryview:
    """The part, at least of the same size until it is written."""
    return part if type(part) is bytes else memoryview(part)


def _names_main(parts: list[Any]) -> bool:
    """Whether the pickle refers to ``__main__``, or may; the large bytes and texts in it need no look."""
    before = b""
    for part in parts:
        is_content = len(part) > FRAME_OF_PICKLE_BYTES and before.endswith(_size_fields(len(part)))
        if not is_content and b"__main__" in part:
            return True
        before = part
    return False


def _size_fields(size: int) -> tuple[bytes, ...]:
    """How a pickle says that so many bytes follow: in 8 bytes, or if that will do in 4."""
    long = size.to_bytes(8, "little")
    return (long, long[:4]) if size < 1 << 32 else (long,)


def _framed(pickled: list[bytes | memoryview], buffers: list[memoryview]) -> list[bytes | memoryview]:
    pickled_bytes = sum(map(len, pickled))
    lead = _NO_PADDING[len(pickled[0]) & 7] if len(pickled) > 1 else b""
    parts: list[bytes | memoryview] = [b"", lead, *pickled, _NO_PADDING[(len(lead) + pickled_bytes) & 7]]
    if buffers:
        sizes = [raw.nbytes for raw in buffers]
        parts.insert(1, struct.pack(f"<{len(sizes)}Q", *sizes))
        for raw in buffers:
            parts += (raw, _NO_PADDING[len(raw) & 7])
    length = _HEAD.size + sum(map(len, parts))
    parts[0] = _HEAD.pack(FRAME_MAGIC, 0, length, pickled_bytes, len(buffers), len(lead))
    return parts


def decode_batches(raw: memoryview | bytes | bytearray, name: str = "") -> Iterator[list[Any]]:
    """The batches of the frames in ``raw``, each verified before it is unpickled.

    Out-of-band buffers are views into ``raw``: writable if it is, and alive as long as they are used. Raises
    CorruptBlock, naming ``name``, at the first frame that is not what was written.
    """
    view = memoryview(raw)
    start = 0
    while start < len(view):
        stop = start + _frame_length(view[start:], name)
        yield _decode_frame(view[start:stop], name)
        start = stop


def _frame_length(view: memoryview, name: str) -> int:
    if len(view) < _HEAD.size:
        raise CorruptBlock(f"{name or 'data'}: {len(view)} stray bytes where a frame should be")
    magic, check, length, _, _, _ = _HEAD.unpack_from(view)
    if magic != FRAME_MAGIC or not _HEAD.size <= length <= len(view):
        raise CorruptBlock(f"{name or 'data'}: no frame where one should be")
    if zlib.crc32(view[_CHECKED_FROM:length]) != check:
        raise CorruptBlock(f"{name or 'data'}: a frame of {length} bytes does not match its checksum")
    return int(length)


def _whole_frames(view: memoryview) -> int:
    """How many bytes from the start of ``view`` are whole frames, as far as their lengths say."""
    end = 0
    while _HEAD.size <= (length := _first_length(view[end:])) <= len(view) - end:
        end += length
    return end


def _first_length(view: memoryview) -> int:
    return int(_HEAD.unpack_from(view)[2]) if len(view) >= _HEAD.size else 0


def _decode_frame(frame: memoryview, name: str) -> Any:
    _, _, _, pickled, count, lead = _HEAD.unpack_from(frame)
    start = _HEAD.size + 8 * count + lead
    if start + pickled > len(frame):
        raise CorruptBlock(f"{name or 'data'}: a frame's parts do not fit in it")
    sizes = struct.unpack_from(f"<{count}Q", frame, _HEAD.size)
    body = frame[start : start + pickled]
    if not sizes:
        return payload.load(body)
    return payload.load(body, _buffers(frame, start + pickled, sizes))


def _buffers(frame: memoryview, start: int, sizes: Iterable[int]) -> Iterator[memoryview]:
    for size in sizes:
        start = (start + 7) & ~7
        yield frame[start : start + size]
        start += size


def encode_rows_inline(value: Any) -> bytes:
    """One frame that holds any value: a small result, in a message."""
    return b"".join(encode_batch(value))


def decode_inline(raw: memoryview | bytes | bytearray, name: str = "") -> Any:
    """The value of the single frame that ``raw`` is. Raises CorruptBlock."""
    view = memoryview(raw)
    if _frame_length(view, name) != len(view):
        raise CorruptBlock(f"{name or 'data'}: more than one frame")
    if view.readonly and _HEAD.unpack_from(view)[4]:
        view = memoryview(bytearray(view))
    return _decode_frame(view, name)


class SegmentStream:
    """Writes the format of a segment file into an open file.

    Segments come in ascending order; one that never comes is empty.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._ends: list[int] = []
        self._size = len(FILE_MAGIC)
        self._write(FILE_MAGIC)

    def append(self, segment: int, rows: list[Any]) -> int:
        """Add one batch to a segment; bytes written. An empty batch writes nothing."""
        self._open_segment(segment)
        return sum(map(self._write_counted, encode_batch(rows))) if rows else 0

    def append_frame(self, segment: int, frame: bytes | memoryview) -> int:
        """Add bytes that are whole frames already; bytes written."""
        self._open_segment(segment)
        return self._write_counted(frame)

    def finish(self) -> int:
        """Write index and trailer; the size of the file in bytes."""
        index = struct.pack(f"<{len(self._ends)}Q", *self._ends) if self._ends else b""
        count = len(self._ends)
        check = zlib.crc32(count.to_bytes(8, "little"), zlib.crc32(index))
        self._write_counted(index + _TRAILER.pack(count, check, END_MAGIC), data=False)
        return self._size

    def _open_segment(self, segment: int) -> None:
        if segment < len(self._ends) - 1:
            raise ValueError(f"segment {segment} after segment {len(self._ends) - 1}")
        while len(self._ends) <= segment:
            self._ends.append(self._size)

    def _write_counted(self, part: bytes | memoryview, data: bool = True) -> int:
        self._write(part)
        self._size += len(part)
        if data:
            self._ends[-1] = self._size
        return len(part)

    def _write(self, part: bytes | memoryview) -> None:
        self._file.write(part)


class SegmentWriter(SegmentStream):
    """Writes one segment file, which appears under its name when it is committed.

    Every failure of the disk is a StorageFault, which is an OSError; the file under its name is then not there.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._temporary = f"{path}.{os.getpid()}.tmp"
        try:
            file = open(self._temporary, "wb", WRITE_BUFFER_BYTES)  # noqa: SIM115 - closed by commit or abort
        except OSError as error:
            raise storage_fault(error, self._temporary) from error
        super().__init__(file)

    def rewrite(self, at: int, data: bytes) -> None:
        """Put bytes in the place of as many that were written."""
        self._file.seek(at)
        self._write(data)
        self._file.seek(0, os.SEEK_END)

    def commit(self) -> int:
        """Finish the file and give it its name; its size in bytes."""
        size = self.finish()
        try:
            self._file.close()
            os.replace(self._temporary, self._path)
        except OSError as error:
            self.abort()
            raise storage_fault(error, self._path) from error
        return size

    def abort(self) -> None:
        """Leave nothing behind. Harmless after a commit and when repeated."""
        for step in (self._file.close, lambda: os.unlink(self._temporary)):
            try:
                step()
            except OSError:
                pass

    def _write(self, part: bytes | memoryview) -> None:
        try:
            self._file.write(part)
        except OSError as error:
            self.abort()
            raise storage_fault(error, self._path) from error


def storage_fault(error: OSError, path: str) -> StorageFault:
    """The same failure as the fault of this machine's disk, not of the user's function that was running."""
    return StorageFault(error.errno, error.strerror or str(error), path)


class SegmentFile:
    """A committed segment file, to be read by one task.

    Raises MissingBlock if there is none and CorruptBlock if it is not what was written. A small file is read at
    once; of a large one each segment is mapped when it is asked for, because a private mapping counts against the
    limit of memory whether it is touched or not. Views stay valid after ``close``: they hold their mapping.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = _open(path)
        try:
            size = os.fstat(self._fd).st_size
            self._small = self._read(0, size) if size < MAP_FROM_BYTES else None
            self._ends = self._checked_index(size)
        except BaseException:
            self.close()
            raise
        self.segment_count = len(self._ends)

    def segment(self, index: int) -> memoryview:
        """The frames of one segment; empty if nothing was written to it."""
        start, length = self.extent(index)
        return self._view(start, start + length)

    def batches(self, index: int, window_bytes: int = 0) -> Iterator[list[Any]]:
        """The batches of one segment, verified and unpickled as they are asked for.

        No more of the segment is read or mapped at once than ``window_bytes`` (0: WINDOW_BYTES), or the largest of
        its frames.
        """
        window_bytes = window_bytes or WINDOW_BYTES
        start, length = self.extent(index)
        stop = start + length
        while start < stop:
            view = self._view(start, min(stop, start + window_bytes))
            whole = _whole_frames(view)
            if not whole:
                view = self._view(start, min(stop, start + max(window_bytes, _first_length(view))))
                whole = len(view)
            yield from decode_batches(view[:whole], self._path)
            start += whole

    def pieces(self, index: int) -> Iterator[memoryview]:
        """The bytes of one segment, at most WINDOW_BYTES at a time: to be copied."""
        start, length = self.extent(index)
        for at in range(start, start + length, WINDOW_BYTES):
            yield self._view(at, min(start + length, at + WINDOW_BYTES))

    def extent(self, index: int) -> tuple[int, int]:
        """Where a segment is in the file: offset and length in bytes."""
        if index < 0:
            raise IndexError(f"segment {index}")
        if index >= len(self._ends):
            return len(FILE_MAGIC), 0
        start = self._ends[index - 1] if index else len(FILE_MAGIC)
        return start, self._ends[index] - start

    def runs(self, start: int, stop: int, most_bytes: int) -> Iterator[memoryview]:
        """The frames of all segments that begin from ``start`` to below ``stop``, about ``most_bytes`` at a time."""
        starts = (len(FILE_MAGIC), *self._ends[:-1])
        first, last = bisect_left(starts, start), bisect_left(starts, stop, 0, len(self._ends))
        while first < last:
            behind = max(first + 1, bisect_left(starts, starts[first] + most_bytes, first, last))
            yield self._view(starts[first], self._ends[behind - 1])
            first = behind

    def whole(self) -> memoryview:
        """All segments together: the pieces of a value that was written with ``append_value``."""
        return self._view(len(FILE_MAGIC), self._ends[-1] if self._ends else len(FILE_MAGIC))

    def close(self) -> None:
        """Let go of the file. Twice is harmless."""
        fd, self._fd = self._fd, -1
        self._small = None
        self._ends = ()
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def _view(self, start: int, stop: int) -> memoryview:
        if self._small is not None:
            return memoryview(self._small)[start:stop]
        if stop - start < MAP_FROM_BYTES or not uses("mapping"):
            return memoryview(self._read(start, stop - start))
        page = start - start % mmap.ALLOCATIONGRANULARITY
        try:
            if os.fstat(self._fd).st_size < stop:
                raise CorruptBlock(f"{self._path}: shorter than it was")
            mapping = mmap.mmap(self._fd, stop - page, access=mmap.ACCESS_COPY, offset=page)
        except OSError as error:
            if error.errno == errno.ENOMEM:
                raise MemoryError(f"no room to map {stop - start} bytes of {self._path}") from error
            raise storage_fault(error, self._path) from error
        return memoryview(mapping)[start - page :]

    def _read(self, start: int, length: int) -> bytearray:
        try:
            data = bytearray(os.pread(self._fd, length, start))
        except OSError as error:
            raise storage_fault(error, self._path) from error
        if len(data) != length:
            raise CorruptBlock(f"{self._path}: shorter than its {start + length} bytes")
        return data

    def _checked_index(self, size: int) -> tuple[int, ...]:
        """Where each segment ends, from the index at the end of the file."""
        path = self._path
        if size < len(FILE_MAGIC) + _TRAILER.size:
            raise CorruptBlock(f"{path}: {size} bytes are no segment file")
        count, check, magic = _TRAILER.unpack(self._view(size - _TRAILER.size, size))
        index_at = size - _TRAILER.size - 8 * count
        if self._view(0, len(FILE_MAGIC)) != FILE_MAGIC or magic != END_MAGIC or index_at < len(FILE_MAGIC):
            raise CorruptBlock(f"{path}: no segment file, or not all of one")
        index = self._view(index_at, index_at + 8 * count)
        if zlib.crc32(count.to_bytes(8, "little"), zlib.crc32(index)) != check:
            raise CorruptBlock(f"{path}: its index does not match its checksum")
        ends = struct.unpack(f"<{count}Q", index)
        if (ends[-1] if ends else len(FILE_MAGIC)) != index_at or any(map(gt, (len(FILE_MAGIC), *ends), ends)):
            raise CorruptBlock(f"{path}: its segments do not end where its index begins")
        return ends


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingBlock(f"{path}: not there") from error
    except OSError as error:
        raise storage_fault(error, path) from error


def write_rows(sink: Any, segment: int, rows: Iterator[Any] | list[Any], batch_rows: int,
               cut: tuple[int, int] = (0, sys.maxsize)) -> int:
    """Append rows, of a list those within the cut, to a segment of ``sink`` in batches; bytes written.

    A batch is ``batch_rows`` rows, or fewer when rows are large: at most about FRAME_TARGET_BYTES are encoded at
    once. At least one (empty) batch is offered, so that the segment exists.
    """
    at, stop = cut
    total, limit = 0, min(batch_rows, 16)
    is_list = type(rows) is list  # to slice it takes half as long as to go through it
    rest: Any = rows
    while batch := rest[at : min(stop, at + limit)] if is_list else list(islice(rest, limit)):
        size = sink.append(segment, batch)
        total += size
        at += len(batch)
        fits = FRAME_TARGET_BYTES * len(batch) // max(size, 1)
        limit = max(1, min(batch_rows, fits, limit * 8))
    if not total:
        sink.append(segment, [])
    return total
