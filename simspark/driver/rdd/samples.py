"""Random samples of rows, the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from simspark.driver.rdd.handle import Handle
from simspark.publib.lineage import steps
from simspark.publib.lineage.sampling import Between, Sample

if TYPE_CHECKING:
    from simspark.driver.rdd.core import RDD

T = TypeVar("T")

LARGEST_SEED = (1 << 63) - 1


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

    def randomSplit(self, weights: Sequence[float], seed: int | None = None) -> list[RDD[T]]:
        """Several RDDs among which the rows are dealt out at random, in proportion to the weights.

        >>> a, b = sc.parallelize(range(500), 1).randomSplit([2, 3], 17)
        >>> a.count() + b.count()
        500
        """
        total = float(sum(weights))
        if any(weight < 0 for weight in weights):
            raise ValueError("Weights must be nonnegative")
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
