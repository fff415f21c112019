"""Gangs of real processes: killed, cancelled and crowded out while they wait for each other."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simspark import BarrierError, BarrierTaskContext, JobCancelled, NotEnoughResources, SparkConf, SparkContext

from .conftest import wait_until

pytestmark = pytest.mark.cluster


def mark(directory: Path, name: str) -> Path:
    """Leave a file that says that this process is here."""
    path = directory / f"{name}.{os.getpid()}"
    path.touch()
    return path


def marks(directory: Path, name: str) -> list[int]:
    """The processes that left such a file."""
    return [int(path.suffix[1:]) for path in directory.glob(name + ".*")]


def test_a_task_killed_while_it_waits_brings_all_back_and_the_result_is_right(sc: SparkContext, tmp_path: Path) -> None:
    def meet(index: int, rows: Any) -> Any:
        context = BarrierTaskContext.get()
        if context.attemptNumber() == 0:
            mark(tmp_path, str(index))
            if index == 0:
                context.barrier()  # until it is killed
            while True:
                time.sleep(0.01)
        heard = context.allGather(f"{index}/{context.attemptNumber()}")
        context.barrier()
        return [(sum(rows), heard)]

    def kill() -> None:
        wait_until(lambda: marks(tmp_path, "0") and marks(tmp_path, "1"), "both tasks")
        os.kill(marks(tmp_path, "0")[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    seen = sc.accumulator(0)
    rdd = sc.parallelize(range(8), 2).map(lambda x: (seen.add(1), x)[1])
    result = rdd.barrier().mapPartitionsWithIndex(meet).collect()
    killer.join()
    assert result == [(6, ["0/1", "1/1"]), (22, ["0/1", "1/1"])]
    assert seen.value == 8, "the attempt before counts for nothing"


def test_each_kill_is_a_loss_and_the_fourth_fails_the_job(sc: SparkContext) -> None:
    def die(rows: Any) -> Any:
        context = BarrierTaskContext.get()
        if context.partitionId() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        context.barrier()
        return rows

    with pytest.raises(Exception, match=r"killed by signal 9.*tried 4 times"):
        sc.parallelize(range(8), 2).barrier().mapPartitions(die).collect()
    assert sc.parallelize(range(8), 2).sum() == 28


def test_tasks_that_wait_are_cancelled_at_once(sc: SparkContext, tmp_path: Path) -> None:
    cancel_while_one_waits(sc, tmp_path)


def test_tasks_that_wait_in_a_thread_are_cancelled_at_once(scratch: Path, tmp_path: Path) -> None:
    """Executors of several cores run tasks in threads, which no signal reaches."""
    with SparkContext("local[4]", "wide", conf=SparkConf().set("spark.task.cpus", 2)) as sc:
        cancel_while_one_waits(sc, tmp_path)


def cancel_while_one_waits(sc: SparkContext, tmp_path: Path) -> None:
    def wait(index: int, rows: Any) -> Any:
        if index == 0:
            mark(tmp_path, "waits")
            BarrierTaskContext.get().barrier()
        mark(tmp_path, "sleeps")
        while True:
            time.sleep(0.01)

    pids = sorted(sc.range(2, numSlices=2).barrier().mapPartitions(lambda _: [os.getpid()]).collect())
    ended: list[Any] = []

    def run() -> None:
        try:
            sc.range(2, numSlices=2).barrier().mapPartitionsWithIndex(wait).collect()
        except JobCancelled as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: marks(tmp_path, "waits") and marks(tmp_path, "sleeps"), "both tasks")
    sc.cancelAllJobs()
    thread.join(60)
    assert ended
    assert sorted(sc.range(2, numSlices=2).barrier().mapPartitions(lambda _: [os.getpid()]).collect()) == pids


def test_waiting_longer_than_the_limit_says_who_did_not_come(scratch: Path) -> None:
    conf = SparkConf().set("spark.barrier.sync.timeout", "200ms")
    with SparkContext("local[2]", "late", conf=conf) as sc:

        def late(index: int, rows: Any) -> Any:
            if index == 1:
                time.sleep(60)
            BarrierTaskContext.get().barrier()
            return rows

        with pytest.raises(BarrierError, match=r"after 0.2 s 1 of 2 tasks had come, not partition 1; partition 0 came"):
            sc.range(2, numSlices=2).barrier().mapPartitionsWithIndex(late).collect()


def test_gangs_and_other_jobs_share_the_slots(sc: SparkContext) -> None:
    def gather(rows: Any) -> Any:
        return [BarrierTaskContext.get().allGather(str(sum(rows)))]

    results: dict[int, Any] = {}

    def in_thread(number: int, run: Callable[[], Any]) -> threading.Thread:
        def work() -> None:
            results[number] = run()

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    numbers = sc.parallelize(range(8), 2)
    threads = []
    for number in range(6):
        rdd = numbers.map(lambda x, number=number: x + number)
        action = rdd.barrier().mapPartitions(gather).collect if number % 2 else rdd.repartition(5).sum
        threads.append(in_thread(number, action))
    for thread in threads:
        thread.join(60)
    assert results == {n: [[str(6 + 4 * n), str(22 + 4 * n)]] * 2 if n % 2 else 28 + 8 * n for n in range(6)}


@pytest.mark.parametrize("master", ["local[2]", "local-cluster[2,1,512]"])
def test_a_gang_that_cannot_fit_fails_at_once_with_the_arithmetic(scratch: Path, master: str) -> None:
    with SparkContext(master, "large") as sc:
        rdd = sc.range(3, numSlices=3).barrier().mapPartitions(lambda rows: rows)
        with pytest.raises(NotEnoughResources) as caught:
            rdd.collect()
        assert "is a barrier stage and needs 3 slots at once, " + master + " has 2. Use fewer" in str(caught.value)


def test_task_infos_of_a_cluster_name_the_workers_block_servers(scratch: Path) -> None:
    with SparkContext("local-cluster[2,1,512]", "addresses") as sc:

        def addresses(_rows: Any) -> Any:
            return [[info.address for info in BarrierTaskContext.get().getTaskInfos()]]

        found = sc.range(2, numSlices=2).barrier().mapPartitions(addresses).collect()[0]
        assert len({address.rpartition(":")[2] for address in found} - {"0"}) == 2
