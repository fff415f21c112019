"""Merged runs are what a stable sort of all their rows gives, and no more of a run is held than a block."""

from __future__ import annotations

from itertools import chain
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simspark.publib.lineage import sorting
from simspark.publib.lineage.merging import merge_blocks
from simspark.publib.lineage.sorting import Ordering, SortedRows
from simspark.publib.lineage.spill import BUCKETS, LEAST_WINDOW_BYTES, MOST_LEVELS, BucketRuns, Run
from tests.unit.publib.planes import FilesPlane, task_on

pytestmark = pytest.mark.unit
key = itemgetter(0)
runs_of_keys = st.lists(st.lists(st.integers(0, 8), max_size=30), max_size=6)


def blocks_of(rows: list[Any], size: int) -> list[list[Any]]:
    return [rows[at : at + size] for at in range(0, len(rows), size)]


@given(keys=runs_of_keys, size=st.integers(1, 7), reverse=st.booleans())
def test_merging_is_a_stable_sort_of_the_runs_one_after_another(keys: Any, size: int, reverse: bool) -> None:
    runs = [[(k, (run, at)) for at, k in enumerate(each)] for run, each in enumerate(keys)]
    runs = [sorted(run, key=key, reverse=reverse) for run in runs]
    merged = merge_blocks([blocks_of(run, size) for run in runs], key, reverse)
    assert list(chain.from_iterable(merged)) == sorted(chain.from_iterable(runs), key=key, reverse=reverse)


def test_empty_blocks_and_runs_are_passed_over() -> None:
    assert list(merge_blocks([[], [[], [(1, 1)], [], [(2, 2)]], [[]]], key)) == [[(1, 1)], [(2, 2)]]


def test_a_block_is_taken_from_a_run_when_the_one_before_has_been_given_out() -> None:
    taken = [0] * 10

    def run(number: int) -> Any:
        for at in range(5):
            taken[number] += 1
            yield [(10 * at + each, number) for each in range(10)]

    merged = merge_blocks(map(run, range(10)), key)
    given_out = 0
    for block in merged:
        given_out += len(block)
        assert sum(taken) * 10 - given_out <= 10 * 10
    assert given_out == 500


def test_keys_without_an_order_lose_no_row() -> None:
    nan = float("nan")
    runs = [[[(nan, 1), (2.0, 2)], [(nan, 3)]], [[(1.0, 4), (nan, 5)], [(0.0, 6), (nan, 7)]]]
    assert sorted(value for block in merge_blocks(runs, key) for _, value in block) == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("ascending", [True, False])
def test_never_more_runs_are_kept_than_a_few_times_what_is_merged_at_once(
        tmp_path: Any, monkeypatch: Any, ascending: bool) -> None:
    monkeypatch.setattr(sorting, "FAN_IN", 4)
    read_at_once, files = [], []
    monkeypatch.setattr(sorting, "merge_blocks", lambda runs, *rest: (
        read_at_once.append(len(runs := list(runs))), merge_blocks(runs, *rest))[1])
    batches = Run.batches
    monkeypatch.setattr(Run, "batches", lambda run: (files.append(len(list(tmp_path.iterdir()))), batches(run))[1])
    rows = [(at * 7919 % 100, at) for at in range(4000)]
    ordered = Ordering(None, ascending).sort(iter(rows), task_on(FilesPlane(str(tmp_path)), budget_bytes=2000))
    assert list(ordered) == sorted(rows, key=key, reverse=not ascending)
    assert len(read_at_once) > 20
    assert max(read_at_once[:-1]) == 4
    assert read_at_once[-1] < 20
    assert max(files) < 25


def test_keys_of_one_partition_are_spread_over_the_buckets(tmp_path: Any) -> None:
    runs = BucketRuns(task_on(FilesPlane(str(tmp_path))), lambda content: content, lambda group, _: group)
    runs.spill((BUCKETS * number + 5, "x") for number in range(2000))  # what one of 64 partitions by hash has
    batches_of = runs._runs[0][0].opened()
    sizes = [len(list(chain.from_iterable(batches_of(bucket)))) for bucket in range(BUCKETS)]
    assert sum(sizes) == 2000
    assert max(sizes) < 100


@pytest.mark.parametrize("huge_key", [False, True])
def test_a_bucket_larger_than_memory_is_taken_apart_again(tmp_path: Any, monkeypatch: Any, huge_key: bool) -> None:
    levels, folded = set(), []
    folded_of, split = BucketRuns._folded, BucketRuns._rows_of_bucket

    def fold(runs: BucketRuns, rows: Any) -> Any:
        groups = list(folded_of(runs, rows))
        folded.append(sum(len(group) for _, _, group in groups))
        return iter(groups)

    monkeypatch.setattr(BucketRuns, "_folded", fold)
    monkeypatch.setattr(BucketRuns, "_rows_of_bucket", lambda runs, bucket: (
        levels.add(runs._level), split(runs, bucket))[1])
    plane = FilesPlane(str(tmp_path))
    runs = BucketRuns(task_on(plane, budget_bytes=16_000), lambda content: [content], lambda group, new: [*group, new])
    rows = [(number % 5000 if not huge_key or number % 3 else 7, number) for number in range(20_000)]
    for start in range(0, len(rows), 1000):
        runs.spill(rows[start : start + 1000])
    expected: dict[int, list[int]] = {}
    for key, value in rows:
        expected.setdefault(key, []).append(value)
    assert list(runs.merged()) == list(expected.items())
    assert levels == set(range(MOST_LEVELS if huge_key else 2))
    assert len([size for size in folded if size > 60]) == (1 if huge_key else 0)
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_read_is_never_in_memory_as_a_whole(tmp_path: Any, monkeypatch: Any) -> None:
    from simspark.publib.blocks import segments

    seen = []
    view = segments.SegmentFile._view
    monkeypatch.setattr(segments.SegmentFile, "_view", lambda file, start, stop: (
        seen.append(stop - start), view(file, start, stop))[1])
    rows = [(number, f"{number:0100}") for number in range(5000)]
    ordered = SortedRows(iter(rows), Ordering(), task_on(FilesPlane(str(tmp_path)), budget_bytes=200_000))
    assert list(ordered) == rows
    assert sum(seen) > 400_000
    assert max(seen) <= LEAST_WINDOW_BYTES
