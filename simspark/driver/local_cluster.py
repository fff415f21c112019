"""``local-cluster[W,E,MB]``: a real master and real workers in child processes, for the life of one context.

They are forked from one process that imports for all of them (see simspark.cli.child) while this one imports for
itself. Each is a daemon's body that ends when its standard input does, so nothing outlives this process, however it
ends. Keys, state and logs are in a private directory that goes with the context.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

from simspark.driver.master_url import LocalClusterMaster
from simspark.publib import errors
from simspark.publib.errors import ClusterError
from simspark.publib.interpreters import spawn, wait_for
from simspark.publib.pid_file import Process, start_time

MAIN = "simspark.cli.child"
MASTER, WORKER = "master", "worker"
TOLD_FD, PIDS_FD = 0, 1
FIRST_FD = 3
AHEAD = ("simspark.driver.cluster_backend", "simspark.driver.rdd.core", "simspark.driver.program_pickler")
"""What a driver needs next, and its first job: imported while the daemons start, when it would only wait."""
STOP_S = 5.0
LIVENESS = {"master.heartbeat_interval": "500ms", "master.late_after": "2s", "master.check_interval": "1s"}


class Nursery:
    """The process from which daemons of these kinds fork, each once. Nothing waits for it until a daemon is asked."""

    def __init__(self, kinds: Sequence[str]) -> None:
        inputs = [os.pipe() for _ in kinds]
        outputs = [os.pipe() for _ in kinds]
        self._pids_fd, pids_fd = os.pipe()
        told_fd, self._tells_fd = os.pipe()
        descriptors = {TOLD_FD: told_fd, PIDS_FD: pids_fd}
        for number, ((reads, _), (_, writes)) in enumerate(zip(inputs, outputs, strict=True)):
            descriptors.update({FIRST_FD + 2 * number: reads, FIRST_FD + 2 * number + 1: writes})
        self._process = spawn(MAIN, (os.getpid(), *kinds), descriptors)
        for fd in descriptors.values():
            os.close(fd)
        ends = zip(inputs, outputs, strict=True)
        self.daemons = [Daemon(self, number, pipe[1], back[0]) for number, (pipe, back) in enumerate(ends)]
        self._started: list[Process] = []

    def process(self, number: int) -> Process:
        """The process of the n-th daemon. Raises ClusterError if there was none."""
        if self._pids_fd >= 0:
            with os.fdopen(self._pids_fd) as said:
                self._pids_fd = -1
                self._started = [Process(pid, start_time(pid)) for pid in json.loads(said.readline() or "[]")]
        if number >= len(self._started):
            raise ClusterError("the processes of the local cluster could not be started")
        return self._started[number]

    def own(self, directory: str) -> None:
        """Have it remove a directory when it and this process have ended, however that comes."""
        os.write(self._tells_fd, directory.encode())

    def close(self) -> None:
        """End it and its daemons; bounded. Twice is harmless."""
        end(self.daemons)
        for fd in (self._tells_fd, self._pids_fd):
            if fd >= 0:
                os.close(fd)
        self._tells_fd = self._pids_fd = -1
        if self._process:
            wait_for(self._process, STOP_S)
            self._process = 0


class Daemon:
    """A master or worker that ends with this process; to be killed as one likes."""

    def __init__(self, nursery: Nursery, number: int, writes: int, reads: int) -> None:
        self.nursery = nursery
        self._number = number
        self._input = os.fdopen(writes, "w")
        self._output = os.fdopen(reads)

    @property
    def pid(self) -> int:
        """Its process id. Waits until it has been forked."""
        return self._process.pid

    @property
    def _process(self) -> Process:
        return self.nursery.process(self._number)

    def configure(self, settings: dict[str, str]) -> None:
        """Tell it what it needs to start."""
        try:
            self._input.write(json.dumps(settings) + "\n")
            self._input.flush()
        except BrokenPipeError:
            pass  # it has ended: there will be no answer

    def answer(self) -> dict[str, Any]:
        """What it says once it has started; empty if it ended before."""
        line = self._output.readline()
        answer: dict[str, Any] = json.loads(line) if line else {}
        return answer

    def kill(self) -> None:
        """End it at once. Harmless when it has ended."""
        self._process.send(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to leave. Harmless when it has ended."""
        self._process.send(signal.SIGTERM)

    def wait(self, timeout_s: float = STOP_S) -> None:
        """Wait for its end. Raises TimeoutError."""
        if not self._process.wait(timeout_s):
            raise TimeoutError(f"process {self.pid} has not ended in {timeout_s} s")

    def close(self) -> None:
        """Let it end by itself. Twice is harmless."""
        for stream in (self._input, self._output):
            try:
                stream.close()
            except BrokenPipeError:
                continue

    def end(self) -> None:
        """Wait for its end, and end it when it takes too long."""
        try:
            if not self._process.wait(STOP_S):
                self.kill()
                self._process.wait(STOP_S)
        except ClusterError:
            return  # it never was


