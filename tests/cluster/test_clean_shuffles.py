"""Shuffle files go when the program says so, never from under a job, and come again when they are needed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from simspark import SparkContext

from .conftest import leftovers, wait_until


def shuffle_files(scratch: Path) -> list[str]:
    """The shuffle files of all workers."""
    return [path for path in leftovers(scratch) if Path(path).name.startswith("shuffle-")]


def test_files_go_and_come_again_and_accumulators_count_once(sc: SparkContext, scratch: Path) -> None:
    seen = sc.accumulator(0)

    def note(row: int) -> tuple[int, int]:
        seen.add(1)
        return (row % 3, row)

    groups = sc.parallelize(range(30), 3).map(note).groupByKey(2).mapValues(sum)
    expected = [(0, 135), (1, 145), (2, 155)]
    assert sorted(groups.collect()) == expected
    assert len(shuffle_files(scratch)) == 3
    groups.cleanShuffleDependencies(blocking=True)
    wait_until(lambda: not shuffle_files(scratch), "the files to go")
    assert sorted(groups.collect()) == expected
    assert len(shuffle_files(scratch)) == 3
    assert seen.value == 30


def test_a_job_that_reads_the_files_is_not_disturbed(sc: SparkContext, scratch: Path, tmp_path: Path) -> None:
    go = str(tmp_path / "go")

    def wait(rows: object) -> list[int]:
        import os
        import time

        deadline = time.monotonic() + 60
        while not os.path.exists(go) and time.monotonic() < deadline:
            time.sleep(0.02)
        return [sum(1 for _ in rows)]  # type: ignore[attr-defined]

    grouped = sc.parallelize([(number, number) for number in range(40)], 2).groupByKey(4)
    results: list[list[int]] = []
    thread = threading.Thread(target=lambda: results.append(grouped.mapPartitions(wait).collect()))
    thread.start()
    wait_until(lambda: len(shuffle_files(scratch)) == 2, "the shuffle to be written")
    grouped.cleanShuffleDependencies(blocking=True)
    assert len(shuffle_files(scratch)) == 2
    (tmp_path / "go").touch()
    thread.join(60)
    assert results == [[10, 10, 10, 10]]
    wait_until(lambda: not shuffle_files(scratch), "the files to go when the job was over")


def test_nothing_to_clean_is_no_error(scratch: Path) -> None:
    with SparkContext("local[1]", "clean") as sc:
        sc.parallelize([1]).cleanShuffleDependencies()
        grouped = sc.parallelize([(1, 2)]).groupByKey()
        grouped.cleanShuffleDependencies(blocking=True)
        assert grouped.count() == 1
    with pytest.raises(RuntimeError):
        grouped.cleanShuffleDependencies()
