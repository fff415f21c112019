"""Random samples of rows, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from typing import TYPE_CHECKING, TypeVar

from simspark.driver.rdd.handle import Handle
from simspark.driver.user_errors import action
from simspark.publib.lineage import steps
from simspark.publib.lineage.sampling import Between, Sample, SampleByKey, sampling_fraction
from simspark.publib.lineage.sinks import Collect, Count

if TYPE_CHECKING:
    from simspark.driver.rdd.core import RDD

T = TypeVar("T", covariant=True)
K = TypeVar("K")
V = TypeVar("V")

LARGEST_SEED = (1 << 63) - 1
LARGEST_SAMPLE = LARGEST_SEED - int(10.0 * LARGEST_SEED**0.5)


class Samples(Handle[T]):
    """Rows drawn at random."""

    def sample(self, withReplacement: bool, fraction: float, seed: int | None = None) -> RDD[T]:
        """Rows drawn at random, each with chance ``fraction``, or so often on average with replacement.

        The same seed draws the same rows.

        >>> 6 <= sc.parallelize(range(100), 4).sample(False, 0.1, 81).count() <= 14
        True
        """
        if not fraction >= 0:
            raise ValueError("Fraction must be nonnegative.")
        sampler = Sample(withReplacement, fraction, _seed(seed))
        return self._step(steps.MapPartitionsWithIndex, sampler, "sample", keeps_partitioner=True)

    def sampleByKey(self: Handle[tuple[K, V]], withReplacement: bool, fractions: Mapping[K, float],
                    seed: int | None = None) -> RDD[tuple[K, V]]:
        """Rows drawn at random, each with the chance that ``fractions`` gives its key.

        The same seed draws the same rows. Raises AssertionError for a negative fraction; the job raises KeyError for
        a key that has none.

        >>> pairs = sc.parallelize([(number % 2, number) for number in range(200)], 2)
        >>> drawn = pairs.sampleByKey(False, {0: 0.1, 1: 1.0}, 5).countByKey()
        >>> drawn[0] < 25, drawn[1]
        (True, 100)
        """
        for fraction in fractions.values():
            if not fraction >= 0.0:
                raise AssertionError(f"Negative fraction value: {fraction}")
        sampler = SampleByKey(withReplacement, dict(fractions), _seed(seed))
        return self._step(steps.MapPartitionsWithIndex, sampler, "sampleByKey", keeps_partitioner=True)

    @action
    def takeSample(self, withReplacement: bool, num: int, seed: int | None = None) -> list[T]:
        """Bring ``num`` rows drawn at random, in random order; fewer if there are no more and none is drawn twice.

        The same seed draws the same rows. Raises ValueError if ``num`` is negative or above 2**63 - 3 * 10**10.

        >>> len(sc.parallelize(range(100), 3).takeSample(False, 20, 7))
        20
        >>> sorted(sc.parallelize([3, 1, 2]).takeSample(False, 5))
        [1, 2, 3]
        """
        if num < 0:
            raise ValueError("Sample size cannot be negative.")
        if num > LARGEST_SAMPLE:
            raise ValueError(f"Sample size cannot be greater than {LARGEST_SAMPLE}.")
        if num == 0 or self.getNumPartitions() == 0:
            return []
        total: int = sum(self._run(Count(), "takeSample"))
        return self._drawn(withReplacement, num, total, seed) if total else []

    def _drawn(self, with_replacement: bool, num: int, total: int, seed: int | None) -> list[T]:
        """``num`` of ``total`` rows. A sample that comes out too small, which is rare, is drawn again."""
        from random import Random

        random = Random(seed)
        if not with_replacement and num >= total:
            rows: list[T] = list(chain.from_iterable(self._run(Collect(), "takeSample")))
        else:
            fraction = sampling_fraction(num, total, with_replacement)
            rows = self._sampled(with_replacement, fraction, _seed(seed))
            while len(rows) < num:
                rows = self._sampled(with_replacement, fraction, random.randint(0, LARGEST_SEED))
        random.shuffle(rows)
        return rows[:num]

    def _sampled(self, with_replacement: bool, fraction: float, seed: int) -> list[T]:
        sampler = Sample(with_replacement, fraction, seed)
        drawn: Handle[T] = self._step(steps.MapPartitionsWithIndex, sampler, "takeSample")
        return list(chain.from_iterable(drawn._run(Collect(), "takeSample")))

    def randomSplit(self, weights: Sequence[float], seed: int | None = None) -> list[RDD[T]]:
        """Several RDDs among which the rows are dealt out at random, in proportion to the weights.

        >>> a, b = sc.parallelize(range(500), 1).randomSplit([2, 3], 17)
        >>> a.count() + b.count()
        500
        """
        if not all(weight >= 0 for weight in weights):
            raise ValueError("Weights must be nonnegative")
        total = float(sum(weights))
        if not total > 0:
            raise ValueError("Sum of weights must be positive")
        drawn = _seed(seed)
        bounds = [0.0]
        for weight in weights:
            bounds.append(bounds[-1] + weight / total)
        bounds[-1] = max(1.0, bounds[-1])
        return [
            self._step(steps.MapPartitionsWithIndex, Between(low, high, drawn), "randomSplit", True)
            for low, high in pairwise(bounds)
        ]


def _seed(given: int | None) -> int:
    from random import randint

    return randint(0, LARGEST_SEED) if given is None else given
