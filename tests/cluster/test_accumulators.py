"""Accumulators in transformations: once for each row of an action, whatever happens to the tasks."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simspark import SparkConf, SparkContext

from .conftest import wait_until
from .test_faults import process_ids

pytestmark = pytest.mark.cluster

ROWS = 400


def counted(sc: SparkContext, seen: Any, started: Path, victim: int = 0) -> Any:
    """Numbers in 8 slow partitions, each row of which counts. The victim's second task goes on until it is killed."""

    def slow(index: int, rows: Iterator[int]) -> Iterator[int]:
        (started / f"{index}-{os.getpid()}-{time.monotonic_ns()}").touch()
        of_the_victim = list(started.glob(f"*-{victim}-*"))
        time.sleep(600 if len(of_the_victim) > 1 and os.getpid() == victim else 0.1)
        return rows

    def count(row: int) -> int:
        seen.add(1)
        return row

    return sc.parallelize(range(ROWS), 8).map(count).mapPartitionsWithIndex(slow).map(count)


def kill_in_the_middle(victim: int, started: Path) -> threading.Thread:
    def kill() -> None:
        wait_until(lambda: len(list(started.glob(f"*-{victim}-*"))) > 1, "its second task to start")
        os.kill(victim, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


@pytest.mark.parametrize("shuffled", [False, True], ids=["result", "shuffle"])
def test_a_killed_executor_s_rows_count_once(sc: SparkContext, tmp_path: Path, shuffled: bool) -> None:
    seen = sc.accumulator(0)
    victim = process_ids(sc)[0]
    rows = counted(sc, seen, tmp_path, victim)
    killer = kill_in_the_middle(victim, tmp_path)
    if shuffled:
        pairs = rows.map(lambda row: (row % 5, 1)).reduceByKey(lambda a, b: a + b, 3)
        assert sorted(pairs.collect()) == [(key, ROWS // 5) for key in range(5)]
    else:
        assert rows.count() == ROWS
    killer.join()
    assert len(list(tmp_path.iterdir())) > 8
    assert seen.value == 2 * ROWS


def test_a_second_action_on_what_is_not_cached_counts_again(sc: SparkContext, tmp_path: Path) -> None:
    seen = sc.accumulator(0)
    rows = counted(sc, seen, tmp_path)
    assert rows.count() == ROWS
    assert rows.count() == ROWS
    assert seen.value == 4 * ROWS
    cached = rows.cache()
    assert [cached.count(), cached.count()] == [ROWS, ROWS]
    assert seen.value == 6 * ROWS


@pytest.mark.parametrize("master", ["local[2]", "local-cluster[2,1,512]"])
@pytest.mark.parametrize("shuffled", [False, True], ids=["result", "shuffle"])
def test_two_copies_of_a_task_that_both_end_count_once(
    scratch: Path, tmp_path: Path, master: str, shuffled: bool
) -> None:
    first, gate = str(tmp_path / "first"), str(tmp_path / "gate")
    os.mkfifo(gate)

    def meet(index: int, rows: Iterator[int]) -> Iterator[int]:
        """The first attempt of partition 0 waits for its copy, and then both go on."""
        if index == 0:
            try:
                os.close(os.open(first, os.O_CREAT | os.O_EXCL))
                way = os.O_RDONLY
            except FileExistsError:
                way = os.O_WRONLY
            os.close(os.open(gate, way))
        return rows

    conf = SparkConf().setAll([
        ("spark.speculation", "true"), ("spark.speculation.multiplier", "1.5"), ("spark.speculation.quantile", "0.5"),
    ])  # fmt: skip
    with SparkContext(master, "copies", conf=conf) as sc:
        seen = sc.accumulator(0)
        rows = sc.parallelize(range(ROWS), 8).map(lambda row: (seen.add(1), row)[1]).mapPartitionsWithIndex(meet)
        result = rows.map(lambda row: (row % 5, 1)).reduceByKey(lambda a, b: a + b, 3) if shuffled else rows
        assert result.count() == (5 if shuffled else ROWS)
        assert os.path.exists(first)
        assert seen.value == ROWS
        assert sc.parallelize(range(8), 8).map(lambda x: (seen.add(1), x)[1]).count() == 8
        assert seen.value == ROWS + 8
