"""An executor's log: whatever it prints, the file stays small and its head and its tail are kept.

User code may print a gigabyte, without a newline, or binary. Its pipe is always drained, so it never
stalls; what is more than the rate allows is left out of the middle and counted. The file turns over to
``<path>.1`` when full; the first one that is full becomes ``<path>.head`` and stays.
"""

from __future__ import annotations

import os

FILE_LIMIT_BYTES = 1 << 20
RATE_BYTES_PER_S = 256 << 10
BURST_BYTES = 1 << 20
RESUME_BYTES = 256 << 10
TAIL_BYTES = 16 << 10
LAST_LINES = 5
LAST_BYTES = 2048


class CappedLog:
    """One executor's output. ``path`` may be empty: then only the last lines are remembered."""

    def __init__(self, path: str, now: float) -> None:
        self._path = path
        self._allowance = float(BURST_BYTES)
        self._filled_at = now
        self._left_out = 0
        self._tail = b""
        self._last = b""
        self.fd = _open(path)
        self._size = os.fstat(self.fd).st_size if self.fd >= 0 else 0

    def write(self, data: bytes, now: float) -> bytes:
        """Take what was printed; return the part that was let through, for those who show it."""
        self._last = (self._last + data)[-LAST_BYTES:]
        self._allowance = min(BURST_BYTES, self._allowance + (now - self._filled_at) * RATE_BYTES_PER_S)
        self._filled_at = now
        if self._left_out or len(data) > self._allowance:
            self._leave_out(data)
            return self._end_flood() if self._allowance >= RESUME_BYTES else b""
        self._allowance -= len(data)
        self._put(data)
        return data

    def catch_up(self, now: float) -> bytes:
        """After a flood: say how much was left out, write its end, and return both. Call it now and then."""
        if not self._left_out or (now - self._filled_at) * RATE_BYTES_PER_S < TAIL_BYTES:
            return b""
        return self._end_flood()

    def last_lines(self) -> str:
        """The last few lines, for the report of how the executor ended."""
        lines = self._last.decode(errors="replace").strip().splitlines()
        return "\n".join(lines[-LAST_LINES:])

    def close(self) -> None:
        """Write what is still held back and close the file."""
        if self._left_out:
            self._end_flood()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _leave_out(self, data: bytes) -> None:
        self._left_out += len(data)
        self._tail = (self._tail + data)[-TAIL_BYTES:]

    def _end_flood(self) -> bytes:
        missing = self._left_out - len(self._tail)
        note = b"\n... %d bytes left out ...\n" % missing if missing else b""
        data = note + self._tail
        self._left_out = 0
        self._tail = b""
        self._allowance -= len(data)
        self._put(data)
        return data

    def _put(self, data: bytes) -> None:
        if self.fd < 0:
            return
        try:
            os.write(self.fd, data)
            self._size += len(data)
            if self._size > FILE_LIMIT_BYTES:
                self._turn_over()
        except OSError:  # a full disk costs the log, not the executor
            return

    def _turn_over(self) -> None:
        os.close(self.fd)
        self.fd = -1
        head = f"{self._path}.head"
        os.replace(self._path, f"{self._path}.1" if os.path.exists(head) else head)
        self.fd = _open(self._path)
        self._size = 0


def _open(path: str) -> int:
    if not path:
        return -1
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError:
        return -1
