"""Who still speaks: thresholds, and a tracker that counts the rounds a peer has missed.

The first round is missed after ``late_after_s`` of silence (late), each further one ``check_every_s``
later; after ``dead_after_checks`` missed rounds a peer is dead. Rounds are counted, not seconds: when this
process itself was stopped for a minute, one check comes a minute late and judges nobody, because the
heartbeats that would speak for the others still wait to be read.
"""

from __future__ import annotations

from enum import Enum

from simspark.publib.named_tuple import NamedTuple


class Liveness(NamedTuple):
    """The thresholds of one cluster. Dead after 5 + 2 * 5 = 15 s of silence unless told otherwise."""

    heartbeat_s: float = 1.0
    late_after_s: float = 5.0
    check_every_s: float = 5.0
    dead_after_checks: int = 3

    @property
    def dead_after_s(self) -> float:
        """Silence after which a peer is dead: the first round and those that follow."""
        return self.late_after_s + (self.dead_after_checks - 1) * self.check_every_s

    @classmethod
    def fast(cls) -> Liveness:
        """Short ones, for tests on real processes: dead after 1 + 2 * 0.5 = 2 s."""
        return cls(heartbeat_s=0.2, late_after_s=1.0, check_every_s=0.5, dead_after_checks=3)


class Vital(Enum):
    """What a round says of a peer."""

    LATE = "late"
    DEAD = "dead"


class Verdict(NamedTuple):
    """A peer that has missed its first round, or its last."""

    subject: str
    vital: Vital


class Tracker:
    """Watches peers by name: when the next round of each is, and how many it has missed."""

    def __init__(self, thresholds: Liveness) -> None:
        self._thresholds = thresholds
        self._next: dict[str, float] = {}
        self._missed: dict[str, int] = {}

    def watch(self, now: float, subject: str, patience_s: float = 0.0) -> None:
        """Start, or start again, with a clean slate; late after ``patience_s`` if that is longer than usual."""
        self._next[subject] = now + max(self._thresholds.late_after_s, patience_s)
        self._missed[subject] = 0

    def heard(self, now: float, subject: str) -> bool:
        """Note a sign of life; whether the peer had been late. A peer that is not watched is none."""
        if subject not in self._next:
            return False
        was_late = self._missed[subject] > 0
        self.watch(now, subject)
        return was_late

    def hurry(self, now: float, subject: str, within_s: float) -> None:
        """Something looks wrong: without a sign of life the first round is missed after ``within_s``."""
        if self._missed.get(subject) == 0:
            self._next[subject] = min(self._next[subject], now + within_s)

    def forget(self, subject: str) -> None:
        """Stop watching, if it was watched."""
        self._next.pop(subject, None)
        self._missed.pop(subject, None)

    def next_check(self) -> float | None:
        """When ``check`` has something to look at; None when nobody is watched."""
        return min(self._next.values(), default=None)

    def check(self, now: float) -> list[Verdict]:
        """The peers that became late or dead by missing the round that is due; the dead are forgotten."""
        due = [subject for subject, when in self._next.items() if when <= now]
        if not due:
            return []
        patience_s = self._thresholds.late_after_s / 2
        if now - min(self._next[subject] for subject in due) > patience_s:
            self._next.update(dict.fromkeys(due, now + patience_s))
            return []
        verdicts = [self._miss(now, subject) for subject in due]
        return [verdict for verdict in verdicts if verdict is not None]

    def _miss(self, now: float, subject: str) -> Verdict | None:
        self._missed[subject] += 1
        self._next[subject] = now + self._thresholds.check_every_s
        if self._missed[subject] >= self._thresholds.dead_after_checks:
            self.forget(subject)
            return Verdict(subject, Vital.DEAD)
        return Verdict(subject, Vital.LATE) if self._missed[subject] == 1 else None
