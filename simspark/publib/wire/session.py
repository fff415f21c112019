"""A numbered conversation that survives its connections. No socket, clock or random number in here.

Guarantees. Every message that one side sends is delivered to the other in order and exactly once, or both sides
learn that the session is over. Messages carry numbers from 1; each frame also carries the number of the last message
received, which lets the other side forget what it keeps for replay. After a connection broke, the next one begins
with both sides naming the last number they have, and each sends again what comes after.

Theory. Within one connection frames arrive in order and complete, so the next number is always the last one plus
one. A lower number is a repetition (replayed, or still under way when the connection was replaced) and is dropped. A
higher one means that something vanished: the session refuses it, and its owner breaks the connection, since only a
new beginning restores what is missing. An acknowledgement of what was never sent is refused likewise.

What is kept for replay is bounded, by count and by bytes: a peer that neither returns nor acknowledges makes
``push`` return False, and the session is over. Acknowledgements travel with messages; alone only when enough is owed
or, after a while, when the owner asks.

    OPENING --open--> OPEN --break--> AWAY --resume--> OPEN
       any --end--> OVER, which is final; ending twice is harmless
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from simspark.publib.errors import InternalError, ProtocolError
from simspark.publib.named_tuple import NamedTuple


class State(Enum):
    """Where a session is."""

    OPENING = "opening"
    OPEN = "open"
    AWAY = "away"
    OVER = "over"


class Step(Enum):
    """What happens to a session."""

    OPEN = "open"
    BREAK = "break"
    RESUME = "resume"
    END = "end"


TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.OPENING, Step.OPEN): State.OPEN,
    (State.OPEN, Step.BREAK): State.AWAY,
    (State.OPEN, Step.RESUME): State.OPEN,
    (State.AWAY, Step.RESUME): State.OPEN,
    (State.OPENING, Step.END): State.OVER,
    (State.OPEN, Step.END): State.OVER,
    (State.AWAY, Step.END): State.OVER,
    (State.OVER, Step.END): State.OVER,
}


class SessionLimits(NamedTuple):
    """How much one side keeps for replay, and how much it may owe before it acknowledges at once."""

    replay_messages: int = 50_000
    replay_bytes: int = 64 << 20
    ack_messages: int = 32
    ack_bytes: int = 1 << 20


DEFAULT_LIMITS = SessionLimits()


class Session:
    """One side of a session. Frames are opaque here; who encodes them asks ``upcoming`` for their numbers."""

    def __init__(self, limits: SessionLimits = DEFAULT_LIMITS) -> None:
        self.state = State.OPENING
        self.received = 0
        self.duplicates = 0
        self._limits = limits
        self._acknowledged = 0
        self._flight: deque[bytes] = deque()
        self._queue: list[bytes] = []
        self._kept_bytes = 0
        self._told = 0
        self._written = 0
        self._owed_bytes = 0

    # ── the life of a session ────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> None:
        """Both sides agree that there is a session."""
        self._step(Step.OPEN)

    def break_off(self) -> None:
        """The connection is gone; what is sent from now on waits."""
        self._step(Step.BREAK)

    def resume(self, peer_received: int) -> None:
        """A new connection, whose beginning told both sides what the other has: the peer, all up to this number.

        ``take`` gives the rest again.
        """
        if not self._acknowledged <= peer_received <= self.sent:
            raise ProtocolError(f"the peer has {peer_received}, but {self._acknowledged} to {self.sent} are possible")
        self._step(Step.RESUME)
        self._forget(peer_received)
        self._queue[:0] = self._flight
        self._flight.clear()
        self.told(self.received)

    def end(self) -> None:
        """It is over; nothing is kept."""
        self._step(Step.END)
        self._flight.clear()
        self._queue.clear()
        self._kept_bytes = 0

    def _step(self, step: Step) -> None:
        following = TRANSITIONS.get((self.state, step))
        if following is None:
            raise InternalError(f"a session that is {self.state.value} cannot {step.value}")
        self.state = following

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def sent(self) -> int:
        """The highest number that was handed out to be sent."""
        return self._acknowledged + len(self._flight)

    @property
    def kept(self) -> int:
        """How many messages wait to be sent or acknowledged."""
        return len(self._flight) + len(self._queue)

    def upcoming(self) -> tuple[int, int]:
        """The (seq, ack) of the frame to push next."""
        self._written = self.received
        return self._acknowledged + len(self._flight) + len(self._queue) + 1, self.received

    def push(self, frame: bytes) -> bool:
        """Keep one frame until it is acknowledged. False when the bound is reached: end the session."""
        if self.state is State.OVER:
            return False
        if self._kept_bytes + len(frame) > self._limits.replay_bytes or self.kept >= self._limits.replay_messages:
            return False
        self._queue.append(frame)
        self._kept_bytes += len(frame)
        return True

    def take(self) -> list[bytes]:
        """The frames to send now, in order; the transport must take them all or break the connection."""
        if self.state is not State.OPEN or not self._queue:
            return []
        frames, self._queue = self._queue, []
        self._flight.extend(frames)
        self.told(self._written)
        return frames

    # ── receiving ────────────────────────────────────────────────────────────────────────────────────────────────

    def receive(self, seq: int, ack: int, size: int) -> bool:
        """Take note of one frame's numbers; True when its message is to be delivered. Raises ProtocolError."""
        if self.state is State.OPENING or self.state is State.OVER:
            raise ProtocolError("a message outside of a session")
        if ack > self._acknowledged:
            self._take_ack(ack)
        if seq == self.received + 1:
            self.received = seq
            self._owed_bytes += size
            return True
        if seq > self.received:
            raise ProtocolError(f"message {seq} came after {self.received}")
        if seq:
            self.duplicates += 1
            self._told = min(self._told, self.received - 1)
        return False

    def owes(self) -> bool:
        """Something received has not been acknowledged yet."""
        return self._told < self.received

    def owes_much(self) -> bool:
        """So much is owed that the acknowledgement should go now, alone if need be."""
        owed = self.received - self._told
        return owed >= self._limits.ack_messages or (owed > 0 and self._owed_bytes >= self._limits.ack_bytes)

    def told(self, ack: int) -> None:
        """A frame with this acknowledgement is on its way."""
        self._told = max(self._told, ack)
        self._owed_bytes = 0

    def _take_ack(self, ack: int) -> None:
        if ack > self.sent:
            raise ProtocolError(f"message {ack} acknowledged, but only {self.sent} were sent")
        self._forget(ack)

    def _forget(self, ack: int) -> None:
        for _ in range(ack - self._acknowledged):
            self._kept_bytes -= len(self._flight.popleft())
        self._acknowledged = ack
