"""What Listener and Dialer share of zmq: options, monitors and checked endpoints."""

from __future__ import annotations

import os
import struct

import zmq

from simspark.publib.errors import ConfigError
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.wire import codec

HEARTBEAT_MS = 1000
HEARTBEAT_TIMEOUT_MS = 3000
HANDSHAKE_MS = 3000
LINGER_MS = 500
RECEIVE_QUEUE = 256
BACKLOG = 1024
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
