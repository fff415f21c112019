"""Real processes killed in the middle of real jobs: the right result, no hang, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from simspark import SparkConf, SparkContext
from simspark.publib.errors import JobFailed, NotSerializable, SimsparkError

from .conftest import leftovers, simspark_processes, wait_until

pytestmark = pytest.mark.cluster


def process_ids(sc: SparkContext) -> list[int]:
    """The executors that a job's tasks run in."""
    return sorted(set(sc.parallelize(range(8), 8).map(lambda _: (time.sleep(0.05), os.getpid())[1]).collect()))


def two_process_ids(sc: SparkContext) -> list[int]:
    """The executors, once both are there."""
    wait_until(lambda: len(process_ids(sc)) == 2, "two executors")
    return process_ids(sc)


def two_stage_job(sc: SparkContext, started: Path) -> list[tuple[int, int]]:
    """A job of 8 slow maps and 4 reduces; each task leaves a mark when it starts."""

    def slow(index: int, rows: object) -> object:
        (started / f"{index}-{os.getpid()}-{time.monotonic_ns()}").touch()
        time.sleep(0.15)
        return rows

    pairs = sc.parallelize(range(4000), 8).mapPartitionsWithIndex(slow).map(lambda x: (x % 10, x))
    return sorted(pairs.reduceByKey(lambda a, b: a + b, 4).collect())


EXPECTED = sorted((key, sum(range(key, 4000, 10))) for key in range(10))


def test_killed_executor_costs_a_retry_and_no_result(sc: SparkContext, tmp_path: Path) -> None:
    victims = process_ids(sc)
    killed = []

    def kill_one_in_the_middle() -> None:
        wait_until(lambda: len(list(tmp_path.iterdir())) >= 3, "three tasks to start")
        os.kill(victims[0], signal.SIGKILL)
        killed.append(victims[0])

    killer = threading.Thread(target=kill_one_in_the_middle)
    killer.start()
    assert two_stage_job(sc, tmp_path) == EXPECTED
    killer.join()
    assert killed
    wait_until(lambda: not psutil.pid_exists(killed[0]), "its template to reap it")
    assert victims[0] not in process_ids(sc)


def test_killed_executor_while_saving_leaves_single_files(sc: SparkContext, tmp_path: Path) -> None:
    victims = process_ids(sc)
    marks = tmp_path / "marks"
    marks.mkdir()

    def slow(number: int) -> str:
        (marks / f"{number}-{os.getpid()}-{time.monotonic_ns()}").touch()
        time.sleep(0.02)
        return str(number)

    killer = threading.Thread(
        target=lambda: (wait_until(lambda: len(list(marks.iterdir())) > 8, "rows"), os.kill(victims[0], signal.SIGKILL))
    )
    killer.start()
    sc.parallelize(range(60), 6).map(slow).saveAsTextFile(str(tmp_path / "out"))
    killer.join()
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["_SUCCESS", *(f"part-{part:05d}" for part in range(6))]
    assert sc.textFile(str(tmp_path / "out")).map(int).collect() == list(range(60))


def test_a_task_that_always_kills_its_executor_fails_with_the_cause(sc: SparkContext) -> None:
    with pytest.raises(SimsparkError, match="signal 9"):
        sc.parallelize(range(4), 2).map(lambda x: os.kill(os.getpid(), 9) if x == 3 else x).collect()
    assert sc.parallelize(range(4), 2).sum() == 6


def test_exit_in_user_code_is_a_counted_loss(sc: SparkContext) -> None:
    with pytest.raises(SimsparkError, match="status 0"):
        sc.parallelize(range(4), 2).map(lambda x: os._exit(0)).collect()


def test_flaky_function_is_retried_where_failures_are_allowed(scratch: Path, tmp_path: Path) -> None:
    mark = tmp_path / "failed-once"

    def flaky(number: int) -> int:
        if number == 3 and not mark.exists():
            mark.touch()
            raise ValueError(number)
        return number

    with SparkContext("local[2,3]", "flaky") as sc:
        assert sc.parallelize(range(6), 3).map(flaky).sum() == 15
    mark.unlink()
    with SparkContext("local[2]", "flaky") as sc, pytest.raises(ValueError, match="3"):
        sc.parallelize(range(6), 3).map(flaky).sum()


