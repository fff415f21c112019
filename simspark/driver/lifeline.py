"""What tells the context that nothing of the program refers to something any more, so that its files can go."""

from __future__ import annotations

from collections.abc import Callable

Forget = Callable[[str, int], None]


class Lifeline:
    """Held by all that needs a shuffle, a data file or cached partitions; its end is theirs."""

    __slots__ = ("_forget", "_kind", "_number")

    def __init__(self, forget: Forget, kind: str, number: int) -> None:
        self._forget = forget
        self._kind = kind
        self._number = number

    def __del__(self) -> None:
        self._forget(self._kind, self._number)
