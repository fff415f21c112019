"""Which way executors and their driver speak with each other in a cluster, and who is let in by it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psutil
import pytest

from simspark import SparkConf, SparkContext
from simspark.driver.cluster_backend import ClusterBackend
from simspark.publib.clock import SystemClock
from simspark.publib.machine import PeerLost
from simspark.publib.service import Loop
from simspark.publib.wire.envelope import local_identity
from simspark.publib.wire.messages import ExecutorHello, Owner, WorkerHello
from simspark.publib.wire.unix import UnixListener
from simspark.publib.wire.unix_dialer import UnixDialer
from simspark.testing import LocalCluster

from .conftest import wait_until
from .test_faults import process_ids, two_process_ids

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads in /proc"),
]
MASTER = "local-cluster[2,1,512]"
JOBS = 20
MAIN_AND_SOCKET = 2
FORKS_AND_WAITS = """
import os, signal
from simspark import SparkConf, SparkContext

def process(_):
    return os.getpid()

if __name__ == "__main__":
    sc = SparkContext(conf=SparkConf().set("spark.executor.memory", "512m"))
    executors = set()
    while len(executors) < 2:
        executors.update(sc.parallelize(range(8), 8).map(process).collect())
    fork = os.fork()
    if not fork:
        signal.pause()
    print(fork, *executors, flush=True)
    signal.pause()
"""


@pytest.fixture
def near(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The endpoints of Unix sockets at which drivers have listened."""
    endpoints = []
    listen = ClusterBackend._listen_here

    def noted(backend: ClusterBackend) -> UnixListener | None:
        made = listen(backend)
        if made is not None:
            endpoints.append(made.endpoint)
        return made

    monkeypatch.setattr(ClusterBackend, "_listen_here", noted)
    return endpoints


@pytest.fixture
def cluster(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCluster]:
    """A master and two workers with one executor each."""
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with LocalCluster(2, 1, 512) as made:
        yield made


def conf() -> SparkConf:
    return SparkConf().set("spark.executor.memory", "512m")


def threads(process: int) -> int:
    return len(os.listdir(f"/proc/{process}/task"))


def sent(sc: SparkContext, way: str) -> list[str]:
    """To whom the driver sends by one way, from now on."""
    peers: list[str] = []
    listener: Any = sc._application.engine._listeners[way]
    known = listener.send
    listener.send = lambda peer, message: peers.append(peer) or known(peer, message)
    return peers


def run_jobs(sc: SparkContext) -> None:
    for _ in range(JOBS):
        assert sc.parallelize(range(2), 2).map(lambda x: x + 1).collect() == [1, 2]


def speaks_by_unix_sockets_alone(sc: SparkContext) -> None:
    executors = two_process_ids(sc)
    by_zmq, by_unix = sent(sc, "p"), sent(sc, "u")
    run_jobs(sc)
    assert not by_zmq
    assert len(set(by_unix)) == 2
    assert [threads(executor) for executor in executors] == [MAIN_AND_SOCKET] * 2


def test_executors_on_the_drivers_machine_speak_with_it_without_zmq_and_its_threads(scratch: Path) -> None:
    with SparkContext(MASTER) as sc:
        speaks_by_unix_sockets_alone(sc)


def test_so_do_those_of_a_cluster_that_others_have_started(cluster: LocalCluster) -> None:
    with SparkContext(conf=conf()) as sc:
        speaks_by_unix_sockets_alone(sc)


def elsewhere(path: str) -> None:
    """As it is on another machine, or in a container."""
    os.unlink(path)


def no_listener(path: str) -> None:
    """As if another machine's file were seen here."""
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as unheard:
        unheard.bind(path)


def open_to_others(path: str) -> None:
    os.chmod(os.path.dirname(path), 0o755)


@pytest.mark.parametrize("spoil", [elsewhere, no_listener, open_to_others])
def test_who_cannot_get_there_speaks_zmq_and_nobody_notices(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[str], None], capfd: pytest.CaptureFixture[str],
) -> None:
    listen = ClusterBackend._listen_here

    def spoilt(backend: ClusterBackend) -> UnixListener | None:
        made = listen(backend)
        assert made is not None
        spoil(made.endpoint.removeprefix("unix://"))
        return made

    monkeypatch.setattr(ClusterBackend, "_listen_here", spoilt)
    with SparkContext(MASTER) as sc:
        executors = two_process_ids(sc)
        by_zmq, by_unix = sent(sc, "p"), sent(sc, "u")
        run_jobs(sc)
        assert len(set(by_zmq)) == 2
        assert not by_unix
        assert min(threads(executor) for executor in executors) > MAIN_AND_SOCKET
    assert capfd.readouterr().err == ""


def test_a_directory_whose_name_is_too_long_for_a_socket_is_no_error(
    scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, near: list[str]
) -> None:
    monkeypatch.setattr("simspark.publib.wire.places.PATH_LIMIT_BYTES", 10)
    with SparkContext(MASTER) as sc:
        run_jobs(sc)
    assert not near


