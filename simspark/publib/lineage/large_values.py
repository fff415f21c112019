"""Programs whose large captured values are blocks: what is left of the program, and how the values come back.

A value travels once to each machine, however many stages, jobs and executors use it; but each attempt still has values
of its own, as if the program held them: what a task changes in a list, nobody else sees. Only bytes and text, which
nobody can change, are one object for all tasks of a process. Arrays are seen in place, in a private mapping.
"""

from __future__ import annotations

from typing import Any

from simspark.publib.lineage.shared import BROADCAST_VALUES
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.wire import payload


class LargeValue(NamedTuple):
    """A value in a block like a broadcast's; ``shared`` when one object may serve all tasks of a process."""

    broadcast: int
    pieces: int
    shared: bool


class SplitProgram:
    """A pickled program in which numbers stand for large values. Unpickled, it is the program."""

    __slots__ = ("rest", "values")

    def __init__(self, rest: bytes, values: tuple[LargeValue, ...]) -> None:
        self.rest = rest
        self.values = values

    def __reduce__(self) -> Any:
        return load_split, (self.rest, tuple(map(tuple, self.values)))


def load_split(rest: bytes, values: tuple[tuple[int, int, bool], ...]) -> Any:
    """The program, with values of its own. Raises FetchFailed when one cannot be had."""
    loaded: dict[int, Any] = {}

    def value(number: int) -> Any:
        if number not in loaded:
            broadcast, pieces, shared = values[number]
            read = BROADCAST_VALUES.get if shared else BROADCAST_VALUES.read
            loaded[number] = read(broadcast, pieces)
        return loaded[number]

    return payload.load_with(rest, value)
