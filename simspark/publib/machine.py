"""What every core takes and gives.

A core is a state machine: ``handle(now, event) -> effects``. It reads no clock, socket, file or random number; the
shell around it turns what happens into events and performs the effects in the order given. The simulator is
another shell around the same cores. Events and effects are plain tuples with names: immutable and cheap.
"""

from __future__ import annotations

from typing import Any, Protocol

from simspark.publib.named_tuple import NamedTuple


class PeerJoined(NamedTuple):
    """A hello came in (or, to who dialled, the session opened). ``role`` is what the key proves, "" on ipc."""

    peer: str
    role: str
    key: str
    hello: Any


class PeerReturned(NamedTuple):
    """The connection of an open session is back; nothing was lost."""

    peer: str


class PeerSilent(NamedTuple):
    """The connection of an open session broke; the session still waits for it."""

    peer: str


class PeerLost(NamedTuple):
    """The session is over."""

    peer: str
    reason: str


class Received(NamedTuple):
    """One message of an open session: in order, exactly once."""

    peer: str
    message: Any


class TimerFired(NamedTuple):
    """The moment that a SetTimer of this name asked for has come."""

    name: str


class Send(NamedTuple):
    """Send one message to one peer."""

    peer: str
    message: Any


class Accept(NamedTuple):
    """Let the peer that said hello in."""

    peer: str


class Refuse(NamedTuple):
    """Turn the peer that said hello away, naming the reason."""

    peer: str
    code: str
    text: str


class Close(NamedTuple):
    """End the session with this peer."""

    peer: str


class SetTimer(NamedTuple):
    """Ask for a TimerFired of this name at ``when``, seconds of the monotonic clock; the same name replaces."""

    name: str
    when: float


class CancelTimer(NamedTuple):
    """Forget the timer of this name, if there is one."""

    name: str


class Emit(NamedTuple):
    """Put one event on the event stream (publib.events)."""

    event: Any


class Core(Protocol):
    """A state machine of a daemon or of the driver. Called by one thread only; never blocks."""

    def handle(self, now: float, event: Any) -> list[Any]:
        """Take one event at ``now`` (monotonic seconds) and return the effects to perform, in order."""
        ...
