"""What tells the context that nothing of the program refers to something any more, so that its files can go."""

from __future__ import annotations

from collections.abc import Callable, Iterable

Forget = Callable[[str, int], None]


class Lifeline:
    """Held by all that needs a shuffle, a data file, cached partitions or a broadcast; its end is theirs.

    ``needs`` are lifelines of what it stands on.
    """

    __slots__ = ("_forget", "_kind", "_needs", "_number")

    def __init__(self, forget: Forget, kind: str, number: int, needs: Iterable[object] = ()) -> None:
        self._forget = forget
        self._kind = kind
        self._number = number
        self._needs = tuple(needs)

    def __del__(self) -> None:
        self._forget(self._kind, self._number)


class HoldingBytes(bytes):
    """A pickle that keeps alive what it refers to by number."""

    needs: tuple[object, ...] = ()


def holding(data: bytes, needs: Iterable[object]) -> bytes:
    """The same bytes, holding these lifelines beside what they hold already."""
    more = tuple(needs)
    if not more:
        return data
    held = HoldingBytes(data)
    held.needs = (*getattr(data, "needs", ()), *more)
    return held
