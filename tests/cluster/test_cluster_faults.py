"""A master and workers in processes of their own, shared by programs, killed in the middle of their jobs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from simspark import SparkConf, SparkContext
from simspark.testing import LocalCluster

from .conftest import simspark_processes, wait_until
from .test_faults import EXPECTED, process_ids, two_process_ids, two_stage_job

pytestmark = pytest.mark.cluster


@pytest.fixture
def cluster(request: pytest.FixtureRequest, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCluster]:
    """A master and, unless the test's parameter says otherwise, two workers with one executor each."""
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with LocalCluster(getattr(request, "param", 2), 1, 512) as made:
        yield made


def conf() -> SparkConf:
    return SparkConf().set("spark.executor.memory", "512m")


def when_started(marks: Path, count: int, action: object) -> threading.Thread:
    """Do something once so many tasks have started."""

    def act() -> None:
        wait_until(lambda: len(list(marks.iterdir())) >= count, f"{count} tasks to start")
        action()  # type: ignore[operator]

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_killed_worker_loses_no_result(cluster: LocalCluster, tmp_path: Path) -> None:
    with SparkContext(conf=conf()) as sc:
        killer = when_started(tmp_path, 3, cluster.workers[0].kill)
        assert two_stage_job(sc, tmp_path) == EXPECTED
        killer.join()
        assert sc.parallelize(range(100), 4).sum() == 4950


def test_killed_worker_between_map_and_reduce_is_recomputed(cluster: LocalCluster, tmp_path: Path) -> None:
    with SparkContext(conf=conf()) as sc:
        pairs = sc.parallelize(range(400), 8).map(lambda x: (x % 5, x)).reduceByKey(lambda a, b: a + b, 4)
        expected = sorted((key, sum(range(key, 400, 5))) for key in range(5))
        assert sorted(pairs.collect()) == expected
        cluster.workers[1].kill()
        cluster.workers[1].wait()
        subprocess.run(["rm", "-rf", f"{cluster.directory}/1"], check=True)
        assert sorted(pairs.collect()) == expected


def test_killed_master_costs_a_running_job_nothing(cluster: LocalCluster, tmp_path: Path) -> None:
    with SparkContext(conf=conf()) as sc:
        killer = when_started(tmp_path, 2, cluster.master.kill)
        assert two_stage_job(sc, tmp_path) == EXPECTED
        killer.join()
        cluster.restart_master()
        assert sc.parallelize(range(100), 4).sum() == 4950
    with SparkContext(conf=conf()) as sc:
        assert sc.parallelize(range(100), 4).sum() == 4950


def test_driver_stopped_while_the_master_is_down_frees_its_executors(cluster: LocalCluster) -> None:
    with SparkContext(conf=conf()) as sc:
        assert sc.parallelize(range(100), 4).sum() == 4950
        cluster.master.kill()
        cluster.master.wait()
    cluster.restart_master()
    with SparkContext(conf=conf()) as sc:
        assert sc.parallelize(range(100), 4).sum() == 4950


