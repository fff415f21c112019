"""Estimates in bounded time: exact when the time suffices, from the finished partitions when it does not."""

from __future__ import annotations

import math
from typing import Any

import pytest

from simspark.driver.job import RunningJob
from simspark.publib.lineage.bounded_float import BoundedFloat

from .gates import Gate, wait_until

ENOUGH_MS = 600_000


def test_with_enough_time_the_answers_are_exact(sc: Any) -> None:
    rdd = sc.parallelize(range(1000), 10)
    assert rdd.countApprox(ENOUGH_MS) == 1000
    for number, exact in ((rdd.sumApprox(ENOUGH_MS, 0.5), 499500.0), (rdd.meanApprox(ENOUGH_MS, 0.5), 499.5)):
        assert isinstance(number, BoundedFloat)
        assert (number.mean, number.low, number.high, number.confidence) == (exact, exact, exact, 1.0)


def test_counts_are_whole_numbers_and_sums_are_not(sc: Any) -> None:
    rdd = sc.parallelize([1, 2, 3], 2)
    assert type(rdd.countApprox(ENOUGH_MS)) is int
    assert rdd.sumApprox(ENOUGH_MS) / 2 == 3.0


def test_without_rows_the_answers_are_nought(sc: Any) -> None:
    for rdd in (sc.emptyRDD(), sc.parallelize([], 3)):
        assert rdd.countApprox(ENOUGH_MS) == 0
        assert rdd.sumApprox(ENOUGH_MS) == 0.0
        assert rdd.meanApprox(ENOUGH_MS) == 0.0


def test_a_mean_takes_whatever_float_takes(sc: Any) -> None:
    assert sc.parallelize(["1.5", 2, True], 2).meanApprox(ENOUGH_MS) == 1.5
    with pytest.raises(ValueError, match="could not convert"):
        sc.parallelize(["x"]).meanApprox(ENOUGH_MS)


@pytest.mark.parametrize("name", ["countApprox", "sumApprox", "meanApprox"])
def test_a_confidence_is_a_probability(sc: Any, name: str) -> None:
    with pytest.raises(ValueError, match=r"confidence \(2.0\) must be in \[0,1\]"):
        getattr(sc.range(3), name)(ENOUGH_MS, 2.0)


def half_held(sc: Any, gate: Gate) -> Any:
    """The numbers to 40 in 4 partitions, of which the latter two wait at the gate."""
    key = gate.key

    def part(index: int, rows: Any) -> Any:
        if index >= 2:
            key.wait()
        return rows

    return sc.parallelize(range(40), 4).mapPartitionsWithIndex(part)


@pytest.fixture
def time_is_up_after_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of an action is up when two of its partitions are done."""
    wait = RunningJob.wait

    def wait_for_two(job: RunningJob, timeout_s: float = -1) -> bool:
        if timeout_s != 1.0:
            return wait(job, timeout_s)
        wait_until(lambda: len(job.results) >= 2, "two partitions")
        return False

    monkeypatch.setattr(RunningJob, "wait", wait_for_two)


@pytest.mark.usefixtures("time_is_up_after_two")
def test_finished_partitions_speak_for_all(real_sc: Any, gate: Gate) -> None:
    rdd = half_held(real_sc, gate)
    assert rdd.countApprox(1000) == 40
    total = rdd.sumApprox(1000)
    assert total == 2 * sum(range(20))
    assert total.confidence == 0.95
    assert total.low < sum(range(40)) < total.high
    mean = rdd.meanApprox(1000, 0.9)
    assert (mean, mean.confidence) == (9.5, 0.9)
    assert mean.high - 9.5 == pytest.approx(1.729133 * math.sqrt(35 / 20))


@pytest.mark.usefixtures("time_is_up_after_two")
def test_large_results_in_files_count_like_others(gate: Gate) -> None:
    from simspark import SparkConf, SparkContext

    conf = SparkConf().set("spark.simspark.inlineResult", "0")
    with SparkContext("local[2]", "files", conf=conf) as sc:
        assert half_held(sc, gate).sumApprox(1000) == 380.0


def test_when_the_time_is_up_the_rest_is_cancelled(real_sc: Any, gate: Gate) -> None:
    key = gate.key
    held = real_sc.parallelize(range(4), 4).map(lambda number: (key.wait(), number)[1])
    assert held.countApprox(1) == 0
    number = held.sumApprox(0)
    assert (number.mean, number.confidence, number.low, number.high) == (0.0, 0.0, -math.inf, math.inf)
    assert held.meanApprox(-1).confidence == 0.0
    assert real_sc.statusTracker().getActiveJobsIds() == []
    assert real_sc.parallelize(range(4), 2).sum() == 6


def test_a_failure_within_the_time_is_raised(sc: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        sc.parallelize([1, 0], 2).map(lambda number: 1 // number).countApprox(ENOUGH_MS)
