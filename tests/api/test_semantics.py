"""Details of Spark's that decide how many partitions there are, where rows are, and what an error says."""

from __future__ import annotations

from typing import Any

import pytest


def test_context_union_has_no_partitioner_but_keeps_alike_partitions_together(sc: Any) -> None:
    placed = sc.parallelize([(0, "a"), (1, "b")], 2).partitionBy(2)
    both = sc.union([placed, placed])
    assert both.glom().collect() == [[(0, "a"), (0, "a")], [(1, "b"), (1, "b")]]
    assert both.partitioner is None
    assert sc.union([placed]).partitioner is None
    assert placed.union(placed).partitioner == placed.partitioner


def test_cogroup_counts_partitions_as_unions_one_after_another(sc: Any) -> None:
    three, other = sc.parallelize([(1, 1)], 3).partitionBy(3), sc.parallelize([(1, 2)], 4)
    assert three.groupWith(three, other).getNumPartitions() == 3 + 4
    assert three.groupWith(other, three).getNumPartitions() == 3 + 4 + 3
    assert three.groupWith(three, three).getNumPartitions() == 3


def test_tree_reduce_of_no_rows_is_refused(sc: Any) -> None:
    with pytest.raises(ValueError, match=r"^Cannot reduce empty RDD\.$"):
        sc.parallelize([], 2).treeReduce(max)


def test_run_job_takes_partitions_in_any_order_and_again_but_none_that_are_not(sc: Any) -> None:
    rows = sc.parallelize([1, 2, 3], 3)
    assert sc.runJob(rows, lambda part: part, [2, 0, 2]) == [3, 1, 3]
    for wrong in (3, -1):
        with pytest.raises(ValueError, match=rf"^There is no partition {wrong}: parallelize\[\d+\] at .* has 3\."):
            sc.runJob(rows, lambda part: part, [wrong])
    assert sc.runJob(rows, lambda part: [sum(part)], []) == []


def test_zip_of_partitions_with_other_numbers_of_rows_is_an_error_of_the_job(sc: Any) -> None:
    two, three = sc.parallelize([1, 2], 1), sc.parallelize([1, 2, 3], 1)
    for left, right in ((two, three), (three, two), (two.filter(lambda x: False), two)):
        with pytest.raises(ValueError, match="^Can only zip RDDs with same number of elements in each partition"):
            left.zip(right).count()
    assert two.zip(two.map(str)).collect() == [(1, "1"), (2, "2")]


def test_no_rows_are_the_least_and_the_largest_below_one(sc: Any) -> None:
    rows = sc.parallelize([1, 2], 2)
    assert rows.top(0) == rows.top(-1) == rows.takeOrdered(0) == []
    with pytest.raises(ValueError, match=r"^top N cannot be negative\.$"):
        rows.takeOrdered(-1)


def test_storage_level_must_be_one(sc: Any) -> None:
    with pytest.raises(TypeError, match=r"^storageLevel must be a StorageLevel, not str\.$"):
        sc.parallelize([1]).persist("MEMORY_ONLY")


def test_two_sorts_are_not_partitioned_alike(sc: Any) -> None:
    pairs = sc.parallelize([(1, "a"), (2, "b")], 2)
    once, again = pairs.sortByKey(numPartitions=2), pairs.sortByKey(numPartitions=2)
    assert once.union(again).glom().collect() == [[(1, "a"), (2, "b")], [], [(1, "a"), (2, "b")], []]
    assert once.union(once).glom().collect() == [[(1, "a"), (2, "b"), (1, "a"), (2, "b")], []]
