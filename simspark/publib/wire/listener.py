"""The side that is dialled: a ROUTER socket and the sessions of those who said hello.

Guarantees. Only a session's messages reach the handler, in order and exactly once. A peer is named by the listener,
one name a session, the same through all its connections. On TCP nobody gets as far as a hello without a key that the
authenticator knows, and a session goes on only for the key that opened it.

What is known about zmq here. A ROUTER does not say when a peer's connection breaks: the monitor does, by descriptor,
which is matched with that of the hello's frame. Descriptors are used again, so the monitor is drained before a hello
is looked at. By the time the monitor reports a break, everything that arrived before it can be read, so frames of a
broken connection still count. A ROUTER cannot close one connection: shutting down the descriptor does, after making
sure that it still is the same socket (``_Guest``). That is how those who say nothing for 3 s go, and those who pour
frames into one endless message, which zmq would hold until it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any

import zmq

from simspark.publib import machine
from simspark.publib.errors import ConfigError, PortTaken, ProtocolError, VersionMismatch
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.service import Loop
from simspark.publib.wire import codec, codes, envelope, sockets, zap
from simspark.publib.wire.connections import Connections
from simspark.publib.wire.envelope import LocalIdentity, Opening
from simspark.publib.wire.places import check_place
from simspark.publib.wire.session import DEFAULT_LIMITS, Session, SessionLimits, State

if TYPE_CHECKING:
    from simspark.publib.wire.keys import ServerKeys

RECEIVED_AT_ONCE = 200
ACK_DELAY_S = 0.05
RESUME_WINDOW_S = 15.0
MAX_SESSIONS = 20_000


class ListenerStatistics(NamedTuple):
    """A snapshot for status pages and tests."""

    sessions: int
    waiting: int
    refused: int
    malformed: int
    dropped: int
    duplicates: int


class _Peer:
    """One session and where its frames go."""

    __slots__ = ("fd", "id", "key", "name", "route", "session")

    def __init__(self, name: str, session_id: bytes, key: str, limits: SessionLimits) -> None:
        self.name = name
        self.id = session_id
        self.key = key
        self.route = b""
        self.fd = -1
        self.session = Session(limits)


class Listener:
    """See the top of the module. Made by any thread, then of the loop's alone."""

    PEERS = "p"  # what the names of its peers start with

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        me: LocalIdentity,
        curve: ServerKeys | None,
        authenticator: zap.Authenticator | None,
        *,
        resume_window_s: float = RESUME_WINDOW_S,
        limits: SessionLimits = DEFAULT_LIMITS,
        heartbeats: sockets.Heartbeats = sockets.DEFAULT_HEARTBEATS,
    ) -> None:
        self._tcp = _check_endpoint(endpoint, curve, authenticator)
        self._context = context
        self._me = me
        self._resume_window_s = resume_window_s
        self._limits = limits
        self._domain = ""
        self._socket = context.socket(zmq.ROUTER)
        try:
            self._monitor = self._set_up(curve, authenticator, heartbeats)
            self.endpoint = self._bind(endpoint)
        except BaseException:
            self._release()
            raise
        self._numbers = count(1)
        self._peers: dict[str, _Peer] = {}
        self._by_route: dict[bytes, _Peer] = {}
        self._by_session: dict[bytes, _Peer] = {}
        self._by_fd: dict[int, _Peer] = {}
        self._connections = Connections(self._tcp)
        self._dirty: dict[str, _Peer] = {}
        self._owing: dict[str, _Peer] = {}
        self._loop: Loop | None = None
        self._handler: Callable[[Any], None] = _nobody
        self._closed = False
        self._refused = self._malformed = 0

    # ── what the owner calls ─────────────────────────────────────────────────────────────────────────────────────

    def send(self, peer: str, message: Any) -> bool:
        """Send, or keep for replay while the peer is away. False when there is no such session."""
        found = self._peers.get(peer)
        if found is None or found.session.state is State.OPENING:
            return False
        seq, ack = found.session.upcoming()
        if not found.session.push(codec.encode(seq, ack, message)):
            self._lose_later(found, codes.OVERFLOW, "too much waits for this peer")
            return False
        self._flush_soon(found)
        return True

    def accept(self, peer: str) -> None:
        """Let a peer in that has said hello."""
        found = self._peers.get(peer)
        if found is not None and found.session.state is State.OPENING:
            found.session.open()
            self._welcome(found)

    def refuse(self, peer: str, code: str, text: str) -> None:
        """Turn a peer away, or end its session, naming the reason. It hears PeerLost; the owner does not."""
        found = self._peers.get(peer)
        if found is not None:
            self._refused += 1
            self._end(found, code, text)

    def close_peer(self, peer: str) -> None:
        """End a session. The peer hears PeerLost; the owner does not."""
        found = self._peers.get(peer)
        if found is not None:
            self._end(found, codes.CLOSED, f"{self._me.role} has ended the connection")

    def doubt(self, peer: str, is_doubted: bool) -> None:
        """See UnixListener. Here the heartbeats tell."""

    def statistics(self) -> ListenerStatistics:
        """Counts so far."""
        duplicates = sum(peer.session.duplicates for peer in self._peers.values())
        return ListenerStatistics(
            len(self._peers),
            self._connections.waiting,
            self._refused,
            self._malformed,
            self._connections.dropped,
            duplicates,
        )

    # ── what the loop calls ──────────────────────────────────────────────────────────────────────────────────────

    def attach(self, loop: Loop, handler: Callable[[Any], None]) -> None:
        """See service.Endpoint."""
        self._loop = loop
        self._handler = handler
        loop.add_fd(self._socket, self._handle_readable)
        loop.add_fd(self._monitor.socket, self._handle_monitor)

    def flush(self) -> None:
        """See service.Endpoint."""
        dirty, self._dirty = self._dirty, {}
        for peer in dirty.values():
            self._flush_peer(peer)

    def close(self) -> None:
        """See service.Endpoint."""
        if self._closed:
            return
        for peer in list(self._peers.values()):
            self._end(peer, codes.CLOSED, f"{self._me.role} is shutting down")
        self._closed = True
        if self._loop is not None:
            self._loop.cancel(self._timer("sweep"))
            self._loop.cancel(self._timer("ack"))
            self._loop.remove_fd(self._socket)
            self._loop.remove_fd(self._monitor.socket)
        self._release()

    # ── setting up ───────────────────────────────────────────────────────────────────────────────────────────────

    def _set_up(
        self, curve: ServerKeys | None, authenticator: zap.Authenticator | None, heartbeats: sockets.Heartbeats
    ) -> sockets.Monitor:
        sockets.set_options(self._socket, heartbeats)
        self._socket.router_mandatory = True
        self._socket.router_handover = False
        self._socket.backlog = sockets.BACKLOG
        if curve is not None and authenticator is not None:
            self._domain = zap.join_domain(self._context, authenticator)
            self._socket.setsockopt_string(zmq.ZAP_DOMAIN, self._domain)
            self._socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
            self._socket.curve_secretkey = curve.secret.encode("ascii")
            self._socket.curve_publickey = curve.public.encode("ascii")
            self._socket.curve_server = True
        events = (sockets.ACCEPTED | sockets.DISCONNECTED | sockets.FAILED_NO_DETAIL | sockets.FAILED_PROTOCOL
                  | sockets.FAILED_AUTH)  # fmt: skip
        return sockets.Monitor(self._context, self._socket, events)

    def _bind(self, endpoint: str) -> str:
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            if error.errno == zmq.EADDRINUSE:
                raise PortTaken(f"somebody else listens at {endpoint}: choose another port") from error
            raise ConfigError(f"cannot listen at {endpoint}: {error.strerror}") from error
        bound = self._socket.get(zmq.LAST_ENDPOINT)
        assert isinstance(bound, bytes)
        return bound.decode("ascii").rstrip("\0")

    def _release(self) -> None:
        monitor: sockets.Monitor | None = getattr(self, "_monitor", None)
        if monitor is not None:
            monitor.close()
        self._socket.close(sockets.LINGER_MS)
        if self._domain:
            zap.leave_domain(self._context, self._domain)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _handle_readable(self) -> None:
        self._handle_monitor()
        for _ in range(RECEIVED_AT_ONCE):
            if self._closed:
                return
            try:
                route = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            peer = self._by_route.get(route)
            if peer is None:
                self._handle_stranger(route)
            else:
                self._handle_frames(peer)

    def _handle_frames(self, peer: _Peer) -> None:
        frames = self._read_frames()
        self._connections.received(peer.fd, len(frames), sum(map(len, frames)))
        try:
            if len(frames) > sockets.BATCH_FRAMES_RECEIVED:
                raise ProtocolError("a message of too many frames")
            if frames[0].startswith(envelope.MAGIC):
                self._handle_farewell(peer, frames)
                return
            for frame in frames:
                seq, ack, message = codec.decode(frame)
                if peer.session.receive(seq, ack, len(frame)):
                    self._handler(machine.Received(peer.name, message))
                if peer.session.state is State.OVER:
                    return
            if peer.session.state is State.OPEN and peer.session.owes():
                self._owe(peer)
        except ProtocolError as error:
            self._malformed += 1
            self._lose(peer, codes.PROTOCOL, str(error))

    def _read_frames(self) -> list[bytes]:
        """The rest of a message. One of too many frames is dropped while it is read."""
        socket = self._socket
        frames: list[bytes] = []
        while socket.getsockopt(zmq.RCVMORE):
            frame = socket.recv(zmq.NOBLOCK)
            if len(frames) <= sockets.BATCH_FRAMES_RECEIVED:
                frames.append(frame)
        return frames or [b""]

    def _handle_farewell(self, peer: _Peer, frames: list[bytes]) -> None:
        if len(frames) != 2 or not frames[1].startswith(b"BYE "):
            raise ProtocolError("a second hello on one connection")
        answer = envelope.decode_answer(frames[1])
        self._lose(peer, codes.CLOSED if answer.word == codes.CLOSED else codes.PROTOCOL, answer.text, tell=False)

    def _handle_stranger(self, route: bytes) -> None:
        """The first message of a connection: a hello, or something else, which is answered 'hello first'."""
        first = self._socket.recv(zmq.NOBLOCK, copy=False)
        rest = self._read_frames()
        self._handle_monitor()  # before the descriptor is believed
        fd = first.get(zmq.SRCFD)
        try:
            other = envelope.parse_line(first.bytes)
            conflict = envelope.version_conflict(self._me, other)
            if conflict:
                raise VersionMismatch(conflict)
            if len(rest) != 1:
                raise ProtocolError("a hello has two frames")
            opening = envelope.decode_opening(rest[0])
        except VersionMismatch as error:
            self._turn_away(route, codes.VERSION, str(error))
        except ProtocolError as error:
            self._malformed += 1
            code = codes.HELLO_FIRST if str(error) == "hello first" else codes.PROTOCOL
            self._turn_away(route, code, str(error))
        else:
            role, key = zap.proven_by(first) if self._tcp else ("", "")
            if self._tcp and not role:
                self._turn_away(route, codes.ACCESS_REFUSED, "no key was shown")
            else:
                self._handle_hello(route, fd, role, key, opening)

    def _handle_hello(self, route: bytes, fd: int, role: str, key: str, opening: Opening) -> None:
        known = self._by_session.get(opening.session)
        if known is not None:
            self._resume(known, route, fd, key, opening)
        elif opening.resume:
            self._turn_away(route, codes.SESSION_OVER, "this session is over or not known here")
        elif len(self._peers) >= MAX_SESSIONS:
            self._turn_away(route, codes.OVERFLOW, "too many sessions")
        else:
            peer = _Peer(f"{self.PEERS}{next(self._numbers)}", opening.session, key, self._limits)
            self._peers[peer.name] = self._by_session[peer.id] = peer
            self._connect(peer, route, fd)
            self._handler(machine.PeerJoined(peer.name, role, key, opening.hello))

    def _resume(self, peer: _Peer, route: bytes, fd: int, key: str, opening: Opening) -> None:
        if peer.key != key:
            self._turn_away(route, codes.ACCESS_REFUSED, "this session belongs to another key")
            return
        if peer.session.state is State.OPENING:
            self._connect(peer, route, fd)
            return
        was_away = peer.session.state is State.AWAY
        try:
            peer.session.resume(opening.ack)
        except ProtocolError as error:
            self._malformed += 1
            self._turn_away(route, codes.PROTOCOL, str(error))
            self._lose(peer, codes.PROTOCOL, str(error))
            return
        self._connect(peer, route, fd)
        self._welcome(peer)
        if was_away:
            self._cancel_expiry(peer)
            self._handler(machine.PeerReturned(peer.name))

    def _connect(self, peer: _Peer, route: bytes, fd: int) -> None:
        self._disconnect(peer)
        peer.route, peer.fd = route, fd
        self._by_route[route] = peer
        self._by_fd[fd] = peer
        self._connections.greeted(fd)

    def _disconnect(self, peer: _Peer) -> None:
        self._by_route.pop(peer.route, None)
        if self._by_fd.get(peer.fd) is peer:
            del self._by_fd[peer.fd]
            self._connections.linger(peer.fd, self._now())
        peer.route, peer.fd = b"", -1

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _flush_soon(self, peer: _Peer) -> None:
        if self._loop is not None:
            self._dirty[peer.name] = peer
            self._loop.flush_soon(self)

    def _flush_peer(self, peer: _Peer) -> None:
        frames = peer.session.take()
        for start in range(0, len(frames), sockets.BATCH_FRAMES):
            if not self._write(peer.route, frames[start : start + sockets.BATCH_FRAMES]):
                self._go_silent(peer)
                return
        if not peer.session.owes():
            self._owing.pop(peer.name, None)

    def _write(self, route: bytes, frames: list[bytes]) -> bool:
        try:
            self._socket.send_multipart([route, *frames], zmq.NOBLOCK)
        except zmq.ZMQError:
            return False  # no such connection any more; the session replays
        return True

    def _answer(self, route: bytes, verb: str, word: str, text: str = "") -> bool:
        return self._write(route, [self._me.line(), envelope.encode_answer(verb, word, text)])

    def _welcome(self, peer: _Peer) -> None:
        if self._answer(peer.route, "WELCOME", str(peer.session.received)):
            self._flush_soon(peer)
        else:
            self._go_silent(peer)

    def _turn_away(self, route: bytes, code: str, text: str) -> None:
        self._refused += 1
        self._answer(route, "REFUSED", code, text)

    def _owe(self, peer: _Peer) -> None:
        if peer.session.owes_much():
            self._write_ack(peer)
            return
        self._owing[peer.name] = peer
        self._call_in("ack", ACK_DELAY_S, self._handle_ack_timer)

    def _handle_ack_timer(self) -> None:
        owing, self._owing = self._owing, {}
        for peer in owing.values():
            if peer.session.state is State.OPEN and peer.session.owes():
                self._write_ack(peer)

    def _write_ack(self, peer: _Peer) -> None:
        ack = peer.session.received
        if self._write(peer.route, [codec.encode_ack(ack)]):
            peer.session.told(ack)
            self._owing.pop(peer.name, None)

    # ── breaks and ends ──────────────────────────────────────────────────────────────────────────────────────────

    def _handle_monitor(self) -> None:
        for event in self._monitor.drain():
            if event.event == sockets.ACCEPTED:
                self._connections.accepted(event.value, self._now())
                self._call_in("sweep", 1.0, self._handle_sweep)
            else:
                self._connections.gone(event.value)
                peer = self._by_fd.pop(event.value, None)
                if peer is not None:
                    self._go_silent(peer)

    def _handle_sweep(self) -> None:
        drained = not int(self._socket.get(zmq.EVENTS)) & zmq.POLLIN
        if self._connections.sweep(self._now(), drained=drained):
            self._call_in("sweep", 1.0, self._handle_sweep)

    def _go_silent(self, peer: _Peer) -> None:
        """The connection broke. The route stays known: what was read from it before may still be waiting."""
        if peer.session.state is State.OPENING:
            self._lose(peer, codes.CLOSED, "the connection broke before the session opened")
        elif peer.session.state is State.OPEN:
            peer.session.break_off()
            assert self._loop is not None
            when = self._now() + self._resume_window_s
            self._loop.call_at(self._timer(peer.name), when, lambda: self._expire(peer))
            self._handler(machine.PeerSilent(peer.name))

    def _expire(self, peer: _Peer) -> None:
        self._lose(peer, codes.EXPIRED, f"no connection for {self._resume_window_s:g} s", tell=False)

    def _lose_later(self, peer: _Peer, code: str, text: str) -> None:
        """End a session that broke while its owner decides: the owner hears it in the next turn."""
        self._end(peer, code, text)
        if self._loop is not None:
            self._loop.post(lambda: self._handler(machine.PeerLost(peer.name, f"{code}: {text}")))

    def _lose(self, peer: _Peer, code: str, text: str, *, tell: bool = True) -> None:
        if peer.session.state is not State.OVER:
            self._end(peer, code, text, tell=tell)
            self._handler(machine.PeerLost(peer.name, f"{code}: {text}"))

    def _end(self, peer: _Peer, code: str, text: str, *, tell: bool = True) -> None:
        if peer.session.state is State.OPEN and tell:
            self._flush_peer(peer)
        if peer.session.state in {State.OPEN, State.OPENING} and tell:
            self._answer(peer.route, "REFUSED", code, text)
        peer.session.end()
        self._cancel_expiry(peer)
        self._disconnect(peer)
        self._peers.pop(peer.name, None)
        self._by_session.pop(peer.id, None)
        self._dirty.pop(peer.name, None)
        self._owing.pop(peer.name, None)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _now(self) -> float:
        return 0.0 if self._loop is None else self._loop.clock.now()

    def _timer(self, name: str) -> str:
        return f"listener-{id(self)}-{name}"

    def _call_in(self, name: str, delay_s: float, call: Callable[[], None]) -> None:
        """Once, that much later, unless it is already going to happen."""
        assert self._loop is not None
        if not self._loop.has_timer(self._timer(name)):
            self._loop.call_at(self._timer(name), self._now() + delay_s, call)

    def _cancel_expiry(self, peer: _Peer) -> None:
        if self._loop is not None:
            self._loop.cancel(self._timer(peer.name))


def _check_endpoint(endpoint: str, curve: ServerKeys | None, authenticator: zap.Authenticator | None) -> bool:
    """True for tcp. Nothing listens on TCP without keys; the text tells whom that would let in."""
    if not sockets.is_tcp(endpoint):
        check_place(endpoint.removeprefix("ipc://"))
        return False
    host, _ = sockets.split_tcp(endpoint)
    if curve is None or authenticator is None:
        who = "on this machine" if sockets.is_loopback(host) else "who reaches this machine"
        raise ConfigError(f"listening at {endpoint} without keys would let anybody {who} run code: keys are needed")
    return True


def _nobody(event: Any) -> None:
    """The handler before there is one."""
