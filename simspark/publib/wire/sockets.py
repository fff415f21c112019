"""What Listener and Dialer share of zmq: options, monitors, checked endpoints, and the codes of broken sessions.

A session that ends gives a PeerLost whose reason is ``<code>: <text>``. The codes are below; a core that refuses a
hello may use others.
"""

from __future__ import annotations

import os
import stat
import struct

import zmq

from simspark.publib.errors import (
    AccessRefused,
    ConfigError,
    NoMaster,
    PeerTimeout,
    ProtocolError,
    SimsparkError,
    VersionMismatch,
)
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.wire import codec

ACCESS_REFUSED = "access_refused"  # no key, a wrong key, the key of another role
VERSION = "version"  # another simspark, Python or wire version
NO_PEER = "no_peer"  # nobody there, or somebody who does not speak like us; the text tells which
EXPIRED = "expired"  # the connection broke and did not come back in time
SESSION_OVER = "session_over"  # the other side does not know this session (any more)
OVERFLOW = "overflow"  # too much waits for a peer that does not take it
PROTOCOL = "protocol"  # the peer sent what it must not
HELLO_FIRST = "hello_first"  # messages without a session
CLOSED = "closed"  # the other side ended it in an orderly way

HEARTBEAT_MS = 1000
HEARTBEAT_TIMEOUT_MS = 3000
HANDSHAKE_MS = 3000
LINGER_MS = 500
RECEIVE_QUEUE = 256
BACKLOG = 1024
IPC_PATH_LIMIT_BYTES = 100
BATCH_FRAMES = 256
BATCH_FRAMES_RECEIVED = 4096

CONNECTED = zmq.EVENT_CONNECTED
ACCEPTED = zmq.EVENT_ACCEPTED
CLOSED_EVENT = zmq.EVENT_CLOSED
DISCONNECTED = zmq.EVENT_DISCONNECTED
HANDSHAKE_SUCCEEDED = zmq.EVENT_HANDSHAKE_SUCCEEDED
FAILED_NO_DETAIL = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
FAILED_PROTOCOL = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
FAILED_AUTH = zmq.EVENT_HANDSHAKE_FAILED_AUTH


class Heartbeats(NamedTuple):
    """How often ZMTP pings an idle peer, and when silence breaks the connection. They need no interpreter."""

    every_ms: int = HEARTBEAT_MS
    timeout_ms: int = HEARTBEAT_TIMEOUT_MS


DEFAULT_HEARTBEATS = Heartbeats()


class MonitorEvent(NamedTuple):
    """What a monitor says: the value is a descriptor, or an error or status number of a failed handshake."""

    event: int
    value: int


class Monitor:
    """The socket on which zmq reports what happens to another socket's connections."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], watched: zmq.Socket[bytes], events: int) -> None:
        self._watched = watched
        address = f"inproc://monitor-{id(self)}-{os.urandom(6).hex()}"
        watched.monitor(address, events)
        self.socket = context.socket(zmq.PAIR)
        self.socket.linger = 0
        self.socket.connect(address)

    def drain(self) -> list[MonitorEvent]:
        """All that was reported so far, without waiting."""
        events: list[MonitorEvent] = []
        while True:
            try:
                head, _ = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return events
            events.append(MonitorEvent(*struct.unpack("=Hi", head)))

    def close(self) -> None:
        """Before the watched socket is closed."""
        self._watched.disable_monitor()
        self.socket.close(0)


def set_options(socket: zmq.Socket[bytes], heartbeats: Heartbeats) -> None:
    """Limits and bounds that every socket has.

    The send queue of zmq is unlimited because sessions bound what may be on its way (session.SessionLimits), and a
    send that zmq turns away would have to be tried again.
    """
    socket.linger = LINGER_MS
    socket.sndtimeo = 0
    socket.sndhwm = 0
    socket.rcvhwm = RECEIVE_QUEUE
    socket.maxmsgsize = codec.MAX_FRAME_BYTES
    socket.handshake_ivl = HANDSHAKE_MS
    socket.heartbeat_ivl = heartbeats.every_ms
    socket.heartbeat_timeout = heartbeats.timeout_ms
    socket.heartbeat_ttl = heartbeats.timeout_ms
    socket.immediate = False


def is_tcp(endpoint: str) -> bool:
    """True for tcp, False for ipc; ConfigError for anything else."""
    scheme, _, rest = endpoint.partition("://")
    if scheme not in {"tcp", "ipc"} or not rest:
        raise ConfigError(f"{endpoint!r} is no address: write tcp://host:port or ipc:///directory/name")
    return scheme == "tcp"


def split_tcp(endpoint: str) -> tuple[str, int]:
    """Host and port of tcp://host:port. Raises ConfigError."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    number = 0 if port == "*" else int(port) if port.isascii() and port.isdigit() else -1
    if not host or not 0 <= number < 65536:
        raise ConfigError(f"{endpoint!r} is no address: write tcp://host:port with a port up to 65535")
    return host.removeprefix("[").removesuffix("]"), number


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    return host in {"localhost", "::1"} or host.startswith("127.")


def check_ipc(endpoint: str) -> None:
    """Refuse a path that is too long for a socket, or a directory that others may enter."""
    path = endpoint.removeprefix("ipc://")
    if len(os.fsencode(path)) >= IPC_PATH_LIMIT_BYTES:
        raise ConfigError(
            f"The path of a socket must be under {IPC_PATH_LIMIT_BYTES} bytes: {path}\n"
            "Set SIMSPARK_LOCAL_DIR to a directory with a shorter name, such as /tmp."
        )
    directory = os.path.dirname(path)
    try:
        found = os.stat(directory)
    except OSError as error:
        raise ConfigError(f"the directory of the socket {path}: {error.strerror}") from error
    if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.geteuid():
        raise ConfigError(f"{directory} must belong to this user alone: chmod 700 {directory}")


def error_for(reason: str) -> SimsparkError:
    """The typed error of a PeerLost's reason, for who has to raise it."""
    code, _, text = reason.partition(": ")
    kinds: dict[str, type[SimsparkError]] = {
        ACCESS_REFUSED: AccessRefused, VERSION: VersionMismatch, NO_PEER: NoMaster, PROTOCOL: ProtocolError,
        HELLO_FIRST: ProtocolError, EXPIRED: PeerTimeout,
    }  # fmt: skip
    return kinds.get(code, NoMaster)(text or reason)
