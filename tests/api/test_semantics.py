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
