"""Statistics, histograms, numbers of different rows, and reductions in a tree."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from .conftest import HereContext


def test_even_buckets_are_counted_in_two_jobs_and_given_ones_in_one(here: HereContext) -> None:
    assert here.parallelize(range(10), 2).histogram(3) == ([0, 3, 6, 9], [3, 3, 4])
    assert [operation for operation, _ in here.jobs] == ["histogram", "histogram"]
    here.jobs.clear()
    assert here.parallelize(range(10), 2).histogram([0, 9]) == ([0, 9], [10])
    assert len(here.jobs) == 1
    here.jobs.clear()
    assert here.parallelize([5, 5], 2).histogram(3) == ([5, 5], [2])
    assert len(here.jobs) == 1


def test_given_buckets_are_returned_as_they_are(here: HereContext) -> None:
    bounds = [1, 2, 4]
    assert here.parallelize([1, 4]).histogram(bounds)[0] is bounds


def test_histogram_of_many_rows_agrees_with_counting(sc: Any) -> None:
    rows = [(number * 7919) % 1000 / 8 for number in range(5000)]
    bounds = [0, 10.5, 20, 90.25, 125]
    expected = [0] * 4
    for row in rows:
        expected[next(place for place in (3, 2, 1, 0) if row >= bounds[place])] += 1
    assert sc.parallelize(rows, 4).histogram(bounds) == (bounds, expected)
    even, counts = sc.parallelize(rows, 4).histogram(8)
    assert sum(counts) == 5000
    assert even[0] == min(rows)
    assert even[-1] == max(rows)


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_of_equal_rows_the_first_is_the_largest_and_the_smallest(sc: Any, parts: int) -> None:
    rdd = sc.parallelize([("a", 1), ("b", 2), ("c", 2), ("d", 1)], parts)
    assert rdd.max(key=lambda row: row[1]) == ("b", 2)
    assert rdd.min(key=lambda row: row[1]) == ("a", 1)
    assert (rdd.max(), rdd.min()) == (("d", 1), ("a", 1))


def test_a_row_that_is_alone_is_never_compared(sc: Any) -> None:
    assert sc.parallelize([None], 3).max(key=lambda row: row + 1) is None
    assert sc.parallelize([2j], 1).min() == 2j
    with pytest.raises(TypeError):
        sc.parallelize([None, 1], 1).max(key=lambda row: row + 1)


def test_histogram_leaves_out_what_has_no_place(sc: Any) -> None:
    rows = [None, float("nan"), -1, 0, 5, 10, 11, float("inf"), -float("inf")]
    assert sc.parallelize(rows, 3).histogram([0, 5, 10]) == ([0, 5, 10], [1, 2])


@pytest.mark.parametrize("number", [0, 1, 30, 4000])
def test_different_rows_are_counted_about_right(sc: Any, number: int) -> None:
    rows = [f"row {index % max(number, 1)}" for index in range(3 * number)]
    assert sc.parallelize(rows, 5).countApproxDistinct(0.01) == pytest.approx(number, rel=0.05)


def test_equal_rows_of_other_types_are_one(sc: Any) -> None:
    assert sc.parallelize([1, 1.0, True, (1, 2), (1.0, 2), (True, 2.0)], 6).countApproxDistinct() == 2


def test_rows_without_a_portable_hash_cannot_be_counted(sc: Any) -> None:
    with pytest.raises(TypeError, match="cannot be a key"):
        sc.parallelize([1]).map(lambda _: object()).countApproxDistinct()


@pytest.mark.parametrize("relative", [0.0000169, 0, -1])
def test_counting_different_rows_more_exactly_than_can_be_is_refused(here: HereContext, relative: float) -> None:
    with pytest.raises(ValueError, match=r"relativeSD should be greater than 0\.000017"):
        here.range(3).countApproxDistinct(relative)
    assert here.jobs == []


def test_a_very_exact_count_of_few_rows_takes_little_memory(sc: Any) -> None:
    assert sc.parallelize(range(500), 2).countApproxDistinct(0.000017) == 500


@pytest.mark.parametrize("depth", [1, 2, 3, 7])
@pytest.mark.parametrize("partitions", [1, 3, 5, 17, 40])
def test_trees_give_what_plain_reductions_give(here: HereContext, depth: int, partitions: int) -> None:
    rdd = here.parallelize(range(100), partitions)
    assert rdd.treeReduce(lambda a, b: a + b, depth) == 4950
    assert rdd.treeAggregate(1, lambda a, x: a + x, lambda a, b: a + b, depth) == 4950 + partitions
    assert rdd.filter(lambda x: x == 99).treeReduce(max, depth) == 99


def test_only_few_values_of_a_tree_come_to_the_driver(here: HereContext) -> None:
    rdd = here.parallelize(range(100), 64)
    assert rdd.treeReduce(max) == 99
    assert here.jobs == [("treeReduce", list(range(8)))]
    here.jobs.clear()
    assert rdd.treeReduce(max, depth=3) == 99
    assert here.jobs == [("treeReduce", list(range(4)))]
    here.jobs.clear()
    assert rdd.treeReduce(max, depth=1) == 99
    assert here.jobs == [("treeReduce", list(range(64)))]


def test_zero_value_of_a_tree_is_not_shared(sc: Any) -> None:
    zero: list[int] = []

    def add(values: list[int], value: int) -> list[int]:
        values.append(value)
        return values

    merged = sc.parallelize(range(12), 6).coalesce(3).treeAggregate(zero, add, lambda a, b: a + b)
    assert sorted(merged) == list(range(12))
    assert zero == []
    assert sc.emptyRDD().treeAggregate(zero, add, max) is zero


def test_counts_by_key_and_value_answer_for_what_is_not_there(sc: Any) -> None:
    counts = sc.parallelize([("a", 1)]).countByKey()
    assert isinstance(counts, defaultdict)
    assert counts["b"] == 0
    assert sc.parallelize(["a"]).countByValue()["b"] == 0


def test_sort_samples_in_one_pass_unless_that_brought_too_many_keys(here: HereContext) -> None:
    pairs = here.parallelize([(number % 7, number) for number in range(100)], 4)
    pairs.sortByKey(numPartitions=3)
    assert [operation for operation, _ in here.jobs] == ["sortByKey"]
    here.jobs.clear()
    pairs.sortByKey(numPartitions=4000)
    assert [operation for operation, _ in here.jobs] == ["sortByKey", "sortByKey"]


def test_run_job_refuses_partitions_that_are_not_there(sc: Any) -> None:
    with pytest.raises(ValueError, match=r"There is no partition 3: .* has 2"):
        sc.runJob(sc.parallelize([1], 2), list, [0, 3])
    assert sc.parallelize([1, 2], 2).sum() == 3


def test_zip_of_other_lengths_is_told_from_an_error_of_the_rows(sc: Any) -> None:
    def strict(row: int) -> int:
        return list(zip([row], [], strict=True)) and row

    with pytest.raises(ValueError, match="argument 2 is shorter"):
        sc.parallelize([1]).zip(sc.parallelize([1]).map(strict)).collect()
    with pytest.raises(ValueError, match="Can only zip RDDs with same number of elements"):
        sc.parallelize([1, 2], 1).zip(sc.parallelize([1, 2, 3], 1)).collect()


def test_number_of_partitions_must_be_a_whole_number(here: HereContext) -> None:
    with pytest.raises(TypeError, match="must be an integer, not float"):
        here.parallelize([(1, 2)]).partitionBy(2.0)  # type: ignore[arg-type]


def test_the_old_name_of_map_partitions_with_index_warns(here: HereContext) -> None:
    with pytest.warns(FutureWarning, match="use mapPartitionsWithIndex instead") as caught:
        kept = here.parallelize([1, 2], 2).mapPartitionsWithSplit(lambda index, rows: (index, *rows))
    assert caught[0].filename == __file__
    assert kept.collect() == [0, 1, 1, 2]


def test_partitioners_say_what_they_do(here: HereContext) -> None:
    placed = here.parallelize([(1, 2)]).partitionBy(3, lambda key: key + 1).partitioner
    assert placed is not None
    assert placed.numPartitions == 3
    assert placed.partitionFunc(4) == 5
    ordered = here.parallelize([(1, 2), (2, 3)], 2).sortByKey().partitioner
    assert ordered is not None
    assert [ordered.partitionFunc(key) for key in (1, 2, 3)] == [ordered(key) for key in (1, 2, 3)] == [0, 0, 1]
