"""Random samples: the same for the same seed, of the size that was asked for, and fair.

That they are Spark's rows for Spark's seeds is in test_same_as_spark.
"""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import HereContext


def test_take_sample_without_a_seed_draws_distinct_rows_of_the_rdd(sc: Any) -> None:
    drawn = sc.parallelize(range(50), 4).takeSample(False, 20)
    assert len(set(drawn)) == 20
    assert set(drawn) <= set(range(50))


def test_take_sample_with_replacement_draws_as_many_as_wanted(sc: Any) -> None:
    drawn = sc.parallelize(range(3), 2).takeSample(True, 40, 3)
    assert len(drawn) == 40
    assert set(drawn) == {0, 1, 2}


def test_take_sample_of_all_rows_is_in_random_order(sc: Any) -> None:
    drawn = sc.parallelize(range(100), 4).takeSample(False, 100, 1)
    assert sorted(drawn) == list(range(100))
    assert drawn != sorted(drawn)


def test_take_sample_counts_first_and_draws_then(here: HereContext) -> None:
    here.parallelize(range(50), 2).takeSample(False, 5, 1)
    assert [operation for operation, _ in here.jobs] == ["takeSample", "takeSample"]
    here.jobs.clear()
    assert here.parallelize(range(50), 2).takeSample(False, 0) == []
    assert here.jobs == []


def test_take_sample_draws_again_when_too_few_came(here: HereContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simspark.driver.rdd.samples.sampling_fraction", lambda *_: 0.05)
    drawn = here.parallelize(range(100), 2).takeSample(False, 8, 2)
    assert len(set(drawn)) == 8
    assert len(here.jobs) > 2


def test_each_row_is_as_likely_to_be_taken(here: HereContext) -> None:
    rdd = here.parallelize(range(20), 3)
    counts = dict.fromkeys(range(20), 0)
    for seed in range(200):
        for row in rdd.takeSample(False, 5, seed * 7919):
            counts[row] += 1
    assert sum(counts.values()) == 1000
    assert 20 < min(counts.values()) <= max(counts.values()) < 85  # 50 each, with a deviation of 6


def test_sample_by_key_keeps_keys_in_place_and_draws_by_key(sc: Any) -> None:
    pairs = sc.parallelize([(number % 3, number) for number in range(3000)], 4).partitionBy(3)
    drawn = pairs.sampleByKey(False, {0: 0.0, 1: 0.5, 2: 1}, 9)
    assert drawn.partitioner == pairs.partitioner
    counts = drawn.countByKey()
    assert counts[0] == 0
    assert 400 < counts[1] < 600
    assert counts[2] == 1000
    assert drawn.collect() == drawn.collect()


def test_sample_by_key_may_draw_a_row_often(sc: Any) -> None:
    pairs = sc.parallelize([("a", number) for number in range(100)], 2)
    drawn = pairs.sampleByKey(True, {"a": 3.0}, 4).values().collect()
    assert 250 < len(drawn) < 350
    assert drawn == sorted(drawn)


def test_sample_by_key_is_not_changed_by_what_becomes_of_the_fractions(here: HereContext) -> None:
    fractions = {1: 1.0}
    drawn = here.parallelize([(1, "a")]).sampleByKey(False, fractions)
    fractions.clear()
    assert drawn.collect() == [(1, "a")]


def test_key_without_a_fraction_fails_the_job_by_name(sc: Any) -> None:
    with pytest.raises(KeyError, match="'b'"):
        sc.parallelize([("b", 1)]).sampleByKey(False, {"a": 1.0}, 1).collect()


def test_parts_of_a_random_split_are_all_of_the_rows(sc: Any) -> None:
    parts = sc.parallelize(range(1000), 3).randomSplit([0.1] * 10, 5)
    assert sorted(row for part in parts for row in part.collect()) == list(range(1000))
