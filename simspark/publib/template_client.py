"""Talks to the template process of this machine, from which executors fork.

The template (simspark.worker.template) is a clean interpreter, started by exec, that imports what an executor needs
while its parent goes on with its own work; or a fork of a process that has imported just that. Two pipes join them;
nothing here blocks. The end of the parent's pipe, however it comes, also by kill -9, makes the template kill what it
started, remove the run directory that it was given, and leave. So whoever holds a ``TemplateClient`` cannot leave
executors behind.

Not thread-safe: one thread, that of the loop which polls ``fileno()``, calls everything.
"""

from __future__ import annotations

import os
import signal
import struct
from collections.abc import Callable
from typing import Any

import msgpack

from simspark.publib.errors import ProtocolError
from simspark.publib.interpreters import forked, spawn, wait_for
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.wire.messages import ExecutorExit

FORK, KILL, OWN = 1, 2, 3
STARTED, EXITED, PRINTED, STOPPED = 11, 12, 13, 14
# What a template has ready when it forks: nothing, executors of a driver on this machine, or of a driver anywhere.
JANITOR, HERE, ANYWHERE = "janitor", "here", "anywhere"

MAIN = "simspark.worker.template"
CHILD_READS_FD = 3
CHILD_WRITES_FD = 4
FRAME_LIMIT_BYTES = 1 << 20
READ_BYTES = 1 << 16
CLOSE_WAIT_S = 2.5
STDERR_KEPT_BYTES = 4096

_LENGTH = struct.Struct("!I")


class ExecutorStart(NamedTuple):
    """All that a new executor needs to find its driver. It goes through the pipe and by fork, nowhere else.

    ``driver_key`` is empty in local mode; then there is no CURVE. ``driver_socket`` is a second way to the driver,
    where its machine is this one. ``directory`` is the application's directory on this machine. ``memory_bytes`` is 0
    for no limit. Output goes to ``log_path``, its head and its tail, or nowhere when that is empty; with ``forward``
    it comes back as ``Printed``, too.
    """

    executor: str
    application: str
    worker: str
    driver_endpoint: str
    driver_key: str
    executor_public: str
    executor_secret: bytes
    nonce: bytes
    directory: str
    cores: int = 1
    memory_bytes: int = 0
    log_path: str = ""
    forward: bool = False
    driver_socket: str = ""


class Started(NamedTuple):
    """The executor's process exists; it will say hello to its driver by itself."""

    executor: str
    process: int


class Printed(NamedTuple):
    """What an executor wrote to its stdout or stderr, cut where it was too much."""

    executor: str
    text: str


class Stopped(NamedTuple):
    """A signal has stopped an executor, or lets it go on."""

    executor: str
    is_stopped: bool


class TemplateEnded(NamedTuple):
    """The template is gone, and its executors with it: each has had its ``Exited`` before this."""

    text: str


Exited = ExecutorExit
TemplateEvent = Started | Printed | Stopped | ExecutorExit | TemplateEnded


