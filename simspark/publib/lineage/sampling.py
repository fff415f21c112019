# ruff: noqa: D102 - one signature for all, whoever needs which argument; the class says what a call does
"""Random samples of rows, the same for the same seed, partition and rows: a retried task draws alike."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat
from math import exp, log, sqrt
from typing import TYPE_CHECKING, Any, TypeVar

from simspark.publib.named_tuple import NamedTuple

if TYPE_CHECKING:
    from random import Random

T = TypeVar("T")

_WARM_UP_DRAWS = 10
_PRODUCT_BELOW = 20.0  # a smaller exp(-mean) would lose precision
_SMALL_SAMPLE_BELOW = 12  # rows: a Poisson number with a mean below is too lopsided for five deviations
_FAILURE_RATE = 0.00005


class Sample(NamedTuple):
    """Rows drawn with probability ``fraction`` or, with replacement, ``fraction`` times each on average."""

    with_replacement: bool
    fraction: float
    seed: int

    def __call__(self, partition: int, rows: Iterator[T]) -> Iterator[T]:
        random = generator(self.seed, partition)
        if self.with_replacement:
            return chain.from_iterable(repeat(row, _poisson(random, self.fraction)) for row in rows)
        draw, fraction = random.random, self.fraction
        return (row for row in rows if draw() < fraction)


class Between(NamedTuple):
    """Rows whose draw is at least ``low`` and below ``high``: the parts of a random split."""

    low: float
    high: float
    seed: int

    def __call__(self, partition: int, rows: Iterator[T]) -> Iterator[T]:
        draw, low, high = generator(self.seed, partition).random, self.low, self.high
        return (row for row in rows if low <= draw() < high)


class SampleByKey(NamedTuple):
    """(key, value) rows drawn as by Sample, with the fraction of their key."""

    with_replacement: bool
    fractions: dict[Any, float]
    seed: int

    def __call__(self, partition: int, rows: Iterator[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        random, fractions = generator(self.seed, partition), self.fractions
        if self.with_replacement:
            return chain.from_iterable(
                repeat((key, value), _poisson(random, fractions[key])) for key, value in rows
            )
        draw = random.random
        return ((key, value) for key, value in rows if draw() < fractions[key])


def sampling_fraction(wanted: int, total: int, with_replacement: bool) -> float:
    """A fraction of ``total`` rows that draws at least ``wanted`` of them, but for one time in ten thousand.

    With replacement the size is a Poisson number: its mean is put five standard deviations above, or nine for a small
    one. Without, it is binomial, and Chernoff's bound says how far above.
    """
    share = wanted / total
    if with_replacement:
        deviations = 9 if wanted < _SMALL_SAMPLE_BELOW else 5
        return share + deviations * sqrt(share / total)
    gamma = -log(_FAILURE_RATE) / total
    return min(1, share + gamma + sqrt(gamma * gamma + 2 * gamma * share))


def generator(seed: int, partition: int) -> Random:
    """What a partition draws with."""
    from random import Random  # 5 ms that only those who sample pay

    random = Random(seed ^ partition)
    for _ in range(_WARM_UP_DRAWS):  # neighbouring seeds give alike first draws
        random.randint(0, 1)
    return random


def _poisson(random: Random, mean: float) -> int:
    """A Poisson number: by a product of uniform draws when the mean is small, by counting arrivals when not."""
    drawn = 0
    if mean < _PRODUCT_BELOW:
        floor = exp(-mean)
        product = random.random()
        while product > floor:
            drawn += 1
            product *= random.random()
        return drawn
    passed = random.expovariate(mean)
    while passed < 1.0:
        drawn += 1
        passed += random.expovariate(mean)
    return drawn
