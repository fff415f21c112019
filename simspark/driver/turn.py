"""One turn of the scheduler core: the moment it happens at and what it decides."""

from __future__ import annotations

from typing import Any

from simspark.publib.machine import SetTimer


class Turn:
    """The present moment, the effects so far, and the timers that are under way.

    All parts of the core share one. A timer is armed again only when it must ring earlier; whoever hears it looks at
    the moment and arms it anew for what is still to come, so timers need not be cancelled.
    """

    __slots__ = ("_armed", "add", "effects", "emit", "now")

    def __init__(self) -> None:
        self._armed: dict[str, float] = {}
        self.begin(0.0)

    def begin(self, now: float) -> None:
        """Another event came. ``add`` decides on an effect, ``emit`` puts an event on the event stream."""
        self.now = now
        self.effects: list[Any] = []
        self.add = self.emit = self.effects.append

    def emit_at(self, place: int, event: Any) -> None:
        """Put an event on the stream before what was decided since there were ``place`` effects."""
        self.effects.insert(place, event)

    def arm(self, name: str, when: float) -> None:
        """Have the timer ring at ``when`` or before."""
        armed = self._armed.get(name)
        if armed is None or when < armed:
            self._armed[name] = when
            self.effects.append(SetTimer(name, when))

    def is_armed(self, name: str) -> bool:
        """Whether the timer is under way."""
        return name in self._armed

    def rang(self, name: str) -> float:
        """The timer rang: how many seconds after its moment."""
        return max(0.0, self.now - self._armed.pop(name, self.now))
