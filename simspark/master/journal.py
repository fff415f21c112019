"""What the master must not forget, in one append-only file.

Each record is ``length, crc32, body`` (two big-endian 32-bit numbers, then msgpack), after a header of the
same form. ``append`` returns after fsync. Reading it again:

* A tail that a crash has torn (the file ends within a record, or its last record does not match its
  checksum) is cut off: nobody was told of what it held. ``notice`` says so.
* Damage anywhere before that is not a crash's doing. The journal refuses to open and names the offset: to
  guess would be to forget workers or applications silently.

When the file has grown well beyond what it says, a new one that says the same replaces it by one rename.
The master holds a lock on the file: two masters cannot write one journal.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from typing import Any

import msgpack

from simspark.master.records import RECORDS, EpochStarted, Known, fold, summary
from simspark.publib import failpoints
from simspark.publib.errors import StorageFault
from simspark.publib.named_tuple import NamedTuple

FILE_NAME = "master.journal"
MAGIC = b"simspark journal 1"
RECORD_LIMIT_BYTES = 64 << 10
COMPACT_AFTER_BYTES = 1 << 20

_HEAD = struct.Struct("!II")
_TAGS = {made: tag for tag, made in RECORDS.items()}


class Replay(NamedTuple):
    """What a file says: the records folded, the bytes that are whole, and what was wrong with the rest."""

    known: Known
    whole_bytes: int
    notice: str


def frame(body: bytes) -> bytes:
    """A record as it stands in the file."""
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def encode(record: Any) -> bytes:
    """One record, framed."""
    return frame(msgpack.packb([_TAGS[type(record)], *record]))


def replay(data: bytes, path: str) -> Replay:
    """Read a whole journal. Raises StorageFault naming the offset of damage that no crash can have made."""
    known, offset, number = Known(), 0, 0
    while offset < len(data):
        body = _body_at(data, offset)
        if body is None:
            _check_torn(data, offset, path)
            lost = len(data) - offset
            return Replay(known, offset, f"{path}: dropped a torn record of {lost} bytes at offset {offset}")
        known = _apply(known, body, number, offset, path)
        offset += _HEAD.size + len(body)
        number += 1
    return Replay(known, offset, "")


def _body_at(data: bytes, offset: int) -> bytes | None:
    """The body of the record at an offset; None when it is not whole."""
    if offset + _HEAD.size > len(data):
        return None
    length, checksum = _HEAD.unpack_from(data, offset)
    start = offset + _HEAD.size
    body = data[start : start + length]
    return body if length and len(body) == length and zlib.crc32(body) == checksum else None


def _check_torn(data: bytes, offset: int, path: str) -> None:
    """Damage is a torn tail if nothing whole follows it."""
    longest = min(len(data), offset + 2 * (_HEAD.size + RECORD_LIMIT_BYTES))
    for start in range(offset + 1, longest - _HEAD.size):
        if _body_at(data, start) is not None:
            raise _damaged(path, offset)


def _apply(known: Known, body: bytes, number: int, offset: int, path: str) -> Known:
    if number == 0:
        if body != MAGIC:
            raise _damaged(path, offset)
        return known
    try:
        tag, *fields = msgpack.unpackb(body)
        return fold(known, RECORDS[tag](*fields))
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path, offset) from error


def _damaged(path: str, offset: int) -> StorageFault:
    return StorageFault(
        f"The master's journal {path} is damaged at offset {offset}. Restore it, or move it away to start with "
        "an empty one: workers and drivers that still run will register again."
    )


class Journal:
    """The open journal. Of the loop's thread alone; ``append`` blocks for one fsync.

    One that is not ``lasting`` is right after the end of any process, but not of the machine, and there is no fsync.
    """

    def __init__(self, directory: str, compact_after_bytes: int = COMPACT_AFTER_BYTES, *,
                 lasting: bool = True) -> None:
        self.path = os.path.join(directory, FILE_NAME)
        self.notice = ""
        self.known = Known()
        self._compact_after_bytes = compact_after_bytes
        self._lasting = lasting
        self._size_bytes = 0
        self._fd = -1
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            self._open()
        except OSError as error:
            self.close()
            if isinstance(error, StorageFault):
                raise
            raise _storage_fault(self.path, error) from error

    def _open(self) -> None:
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._fd = fd
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageFault(f"Another master uses the journal {self.path}.") from None
        with open(fd, "rb", closefd=False) as file:
            data = file.read()
        read = replay(data, self.path)
        self.known, self.notice = read.known, read.notice
        os.ftruncate(fd, read.whole_bytes)
        self._size_bytes = read.whole_bytes
        if not read.whole_bytes:
            self._write(frame(MAGIC))
            self._sync_directory()

    def start_epoch(self) -> int:
        """Begin the next epoch; returns its number."""
        epoch = self.known.epoch + 1
        self.append(EpochStarted(epoch, self.known.worker_number))
        return epoch

    def append(self, record: Any) -> None:
        """Write one record and wait until it is on disk. Raises StorageFault."""
        try:
            self._write(encode(record))
            failpoints.hit("journal")
            self.known = fold(self.known, record)
            if self._size_bytes > self._compact_after_bytes:
                self._compact()
        except OSError as error:
            raise _storage_fault(self.path, error) from error

    def _write(self, data: bytes) -> None:
        """At the end of what is whole, so that a failed attempt is overwritten, not followed."""
        start = self._size_bytes
        view = memoryview(data)
        while view:
            view = view[os.pwrite(self._fd, view, start + len(data) - len(view)) :]
        self._sync(self._fd)
        self._size_bytes = start + len(data)

    def _compact(self) -> None:
        """Replace the file by one that says the same. A crash leaves the old one or the new one."""
        data = frame(MAGIC) + b"".join(encode(record) for record in summary(self.known))
        fresh = self.path + ".new"
        fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with open(fd, "wb", closefd=False) as file:
                file.write(data)
            self._sync(fd)
            failpoints.hit("journal")
            os.replace(fresh, self.path)
            failpoints.hit("journal")
        except OSError:
            os.close(fd)
            raise
        os.close(self._fd)
        self._fd, self._size_bytes = fd, len(data)
        self._compact_after_bytes = max(self._compact_after_bytes, 4 * len(data))
        self._sync_directory()

    def _sync(self, fd: int) -> None:
        if self._lasting:
            os.fsync(fd)

    def _sync_directory(self) -> None:
        fd = os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._sync(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close the file and free its lock. Twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _storage_fault(path: str, error: OSError) -> StorageFault:
    return StorageFault(error.errno, f"Cannot write the master's journal {path}: {error.strerror}")
