"""Sessions over a network that delays, loses, cuts and resets.

The transport around the real ``Session``: a dialer and a listener share a numbered session over one connection at a
time. Within a connection frames arrive in order (loss is a late frame, as over TCP); a connection that breaks loses
what was under way, frames of an old connection are worth nothing, and after the dialer has come back both sides send
again what the other one lacks. A session is over when its window has passed, when a queue is full, or when the other
side does not know it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from simspark.publib.errors import ProtocolError
from simspark.publib.machine import PeerJoined, PeerLost, PeerReturned, PeerSilent, Received
from simspark.publib.wire.session import Session as RealSession
from simspark.publib.wire.session import State
from tests.sim.world import Host, Process, Violation, World

LATENCY_S = 0.0004
SILENCE_S = 3.0
RETRANSMIT_S = 0.2
REDIAL_S = 0.3
WINDOW_S = 20.0
QUEUE_FRAMES = 2000
OUT, BACK = 0, 1


class _Welcome(NamedTuple):
    """The listener's shell has accepted the hello."""


class _Farewell(NamedTuple):
    """The listener's side is over."""

    reason: str


class Listener:
    """The listening side of a process: what the real one offers, and as it does."""

    PEERS = "p"

    def __init__(self, network: Network, process: Process, endpoint: str, handle: Callable[[Any], None]) -> None:
        self.network = network
        self.process = process
        self.endpoint = endpoint
        self.handle = handle
        self.sessions: dict[str, Session] = {}
        network.listeners[endpoint] = self

    def send(self, peer: str, message: Any) -> bool:
        session = self.sessions.get(peer)
        return session is not None and session.send(BACK, message)

    def doubt(self, peer: str, is_doubted: bool) -> None:
        """Heartbeats tell."""

    def accept(self, peer: str) -> None:
        session = self.sessions.get(peer)
        if session is not None:
            session.accepted = True
            session.send(BACK, _Welcome())

    def refuse(self, peer: str, code: str, text: str) -> None:
        session = self.sessions.pop(peer, None)
        if session is not None:
            session.send(BACK, _Farewell(f"{code}: {text}"))
            session.over[BACK] = True

    def close_peer(self, peer: str) -> None:
        session = self.sessions.pop(peer, None)
        if session is not None:
            session.send(BACK, _Farewell("closed: the other side ended the session"))
            session.over[BACK] = True


class Dialer:
    """The dialling side: one session, come what may; afterwards its owner dials anew."""

    def __init__(
        self,
        network: Network,
        process: Process,
        endpoint: str,
        hello: Any,
        handle: Callable[[Any], None],
        role: str,
        key: str,
        connect_timeout_s: float,
    ) -> None:
        self.session = Session(
            network, process, endpoint, hello, handle, role, key, network.world.now + connect_timeout_s
        )
        network.dialers.add_session(self.session)
        process.call_in(0.0, self.session.attempt)

    def send(self, message: Any) -> None:
        self.session.send(OUT, message)

    def close(self) -> None:
        self.session.end_dialer()


class _Sessions:
    """Sessions that are not over, in the order in which they were dialled."""

    def __init__(self) -> None:
        self._all: dict[int, Session] = {}

    def add_session(self, session: Session) -> None:
        self._all[session.number] = session

    def discard(self, session: Session) -> None:
        self._all.pop(session.number, None)

    def __iter__(self) -> Any:
        return iter(list(self._all.values()))


