"""Merging sorted runs block by block: what can be given out is concatenated and sorted, which C does in runs.

Each run is held by its block, a sorted list. The block that ends first bounds what may be given out: all rows of all
blocks that come before its last row. These are concatenated in the order of the runs and sorted, which is stable and
finds the runs again; then the next block of that run takes its place. So a row costs no comparison in Python and no
frame, and of each run no more than a block is in memory.

Rows with equal keys come in the order of the runs. For the rows that equal the last row of the block that ends first,
that of run r: runs before r have all of theirs in their blocks (else theirs would be the block that ends first), and
give them out; runs behind r keep theirs until those of r have come, whose next block may begin with more.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Block = list[Any]
Key = Callable[[Any], Any]


class _Run:
    """One run: its block, from where on its rows are still to be given out, and the blocks to come."""

    __slots__ = ("_blocks", "last", "rows", "start")

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks = iter(blocks)
        self.rows: Block = []
        self.start = 0
        self.last: Any = None

    def next_block(self, key: Key) -> bool:
        """Take the next block that has rows; whether there was one."""
        self.rows = []
        for rows in self._blocks:
            if rows:
                self.rows, self.start, self.last = rows, 0, key(rows[-1])
                return True
        return False

    def take(self, stop: int) -> Block:
        """The rows up to ``stop``, which are given out."""
        start, self.start = self.start, stop
        return self.rows if not start and stop == len(self.rows) else self.rows[start:stop]


def merge_blocks(runs: Iterable[Iterable[Block]], key: Key, reverse: bool = False) -> Iterator[Block]:
    """The rows of runs that are sorted by ``key``, descending if ``reverse``, as sorted blocks; stable.

    Each run is an iterable of lists, which are not changed.
    """
    open_runs = [run for run in map(_Run, runs) if run.next_block(key)]
    while open_runs:
        ends_first = _ends_first(open_runs, reverse)
        bound = open_runs[ends_first].last
        block: Block = []
        for number, run in enumerate(open_runs):
            if number == ends_first:
                stop = len(run.rows)
            else:
                stop = end_of(bound, run.rows, key, reverse, with_equal=number < ends_first, start=run.start)
            block += run.take(stop)
        block.sort(key=key, reverse=reverse)
        yield block
        del block
        if not open_runs[ends_first].next_block(key):
            del open_runs[ends_first]


def _ends_first(runs: list[_Run], reverse: bool) -> int:
    """The run whose block ends first; of equal ones the first."""
    found, bound = 0, runs[0].last
    for number, run in enumerate(runs):
        if (bound < run.last) if reverse else (run.last < bound):
            found, bound = number, run.last
    return found


def end_of(bound: Any, rows: Block, key: Key, reverse: bool, *, with_equal: bool, start: int = 0) -> int:
    """Where the rows that come before ``bound`` end, in sorted ``rows`` from ``start`` on; with those that equal it.

    Only ``<`` is asked of keys.
    """
    if not reverse:
        return (bisect_right if with_equal else bisect_left)(rows, bound, start, key=key)
    if with_equal:
        return bisect_left(range(len(rows)), True, start, key=lambda at: key(rows[at]) < bound)
    return bisect_left(range(len(rows)), True, start, key=lambda at: not bound < key(rows[at]))
