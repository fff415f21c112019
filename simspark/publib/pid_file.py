"""A pid file that tells the truth: who holds its lock runs, and nobody else is ever taken for them.

The file holds the process id and the start time of the daemon, which together never repeat. The lock (flock)
is taken before the daemon forks and lives as long as the last process that inherited it, so a file without a
lock is stale whatever it says. Known races: a status call may hold the lock shared for an instant, so who
wants it tries for a while; a file that its owner removed may be locked by a late comer, so inodes are compared.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal

from simspark.publib.named_tuple import NamedTuple

_ATTEMPTS = 25
_PAUSE_S = 0.02


class Process(NamedTuple):
    """A process, told apart from a later one of the same id by its start time."""

    pid: int
    started: str

    def alive(self) -> bool:
        """Whether exactly this process still runs."""
        return self.started != "" and start_time(self.pid) == self.started

    def send(self, number: int) -> bool:
        """Signal exactly this process. False when it is gone."""
        try:
            handle = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # no pidfd here (then the check alone must do), or no such process
            handle = -1
        try:
            if not self.alive():
                return False
            if handle >= 0:
                signal.pidfd_send_signal(handle, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        finally:
            if handle >= 0:
                os.close(handle)
        return True

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end of this process, which need not be a child. False when it outlives the time."""
        try:
            handle = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            return self._looked_for(timeout_s)
        try:
            ended = select.poll()
            ended.register(handle, select.POLLIN)
            if self.alive():
                ended.poll(timeout_s * 1000)
            return not self.alive()
        finally:
            os.close(handle)

    def _looked_for(self, timeout_s: float) -> bool:
        for _ in range(max(1, int(timeout_s / _PAUSE_S))):
            if not self.alive():
                return True
            pause()
        return not self.alive()


def pause(time_s: float = _PAUSE_S) -> None:
    """Let others go on for an instant."""
    select.select([], [], [], time_s)


def start_time(pid: int) -> str:
    """When a process started, in a form that only compares; "" when it does not run (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return "" if os.path.isdir("/proc/self") else _start_time_elsewhere(pid)
    return "" if fields[0] in "ZX" else fields[19]


def _start_time_elsewhere(pid: int) -> str:
    import psutil

    try:
        return str(psutil.Process(pid).create_time())
    except psutil.Error:
        return ""


class PidFile:
    """The pid file of one daemon."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = -1

    def take(self) -> bool:
        """Lock the file for this process and those that it forks. False when a daemon holds it."""
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        for _ in range(_ATTEMPTS):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            if _lock(descriptor, fcntl.LOCK_EX) and _same_file(descriptor, self.path):
                self._descriptor = descriptor
                return True
            os.close(descriptor)
            holder = self.read()
            if holder is not None and holder.alive():
                return False
            pause()
        return False

    def write(self, pid: int) -> None:
        """Say who the daemon is. Only after ``take``."""
        text = f"{pid} {start_time(pid)}\n".encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text, 0)

    def leave(self) -> None:
        """Drop this process's hold, not that of those it forked."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def remove(self) -> None:
        """Remove the file while it is held, so that nobody else's is removed."""
        if self._descriptor >= 0 and _same_file(self._descriptor, self.path):
            os.unlink(self.path)
        self.leave()

    def holder(self) -> Process | None:
        """Return the daemon that holds the file, or None when nobody does."""
        try:
            descriptor = os.open(self.path, os.O_RDWR)
        except OSError:
            return None
        try:
            return None if _lock(descriptor, fcntl.LOCK_SH) else self.read()
        finally:
            os.close(descriptor)

    def read(self) -> Process | None:
        """Return what the file says, true or stale."""
        try:
            with open(self.path, encoding="ascii") as file:
                pid, started = file.read().split()
            return Process(int(pid), started)
        except (OSError, ValueError):
            return None


def _lock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _same_file(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False
