"""``local-cluster[W,E,MB]``: a real master and real workers in child processes, for the life of one context.

Each child is a daemon's body that ends when its standard input does, so nothing outlives this process, however it ends.
Keys, state and logs are in a private directory that goes with the context.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

from simspark.driver.master_url import LocalClusterMaster
from simspark.publib import errors
from simspark.publib.errors import ClusterError

STOP_S = 5.0
LIVENESS = {"master.heartbeat_interval": "500ms", "master.late_after": "2s", "master.check_interval": "1s"}


class LocalCluster:
    """Starts a master and its workers; ``url`` is where the master answers, ``keys_dir`` what lets a driver in."""

    def __init__(self, directory: str, master: LocalClusterMaster) -> None:
        self.directory = directory
        self._places = {
            "paths.state": f"{directory}/state", "paths.keys": f"{directory}/keys", "paths.logs": f"{directory}/logs",
            "paths.scratch": directory,
        }  # fmt: skip
        self.keys_dir = self._places["paths.keys"]
        self._shape = master
        self.workers: list[subprocess.Popen[str]] = []
        self.url = ""
        self.master = self._spawn_master()
        try:
            self.url = self._answer(self.master)["url"]
            self.add_workers(master.workers)
        except BaseException:
            self.stop()
            raise

    def add_workers(self, count: int) -> None:
        """Start more workers; returns when they have joined."""
        added = [self._spawn_worker(len(self.workers) + number) for number in range(count)]
        self.workers.extend(added)
        for worker in added:
            self._answer(worker)

    def restart_master(self) -> None:
        """Start a master where the last one was, from its journal; returns when it answers."""
        _close(self.master)
        _end(self.master)
        self.master = self._spawn_master()
        self._answer(self.master)

    def _spawn_master(self) -> subprocess.Popen[str]:
        port = self.url.rpartition(":")[2] or "0"
        return self._spawn("master", {**LIVENESS, "master.host": "127.0.0.1", "master.port": port})

    def _spawn_worker(self, number: int) -> subprocess.Popen[str]:
        shape = self._shape
        return self._spawn("worker", {
            "worker.name": f"w{number}", "worker.master": self.url, "worker.host": "127.0.0.1", "worker.port": "0",
            "worker.cores": str(shape.executors_per_worker),
            "worker.memory": f"{shape.memory_mib * shape.executors_per_worker}m",
            "worker.work_dir": f"{self.directory}/{number}",
        })  # fmt: skip

    def _spawn(self, kind: str, settings: dict[str, str]) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-m", "simspark.cli.child", kind], text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment(),
        )  # fmt: skip
        assert child.stdin is not None
        child.stdin.write(json.dumps({**self._places, **settings}) + "\n")
        child.stdin.flush()
        return child

    def _answer(self, child: subprocess.Popen[str]) -> dict[str, Any]:
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line:
            raise ClusterError(f"a process of the local cluster ended at its start; logs: {self._places['paths.logs']}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            kind = getattr(errors, answer["type"], ClusterError)
            raise kind(answer["error"])
        return answer

    def stop(self) -> None:
        """End workers, then the master; bounded."""
        for children in (self.workers, [self.master]):
            for child in children:
                _close(child)
            for child in children:
                _end(child)


def _environment() -> dict[str, str]:
    """The children find simspark where this process found it."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def _close(child: subprocess.Popen[str]) -> None:
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            stream.close()


def _end(child: subprocess.Popen[str]) -> None:
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.wait()