def pause(process: int, seconds: float) -> None:
    """Stop a process and let it go on."""
    os.kill(process, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(process, signal.SIGCONT)


def stop_until_it_is_dead(worker: int, sc: SparkContext) -> None:
    """Stop a worker until its executor is none any more, then let it go on."""
    executors = len(sc.statusTracker().getExecutorInfos())
    os.kill(worker, signal.SIGSTOP)
    wait_until(lambda: len(sc.statusTracker().getExecutorInfos()) < executors, "the worker's death")
    os.kill(worker, signal.SIGCONT)


def test_worker_stopped_for_a_moment_is_no_event(cluster: LocalCluster, tmp_path: Path) -> None:
    with SparkContext(conf=conf()) as sc:
        before = two_process_ids(sc)
        pauser = when_started(tmp_path, 2, lambda: pause(cluster.workers[0].pid, 1))
        assert two_stage_job(sc, tmp_path) == EXPECTED
        pauser.join()
        wait_until(lambda: process_ids(sc) == before, "the same executors")


def test_worker_stopped_until_it_is_dead_comes_back_with_nothing_of_the_old(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    with SparkContext(conf=conf()) as sc:
        before = two_process_ids(sc)
        pauser = when_started(tmp_path, 2, lambda: stop_until_it_is_dead(cluster.workers[0].pid, sc))
        assert two_stage_job(sc, tmp_path) == EXPECTED
        pauser.join()
        assert len(set(before) & set(two_process_ids(sc))) == 1
        assert sc.parallelize(range(100), 4).sum() == 4950


def test_executor_stopped_for_two_seconds_is_no_event(scratch: Path, tmp_path: Path) -> None:
    with SparkContext("local[2]") as sc:
        before = two_process_ids(sc)
        pauser = when_started(tmp_path, 2, lambda: pause(before[0], 2))
        assert two_stage_job(sc, tmp_path) == EXPECTED
        pauser.join()
        assert process_ids(sc) == before


@pytest.mark.parametrize("cluster", [0], indirect=True)
def test_without_workers_a_program_waits_says_why_and_goes_on(cluster: LocalCluster) -> None:
    with SparkContext(conf=conf()) as sc:
        texts: list[str] = []

        def join_later() -> None:
            wait_until(lambda: "worker" in sc.waiting_text(), "the reason of the wait")
            texts.append(sc.waiting_text())
            cluster.add_workers(1)

        helper = threading.Thread(target=join_later)
        helper.start()
        assert sc.parallelize(range(100), 4).sum() == 4950
        helper.join()
        assert "no worker has joined" in texts[0]


PROGRAM = """
import sys
from simspark import SparkConf, SparkContext
conf = SparkConf().set("spark.executor.memory", "512m")
with SparkContext(conf=conf) as sc:
    for _ in range(int(sys.argv[1])):
        print(sc.parallelize(range(1000), 4).map(lambda x: x + 1).sum(), flush=True)
    if sys.argv[2:]:
        sys.stdin.read()
"""


def start_program(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    return subprocess.Popen(
        [sys.executable, str(script), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_two_programs_at_once_and_one_after_another_share_the_cluster(cluster: LocalCluster, tmp_path: Path) -> None:
    both = [start_program(tmp_path, "3") for _ in range(2)]
    for program in both:
        assert program.communicate(timeout=60)[0].split() == ["500500"] * 3
    with start_program(tmp_path, "1") as program:
        assert program.communicate(timeout=60)[0].split() == ["500500"]


def test_an_idle_program_that_holds_everything_lets_another_start(cluster: LocalCluster, tmp_path: Path) -> None:
    with start_program(tmp_path, "1", "stay") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "500500\n"
        with start_program(tmp_path, "1") as second:
            assert second.communicate(timeout=60)[0].split() == ["500500"]
        first.communicate(timeout=60)


def test_killed_program_leaves_nothing_on_the_workers(cluster: LocalCluster, tmp_path: Path, scratch: Path) -> None:
    with start_program(tmp_path, "1", "stay") as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "500500\n"
        assert applications_of(scratch)
        program.kill()
    wait_until(lambda: not applications_of(scratch), "the application's files to go")
    wait_until(lambda: executors_of(scratch) == 0, "its executors to end")


def applications_of(scratch: Path) -> list[str]:
    """Where workers keep files of applications."""
    return [folder for folder, _, _ in os.walk(scratch) if re.search(r"/worker-[^/]*/app-[^/]*$", folder)]


def executors_of(scratch: Path) -> int:
    """Executors have a name of their own."""
    processes = [int(line.split()[0]) for line in simspark_processes(scratch)]
    return sum(1 for pid in processes if psutil.pid_exists(pid) and re.fullmatch(r"simspark-x\d+", name_of(pid)))


def name_of(process: int) -> str:
    try:
        return psutil.Process(process).name()
    except psutil.NoSuchProcess:
        return ""


@pytest.mark.usefixtures("scratch")
def test_an_executor_with_several_cores_runs_its_tasks_in_threads() -> None:
    settings = SparkConf().set("spark.executor.cores", "2").set("spark.executor.memory", "512m")

    def where(_: int) -> tuple[int, str]:
        time.sleep(0.2)
        return os.getpid(), threading.current_thread().name

    with SparkContext("local-cluster[1,2,512]", conf=settings) as sc:
        places = sc.parallelize(range(8), 8).map(where).collect()
        assert len({process for process, _ in places}) == 1
        assert len({thread for _, thread in places}) == 2
        assert sc.parallelize(range(1000), 8).map(lambda x: (x % 7, 1)).reduceByKey(lambda a, b: a + b).count() == 7
