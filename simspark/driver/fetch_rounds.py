"""Rounds in which the tasks of a stage failed to read their input, and how soon they try again.

A round is one failure of attempts that were launched after the repair of the round before. The first repair of an
input begins at once, which is what a lost file needs. When the same input fails again somebody is going or out of
reach, so the stage pauses, longer each time: executors of a worker that died end, silent ones are given up.
"""

from __future__ import annotations

from simspark.publib.wire.messages import FetchFault

ROUNDS_OF_DIFFERENT = 8
BLAMED_ROUNDS = 2
"""A worker whose files failed the readers of a stage in so many rounds is taken to be out of reach."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0


def pause_s(times: int) -> float:
    """How long to pause after so many failures of the same: nothing after the first, then twice as long each time."""
    return 0.0 if times < 2 else min(FIRST_PAUSE_S * 2.0 ** (times - 2), LONGEST_PAUSE_S)


class FetchRounds:
    """The rounds of one stage since one of its tasks got through."""

    __slots__ = ("_blamed", "_first_task", "_repeats", "count", "pause_until")

    def __init__(self) -> None:
        self.count = 0
        self.pause_until = 0.0
        self._first_task = 0
        self._repeats: dict[tuple[int, int, str], int] = {}
        self._blamed: dict[str, dict[int, None]] = {}

    def is_new(self, task: int) -> bool:
        """Whether the attempt was launched after the last round's repair."""
        return task >= self._first_task

    def begin(self, fault: FetchFault, next_task: int) -> int:
        """Tasks failed to fetch once more, and none got through: how often it was this input.

        Several lost outputs show one after the other, so it takes many rounds of different ones to mean as much.
        """
        self._first_task = next_task
        self.count += 1
        what = (fault.shuffle, fault.map_index, "" if fault.shuffle >= 0 else fault.name)
        self._repeats[what] = self._repeats.get(what, 0) + 1
        return max(self._repeats[what], self.count // ROUNDS_OF_DIFFERENT)

    def blame(self, owner: str) -> bool:
        """A file of this worker failed its readers; True when it has in so many rounds that it is out of reach."""
        rounds = self._blamed.setdefault(owner, {})
        rounds[self.count] = None
        if len(rounds) < BLAMED_ROUNDS:
            return False
        del self._blamed[owner]
        return True

    def get_through(self) -> None:
        """A task could read its input."""
        self.count = 0
        self.pause_until = 0.0
        self._repeats = {}
        self._blamed = {}
