# ruff: noqa: D102 - one signature for all, whoever needs which argument; the class says what a call does
"""Rows dealt out evenly to partitions, whatever their keys.

Each partition deals its rows in turn, ten at a time, from a start drawn at random with the partition's index as seed:
otherwise small partitions would all begin with the same one. The draw is Spark's (a xorshift generator seeded with
MurmurHash3 of the index), so that repartitioned RDDs have Spark's partitions.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count, islice
from typing import Any

from simspark.publib.named_tuple import NamedTuple

RUN_ROWS = 10

_MASK32 = (1 << 32) - 1
_MASK64 = (1 << 64) - 1
_MASK31 = (1 << 31) - 1
_ARRAY_SEED = 0x3C074A61


class Spread(NamedTuple):
    """(partition, row) for each row, the partitions in turn."""

    partitions: int

    def __call__(self, partition: int, rows: Iterator[Any]) -> Iterator[tuple[int, Any]]:
        runs = iter(lambda: tuple(islice(rows, RUN_ROWS)), ())
        places = count(_first_draw(partition, self.partitions) + 1)
        return chain.from_iterable(
            ((place % self.partitions, row) for row in run) for run, place in zip(runs, places, strict=False)
        )


def _first_draw(index: int, bound: int) -> int:
    """A number below ``bound``, drawn evenly."""
    state = _seed(index)
    while True:
        state ^= (state << 21) & _MASK64
        state ^= state >> 35
        state ^= (state << 4) & _MASK64
        bits = state & _MASK31
        if bound & -bound == bound:
            return (bound * bits) >> 31
        drawn = bits % bound
        if bits - drawn + bound - 1 <= _MASK31:
            return drawn


def _seed(index: int) -> int:
    data = index.to_bytes(8, "big")
    low = _murmur3(data, _ARRAY_SEED)
    return _murmur3(data, low) << 32 | low


def _murmur3(data: bytes, seed: int) -> int:
    """MurmurHash3 in 32 bits, of whole words."""
    value = seed
    for start in range(0, len(data), 4):
        word = int.from_bytes(data[start : start + 4], "little") * 0xCC9E2D51 & _MASK32
        value ^= _rotated(word, 15) * 0x1B873593 & _MASK32
        value = (_rotated(value, 13) * 5 + 0xE6546B64) & _MASK32
    value ^= len(data)
    value = (value ^ value >> 16) * 0x85EBCA6B & _MASK32
    value = (value ^ value >> 13) * 0xC2B2AE35 & _MASK32
    return value ^ value >> 16


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> 32 - bits) & _MASK32
