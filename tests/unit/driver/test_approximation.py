"""Estimates from some of the partitions: the numbers that Spark gives for the same ones."""

from __future__ import annotations

import pickle
from math import inf

import pytest

from simspark.driver.approximation import check_confidence, mean_of_all, student_quantile, sum_of_all
from simspark.publib.lineage.bounded_float import BoundedFloat
from simspark.publib.lineage.stat_counter import StatCounter


def bounds(number: BoundedFloat) -> tuple[float, float, float, float]:
    return number.mean, number.confidence, number.low, number.high


def test_two_of_three_partitions_give_spark_s_bounds_of_the_sum():
    assert bounds(sum_of_all([45.0, 245.0], 3, 0.95)) == pytest.approx((435.0, 0.95, -2586.2325098, 3456.2325098))


def test_ten_rows_give_spark_s_bounds_of_the_mean():
    seen = StatCounter(map(float, range(10)))
    assert bounds(mean_of_all(seen, 1, 3, 0.95)) == pytest.approx((4.5, 0.95, 2.3341494103, 6.6658505896))


def test_many_rows_have_the_normal_distribution():
    seen = StatCounter([0.0, 1.0] * 5000)
    low, high = bounds(mean_of_all(seen, 1, 3, 0.95))[2:]
    assert (low, high) == pytest.approx((0.5 - 1.959964 * 0.005, 0.5 + 1.959964 * 0.005), rel=1e-6)


def test_all_partitions_are_exact():
    assert bounds(sum_of_all([0.1] * 10, 10, 0.5)) == (1.0, 1.0, 1.0, 1.0)
    assert bounds(mean_of_all(StatCounter([1.0, 2.0]), 2, 2, 0.5)) == (1.5, 1.0, 1.5, 1.5)
    assert bounds(sum_of_all([], 0, 0.5)) == (0.0, 1.0, 0.0, 0.0)
    assert bounds(mean_of_all(StatCounter(), 3, 3, 0.5)) == (0.0, 1.0, 0.0, 0.0)


def test_nothing_seen_says_nothing():
    assert bounds(sum_of_all([], 4, 0.9)) == (0.0, 0.0, -inf, inf)
    assert bounds(mean_of_all(StatCounter(), 2, 4, 0.9)) == (0.0, 0.0, -inf, inf)


def test_one_value_has_no_bounds():
    assert bounds(sum_of_all([5.0], 4, 0.9)) == (20.0, 0.9, -inf, inf)
    assert bounds(mean_of_all(StatCounter([5.0]), 1, 4, 0.9)) == (5.0, 0.9, -inf, inf)


def test_certainty_has_no_bounds():
    assert bounds(sum_of_all([5.0, 6.0], 4, 1.0))[2:] == (-inf, inf)


@pytest.mark.parametrize(("confidence", "degrees", "quantile"), [
    (0.95, 1, 12.7062), (0.95, 2, 4.30265), (0.95, 3, 3.18245), (0.99, 4, 4.60409), (0.9, 9, 1.83311),
    (0.95, 30, 2.04227), (0.95, 99, 1.98422), (0.5, 7, 0.711142),
])  # fmt: skip
def test_quantiles_of_student_s_distribution_are_those_of_the_tables(confidence: float, degrees: int, quantile: float):
    assert student_quantile(confidence, degrees) == pytest.approx(quantile, rel=1e-5)


@pytest.mark.parametrize("confidence", [-0.1, 1.5])
def test_no_probability_is_refused(confidence: float):
    with pytest.raises(ValueError, match=rf"confidence \({confidence}\) must be in \[0,1\]"):
        check_confidence(confidence)


def test_a_bounded_number_travels():
    number = pickle.loads(pickle.dumps(BoundedFloat(2.0, 0.9, 1.0, 3.0)))
    assert bounds(number) == (2.0, 0.9, 1.0, 3.0)
    assert number + 1 == 3.0
