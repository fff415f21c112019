"""The joins of pairs as functions, under the names that PySpark's module has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from simspark.driver.rdd.core import RDD
from simspark.driver.rdd.joins import _cogroup_read as cogroup_read
from simspark.driver.rdd.joins import _cogrouped as cogrouped
from simspark.publib.lineage.shared import ResultIterable

K = TypeVar("K")
V = TypeVar("V")
W = TypeVar("W")

__all__ = [
    "python_cogroup",
    "python_full_outer_join",
    "python_join",
    "python_left_outer_join",
    "python_right_outer_join",
]


def python_join(rdd: RDD[tuple[K, V]], other: RDD[tuple[K, W]],
                numPartitions: int | None) -> RDD[tuple[K, tuple[V, W]]]:
    """See RDD.join.

    >>> python_join(sc.parallelize([("a", 1)]), sc.parallelize([("a", 2)]), 1).collect()
    [('a', (1, 2))]
    """
    return rdd.join(other, numPartitions)


def python_left_outer_join(rdd: RDD[tuple[K, V]], other: RDD[tuple[K, W]],
                           numPartitions: int | None) -> RDD[tuple[K, tuple[V, W | None]]]:
    """See RDD.leftOuterJoin."""
    return rdd.leftOuterJoin(other, numPartitions)


def python_right_outer_join(rdd: RDD[tuple[K, V]], other: RDD[tuple[K, W]],
                            numPartitions: int | None) -> RDD[tuple[K, tuple[V | None, W]]]:
    """See RDD.rightOuterJoin."""
    return rdd.rightOuterJoin(other, numPartitions)


def python_full_outer_join(rdd: RDD[tuple[K, V]], other: RDD[tuple[K, W]],
                           numPartitions: int | None) -> RDD[tuple[K, tuple[V | None, W | None]]]:
    """See RDD.fullOuterJoin."""
    return rdd.fullOuterJoin(other, numPartitions)


def python_cogroup(rdds: Sequence[RDD[tuple[K, Any]]],
                   numPartitions: int | None) -> RDD[tuple[K, tuple[ResultIterable[Any], ...]]]:
    """See RDD.cogroup; for any number of RDDs.

    >>> rdds = [sc.parallelize([("x", number)]) for number in range(3)]
    >>> [(key, [list(values) for values in groups]) for key, groups in python_cogroup(rdds, 1).collect()]
    [('x', [[0], [1], [2]])]
    """
    return cogrouped(rdds, cogroup_read, "cogroup", numPartitions)
