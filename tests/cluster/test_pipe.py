"""Programs that rows are piped through end with their task, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from simspark import SparkConf, SparkContext
from simspark.publib.errors import JobCancelled
from simspark.publib.lineage.pipe import Pipe

from .conftest import wait_until


def started(directory: Path) -> list[int]:
    """The processes that noted themselves there."""
    return [int(path.name) for path in directory.iterdir()]


def noting(directory: Path) -> str:
    """A command that notes its process, and another one that it starts, and never ends."""
    return f"sh -c 'sleep 600 & touch {directory}/$! {directory}/$$; wait'"


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    directory = tmp_path / "notes"
    directory.mkdir()
    return directory


def all_ended(processes: list[int]) -> bool:
    for process in processes:
        try:
            if psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
                return False
        except psutil.NoSuchProcess:
            continue
    return True


@contextmanager
def endless_job(sc: SparkContext, notes: Path, partitions: int) -> Iterator[list[BaseException]]:
    """A job whose programs run; it must end before the block does. What it raised is in the list then."""
    errors: list[BaseException] = []

    def run() -> None:
        sc.setJobGroup("pipes", "endless")
        try:
            sc.parallelize(range(partitions), partitions).pipe(noting(notes)).collect()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: len(started(notes)) == 2 * partitions, "all programs to start")
    yield errors
    thread.join(60)
    assert errors


def test_cancelling_a_job_ends_its_programs(sc: SparkContext, notes: Path) -> None:
    with endless_job(sc, notes, 2) as errors:
        sc.cancelJobGroup("pipes")
    assert [type(error) for error in errors] == [JobCancelled]
    wait_until(lambda: all_ended(started(notes)), "the programs to end")
    assert sc.parallelize([1, 2], 2).sum() == 3


def test_programs_and_what_they_started_end_when_nobody_wants_more(sc: SparkContext, notes: Path) -> None:
    command = f"sh -c 'sleep 600 & touch {notes}/$! {notes}/$$; echo line; wait'"
    assert sc.parallelize([0], 1).pipe(command).first() == "line"
    wait_until(lambda: all_ended(started(notes)), "the program to end")


def test_an_executor_that_is_killed_takes_its_programs_along(scratch: Path, notes: Path) -> None:
    with SparkContext("local[1]", "pipes") as sc:
        executor = sc.parallelize([0], 1).map(lambda _: os.getpid()).first()
        with endless_job(sc, notes, 1):
            first = started(notes)
            os.kill(executor, signal.SIGKILL)
            wait_until(lambda: all_ended(first), "the program to end")
            sc.cancelAllJobs()


def test_stopping_the_context_ends_programs(scratch: Path, notes: Path) -> None:
    with SparkContext("local[1]", "pipes") as sc, endless_job(sc, notes, 1):
        sc.stop()
    wait_until(lambda: all_ended(started(notes)), "the program to end")


def test_cancelling_ends_programs_of_executors_with_several_cores(scratch: Path, notes: Path) -> None:
    conf = SparkConf().set("spark.executor.cores", "2")
    with SparkContext("local[2]", "pipes", conf=conf) as sc:
        test_cancelling_a_job_ends_its_programs(sc, notes)


def test_a_program_whose_number_was_never_heard_is_ended_too(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen
    kept = []

    def interrupted(*arguments: Any, **named: Any) -> None:
        kept.append(real(*arguments, **named))
        wait_until(lambda: len(started(notes)) == 2, "the program to start")
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    command = ("sh", "-c", f"sleep 600 & touch {notes}/$! {notes}/$$; wait")
    task: Any = SimpleNamespace(task_id=7)
    with pytest.raises(KeyboardInterrupt):
        next(Pipe("noting", command, dict(os.environ), False).apply(iter(()), 0, task))
    wait_until(lambda: all_ended(started(notes)), "the program to end")
    for file in (kept[0].stdin, kept[0].stdout):
        file.close()
    kept[0].wait()
