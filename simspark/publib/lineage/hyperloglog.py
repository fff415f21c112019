"""How many different values there are, about, in little memory: HyperLogLog.

Flajolet, Fusy, Gandouet and Meunier, "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm"
(2007). A value's hash chooses one of ``2**precision`` registers and offers it a rank: the place of the first one bit
among its other bits. A register keeps the highest rank that it was offered, so offering again changes nothing, and
registers are merged by taking the higher. The number is read off by Ertl's improved estimator, "New cardinality
estimation algorithms for HyperLogLog sketches" (2017), which is good over the whole range and needs no tables. Its
relative standard deviation is about ``1.04 / sqrt(registers)``.

What matters more than the estimator is the hash: 64 bits that look random, equal for values that are equal (1, 1.0 and
True are one value) and in every executor. Python's own hashes of numbers are far from random, those of tuples collide
soon, and None, 0, "" and NaN all have 0; so they are told apart by type and mixed, and tuples item by item.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import ceil, inf, log, log2, sqrt
from typing import Any

from simspark.publib.hashing import portable_hash

LEAST_PRECISION = 4
HASH_BITS = 64
DEVIATION = 1.04
NO_NUMBER = 1 << 62  # between the hashes of numbers, which are below 2**61 or negative
ENTRY_BYTES = 128  # of a register that is kept in a dict
LEAST_APART = 512  # where a dict would save less than that many entries, it is not begun

_MASK = (1 << HASH_BITS) - 1
_TUPLE_START = 0x9E3779B97F4A7C15


def precision_for(deviation: float) -> int:
    """The fewest address bits whose relative standard deviation is at most this."""
    return max(LEAST_PRECISION, ceil(2 * log2(DEVIATION / deviation)))


class HyperLogLog:
    """Registers of the values that were added. Few of many registers are kept apart, so that no task pays for all.

    >>> sketch = HyperLogLog(9)
    >>> sketch.add_all(range(3))
    >>> sketch.add_all([1, 2.0, True])
    >>> sketch.estimate()
    3
    """

    __slots__ = ("few", "precision", "registers")

    def __init__(self, precision: int) -> None:
        self.precision = precision
        self.few: dict[int, int] = {}
        self.registers: bytearray | None = None
        self._settle()

    def add_all(self, values: Iterable[Any]) -> None:
        """Add values. Raises TypeError for those that have no portable hash."""
        rest_bits = HASH_BITS - self.precision
        rest_mask = (1 << rest_bits) - 1
        last_rank = rest_bits + 1
        offer = self._offer
        for value in values:
            hashed = value_hash(value)
            offer(hashed >> rest_bits, last_rank - (hashed & rest_mask).bit_length())

    def merge(self, other: HyperLogLog) -> HyperLogLog:
        """Add what another one of the same precision has seen."""
        if self.registers is not None and other.registers is not None:
            self.registers = bytearray(map(max, self.registers, other.registers))
            return self
        for place, rank in other.few.items() if other.registers is None else enumerate(other.registers):
            if rank:
                self._offer(place, rank)
        return self

    def estimate(self) -> int:
        """How many different values were added, about."""
        size = 1 << self.precision
        ranks = self._ranks(size)
        last = HASH_BITS - self.precision + 1
        total = size * _tau(1.0 - ranks[last] / size)
        for rank in range(last - 1, 0, -1):
            total = 0.5 * (total + ranks[rank])
        total += size * _sigma(ranks[0] / size)
        return round(size * size / (2 * log(2) * total))

    def _offer(self, place: int, rank: int) -> None:
        if self.registers is not None:
            self.registers[place] = max(self.registers[place], rank)
        elif self.few.get(place, 0) < rank:
            self.few[place] = rank
            self._settle()

    def _settle(self) -> None:
        """Keep all registers in one place, if that takes less."""
        size = 1 << self.precision
        if (len(self.few) + LEAST_APART) * ENTRY_BYTES < size:
            return
        self.registers = bytearray(size)
        for place, rank in self.few.items():
            self.registers[place] = rank
        self.few = {}

    def _ranks(self, size: int) -> Counter[int]:
        """How many registers have each rank."""
        if self.registers is not None:
            return Counter(self.registers)
        ranks = Counter(self.few.values())
        ranks[0] = size - len(self.few)
        return ranks


def value_hash(value: Any) -> int:
    """64 bits of a value that look random: equal for equal values, in every executor."""
    if isinstance(value, tuple):
        mixed = _TUPLE_START
        for item in value:
            mixed = _mixed(mixed ^ value_hash(item))
        return _mixed(mixed ^ len(value))
    hashed = portable_hash(value)
    if not hashed:
        return _mixed(NO_NUMBER + _zero_of(value))
    if hashed == -2 and value == -1:
        hashed = -1
    return _mixed(hashed & _MASK)


def _zero_of(value: Any) -> int:
    """Something else for each kind of value whose hash is 0."""
    if value is None:
        return 1
    if isinstance(value, str):
        return 2
    if isinstance(value, bytes):
        return 3
    return 4 if value == 0 else 5  # NaN


def _mixed(bits: int) -> int:
    """A permutation of 64 bits in which each bit depends on all: the finalizer of Steele's SplitMix64."""
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & _MASK
    return bits ^ bits >> 31


def _sigma(share: float) -> float:
    """Ertl's correction for registers that nothing was offered to."""
    if share == 1.0:
        return inf
    power, factor, total = share, 1.0, share
    while True:
        power *= power
        before = total
        total += power * factor
        factor += factor
        if total == before:
            return total


def _tau(share: float) -> float:
    """Ertl's correction for registers that have the highest rank."""
    if share in {0.0, 1.0}:
        return 0.0
    root, factor, total = share, 1.0, 1.0 - share
    while True:
        root = sqrt(root)
        before = total
        factor *= 0.5
        total -= (1.0 - root) ** 2 * factor
        if total == before:
            return total / 3
