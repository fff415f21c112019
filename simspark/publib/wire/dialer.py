"""The side that dials: one session, over as many connections as it takes.

Guarantees. The handler hears PeerJoined once the other side has accepted the hello, then messages in order and
exactly once, and in the end one PeerLost, whatever happens: within ``connect_timeout_s`` (and a second to find out
why) when the session never opens, within ``resume_window_s`` after a connection broke and none came back.

What is known about zmq here. A client that the server refuses hears nothing on its socket, only on the monitor. A
socket that reconnects by itself would send what was queued for the old connection to the new one; so each connection
has a fresh socket, and the session says what is to be sent again. A socket that may not reconnect at all
(RECONNECT_IVL of -1) drops what arrived before the break, and aborts the process when that is in the middle of a
message: so ours may, but an hour later, and are long gone by then. What arrived before a break is read, as it may say
why. zmq resolves names on the thread that serves every connection; so names are resolved on a thread of their own
(``probe``).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import zmq

from simspark.publib import machine
from simspark.publib.errors import ConfigError, ProtocolError
from simspark.publib.service import Loop
from simspark.publib.wire import codec, codes, envelope, probe, sockets
from simspark.publib.wire.envelope import LocalIdentity, Opening
from simspark.publib.wire.session import DEFAULT_LIMITS, Session, SessionLimits, State

if TYPE_CHECKING:
    from simspark.publib.wire.keys import ClientKeys

ACK_DELAY_S = 0.05
RESUME_WINDOW_S = 15.0
RETRY_FIRST_S = 0.02
RETRY_MOST_S = 1.0
ATTEMPT_S = 3.0
CUT_SHORT_S = 1.5
NEVER_MS = 3_600_000
CUT_SHORT_LIMIT = 3
GONE_S = 3.0
RECEIVED_AT_ONCE = 200
EVENTS = (
    sockets.CONNECTED
    | sockets.HANDSHAKE_SUCCEEDED
    | sockets.CLOSED_EVENT
    | sockets.DISCONNECTED
    | sockets.FAILED_NO_DETAIL
    | sockets.FAILED_PROTOCOL
    | sockets.FAILED_AUTH
)


class Dialer:
    """See the top of the module. Made by any thread, then of the loop's alone; dials when the loop gets it."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        me: LocalIdentity,
        hello: Any,
        curve: ClientKeys | None,
        connect_timeout_s: float,
        *,
        resume_window_s: float = RESUME_WINDOW_S,
        limits: SessionLimits = DEFAULT_LIMITS,
        heartbeats: sockets.Heartbeats = sockets.DEFAULT_HEARTBEATS,
    ) -> None:
        self._tcp = sockets.is_tcp(endpoint)
        if self._tcp:
            sockets.split_tcp(endpoint)
            if curve is None:
                raise ConfigError(f"dialling {endpoint} needs a key")
        self.endpoint = endpoint
        self._context = context
        self._me = me
        self._hello = hello
        self._curve = curve
        self._connect_timeout_s = connect_timeout_s
        self._resume_window_s = resume_window_s
        self._heartbeats = heartbeats
        self._session = Session(limits)
        self._id = os.urandom(envelope.SESSION_BYTES)
        self._address = "" if self._tcp else endpoint
        self._socket: zmq.Socket[bytes] | None = None
        self._monitor: sockets.Monitor | None = None
        self._loop: Loop | None = None
        self._handler: Callable[[Any], None] = _nobody
        self._retry_s = RETRY_FIRST_S
        self._attempt_at = 0.0
        self._connected = False
        self._shaken = False
        self._cut_short = 0
        self._refused_since: float | None = None
        self._probing = False
        self._late = False

    # ── what the owner calls ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_open(self) -> bool:
        """The session is open and its connection is up."""
        return self._session.state is State.OPEN

    def send(self, message: Any) -> None:
        """Send, or keep until the session is open or back. After PeerLost, nothing happens."""
        if self._session.state is State.OVER:
            return
        seq, ack = self._session.upcoming()
        if self._session.push(codec.encode(seq, ack, message)):
            if self._loop is not None:
                self._loop.flush_soon(self)
        else:
            self._lose_later(codes.OVERFLOW, f"too much waits for {self.endpoint}")

    # ── what the loop calls ──────────────────────────────────────────────────────────────────────────────────────

    def attach(self, loop: Loop, handler: Callable[[Any], None]) -> None:
        """See service.Endpoint."""
        self._loop = loop
        self._handler = handler
        loop.call_at(self._timer("end"), loop.clock.now() + self._connect_timeout_s, self._handle_too_late)
        self._resolve()

    def flush(self) -> None:
        """See service.Endpoint."""
        frames = self._session.take()
        for start in range(0, len(frames), sockets.BATCH_FRAMES):
            if not self._write(frames[start : start + sockets.BATCH_FRAMES]):
                return

    def close(self) -> None:
        """See service.Endpoint."""
        if self._session.state is State.OVER:
            return
        if self._session.state is State.OPEN:
            self.flush()
            self._write([self._me.line(), envelope.encode_answer("BYE", codes.CLOSED, f"{self._me.role} has left")])
        self._end(sockets.LINGER_MS)

    # ── connections ──────────────────────────────────────────────────────────────────────────────────────────────

    def _resolve(self) -> None:
        """Find the number of the host's name, once; then connect."""
        if self._address or self._session.state is State.OVER:
            self._connect()
            return
        host, port = sockets.split_tcp(self.endpoint)
        number = probe.as_number(host)
        if number:
            self._take_address(number, port)
        else:
            self._ask(lambda: probe.resolve(host), lambda found: self._handle_resolved(found, port))

    def _handle_resolved(self, number: str, port: int) -> None:
        if number:
            self._take_address(number, port)
        else:
            self._call_in("retry", RETRY_MOST_S, self._resolve)

    def _take_address(self, number: str, port: int) -> None:
        self._address = f"tcp://[{number}]:{port}" if ":" in number else f"tcp://{number}:{port}"
        self._connect()

    def _connect(self) -> None:
        if self._session.state is State.OVER:
            return
        assert self._loop is not None
        self._discard()
        self._attempt_at = self._loop.clock.now()
        self._connected = self._shaken = False
        self._socket = socket = self._make_socket()
        self._monitor = sockets.Monitor(self._context, socket, EVENTS)
        self._loop.add_fd(socket, self._handle_readable)
        self._loop.add_fd(self._monitor.socket, self._handle_monitor)
        if self._session.state is State.AWAY:
            self._call_in("retry", ATTEMPT_S, self._connect)
        opening = Opening(self._session.state is State.AWAY, self._id, self._session.received, self._hello)
        socket.connect(self._address)
        self._write([self._me.line(), envelope.encode_opening(opening)])

    def _make_socket(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        sockets.set_options(socket, self._heartbeats)
        socket.reconnect_ivl = NEVER_MS
        if self._tcp:
            assert self._curve is not None
            socket.ipv6 = "[" in self._address
            socket.connect_timeout = int(ATTEMPT_S * 1000)
            socket.curve_serverkey = self._curve.server.encode("ascii")
            socket.curve_publickey = self._curve.public.encode("ascii")
            socket.curve_secretkey = self._curve.secret.encode("ascii")
        return socket

    def _discard(self, linger_ms: int = 0) -> None:
        """Throw the socket away, with what is queued in it."""
        socket, monitor = self._socket, self._monitor
        self._socket = self._monitor = None
        if socket is not None and monitor is not None and self._loop is not None:
            self._loop.remove_fd(socket)
            self._loop.remove_fd(monitor.socket)
            monitor.close()
            socket.close(linger_ms)

    def _handle_monitor(self) -> None:
        if self._monitor is None:
            return
        for event, _ in self._monitor.drain():
            if event == sockets.CONNECTED:
                self._connected = True
            elif event == sockets.HANDSHAKE_SUCCEEDED:
                self._shaken = True
            else:
                socket = self._socket
                self._handle_readable()
                if socket is not None and self._socket is socket:
                    self._handle_break(event)
                return

    def _handle_break(self, event: int) -> None:
        """This connection is no more, or never came about."""
        assert self._loop is not None
        now = self._loop.clock.now()
        self._discard()
        if event == sockets.FAILED_AUTH:
            self._lose(codes.ACCESS_REFUSED, f"{self.endpoint} does not know this key as one that may connect")
            return
        refused = not self._connected and now - self._attempt_at < CUT_SHORT_S
        if not refused:
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = now
        if self._session.state is State.OPEN:
            self._go_silent(now)
        if self._session.state is State.AWAY and refused and now - (self._refused_since or now) >= GONE_S:
            self._lose(codes.NO_PEER, f"nobody listens at {self.endpoint} any more")
        elif self._session.state is not State.OVER:
            self._retry(now)

    def _retry(self, now: float) -> None:
        if self._connected and not self._shaken and now - self._attempt_at < CUT_SHORT_S:
            self._cut_short += 1
            if self._cut_short >= CUT_SHORT_LIMIT and self._session.state is State.OPENING:
                self._probe()
        spread = 0.75 + os.urandom(1)[0] / 512  # so that those who lost the same peer do not all come back at once
        self._call_in("retry", self._retry_s * spread, self._connect)
        self._retry_s = min(self._retry_s * 2, RETRY_MOST_S)

    def _go_silent(self, now: float) -> None:
        assert self._loop is not None
        self._session.break_off()
        self._loop.call_at(self._timer("end"), now + self._resume_window_s, self._handle_expired)
        self._handler(machine.PeerSilent(""))

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _handle_readable(self) -> None:
        socket = self._socket
        for _ in range(RECEIVED_AT_ONCE):
            if socket is None or self._socket is not socket:
                return
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                self._handle_frames(frames)
            except ProtocolError as error:
                self._write([self._me.line(), envelope.encode_answer("BYE", codes.PROTOCOL, str(error))])
                self._lose(codes.PROTOCOL, str(error), sockets.LINGER_MS)

    def _handle_frames(self, frames: list[bytes]) -> None:
        if frames[0].startswith(envelope.MAGIC):
            if len(frames) != 2:
                raise ProtocolError("half an answer")
            self._handle_answer(envelope.parse_line(frames[0]), envelope.decode_answer(frames[1]))
            return
        session = self._session
        for frame in frames:
            seq, ack, message = codec.decode(frame)
            if session.state is State.OVER:
                return
            if session.receive(seq, ack, len(frame)):
                self._handler(machine.Received("", message))
        if session.state is State.OPEN and session.owes():
            self._owe()

    def _handle_answer(self, other: LocalIdentity, answer: envelope.Answer) -> None:
        if answer.verb == "REFUSED":
            self._lose(answer.word, answer.text)
            return
        conflict = envelope.version_conflict(self._me, other)
        if conflict:
            self._lose(codes.VERSION, conflict)
        elif answer.verb == "WELCOME":
            self._handle_welcome(other, int(answer.word))

    def _handle_welcome(self, other: LocalIdentity, received: int) -> None:
        assert self._loop is not None
        state = self._session.state
        if state is State.OPENING:
            self._session.open()
        elif state is State.AWAY:
            self._session.resume(received)
        else:
            raise ProtocolError("a welcome that nobody asked for")
        for timer in ("end", "retry"):
            self._loop.cancel(self._timer(timer))
        self._retry_s = RETRY_FIRST_S
        self._cut_short = 0
        self._refused_since = None
        self._loop.flush_soon(self)
        if state is State.AWAY:
            self._handler(machine.PeerReturned(""))
        else:
            key = "" if self._curve is None else self._curve.server
            self._handler(machine.PeerJoined("", other.role, key, None))

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _write(self, frames: list[bytes]) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.ZMQError:
            return False  # the monitor is about to say why
        return True

    def _owe(self) -> None:
        assert self._loop is not None
        if self._session.owes_much():
            self._write_ack()
        elif not self._loop.has_timer(self._timer("ack")):
            self._call_in("ack", ACK_DELAY_S, self._write_ack)

    def _write_ack(self) -> None:
        session = self._session
        if session.state is State.OPEN and session.owes() and self._write([codec.encode_ack(session.received)]):
            session.told(session.received)

    # ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _handle_too_late(self) -> None:
        """The session did not open in time: find out why, then say so."""
        self._late = True
        if self._shaken and self._socket is not None:
            self._lose(codes.NO_PEER, f"{self.endpoint} did not answer the hello in {self._connect_timeout_s:g} s")
        else:
            self._probe()

    def _handle_expired(self) -> None:
        self._lose(codes.EXPIRED, f"no connection to {self.endpoint} for {self._resume_window_s:g} s")

    def _probe(self) -> None:
        if not self._tcp:
            self._handle_probed(probe.Found.NOBODY)
        elif not self._probing:
            self._probing = True
            host, port = sockets.split_tcp(self.endpoint)
            self._ask(lambda: probe.look(host, port), self._handle_probed)

    def _handle_probed(self, found: probe.Found) -> None:
        self._probing = False
        self._cut_short = 0
        if self._session.state is not State.OPENING:
            return
        tried = f"(tried for {self._connect_timeout_s:g} s)" if self._late else ""
        if found is probe.Found.OUR_KIND and not self._late:
            text = f"{self.endpoint} closed the connection at once: it has other keys than the one given for it here"
            self._lose(codes.ACCESS_REFUSED, text)
        elif self._late or found in {probe.Found.SOMETHING_ELSE, probe.Found.MUTE}:
            self._lose(codes.NO_PEER, f"{self.endpoint}: {found.value} {tried}".strip())

    def _ask(self, question: Callable[[], Any], take: Callable[[Any], None]) -> None:
        """Have a question that blocks answered on a thread of its own; the answer is taken in the loop."""
        import threading

        loop = self._loop
        assert loop is not None

        def run() -> None:
            found = question()
            loop.post(lambda: take(found))

        threading.Thread(target=run, name="simspark-probe", daemon=True).start()

    def _lose_later(self, code: str, text: str) -> None:
        """End a session that broke while its owner decides: the owner hears it in the next turn."""
        self._end()
        if self._loop is not None:
            self._loop.post(lambda: self._handler(machine.PeerLost("", f"{code}: {text}")))

    def _lose(self, code: str, text: str, linger_ms: int = 0) -> None:
        if self._session.state is not State.OVER:
            self._end(linger_ms)
            self._handler(machine.PeerLost("", f"{code}: {text}"))

    def _end(self, linger_ms: int = 0) -> None:
        self._session.end()
        if self._loop is not None:
            for timer in ("end", "retry", "ack"):
                self._loop.cancel(self._timer(timer))
        self._discard(linger_ms)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _timer(self, name: str) -> str:
        return f"dialer-{id(self)}-{name}"

    def _call_in(self, name: str, delay_s: float, call: Callable[[], None]) -> None:
        assert self._loop is not None
        self._loop.call_at(self._timer(name), self._loop.clock.now() + delay_s, call)


def _nobody(event: Any) -> None:
    """The handler before there is one."""
