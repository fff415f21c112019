"""Accumulators in transformations count each row once for each time that a job needs it, whatever failed on the way.

Random pipelines of counting functions around a shuffle. On ``local[2,3]`` a function raises in the first attempts of
some partitions, after it has counted all their rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simspark import SparkContext, TaskContext

from .programs import examples

pytestmark = pytest.mark.cluster
PARTITIONS = st.integers(1, 5)


@pytest.fixture(scope="module")
def sc() -> Iterator[SparkContext]:
    with SparkContext("local[2,3]", "accumulators") as context:
        yield context


def counting(seen: Any, failing: set[int], attempts: int) -> Any:
    """A function of partitions that counts rows, and raises at the end of the first attempts of some partitions."""
    def count(rows: Iterator[Any]) -> Iterator[Any]:
        for row in rows:
            seen.add(1)
            yield row
        task = TaskContext.get()
        assert task is not None
        if task.partitionId() in failing and task.attemptNumber() < attempts:
            raise OSError("not yet")

    return count


@pytest.mark.parametrize("numbers", [range(12)], ids=str)
def test_rows_are_counted_once_in_each_job_that_needs_them(numbers: range, sc: SparkContext) -> None:
    plan = st.fixed_dictionaries({
        "rows": st.lists(st.integers(0, 9), max_size=30), "parts": PARTITIONS, "reduced": PARTITIONS,
        "failing": st.sets(st.integers(0, 4)), "attempts": st.integers(1, 2), "jobs": st.integers(1, 3),
    })
    for number in numbers:
        examples(number, 2)(given(plan)(lambda drawn: _check(sc, **drawn)))()


def _check(sc: SparkContext, rows: list[int], parts: int, reduced: int, failing: set[int], attempts: int,
           jobs: int) -> None:
    before, after, at_last = (sc.accumulator(0) for _ in range(3))
    counted = sc.parallelize(rows, parts).mapPartitions(counting(before, failing, attempts))
    summed = counted.map(lambda x: (x % 4, x)).reduceByKey(lambda a, b: a + b, reduced)
    told = summed.mapPartitions(counting(after, failing, attempts))
    for _ in range(jobs):
        assert told.count() == len({row % 4 for row in rows})
    keys = len({row % 4 for row in rows})
    assert before.value == len(rows)  # the shuffle is there once it was done
    assert after.value == jobs * keys
    counted.mapPartitions(counting(at_last, failing, attempts)).foreach(lambda row: None)
    assert (before.value, after.value, at_last.value) == (2 * len(rows), jobs * keys, len(rows))