def test_lost_shuffle_file_is_recomputed(scratch: Path) -> None:
    with SparkContext("local[2]", "lost") as sc:
        counted = sc.parallelize(range(100), 4).map(lambda x: (x % 5, 1)).reduceByKey(lambda a, b: a + b, 3)
        assert sorted(counted.collect()) == [(key, 20) for key in range(5)]
        files = [Path(name) for name in leftovers(scratch) if Path(name).name.startswith("shuffle-")]
        assert files
        files[0].unlink()
        damaged = bytearray(files[1].read_bytes())
        damaged[len(damaged) // 3] ^= 0x40
        files[1].write_bytes(damaged)
        assert sorted(counted.collect()) == [(key, 20) for key in range(5)]


DRIVER = """
import sys, time
from simspark import SparkContext
if __name__ == "__main__":
    sc = SparkContext(sys.argv[1], "doomed")
    print(sc.parallelize(range(4), 2).sum(), flush=True)
    sc.parallelize(range(4), 2).map(lambda x: time.sleep(600)).collect()
"""


@pytest.mark.parametrize("master", ["local[2]", "local-cluster[2,1,512]"])
def test_killed_driver_leaves_nothing(master: str, scratch: Path, tmp_path: Path) -> None:
    program = tmp_path / "doomed.py"
    program.write_text(DRIVER)
    with subprocess.Popen([sys.executable, str(program), master], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "6\n"
        assert simspark_processes(scratch)
        driver.kill()
    wait_until(lambda: not simspark_processes(scratch), "all processes to end")
    wait_until(lambda: not leftovers(scratch), "all files to be removed")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as in a terminal: who runs the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupt_cancels_the_job_and_keeps_the_context(sc: SparkContext, tmp_path: Path) -> None:
    def slow(number: int) -> int:
        (tmp_path / str(number)).touch()
        time.sleep(600)
        return number

    def interrupt() -> None:
        wait_until(lambda: any(tmp_path.iterdir()), "a task to start")
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt, match="cancelled"):
        sc.parallelize(range(2), 2).map(slow).collect()
    assert sc.parallelize(range(10), 2).sum() == 45


def test_unpicklable_closure_is_refused_where_it_is_made(sc: SparkContext) -> None:
    lock = threading.Lock()
    with pytest.raises(NotSerializable, match="lock"):
        sc.parallelize(range(4), 2).map(lambda x: (x, lock)).collect()


def test_counts_stay_exact_when_map_outputs_are_recomputed(scratch: Path) -> None:
    with SparkContext("local[2]", "exact") as sc:
        seen = sc.accumulator(0)

        def pair(x: int) -> tuple[int, int]:
            seen.add(1)
            return (x % 5, 1)

        counted = sc.parallelize(range(100), 4).map(pair).reduceByKey(lambda a, b: a + b, 3)
        counted.collect()
        for name in leftovers(scratch):
            if Path(name).name.startswith("shuffle-"):
                Path(name).unlink()
        assert Counter(dict(counted.collect())) == Counter({key: 20 for key in range(5)})
        assert seen.value == 100


def test_jobs_fail_with_a_named_cause_when_the_input_is_never_there(sc: SparkContext, tmp_path: Path) -> None:
    with pytest.raises((FileNotFoundError, JobFailed), match="nowhere"):
        sc.textFile(str(tmp_path / "nowhere.txt")).count()


def test_results_above_the_limit_are_refused_before_fetching(scratch: Path) -> None:
    conf = SparkConf().set("spark.driver.maxResultSize", "1m")
    with SparkContext("local[2]", "large", conf=conf) as sc, pytest.raises(SimsparkError, match="maxResultSize"):
        sc.parallelize(range(4), 4).map(lambda x: bytes(1 << 20)).collect()
