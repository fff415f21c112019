"""Batches of small numpy arrays of one kind: they travel as one array, and come back one by one.

An array takes the pickler 2 µs and the unpickler 1 µs, whatever is in it; in one array of all they take a sixth. What
comes back is what pickling gives: arrays of their own memory, equal in type, shape and content. Whatever pickling
would keep and this would not is left alone: arrays of objects and structures, foreign byte orders, Fortran's order,
arrays that may not be written to, and one that is in the batch twice, which is one again when it is unpickled.

Nothing here imports numpy: where there are arrays it is there.
"""

from __future__ import annotations

from operator import attrgetter
from types import NoneType
from typing import Any

from simspark.publib.optimizations import uses

LEAST_ROWS = 8
MOST_BYTES = 4 << 10
"""Larger ones are written from where they are, each for itself."""

NUMBERS = frozenset("?bBhHiIlLqQefdgFDG")
C_ORDER, FORTRAN_ORDER, WRITEABLE = 0x1, 0x2, 0x400

_kind = attrgetter("dtype", "shape", "flags.num")
_metadata = attrgetter("dtype.metadata")


class OneArray:
    """What is pickled in place of a list of arrays; unpickled, it is the list."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    def __reduce__(self) -> Any:
        return one_by_one, (self.array,)


def one_by_one(array: Any) -> list[Any]:
    """The arrays that were joined, each with memory of its own: one that is kept does not keep the others."""
    return list(map(type(array).copy, array))


def in_one(rows: list[Any]) -> Any:
    """What to pickle in place of a list: one array of all, where that is the same and cheaper."""
    if not rows or type(rows[0]).__name__ != "ndarray" or not uses("arrays"):
        return rows
    if len(rows) < LEAST_ROWS or not _is_small_array(rows[0]):
        return rows
    if len(set(map(type, rows))) > 1 or len(set(map(id, rows))) < len(rows):
        return rows
    kinds = set(map(_kind, rows))
    if len({(dtype, shape) for dtype, shape, _ in kinds}) > 1 or not all(_is_plain(flags) for _, _, flags in kinds):
        return rows
    if set(map(type, map(_metadata, rows))) != {NoneType}:
        return rows
    import numpy as np

    return OneArray(np.concatenate(rows).reshape(len(rows), *rows[0].shape))


def _is_small_array(value: Any) -> bool:
    if type(value).__module__ != "numpy":
        return False
    dtype = value.dtype
    return value.ndim > 0 and 0 < value.nbytes < MOST_BYTES and dtype.char in NUMBERS and dtype.isnative


def _is_plain(flags: int) -> bool:
    return bool(flags & WRITEABLE) and (bool(flags & C_ORDER) or not flags & FORTRAN_ORDER)
