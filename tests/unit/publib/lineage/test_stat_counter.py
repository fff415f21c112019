"""Statistics in one pass: what each figure is, and that merging counters is counting all values."""

from __future__ import annotations

import math
import statistics
from random import Random
from typing import Any

import pytest

from simspark.publib.lineage.stat_counter import StatCounter

VALUES = [3.5, -1.0, 4.25, 1e6, 0.0, 7.0, 7.0]


class Array:
    """As much of numpy's array as the counter asks of it."""

    dtype = "float64"

    def __init__(self, *values: float) -> None:
        self.values = values
        self.ndim = 1

    def _with(self, other: Any, function: Any) -> Array:
        others = other.values if isinstance(other, Array) else [other] * len(self.values)
        return Array(*map(function, self.values, others))

    def __add__(self, other: Any) -> Array:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Any) -> Array:
        return self._with(other, lambda a, b: a - b)

    def __mul__(self, other: Any) -> Array:
        return self._with(other, lambda a, b: a * b)

    def __truediv__(self, other: Any) -> Array:
        return self._with(other, lambda a, b: a / b)

    def __pow__(self, other: Any) -> Array:
        return self._with(other, lambda a, b: a**b)

    __radd__, __rmul__ = __add__, __mul__


def test_figures_are_those_of_the_statistics_module() -> None:
    counter = StatCounter(VALUES)
    assert counter.count() == 7
    assert counter.mean() == pytest.approx(statistics.fmean(VALUES))
    assert counter.sum() == pytest.approx(sum(VALUES))
    assert counter.variance() == pytest.approx(statistics.pvariance(VALUES))
    assert counter.sampleVariance() == pytest.approx(statistics.variance(VALUES))
    assert counter.stdev() == pytest.approx(statistics.pstdev(VALUES))
    assert counter.sampleStdev() == pytest.approx(statistics.stdev(VALUES))
    assert (counter.min(), counter.max()) == (-1.0, 1e6)


@pytest.mark.parametrize("cut", range(8))
def test_merged_counters_are_the_counter_of_all(cut: int) -> None:
    left, right = StatCounter(VALUES[:cut]), StatCounter(VALUES[cut:])
    assert left.mergeStats(right) is left
    assert left.asDict() == pytest.approx(StatCounter(VALUES).asDict())


def test_merging_a_counter_into_a_large_one_keeps_the_mean() -> None:
    large, small = [float(number) for number in range(100)], [1000.0, 2000.0]
    for first, second in ((large, small), (small, large)):
        counter = StatCounter(first).mergeStats(StatCounter(second))
        assert counter.asDict() == pytest.approx(StatCounter(large + small).asDict())


def test_a_counter_merged_with_itself_counts_twice() -> None:
    counter = StatCounter([1.0, 3.0])
    counter.mergeStats(counter)
    assert (counter.count(), counter.mean(), counter.variance()) == (4, 2.0, 1.0)


def test_only_counters_merge() -> None:
    with pytest.raises(TypeError, match="Can only merge StatCounter but got <class 'int'>"):
        StatCounter([1]).mergeStats(3)  # type: ignore[arg-type]


def test_without_values_there_is_no_variance() -> None:
    counter = StatCounter()
    assert (counter.count(), counter.mean(), counter.sum()) == (0, 0.0, 0.0)
    assert (counter.min(), counter.max()) == (math.inf, -math.inf)
    assert all(map(math.isnan, (counter.variance(), counter.stdev(), counter.sampleVariance(), counter.sampleStdev())))
    assert math.isnan(StatCounter([1.0]).sampleVariance())


def test_as_dict_chooses_between_the_variances_as_pyspark_does() -> None:
    counter = StatCounter([1.0, 3.0])
    assert counter.asDict() == {"count": 2, "mean": 2.0, "sum": 4.0, "min": 1.0, "max": 3.0,
                                "stdev": math.sqrt(2), "variance": 2.0}
    assert counter.asDict(sample=True)["variance"] == 1.0
    assert counter.asDict(True)["stdev"] == 1.0  # noqa: FBT003


def test_copies_are_independent() -> None:
    first = StatCounter([1.0])
    second = first.copy()
    second.merge(5.0)
    assert (first.count(), second.count()) == (1, 2)


def test_merging_into_an_empty_counter_copies() -> None:
    full = StatCounter([1.0])
    empty = StatCounter().mergeStats(full)
    empty.merge(2.0)
    assert full.count() == 1


def test_arrays_are_counted_element_by_element(monkeypatch: pytest.MonkeyPatch) -> None:
    numpy = type(math)("numpy")
    numpy.maximum = lambda a, b: b._with(a, max)  # type: ignore[attr-defined]
    numpy.minimum = lambda a, b: b._with(a, min)  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "numpy", numpy)
    counter = StatCounter([Array(1.0, 10.0), Array(3.0, -10.0)])
    assert counter.mean().values == (2.0, 0.0)
    assert counter.variance().values == (1.0, 100.0)
    assert counter.stdev().values == (1.0, 10.0)
    assert counter.max().values == (3.0, 10.0)
    assert counter.min().values == (1.0, -10.0)


def test_it_shows_its_figures() -> None:
    assert repr(StatCounter([1.0, 3.0])) == "(count: 2, mean: 2.0, stdev: 1.0, max: 3.0, min: 1.0)"


ODD: list[Any] = [0.1, -0.0, 0, True, 1e308, -1e308, 3, 2**70, math.inf, -math.inf, math.nan, 7, 0.1]


@pytest.mark.parametrize("seed", range(40))
def test_a_counter_of_many_values_is_to_the_last_bit_what_merging_each_gives(seed: int) -> None:
    random = Random(seed)
    values = random.choices(ODD, k=30) if seed % 2 else [random.gauss(1e6, 1e-3) for _ in range(1000)]
    one_by_one = StatCounter()
    for value in values:
        one_by_one.merge(value)
    assert repr(vars(StatCounter(iter(values)))) == repr(vars(one_by_one))


def test_arrays_may_come_after_numbers() -> None:
    np = pytest.importorskip("numpy")
    values = [2.0, np.float64(5), np.array([1.0, 7.0]), 3.0, np.array([-1.0, 0.0])]
    one_by_one = StatCounter()
    for value in values:
        one_by_one.merge(value)
    assert repr(vars(StatCounter(values))) == repr(vars(one_by_one))


def test_a_counter_of_its_own_kind_merges_each_value_itself() -> None:
    class Doubling(StatCounter):
        def merge(self, value: Any) -> StatCounter:
            return super().merge(2 * value)

    assert Doubling([1, 2]).sum() == 6
