"""Rows sorted by ranges: each in its partition's segment, equal keys in their order, few at a time in memory."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from itertools import chain
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simspark.publib.lineage import sinks
from simspark.publib.lineage.aggregation import rows_of_batch
from simspark.publib.lineage.partitioner import RangePartitioner
from simspark.publib.lineage.shuffle_read import ShuffleRead
from simspark.publib.lineage.sinks import ShuffleWrite
from simspark.publib.lineage.sorting import Ordering
from simspark.publib.lineage.task import FileRef
from tests.unit.publib.planes import FilesPlane, task_on

pytestmark = pytest.mark.unit
key = itemgetter(0)
FUNCTIONS = {"keys": None, "negative keys": lambda k: -k, "keys in pairs": lambda k: k // 2}


def segments_of(plane: FilesPlane, name: str, partitions: int) -> list[list[Any]]:
    with plane.opened(name) as file:
        return [list(chain.from_iterable(map(rows_of_batch, file.batches(number)))) for number in range(partitions)]


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@given(keys=st.lists(st.integers(-9, 9), max_size=99), bounds=st.lists(st.integers(-9, 9), max_size=5),
       missing=st.integers(0, 2), odd=st.sampled_from([None, (3, 0, "a third"), [3, 0]]))
def test_rows_come_sorted_to_where_the_partitioner_places_them(
        tmp_path_factory: Any, ascending: bool, function: Any, keys: list[int], bounds: list[int], missing: int,
        odd: Any) -> None:
    rows: list[Any] = [(k, at) for at, k in enumerate(keys)]
    if odd is not None:
        rows[len(rows) // 2 : len(rows) // 2] = [odd]
    plane = FilesPlane(str(tmp_path_factory.mktemp("files")))
    by = RangePartitioner(len(bounds) + 1 + missing, sorted(bounds), ascending, function)
    ordering = Ordering(function, ascending)
    assert ordering.fits(by)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sinks, "SORTED_WINDOW_ROWS", 20)
        done = ShuffleWrite(1, by, by.num_partitions, None, ordering).run(iter(rows), task_on(plane))
    plane.outputs[1] = [FileRef("here", done.name)]
    for number in range(by.num_partitions):
        found = list(ShuffleRead(1, None, ordering).rows(number, task_on(plane)))
        assert found == sorted((row for row in rows if by(row[0]) == number), key=ordering.row_key(),
                               reverse=not ascending)


@pytest.mark.parametrize("ascending", [True, False])
def test_a_spill_before_the_shuffle_changes_no_row_and_no_order(tmp_path: Any, ascending: bool) -> None:
    rows = [(at * 7919 % 1000, at) for at in range(3000)]
    partitioner = RangePartitioner(5, [100, 500, 500, 900], ascending)
    written = []
    for budget in (5_000, 1 << 30):
        plane = FilesPlane(str(tmp_path / str(budget)))
        (tmp_path / str(budget)).mkdir()
        task = task_on(plane, budget_bytes=budget)
        done = ShuffleWrite(1, partitioner, 5, None, Ordering(None, ascending)).run(iter(rows), task)
        written.append([sorted(rows, key=key) for rows in segments_of(plane, done.name, 5)])
        assert done.sizes[2] == 0
        assert bool(plane.scratched) == (budget == 5_000)
    assert written[0] == written[1]
    assert sum(map(len, written[0])) == 3000


class Value:
    """What knows how many of it there are."""

    alive: weakref.WeakSet[Value] = weakref.WeakSet()

    def __init__(self) -> None:
        Value.alive.add(self)


def test_a_sort_holds_no_more_rows_before_the_shuffle_than_it_sorts_at_a_time(tmp_path: Any) -> None:
    most = 0

    def rows() -> Iterator[Any]:
        nonlocal most
        for at in range(30_000):
            yield at * 7919 % 30_000, Value()
            most = max(most, len(Value.alive))

    partitioner = RangePartitioner(4, [7000, 15_000, 22_000])
    ShuffleWrite(1, partitioner, 4, None, Ordering()).run(rows(), task_on(FilesPlane(str(tmp_path))))
    assert most < 3 * sinks.SORTED_WINDOW_ROWS


def test_large_rows_are_sorted_few_at_a_time(tmp_path: Any, monkeypatch: Any) -> None:
    sorted_at_once: list[int] = []
    cut = Ordering.cut
    monkeypatch.setattr(Ordering, "cut", lambda order, keys, by: (sorted_at_once.append(len(keys)), cut(
        order, keys, by))[1])
    rows = ((at, bytes(100_000)) for at in range(300))
    ShuffleWrite(1, RangePartitioner(2, [99]), 2, None, Ordering()).run(rows, task_on(FilesPlane(str(tmp_path))))
    assert max(sorted_at_once) * 100_000 <= sinks.SORTED_WINDOW_BYTES
    assert sum(sorted_at_once) == 300
