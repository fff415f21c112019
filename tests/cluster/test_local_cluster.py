"""What a cluster of this machine's own costs until it works, counted, and how its processes hang together."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from simspark.driver.local_cluster import LocalCluster
from simspark.driver.master_url import LocalClusterMaster

from .conftest import leftovers, simspark_processes, wait_until

pytestmark = pytest.mark.cluster
DAEMONS = ("simspark.driver", "simspark.master", "simspark.worker.service", "simspark.worker.core",
           "simspark.worker.launcher")  # fmt: skip
STARTS = """
import json, os, sys
from simspark import SparkContext

def spawned(*given, **named):
    spawns.append([module for module in sys.modules if module.startswith(("simspark", "zmq", "cloudpickle"))])
    return spawn(*given, **named)

if __name__ == "__main__":
    spawns, spawn, os.posix_spawn = [], os.posix_spawn, spawned
    with SparkContext("local-cluster[2,1,512]", "starts") as sc:
        before = set(sys.modules)
        executor = sc.parallelize(range(2), 2).map(lambda _: list(sys.modules)).first()
        late = [module for module in set(sys.modules) - before if module.startswith("simspark")]
        print(json.dumps([spawns, executor, late]))
"""
FORKS_AND_WAITS = """
import os, signal, sys
from simspark import SparkContext

if __name__ == "__main__":
    sc = SparkContext("local-cluster[2,1,512]", "forks")
    sc.parallelize(range(2), 2).count()
    if os.fork() == 0:
        signal.pause()
    print(os.getpid(), flush=True)
    signal.pause()
"""
DESCRIPTORS = """
import os, sys
from simspark.publib.interpreters import forked

def run():
    os.write(7, repr([sorted(map(int, os.listdir("/dev/fd"))), os.read(5, 9), os.read(0, 9)]).encode())

if __name__ == "__main__":
    held = [os.open(os.devnull, os.O_RDWR) for _ in range(20)]
    reads, writes = os.pipe()
    answers, answer = os.pipe()
    os.write(writes, b"told")
    child = forked(run, {5: reads, 7: answer})
    os.waitpid(child, 0)
    print(os.read(answers, 999).decode())
"""


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """Modules of the driver at each process that it starts, those of an executor, and those that a first job adds."""
    answer: list[list[str]] = json.loads(printed_by(tmp_path_factory.mktemp("starts") / "program.py", STARTS))
    return answer


def printed_by(path: Path, program: str) -> str:
    path.write_text(program)
    return subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True, timeout=60).stdout


def test_one_interpreter_starts_for_a_whole_cluster_before_the_driver_loads_what_it_runs_on(
    starts: list[list[str]],
) -> None:
    (loaded,) = starts[0]
    assert not {"zmq", "cloudpickle", "simspark.driver.application", "simspark.driver.cluster_backend"} & set(loaded)
    assert len([module for module in loaded if module.startswith("simspark")]) <= 55


def test_executors_hold_nothing_of_the_daemons_though_they_come_of_one_process(starts: list[list[str]]) -> None:
    assert not [module for module in starts[1] if module.startswith(DAEMONS)]


def test_a_first_job_finds_what_the_driver_needs_loaded(starts: list[list[str]]) -> None:
    assert set(starts[2]) <= {"simspark.driver.local_modules"}


def test_each_worker_is_the_parent_of_its_template(scratch: Path) -> None:
    cluster = LocalCluster(str(scratch / "c"), LocalClusterMaster(2, 1, 512))
    try:
        processes = [psutil.Process(daemon.pid) for daemon in (cluster.master, *cluster.workers)]
        assert [len(process.children()) for process in processes] == [0, 1, 1]
        assert len({process.ppid() for process in processes}) == 1
        assert len({os.getsid(process.pid) for process in processes}) == 3
    finally:
        cluster.stop()
    assert not any(process.is_running() for process in processes)
    assert not leftovers(scratch)


def test_a_cluster_whose_driver_was_killed_goes_though_a_fork_of_the_driver_lives(
    scratch: Path, tmp_path: Path,
) -> None:
    (tmp_path / "program.py").write_text(FORKS_AND_WAITS)
    with subprocess.Popen([sys.executable, str(tmp_path / "program.py")], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None and int(program.stdout.readline()) == program.pid
        children = psutil.Process(program.pid).children()
        (fork,) = (child for child in children if "program.py" in " ".join(child.cmdline()))
        try:
            program.kill()
            wait_until(lambda: len(simspark_processes(scratch)) == 1, "all but the fork to end", 20)
            wait_until(lambda: not leftovers(scratch), "the files to go", 10)
            assert fork.is_running()
        finally:
            fork.kill()


def test_a_forked_process_has_the_descriptors_that_it_is_given_and_no_other(tmp_path: Path) -> None:
    listed, told, nothing = ast.literal_eval(printed_by(tmp_path / "program.py", DESCRIPTORS))
    assert {0, 1, 2, 5, 7} <= set(listed) and len(listed) == 6  # one is the listing's own
    assert (told, nothing) == (b"told", b"")
