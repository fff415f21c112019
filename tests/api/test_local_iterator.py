"""toLocalIterator: when its jobs run, what is held, and how it ends."""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest

from .conftest import HereContext
from .gates import Gate, wait_until


@pytest.mark.parametrize("prefetch", [False, True])
def test_all_rows_come_in_their_order(sc: Any, prefetch: bool) -> None:
    assert list(sc.parallelize(range(10), 4).toLocalIterator(prefetch)) == list(range(10))
    assert list(sc.parallelize([3, 1], 5).toLocalIterator(prefetch)) == [3, 1]
    assert list(sc.emptyRDD().toLocalIterator(prefetchPartitions=prefetch)) == []


def test_a_partition_is_computed_when_its_first_row_is_asked_for(here: HereContext) -> None:
    rows = here.parallelize(range(6), 3).toLocalIterator()
    seen = []
    for _ in range(6):
        seen.append((len(here.jobs), next(rows)))
    assert seen == [(0, 0), (1, 1), (1, 2), (2, 3), (2, 4), (3, 5)]
    assert here.jobs == [("toLocalIterator", [part]) for part in range(3)]


def test_one_partition_is_computed_ahead(here: HereContext) -> None:
    rows = here.parallelize(range(6), 3).toLocalIterator(prefetchPartitions=True)
    assert here.jobs == []
    begun = []
    for _ in range(6):
        next(rows)
        begun.append(len(here.jobs))
    assert begun == [2, 2, 3, 3, 3, 3]


def test_the_next_partition_runs_while_this_one_is_consumed(real_sc: Any, gate: Gate) -> None:
    key = gate.key
    rows = real_sc.parallelize(range(3), 3).map(lambda number: (key.wait(), number)[1]).toLocalIterator(True)
    gate.open(1)
    assert next(rows) == 0
    gate.wait_begun(2)
    gate.open(2)
    assert list(rows) == [1, 2]


@pytest.mark.parametrize("prefetch", [False, True])
def test_an_error_comes_at_its_element(sc: Any, prefetch: bool) -> None:
    rows = sc.parallelize([1, 2, 0, 4], 4).map(lambda number: 4 // number).toLocalIterator(prefetch)
    assert [next(rows), next(rows)] == [4, 2]
    with pytest.raises(ZeroDivisionError):
        next(rows)
    assert list(rows) == []


@pytest.mark.parametrize("end", ["close", "drop"])
def test_an_iterator_that_is_left_early_cancels_what_runs_ahead(real_sc: Any, gate: Gate, end: str) -> None:
    key = gate.key
    rows = real_sc.parallelize(range(3), 3).map(lambda number: (key.wait(), number)[1]).toLocalIterator(True)
    gate.open(1)
    assert next(rows) == 0
    gate.wait_begun(2)
    if end == "close":
        rows.close()
    del rows
    gc.collect()
    tracker = real_sc.statusTracker()
    wait_until(lambda: tracker.getActiveJobsIds() == [], "the job ahead to end")  # it had begun
    assert [tracker.getJobInfo(job).status for job in tracker.getJobIdsForGroup()] == ["SUCCEEDED", "FAILED"]
    assert real_sc.parallelize(range(4), 2).sum() == 6


def test_results_that_nobody_reads_leave_no_file(tmp_path: Any) -> None:
    from simspark import SparkConf, SparkContext

    conf = SparkConf().set("spark.simspark.inlineResult", "0").set("spark.local.dir", str(tmp_path))
    with SparkContext("local[2]", "files", conf=conf) as sc:
        rows = sc.parallelize(range(3), 3).toLocalIterator(prefetchPartitions=True)
        assert next(rows) == 0
        tracker = sc.statusTracker()
        wait_until(lambda: (tracker.getJobInfo(1) or (1, (), ""))[2] == "SUCCEEDED", "the partition ahead")
        assert results_in(tmp_path, "result-1-")
        rows.close()
        wait_until(lambda: not results_in(tmp_path, "result-"), "the removal of its result")


def results_in(directory: Any, prefix: str) -> list[str]:
    """``Path.rglob`` does not survive that what it looks at is removed."""
    return [name for _, _, names in os.walk(directory) for name in names if name.startswith(prefix)]
