# ruff: noqa: D102 - one signature for all, whoever needs which argument; the class says what a call does
"""Histograms: where buckets lie, and how many rows fall into each.

Buckets are given by their bounds, ascending. Each holds the rows from its lower bound to below its upper one, the last
one its upper bound too. None and NaN are in no bucket. Where all buckets are equally wide, a division finds a row's
bucket, elsewhere a search.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from math import isinf, isnan
from typing import Any

from simspark.publib.named_tuple import NamedTuple

WINDOW_ROWS = 1000
EVEN_WITHIN = 1e-10


class Extent(NamedTuple):
    """How many rows can be compared, the least and the greatest of them."""

    rows: int
    low: Any
    high: Any


class FindExtent:
    """The extent of a partition: a list of one, or empty if there is no row that can be compared."""

    def __call__(self, partition: int, rows: Iterator[Any]) -> list[Extent]:
        extents: list[Extent] = []
        while window := list(islice(rows, WINDOW_ROWS)):
            known = [row for row in window if not (row is None or (isinstance(row, float) and isnan(row)))]
            if known:
                extents = joined([*extents, Extent(len(known), min(known), max(known))])
        return extents


def joined(extents: Sequence[Extent]) -> list[Extent]:
    """The extent of all of these together, in a list; empty if there are none."""
    if not extents:
        return []
    lows, highs = [each.low for each in extents], [each.high for each in extents]
    return [Extent(sum(each.rows for each in extents), min(lows), max(highs))]


def is_missing(row: Any) -> bool:
    """Whether a row is None or not a number."""
    return row is None or (isinstance(row, float) and isnan(row))


class Buckets(NamedTuple):
    """Bounds, and the width of each bucket if they are equally wide. Called with rows, counts them."""

    bounds: Sequence[Any]
    width: Any = None

    def __call__(self, partition: int, rows: Iterator[Any]) -> list[int]:
        bounds, width = self.bounds, self.width
        low, high = bounds[0], bounds[-1]
        counts = [0] * len(bounds)
        for row in rows:
            if row is None or (isinstance(row, float) and isnan(row)) or row > high or row < low:
                continue
            counts[bisect_right(bounds, row) - 1 if width is None else int((row - low) / width)] += 1
        last = counts.pop()
        counts[-1] += last
        return counts


def even_buckets(low: Any, high: Any, number: int) -> Buckets:
    """Buckets of the same width between two numbers, whole ones where that is possible.

    Raises TypeError for what cannot be subtracted and divided, ValueError between infinities.
    """
    try:
        width = (high - low) / number
    except TypeError:
        raise TypeError("Can not generate buckets with non-number in RDD") from None
    if isinf(width):
        raise ValueError("Can not generate buckets with infinite value")
    whole = int(width)
    width = whole if whole * number == high - low else (high - low) * 1.0 / number
    return Buckets([*(place * width + low for place in range(number)), high], width)


def buckets_between(bounds: Sequence[Any]) -> Buckets:
    """Buckets with these bounds. Raises ValueError unless they are two or more, known, ascending and different."""
    if len(bounds) < 2:
        raise ValueError("buckets should have more than one value")
    if any(map(is_missing, bounds)):
        raise ValueError("can not have None or NaN in buckets")
    if sorted(bounds) != list(bounds):
        raise ValueError("buckets should be sorted")
    if len(set(bounds)) != len(bounds):
        raise ValueError("buckets should not contain duplicated values")
    try:
        widths = [right - left for left, right in pairwise(bounds)]
        even = max(widths) - min(widths) < EVEN_WITHIN
    except TypeError:
        even = False
    return Buckets(bounds, (bounds[-1] - bounds[0]) / (len(bounds) - 1) if even else None)


def added(counts: Iterable[Sequence[int]]) -> list[int]:
    """The counts of several partitions, bucket by bucket."""
    return [sum(column) for column in zip(*counts, strict=True)]