def test_blocks_that_are_to_go_over_the_network_have_all_go_there(scratch: Path, near: list[str]) -> None:
    with SparkContext(MASTER, conf=SparkConf().set("spark.simspark.blocks.overNetwork", "true")) as sc:
        run_jobs(sc)
    assert not near


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop(SystemClock())
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    made.stop()
    thread.join()


def test_nobody_gets_in_there_without_the_nonce_of_an_executor_that_is_expected(
    scratch: Path, near: list[str], loop: Loop
) -> None:
    with SparkContext(MASTER) as sc:
        two_process_ids(sc)
        executor = sc._application.engine.executors()[0]
        for hello in (
            ExecutorHello(executor, b"guessed", 1, 1, 0), ExecutorHello("somebody", b"", 1, 1, 0),
            WorkerHello("w1", 1, "here", Owner("w1", "/tmp", "", "", "")),
        ):  # fmt: skip
            heard: SimpleQueue[Any] = SimpleQueue()
            dialer = UnixDialer(near[0], local_identity("executor"), hello, 10.0)
            loop.add(dialer, heard.put)
            answer = heard.get(timeout=60)
            assert type(answer) is PeerLost
            assert answer.reason.startswith(("access_refused: no such executor", "protocol: only executors"))
        run_jobs(sc)


def test_an_executor_that_a_signal_stopped_is_silent_and_later_lost(scratch: Path, tmp_path: Path) -> None:
    conf = SparkConf().set("spark.simspark.executor.silentIsLost", "1s")
    with SparkContext(MASTER, conf=conf) as sc:
        before = two_process_ids(sc)
        os.kill(before[0], signal.SIGSTOP)
        assert sorted(sc.parallelize(range(8), 8).collect()) == list(range(8))
        wait_until(lambda: before[0] not in process_ids(sc) and not os.path.exists(f"/proc/{before[0]}"), "its end")
        assert len(set(two_process_ids(sc)) & set(before)) == 1


def test_one_that_goes_on_in_time_is_heard_again(scratch: Path, tmp_path: Path) -> None:
    with SparkContext(MASTER) as sc:
        before = two_process_ids(sc)
        pool = sc._application.engine.core._pool
        os.kill(before[0], signal.SIGSTOP)
        wait_until(lambda: sum(executor.silent_since >= 0 for executor in pool.all()) == 1, "one to be silent")
        os.kill(before[0], signal.SIGCONT)
        wait_until(lambda: not any(executor.silent_since >= 0 for executor in pool.all()), "both to be heard")
        assert sorted(two_process_ids(sc)) == sorted(before)


def test_an_executor_that_stands_still_with_its_worker_is_noticed_without_a_master(cluster: LocalCluster) -> None:
    with SparkContext(conf=conf().set("spark.simspark.executor.silentIsLost", "1s")) as sc:
        before = two_process_ids(sc)
        worker = cluster.workers[0].pid
        (mine,) = (executor for executor in before if psutil.Process(worker) in psutil.Process(executor).parents())
        cluster.master.kill()
        cluster.master.wait()
        stopped = [mine, worker]
        for process in stopped:
            os.kill(process, signal.SIGSTOP)
        try:
            assert sorted(sc.parallelize(range(8), 8).collect()) == list(range(8))
            assert mine not in process_ids(sc)
        finally:
            for process in reversed(stopped):
                os.kill(process, signal.SIGCONT)
        wait_until(lambda: not psutil.pid_exists(mine), "the end of an executor that was given up")
        cluster.restart_master()


def test_one_that_works_while_its_worker_stands_still_goes_on(cluster: LocalCluster) -> None:
    with SparkContext(conf=conf().set("spark.simspark.executor.silentIsLost", "1s")) as sc:
        before = two_process_ids(sc)
        engine = sc._application.engine
        cluster.master.kill()
        cluster.master.wait()
        doubts = []
        doubt = engine._listeners["u"].doubt
        engine._listeners["u"].doubt = lambda *said: doubts.append(said) or doubt(*said)  # type: ignore[method-assign]
        os.kill(cluster.workers[0].pid, signal.SIGSTOP)
        try:
            wait_until(lambda: doubts, "its worker to be doubted")
            run_jobs(sc)
            assert process_ids(sc) == before
        finally:
            os.kill(cluster.workers[0].pid, signal.SIGCONT)
        wait_until(lambda: len(doubts) == 2, "its worker to be heard again")
        cluster.restart_master()


def test_executors_leave_a_driver_that_was_killed_though_a_fork_of_it_lives_and_no_master_does(
    cluster: LocalCluster, scratch: Path, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(FORKS_AND_WAITS)
    with subprocess.Popen([sys.executable, str(tmp_path / "program.py")], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        fork, *executors = map(int, program.stdout.readline().split())
        cluster.master.kill()
        cluster.master.wait()
        try:
            program.kill()
            wait_until(lambda: not any(map(psutil.pid_exists, executors)), "executors to end", 10)
            assert psutil.pid_exists(fork)
        finally:
            os.kill(fork, signal.SIGKILL)
    cluster.restart_master()