class Session:
    """Both sides' state of one session; each side's calls belong to its process."""

    __slots__ = (
        "accepted", "connected", "deadline", "endpoint", "ends", "greeted", "handlers", "held", "hello", "key",
        "last_arrival", "listener", "network", "noticed", "number", "opened", "over", "peer", "role", "sides", "wire",
    )  # fmt: skip

    def __init__(
        self,
        network: Network,
        process: Process,
        endpoint: str,
        hello: Any,
        handle: Callable[[Any], None],
        role: str,
        key: str,
        deadline: float,
    ) -> None:
        network.session_count += 1
        self.network = network
        self.number = network.session_count
        self.endpoint = endpoint
        self.hello = hello
        self.role = role
        self.key = key
        self.deadline = deadline
        self.peer = f"peer-{self.number}"
        self.ends: list[Process | None] = [process, None]
        self.handlers: list[Any] = [handle, None]
        self.listener: Listener | None = None
        self.wire = 0
        self.connected = False
        self.greeted = self.accepted = self.opened = False
        self.over = [False, False]
        self.noticed = [True, True]
        self.sides = (RealSession(), RealSession())
        for real in self.sides:
            real.open()
            real.break_off()
        self.held: list[list[tuple[int, Any]]] = [[], []]
        self.last_arrival = [0.0, 0.0]

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, way: int, message: Any) -> bool:
        if self.over[way]:
            return False
        real, network = self.sides[way], self.network
        depth = real.kept
        if depth > network.deepest:
            network.deepest = depth
        if depth >= network.queue_frames or not real.push((real.upcoming()[0], message)):  # type: ignore[arg-type]
            network.count("overflow")
            sender = self.ends[way]
            assert sender is not None
            sender.call_in(0.0, self._end, way, "overflow: the queue of the session is full")
            return False
        if self.connected:
            self._flush(way)
        return True

    def _flush(self, way: int) -> None:
        for sequence, message in self.sides[way].take():  # type: ignore[misc]
            self._transmit(way, sequence, message)  # type: ignore[arg-type]

    def _transmit(self, way: int, sequence: int, message: Any) -> None:
        network, real = self.network, self.sides[way]
        sender, receiver = self.ends[way], self.ends[1 - way]
        assert sender is not None
        assert receiver is not None
        real.told(real.received)
        if (sender.host.index, receiver.host.index) in network.cuts:
            self.held[way].append((sequence, message))
            return
        arrival = network.world.now + network.latency(sender.host, receiver.host)
        if arrival <= self.last_arrival[way]:
            arrival = self.last_arrival[way] + 1e-6
        self.last_arrival[way] = arrival
        receiver.call_at(arrival, self._arrive, way, self.wire, sequence, real.received, message)

    def _arrive(self, way: int, wire: int, sequence: int, ack: int, message: Any) -> None:
        """A frame is here. It is for the side at the other end of ``way``."""
        side = 1 - way
        if wire != self.wire or self.over[side]:
            self.network.count("lost with its connection")
            return
        real = self.sides[side]
        try:
            fresh = real.receive(sequence, ack, 1)
        except ProtocolError as error:
            raise Violation(f"session {self.number} between {self.ends}: {error}") from error
        if not fresh:
            if sequence:
                self.network.count("duplicate dropped")
            return
        if real.owes_much() and not self.over[side]:
            self._transmit(side, 0, None)
        self._deliver(side, message)

    def _deliver(self, side: int, message: Any) -> None:
        kind = type(message)
        if kind is _Welcome:
            self.opened = True
            self.handlers[OUT](PeerJoined("", "", "", None))
        elif kind is _Farewell:
            self.over[OUT] = self.over[BACK] = True
            self.network.dialers.discard(self)
            self.handlers[OUT](PeerLost("", message.reason))
        else:
            self.handlers[side](Received(self.peer if side == BACK else "", message))

    # ── connecting ───────────────────────────────────────────────────────────────────────────────────────────────

    def attempt(self) -> None:
        """The dialer tries to connect, the first time or again."""
        if self.over[OUT] or self.connected:
            return
        network, me = self.network, self.ends[OUT]
        assert me is not None
        if network.world.now > self.deadline:
            self._end(OUT, "timeout: nobody answers" if not self.opened else "window: away for too long")
            return
        listener = network.listeners.get(self.endpoint)
        there = listener is not None and listener.process.alive and not listener.process.paused
        if not there or not network.reachable(me.host, listener.process.host):  # type: ignore[union-attr]
            me.call_in(REDIAL_S * (0.8 + 0.4 * network.world.random.random()), self.attempt)
            return
        assert listener is not None
        network.phase_hello(self, me)
        if not me.alive or me.paused or not listener.process.alive or self.over[OUT]:
            if me.alive:
                me.call_in(REDIAL_S, self.attempt)
            return
        listener.process.call_in(network.latency(me.host, listener.process.host) * 3, self._greet, listener)
        me.call_in(SILENCE_S, self.attempt)

    def _greet(self, listener: Listener) -> None:
        """The hello (or the wish to resume) has come to the listener."""
        me = self.ends[OUT]
        assert me is not None
        if self.over[OUT] or self.connected or not me.alive:
            return
        if self.greeted and (self.over[BACK] or listener is not self.listener):
            me.call_in(self.network.latency(me.host, listener.process.host), self._end, OUT, "unknown: no such session")
            return
        self.wire += 1
        self.connected = True
        self.last_arrival = [0.0, 0.0]
        self.held = [[], []]
        if not self.greeted:
            self.greeted = True
            self.listener = listener
            self.ends[BACK] = listener.process
            self.handlers[BACK] = listener.handle
            listener.sessions[self.peer] = self
            self.noticed = [False, False]
            self._join()
            listener.handle(PeerJoined(self.peer, self.role, self.key, self.hello))
            return
        self.network.count("resumed")
        self._join()
        me.call_in(self.network.latency(me.host, listener.process.host), self._returned, OUT, self.wire)
        self._returned(BACK, self.wire)

    def _join(self) -> None:
        """Both sides name what they have and send what comes after."""
        received = self.sides[OUT].received, self.sides[BACK].received
        for way in (OUT, BACK):
            self.network.resume(self.sides[way], received[1 - way])
            self._flush(way)

    def _returned(self, side: int, wire: int) -> None:
        if wire == self.wire and self.connected and self.noticed[side] and not self.over[side]:
            self.noticed[side] = False
            if side == BACK and self.accepted:
                self.handlers[BACK](PeerReturned(self.peer))
            elif side == OUT and self.opened:
                self.handlers[OUT](PeerReturned(""))

    # ── breaking ─────────────────────────────────────────────────────────────────────────────────────────────────

    def break_wire(self, wire: int, soon: bool) -> None:
        """The connection is gone; each side notices in its own time."""
        if wire != self.wire or not self.connected:
            return
        self.connected = False
        self.wire += 1
        self.held = [[], []]
        world = self.network.world
        self.deadline = max(self.deadline, world.now + self.network.window_s)
        for side in (OUT, BACK):
            end = self.ends[side]
            if end is not None and end.alive:
                end.call_in(0.001 if soon else world.random.random(), self._notice, side, self.wire)

    def _notice(self, side: int, wire: int) -> None:
        if wire != self.wire or self.over[side]:
            return
        if not self.noticed[side]:
            self.noticed[side] = True
            if self.sides[side].state is State.OPEN:
                self.sides[side].break_off()
            if side == OUT and self.opened:
                self.handlers[OUT](PeerSilent(""))
            elif side == BACK and self.accepted:
                self.handlers[BACK](PeerSilent(self.peer))
        end = self.ends[side]
        if self.over[side] or end is None or not end.alive:
            return
        if side == OUT:
            end.call_in(0.05, self.attempt)
        else:
            end.call_in(self.network.window_s, self._window, wire)

    def _window(self, wire: int) -> None:
        if wire == self.wire and not self.connected:
            self._end(BACK, "window: away for too long")

    def _end(self, side: int, reason: str) -> None:
        """One side's session is over; the other one learns when it asks, or now, when it is connected."""
        if self.over[side]:
            return
        self.over[side] = True
        handler = self.handlers[side]
        if side == BACK and self.listener is not None:
            self.listener.sessions.pop(self.peer, None)
            handler(PeerLost(self.peer, reason))
        if side == OUT:
            self.network.dialers.discard(self)
            handler(PeerLost("", reason))
        other = self.ends[1 - side]
        if self.connected:
            self.connected = False
            self.wire += 1
            if other is not None and other.alive:
                other.call_in(0.001, self._notice, 1 - side, self.wire)

    def end_dialer(self) -> None:
        """The dialer closes: the listener sees the end of a session at once."""
        if self.over[OUT]:
            return
        self.over[OUT] = True
        self.network.dialers.discard(self)
        end = self.ends[BACK]
        if self.connected and end is not None and end.alive:
            end.call_in(self.network.latency(self.ends[OUT].host, end.host), self._end, BACK, "closed")  # type: ignore[union-attr]
        self.connected = False
        self.wire += 1

    def flush_held(self) -> None:
        """A cut is healed before anybody noticed: TCP sends again."""
        held, self.held = self.held, [[], []]
        for way in (OUT, BACK):
            for sequence, message in held[way]:
                self._transmit(way, sequence, message)

    def touches(self, process: Process) -> bool:
        return self.ends[OUT] is process or self.ends[BACK] is process


