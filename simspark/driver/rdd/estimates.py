"""Actions that answer about, in bounded time or memory."""

from __future__ import annotations

from functools import reduce
from typing import Any, TypeVar

from simspark.driver.rdd.handle import Handle, PartitionFunction
from simspark.driver.user_errors import action
from simspark.publib.lineage.bounded_float import BoundedFloat
from simspark.publib.lineage.result_functions import Distinct, Statistics
from simspark.publib.lineage.sinks import Count, Sum
from simspark.publib.lineage.stat_counter import StatCounter
from simspark.publib.lineage.steps import Map

T = TypeVar("T", covariant=True)

LEAST_DEVIATION = 0.000017


class Estimates(Handle[T]):
    """Numbers that are near the truth, and how near."""

    @action
    def countApprox(self, timeout: int, confidence: float = 0.95) -> int:
        """Count the rows for ``timeout`` milliseconds at most, and estimate what could not be counted by then.

        The estimate grows the count of the partitions that are done to all partitions; 0 if none is. The rest of the
        job is cancelled. Raises ValueError if ``confidence`` is no probability.

        >>> sc.parallelize(range(1000), 10).countApprox(60_000)
        1000
        """
        return int(self._sum_approx(Count(), "countApprox", timeout, confidence))

    @action
    def sumApprox(self, timeout: int, confidence: float = 0.95) -> BoundedFloat:
        """Add up the rows for ``timeout`` milliseconds at most, and estimate what could not be added by then.

        The result lies between its ``low`` and ``high`` with a probability of ``confidence``; when all partitions were
        done it is exact. The rest of the job is cancelled. Raises ValueError if ``confidence`` is no probability.

        >>> total = sc.parallelize(range(1000), 10).sumApprox(60_000)
        >>> total, total.low, total.high, total.confidence
        (499500.0, 499500.0, 499500.0, 1.0)
        """
        return self._sum_approx(Sum(), "sumApprox", timeout, confidence)

    @action
    def meanApprox(self, timeout: int, confidence: float = 0.95) -> BoundedFloat:
        """Average the rows for ``timeout`` milliseconds at most: the mean of those in the partitions done by then.

        The result lies between its ``low`` and ``high`` with a probability of ``confidence``; when all partitions were
        done it is exact. The rest of the job is cancelled. Raises ValueError if ``confidence`` is no probability.

        >>> mean = sc.parallelize(range(1000), 10).meanApprox(60_000)
        >>> mean, mean.confidence
        (499.5, 1.0)
        """
        from simspark.driver.approximation import check_confidence, mean_of_all

        check_confidence(confidence)
        seen = StatCounter()
        numbers: Estimates[Any] = self._step(Map, float, "meanApprox")
        done = numbers._run_for(timeout, Statistics(), "meanApprox")
        for part in done:
            seen.mergeStats(part)
        return mean_of_all(seen, len(done), self.getNumPartitions(), confidence)

    def _sum_approx(self, function: PartitionFunction, operation: str, timeout: int,
                    confidence: float) -> BoundedFloat:
        from simspark.driver.approximation import check_confidence, sum_of_all

        check_confidence(confidence)
        sums = [float(part) for part in self._run_for(timeout, function, operation)]
        return sum_of_all(sums, self.getNumPartitions(), confidence)

    def _run_for(self, timeout: int, function: PartitionFunction, operation: str) -> list[Any]:
        """Run a job for so many milliseconds; the values of the partitions that are done then, in their order."""
        started = self._prepare(function, operation).start(range(self.getNumPartitions()))
        done = started.wait_partially(timeout / 1000)
        return [done[partition] for partition in sorted(done)]

    # ── how many different rows ──────────────────────────────────────────────────────────────────

    @action
    def countApproxDistinct(self, relativeSD: float = 0.05) -> int:
        """Count the different rows, about: with a standard deviation of ``relativeSD`` times their number.

        A task and the driver need about ``1 / relativeSD**2`` bytes for it. Equal rows count once: 1, 1.0 and True are
        one. Raises ValueError below 0.000017; the job raises TypeError for rows that cannot be keys.

        >>> 950 < sc.parallelize(range(1000), 4).map(lambda x: x % 997).countApproxDistinct(0.01) < 1050
        True
        """
        if relativeSD < LEAST_DEVIATION:
            raise ValueError("relativeSD should be greater than 0.000017")
        from simspark.publib.lineage.hyperloglog import HyperLogLog, precision_for

        precision = precision_for(relativeSD)
        sketches = self._run(Distinct(precision), "countApproxDistinct")
        return reduce(HyperLogLog.merge, sketches, HyperLogLog(precision)).estimate()
