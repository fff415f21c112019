"""Where each instruction of a code object is in its source, in the form that code objects hold it.

The form is CPython's since 3.11: for each stretch of at most eight instructions a byte with its length and the form
of what follows: line, end line and columns as numbers of six bits a byte, lines as differences.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

Position = tuple[int | None, int | None, int | None, int | None]

_FULL = 14
_LINE_ONLY = 13
_LONGEST = 8


def encode_positions(positions: Iterable[Position], first_line: int) -> bytes:
    """The table for (line, end line, column, end column) of each instruction, caches included."""
    table = bytearray()
    before = first_line
    for (line, end_line, column, end_column), stretch in groupby(positions):
        left = sum(1 for _ in stretch)
        here = before if line is None else line
        while left:
            length = min(left, _LONGEST)
            full = end_line is not None and column is not None and end_column is not None
            table.append(0x80 | (_FULL if full else _LINE_ONLY) << 3 | length - 1)
            table += _number(abs(here - before) << 1 | (here < before))
            if end_line is not None and column is not None and end_column is not None:
                table += _number(end_line - here) + _number(column + 1) + _number(end_column + 1)
            before = here
            left -= length
    return bytes(table)


def _number(value: int) -> bytes:
    made = bytearray()
    while value > 0x3F:  # six bits
        made.append(0x40 | value & 0x3F)
        value >>= 6
    made.append(value)
    return bytes(made)