class Network:
    """Hosts, cuts between them, and every session."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cuts: Counter[tuple[int, int]] = Counter()
        self.listeners: dict[str, Listener] = {}
        self.dialers = _Sessions()
        self.session_count = 0
        self.loss = 0.0
        self.delay_s = 0.0
        self.window_s = WINDOW_S
        self.queue_frames = QUEUE_FRAMES
        self.deepest = 0
        self.counts: dict[str, int] = {}
        self.resume: Callable[[RealSession, int], None] = RealSession.resume
        self.on_hello: Callable[[Any, Process], None] = lambda _hello, _process: None
        world.network = self

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def phase_hello(self, session: Session, process: Process) -> None:
        if not session.greeted:
            self.on_hello(session.hello, process)

    def latency(self, source: Host, target: Host) -> float:
        draw = self.world.random.random
        delay = LATENCY_S * (0.5 + draw())
        if source is not target:
            if self.delay_s:
                delay += self.delay_s * draw()
            if self.loss:
                while draw() < self.loss:
                    delay += RETRANSMIT_S
        return delay

    def reachable(self, a: Host, b: Host) -> bool:
        return (a.index, b.index) not in self.cuts and (b.index, a.index) not in self.cuts

    # ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────

    def cut(self, pairs: set[tuple[int, int]]) -> None:
        """Frames no longer pass from the first to the second host of each pair."""
        self.cuts += Counter(pairs)
        self.world.note("cut", sorted(pairs))
        for session in self.dialers:
            if session.connected and self._is_cut(session):
                delay = SILENCE_S * (1.0 + 0.5 * self.world.random.random())
                self.world.call_in(delay, self._break_if_cut, session, session.wire)

    def heal(self, pairs: set[tuple[int, int]]) -> None:
        self.cuts -= Counter(pairs)
        self.world.note("heal", sorted(pairs))
        for session in self.dialers:
            if session.connected:
                session.flush_held()

    def _is_cut(self, session: Session) -> bool:
        a, b = session.ends
        return a is not None and b is not None and not self.reachable(a.host, b.host)

    def _break_if_cut(self, session: Session, wire: int) -> None:
        if self._is_cut(session):
            session.break_wire(wire, soon=False)

    def reset(self, process: Process) -> None:
        """Every connection of a process breaks and may come back at once."""
        self.world.note("reset", process)
        for session in self.dialers:
            if session.touches(process):
                session.break_wire(session.wire, soon=True)

    def process_died(self, process: Process) -> None:
        for endpoint in [name for name, listener in self.listeners.items() if listener.process is process]:
            del self.listeners[endpoint]
        for session in self.dialers:
            if not session.touches(process):
                continue
            dialer_died = session.ends[OUT] is process
            session.over[OUT if dialer_died else BACK] = True
            if dialer_died:
                self.dialers.discard(session)
            if self._is_cut(session):
                delay = SILENCE_S * (1.0 + 0.5 * self.world.random.random())
                self.world.call_in(delay, session.break_wire, session.wire, False)
            else:
                session.break_wire(session.wire, soon=True)

    def process_stopped(self, process: Process) -> None:
        delay = SILENCE_S * (1.0 + 0.5 * self.world.random.random())
        self.world.call_in(delay, self._break_if_stopped, process)

    def _break_if_stopped(self, process: Process) -> None:
        if process.alive and process.paused:
            for session in self.dialers:
                if session.touches(process):
                    session.break_wire(session.wire, soon=True)

    def process_continued(self, process: Process) -> None:
        """What it missed comes to it by the calls that waited."""