class Channel:
    """Length-prefixed msgpack frames over a pair of pipes; neither end ever blocks."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        os.set_blocking(read_fd, False)
        os.set_blocking(write_fd, False)
        self.read_fd = read_fd
        self.write_fd = write_fd
        self._in = bytearray()
        self._out = bytearray()

    @property
    def unsent_bytes(self) -> int:
        """How much waits for the other side to read."""
        return len(self._out)

    def send(self, *fields: Any) -> None:
        """Queue one frame and send what the pipe takes."""
        body = msgpack.packb(fields)
        self._out += _LENGTH.pack(len(body)) + body
        self.flush()

    def flush(self) -> None:
        """Send what the pipe takes. A closed other side shows in ``receive``."""
        try:
            while self._out:
                del self._out[: os.write(self.write_fd, self._out)]
        except BlockingIOError:
            return
        except OSError:
            self._out.clear()

    def receive(self) -> tuple[list[list[Any]], bool]:
        """The frames that have come, and whether the other side has closed."""
        closed = self._read()
        frames = []
        while len(self._in) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._in)[0]
            if end > FRAME_LIMIT_BYTES:
                raise ProtocolError(f"a frame of {end} bytes between template and parent")
            if len(self._in) < end:
                break
            frames.append(msgpack.unpackb(self._in[_LENGTH.size : end]))
            del self._in[:end]
        return frames, closed

    def _read(self) -> bool:
        while True:
            try:
                data = os.read(self.read_fd, READ_BYTES)
            except BlockingIOError:
                return False
            except OSError:
                return True
            if not data:
                return True
            self._in += data

    def close(self) -> None:
        """Close both pipes."""
        os.close(self.read_fd)
        os.close(self.write_fd)


class TemplateClient:
    """Starts the template, asks for forks, and turns what it reports into events."""

    def __init__(self, purpose: str = ANYWHERE) -> None:
        self.process = 0
        self._purpose = purpose
        self._channel: Channel | None = None
        self._stderr_fd = -1
        self._processes: dict[str, int] = {}

    def start(self, run_directory: str | None) -> None:
        """Start the template; it removes ``run_directory``, if given, when it ends: see ``own``."""
        self._start(lambda descriptors: spawn(MAIN, (os.getpid(), self._purpose), descriptors))
        if run_directory:
            self.own(run_directory)

    def fork_off(self, become: Callable[[int, str], None]) -> None:
        """Start the template as a fork of this process, which has no threads and nothing in it that executors must not.

        ``become`` is the template's ``main``.
        """
        parent = os.getpid()
        self._start(lambda descriptors: forked(lambda: become(parent, self._purpose), descriptors))

    @property
    def is_running(self) -> bool:
        """Whether it has been started, and has not ended as far as is known."""
        return self._channel is not None

    def _start(self, started: Callable[[dict[int, int]], int]) -> None:
        read_fd, child_writes = os.pipe()
        child_reads, write_fd = os.pipe()
        self._stderr_fd, child_stderr = os.pipe()
        try:
            self.process = started({2: child_stderr, CHILD_READS_FD: child_reads, CHILD_WRITES_FD: child_writes})
        finally:
            for fd in (child_reads, child_writes, child_stderr):
                os.close(fd)
        os.set_blocking(self._stderr_fd, False)
        self._channel = Channel(read_fd, write_fd)

    def own(self, run_directory: str) -> None:
        """Let the template remove a directory when it ends."""
        self._open_channel().send(OWN, run_directory)

    def fileno(self) -> int:
        """The descriptor to poll for reading; on_readable() is due when it is readable."""
        return self._open_channel().read_fd

    def fork(self, start: ExecutorStart) -> None:
        """Ask for an executor. Its Started or, when it cannot be, its Exited follows."""
        self._processes[start.executor] = 0
        self._open_channel().send(FORK, *start)

    def kill(self, executor: str, reason: str) -> None:
        """End an executor: TERM to its process group, and KILL a second later. Its Exited follows."""
        if self._channel is not None:
            self._channel.send(KILL, executor, reason)

    def on_readable(self) -> list[TemplateEvent]:
        """What has happened. After TemplateEnded the client is closed and may start anew."""
        if self._channel is None:
            return []
        self._channel.flush()
        frames, closed = self._channel.receive()
        events = [self._event(kind, fields) for kind, *fields in frames]
        return events + self._ended() if closed else events

    def close(self) -> None:
        """End the template and all that it started; takes some ten milliseconds, and is bounded."""
        if self._channel is None:
            return
        self._channel.close()
        self._channel = None
        self._processes.clear()
        os.close(self._stderr_fd)
        wait_for(self.process, CLOSE_WAIT_S)

    def _open_channel(self) -> Channel:
        if self._channel is None:
            raise RuntimeError("the template is not running")
        return self._channel

    def _event(self, kind: int, fields: list[Any]) -> TemplateEvent:
        match kind:
            case 11:
                started = Started(*fields)
                self._processes[started.executor] = started.process
                return started
            case 12:
                self._processes.pop(fields[0], None)
                return Exited(*fields)
            case 13:
                return Printed(*fields)
            case 14:
                return Stopped(*fields)
            case _:
                raise ProtocolError(f"the template sent a frame of kind {kind}")

    def _ended(self) -> list[TemplateEvent]:
        """The template died by itself: what it cannot kill any more, its parent does."""
        text = f"the template process ended: {self._stderr_text()}"
        orphans = dict(self._processes)
        for process in filter(None, orphans.values()):
            _kill_group(process)
        self.close()
        exits = [Exited(executor, -1, int(signal.SIGKILL), 0, text) for executor in orphans]
        return [*exits, TemplateEnded(text)]

    def _stderr_text(self) -> str:
        try:
            data = os.read(self._stderr_fd, READ_BYTES)
        except OSError:
            data = b""
        return data[-STDERR_KEPT_BYTES:].decode(errors="replace").strip() or "it said nothing"


def _kill_group(process: int) -> None:
    try:
        os.killpg(process, signal.SIGKILL)
    except OSError:
        pass
