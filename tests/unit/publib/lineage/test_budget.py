"""The parts of a task share one budget."""

from __future__ import annotations

from typing import Any

import pytest

from simspark.publib.lineage.aggregation import grouping
from simspark.publib.lineage.budget import Budget, Share
from simspark.publib.lineage.partitioner import HashPartitioner
from simspark.publib.lineage.shuffle_read import CoGroupRead
from simspark.publib.lineage.sinks import ShuffleWrite
from simspark.publib.lineage.sorting import Ordering
from simspark.publib.lineage.sources import SliceSource
from tests.unit.publib.planes import FilesPlane, task_on

pytestmark = pytest.mark.unit


def test_what_others_hold_counts_but_a_quarter_is_left_to_each() -> None:
    budget = Budget(1000)
    first, second = Share(budget), Share(budget)
    assert first.count(600) == 600
    assert second.count(100) == 700
    assert first.count(900) == 1000
    assert second.count(100) == 850
    assert budget.counted_bytes == 1000


def test_rows_that_have_been_read_are_held_no_more() -> None:
    budget = Budget(1000)
    share = Share(budget)
    share.count(500)
    rows = share.until_read(iter([1, 2]))
    assert [next(rows), next(rows), budget.counted_bytes] == [1, 2, 500]
    assert list(rows) == []
    assert budget.counted_bytes == 0


ROWS = [(number, f"{number:050}") for number in range(2000)]
HOLDERS: dict[str, Any] = {
    "a sort": lambda task: Ordering().sort(iter(ROWS), task),
    "groups": lambda task: grouping().combine_values(iter(ROWS), task),
    "a cogroup": lambda task: CoGroupRead((SliceSource(), SliceSource())).rows([(0, ROWS), (0, ROWS)], task),
}


@pytest.mark.parametrize("name", HOLDERS)
@pytest.mark.parametrize("budget_bytes", [20_000, 2_000_000], ids=["spilled", "in memory"])
def test_each_that_holds_rows_counts_them_until_they_are_read(tmp_path: Any, name: str, budget_bytes: int) -> None:
    plane = FilesPlane(str(tmp_path))
    task = task_on(plane, budget_bytes=budget_bytes)
    rows = iter(HOLDERS[name](task))
    next(rows)
    assert bool(plane.scratched) == (budget_bytes == 20_000)
    if not plane.scratched:
        assert task.budget.counted_bytes > 100_000
    assert 0 < task.budget.counted_bytes <= budget_bytes
    assert len(list(rows)) == 1999
    assert task.budget.counted_bytes == 0


def test_a_shuffle_that_is_written_while_groups_are_held_spills_earlier(tmp_path: Any) -> None:
    spills = []
    for held_bytes in (0, 150_000):
        plane = FilesPlane(str(tmp_path))
        task = task_on(plane, budget_bytes=200_000, task_id=held_bytes)
        Share(task.budget).count(held_bytes)
        ShuffleWrite(1, HashPartitioner(4), 4).run(iter(ROWS), task)
        spills.append(len(plane.scratched))
    assert spills[0] < spills[1]
