"""The memory of one task: a budget that all its parts share.

Several parts of a task may hold rows at a time: the tables of a join are read while the groups of the next shuffle
fill up, and those are written while its file is made. Each part counts what it holds as its share, and spills when
that is more than the other shares leave of the budget; a quarter of the budget is left to each whatever the others
hold. Groups that were spilled count as half the budget while they are merged: their buffers, and memory that was let
go but has not come back. What is counted are estimates of the task's own rows, the same at each attempt, so that a
retried task spills at the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

TAKEN_AT_MOST = 0.75


class Budget:
    """What a task may hold, in bytes, and what its parts hold now."""

    __slots__ = ("counted_bytes", "size_bytes")

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.counted_bytes = 0


class Share:
    """What one part of a task holds."""

    __slots__ = ("_budget", "_held_bytes")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held_bytes = 0

    def count(self, held_bytes: int) -> int:
        """This part holds so much now; what that makes with the other shares, to be compared with the budget."""
        self._budget.counted_bytes += held_bytes - self._held_bytes
        self._held_bytes = held_bytes
        others = self._budget.counted_bytes - held_bytes
        return held_bytes + min(others, int(self._budget.size_bytes * TAKEN_AT_MOST))

    def until_read(self, rows: Iterator[Any]) -> Iterator[Any]:
        """The rows; behind the last one this part holds nothing any more."""
        return chain(rows, self._let_go())

    def _let_go(self) -> Iterator[Any]:
        self.count(0)
        yield from ()
