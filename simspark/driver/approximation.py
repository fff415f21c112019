"""What some of the partitions say about all of them.

Partitions that are done are taken for a sample of all. With n of N done, the share p = n/N was seen; how many values
were not seen is taken to be n (1-p)/p with the variance n (1-p)/p^2 of a negative binomial distribution. A mean has the
normal distribution, or Student's t while the sample has at most 100 values. These are the estimators of Spark's
approximate actions, so the same finished partitions give the same bounds. (Student's t with a whole number of degrees
of freedom: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, fsum, inf, isnan, pi, sin, sqrt, tan

from simspark.publib.lineage.bounded_float import BoundedFloat
from simspark.publib.lineage.stat_counter import StatCounter

NORMAL_ABOVE = 100
_HALVINGS = 60
_UNKNOWN = (0.0, 0.0, -inf, inf)


def check_confidence(confidence: float) -> None:
    """Raise ValueError for what is no probability."""
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence ({confidence}) must be in [0,1]")


def sum_of_all(sums: Sequence[float], partitions: int, confidence: float) -> BoundedFloat:
    """The sum over all partitions, from the sums of some."""
    if len(sums) == partitions:
        total = fsum(sums)
        return BoundedFloat(total, 1.0, total, total)
    if not sums:
        return BoundedFloat(*_UNKNOWN)
    seen = StatCounter(sums)
    share = len(sums) / partitions
    unseen = len(sums) * (1 - share) / share
    estimate = fsum(sums) + seen.mean() * unseen
    variance = seen.sampleVariance() / len(sums)
    if isnan(variance):
        return BoundedFloat(estimate, confidence, -inf, inf)
    unseen_variance = len(sums) * (1 - share) / share**2
    spread = sqrt(seen.mean() ** 2 * unseen_variance + unseen**2 * variance + variance * unseen_variance)
    reach = _reach(confidence, len(sums), spread)
    return BoundedFloat(estimate, confidence, estimate - reach, estimate + reach)


def mean_of_all(seen: StatCounter, done: int, partitions: int, confidence: float) -> BoundedFloat:
    """The mean over all rows, from the statistics of those in ``done`` partitions."""
    if done == partitions:
        mean = float(seen.mean())
        return BoundedFloat(mean, 1.0, mean, mean)
    if not seen.count():
        return BoundedFloat(*_UNKNOWN)
    mean = float(seen.mean())
    if seen.count() == 1:
        return BoundedFloat(mean, confidence, -inf, inf)
    reach = _reach(confidence, seen.count(), sqrt(seen.sampleVariance() / seen.count()))
    return BoundedFloat(mean, confidence, mean - reach, mean + reach)


def _reach(confidence: float, values: int, deviation: float) -> float:
    """How far from the estimate the bounds are: infinitely far, if they must never be wrong."""
    if confidence == 1:
        return inf
    if values > NORMAL_ABOVE:
        from statistics import NormalDist

        return NormalDist().inv_cdf((1 + confidence) / 2) * deviation
    return student_quantile(confidence, values - 1) * deviation


def student_quantile(confidence: float, degrees: int) -> float:
    """The t that a variable with Student's distribution does not exceed, either way, with this probability."""
    low, high = 0.0, pi / 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _within(middle, degrees) < confidence:
            low = middle
        else:
            high = middle
    return sqrt(degrees) * tan((low + high) / 2)


def _within(angle: float, degrees: int) -> float:
    """P(|T| <= t), where t = sqrt(degrees) * tan(angle)."""
    square = cos(angle) ** 2
    odd = degrees % 2
    term = cos(angle) if odd else 1.0
    series = 0.0
    for step in range(odd + 1, degrees, 2):
        series += term
        term *= square * step / (step + 1)
    series *= sin(angle)
    return 2 / pi * (angle + series) if odd else series
