"""Connections of a listener below its sessions: those who connect and say nothing, or talk without end.

zmq closes nothing but half handshakes by itself. Here each accepted connection has some seconds to say hello, and
what a connection has sent is compared with what was read from it: the rest is a message whose end has not come, and
has a limit. The means is to shut the descriptor down, which zmq takes for the peer's leaving. The descriptor belongs
to zmq, which may have closed it meanwhile, and its number may be another file's by now: so the socket's inode is
noted when it is accepted and compared before anything is done.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from simspark.publib.named_tuple import NamedTuple

HELLO_S = 3.0
WAITING_LIMIT = 1024
UNFINISHED_LIMIT_BYTES = 64 << 20
PINGS_BYTES = 1024  # between two sweeps
FRAME_HEAD_BYTES = 64

# Offset of tcpi_bytes_received, an unsigned 64-bit number, in Linux's struct tcp_info.
TCP_INFO = 11
TCP_INFO_BYTES = 136
BYTES_RECEIVED_AT = 128


class _Waiting(NamedTuple):
    """A connection without a session, to be closed at a moment."""

    inode: int
    deadline: float


class _Talking:
    """A connection with a session: what it had brought at the last sweep, what was read since, and what is open."""

    __slots__ = ("brought_bytes", "inode", "read_bytes", "unfinished_bytes")

    def __init__(self, inode: int) -> None:
        self.inode = inode
        self.brought_bytes = 0
        self.read_bytes = 0
        self.unfinished_bytes = 0


class Connections:
    """All connections of one listener, by descriptor. On ipc, only silence is judged."""

    def __init__(self, tcp: bool, received_bytes: Callable[[int], int] | None = None) -> None:
        self._tcp = tcp
        self._received_bytes = received_bytes or bytes_received
        self._waiting: dict[int, _Waiting] = {}
        self._talking: dict[int, _Talking] = {}
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """How many have not said hello."""
        return len(self._waiting)

    def accepted(self, fd: int, now: float) -> None:
        """Somebody has connected. Beyond the limit the one who waits longest goes."""
        self._talking.pop(fd, None)
        self._waiting.pop(fd, None)
        self._waiting[fd] = _Waiting(inode_of(fd), now + HELLO_S)
        if len(self._waiting) > WAITING_LIMIT:
            self._drop(next(iter(self._waiting)))

    def greeted(self, fd: int) -> None:
        """This connection has a session now."""
        waiting = self._waiting.pop(fd, None)
        self._talking[fd] = _Talking(inode_of(fd) if waiting is None else waiting.inode)

    def linger(self, fd: int, now: float) -> None:
        """Its session is over or has moved on: it has some seconds to leave by itself."""
        talking = self._talking.pop(fd, None)
        if talking is not None:
            self._waiting[fd] = _Waiting(talking.inode, now + HELLO_S)

    def gone(self, fd: int) -> None:
        """This connection is closed."""
        self._waiting.pop(fd, None)
        self._talking.pop(fd, None)

    def received(self, fd: int, frames: int, size: int) -> None:
        """A whole message was read from this connection."""
        talking = self._talking.get(fd)
        if talking is not None:
            talking.read_bytes += size + frames * FRAME_HEAD_BYTES

    def sweep(self, now: float, *, drained: bool) -> bool:
        """Close what is due; False when there is nothing left to watch. ``drained``: no whole message waits."""
        for fd in [fd for fd, waiting in self._waiting.items() if waiting.deadline <= now]:
            self._drop(fd)
        if self._tcp and drained:
            for fd, talking in list(self._talking.items()):
                self._judge(fd, talking)
        return bool(self._waiting) or (self._tcp and bool(self._talking))

    def _judge(self, fd: int, talking: _Talking) -> None:
        """What came and was not read belongs to a message that has not ended. Heads and pings are estimated high."""
        brought = self._received_bytes(fd)
        grown = brought - talking.brought_bytes - talking.read_bytes - PINGS_BYTES
        talking.unfinished_bytes = max(0, talking.unfinished_bytes + grown)
        talking.brought_bytes = brought
        talking.read_bytes = 0
        if talking.unfinished_bytes > UNFINISHED_LIMIT_BYTES:
            del self._talking[fd]
            self._shut(fd, talking.inode)

    def _drop(self, fd: int) -> None:
        self._shut(fd, self._waiting.pop(fd).inode)

    def _shut(self, fd: int, inode: int) -> None:
        import socket

        if inode and inode_of(fd) == inode:
            self.dropped += 1
            try:
                with socket.socket(fileno=os.dup(fd)) as same:
                    same.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has just left


def inode_of(fd: int) -> int:
    """What identifies an open socket beyond its descriptor; 0 when there is none."""
    try:
        return os.fstat(fd).st_ino
    except OSError:
        return 0


def bytes_received(fd: int) -> int:
    """How many bytes a TCP connection has brought so far; 0 where the system does not tell."""
    import socket

    try:
        with socket.socket(fileno=os.dup(fd)) as same:
            info = same.getsockopt(socket.IPPROTO_TCP, TCP_INFO, TCP_INFO_BYTES)
    except (OSError, AttributeError):
        return 0
    return int.from_bytes(info[BYTES_RECEIVED_AT:TCP_INFO_BYTES], "little") if len(info) == TCP_INFO_BYTES else 0