def nursery_for(master: LocalClusterMaster) -> Nursery:
    """The nursery of such a cluster, importing; a LocalCluster takes it over."""
    return Nursery([MASTER] + [WORKER] * master.workers)


class LocalCluster:
    """Starts a master and its workers; ``url`` is where the master answers, ``keys_dir`` what lets a driver in."""

    def __init__(self, directory: str, master: LocalClusterMaster, nursery: Nursery | None = None) -> None:
        self.directory = directory
        self._places = {
            "paths.state": f"{directory}/state", "paths.keys": f"{directory}/keys", "paths.logs": f"{directory}/logs",
            "paths.scratch": directory,
        }  # fmt: skip
        self.keys_dir = self._places["paths.keys"]
        self._shape = master
        self.url = ""
        self.workers: list[Daemon] = []
        nursery = nursery or nursery_for(master)
        self.master, *workers = nursery.daemons
        self._started = [self.master, *workers]
        try:
            nursery.own(directory)
            self._start_master()
            self._start_workers(workers)
        except BaseException:
            self.stop()
            raise

    def add_workers(self, count: int) -> None:
        """Start more workers; returns when they have joined."""
        if count:
            added = Nursery([WORKER] * count).daemons
            self._started.extend(added)
            self._start_workers(added)

    def restart_master(self) -> None:
        """Start a master where the last one was, from its journal; returns when it answers."""
        self.master.close()
        self.master.end()
        (self.master,) = Nursery([MASTER]).daemons
        self._started.append(self.master)
        self._start_master()

    def _start_master(self) -> None:
        port = self.url.rpartition(":")[2] or "0"
        self.master.configure({**self._places, **LIVENESS, "master.host": "127.0.0.1", "master.port": port})
        for module in AHEAD:
            import_module(module)
        self.url = self._answer(self.master)["url"]

    def _start_workers(self, workers: list[Daemon]) -> None:
        for number, worker in enumerate(workers, len(self.workers)):
            worker.configure({**self._places, **self._worker_settings(number)})
        self.workers.extend(workers)
        for worker in workers:
            self._answer(worker)

    def _worker_settings(self, number: int) -> dict[str, str]:
        shape = self._shape
        return {
            "worker.name": f"w{number}", "worker.master": self.url, "worker.host": "127.0.0.1", "worker.port": "0",
            "worker.cores": str(shape.executors_per_worker),
            "worker.memory": f"{shape.memory_mib * shape.executors_per_worker}m",
            "worker.work_dir": f"{self.directory}/{number}",
        }  # fmt: skip

    def _answer(self, daemon: Daemon) -> dict[str, Any]:
        answer = daemon.answer()
        if not answer:
            raise ClusterError(f"a process of the local cluster ended at its start; logs: {self._places['paths.logs']}")
        if "error" in answer:
            kind = getattr(errors, answer["type"], ClusterError)
            raise kind(answer["error"])
        return answer

    def stop(self) -> None:
        """End workers, then the master; bounded."""
        end(daemon for daemon in self._started if daemon is not self.master)
        end(self._started)
        for nursery in {daemon.nursery for daemon in self._started}:
            nursery.close()


def end(daemons: Iterable[Daemon]) -> None:
    """End daemons; bounded."""
    ending = list(daemons)
    for daemon in ending:
        daemon.close()
    for daemon in ending:
        daemon.end()
