"""A real Spark standalone cluster on this machine, out of the pyspark package: a master and a worker of two cores.

Without pyspark or Java 17 these tests are skipped, and say which is missing. They start a handful of JVMs, so they run
only when asked for: -m spark.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]

WAIT_S = 60.0
OLDEST_JAVA = 17
MASTER_URL = re.compile(r"Starting Spark master at (spark://\S+)")


def java() -> str | None:
    home = os.environ.get("JAVA_HOME")
    return f"{home}/bin/java" if home else shutil.which("java")


def what_is_missing() -> str:
    """What these tests need and this machine does not have; empty when all is here."""
    if find_spec("pyspark") is None:
        return 'pyspark is not installed: pip install "simspark[spark]"'
    found = java()
    if found is None or not os.path.exists(found):
        return "no Java here: apt-get install openjdk-17-jre-headless"
    told = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < OLDEST_JAVA:
        return f"Java {OLDEST_JAVA} or newer is needed; {found} says {told.splitlines()[0] if told else 'nothing'}"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mine = [item for item in items if Path(__file__).parent in item.path.parents and item.get_closest_marker("spark")]
    if mine and (missing := what_is_missing()):
        for item in mine:
            item.add_marker(pytest.mark.skip(reason=missing))


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:.0f} s in vain for: {what}"
        time.sleep(0.05)


class Daemon:
    """A daemon of Spark's in a process group of its own, with its log in a file."""

    def __init__(self, directory: Path, name: str, *arguments: str) -> None:
        import pyspark

        home = os.path.dirname(pyspark.__file__)
        environment = {
            **os.environ, "SPARK_HOME": home, "SPARK_DAEMON_MEMORY": "256m", "SPARK_NO_DAEMONIZE": "1",
            "SPARK_LOCAL_DIRS": str(directory), "SPARK_WORKER_DIR": str(directory / "work"),
            "PYSPARK_PYTHON": sys.executable,
        }  # fmt: skip
        self.log = directory / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [f"{home}/bin/spark-class", f"org.apache.spark.deploy.{name.lower()}.{name}", *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip

    def wait_for(self, pattern: re.Pattern[str]) -> re.Match[str]:
        def said() -> re.Match[str] | None:
            assert self.process.poll() is None, self.log.read_text()
            return pattern.search(self.log.read_text())

        wait_until(said, f"{pattern.pattern} in {self.log}")
        found = said()
        assert found is not None
        return found

    def stop(self) -> None:
        """End it and whatever it started."""
        mine = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        _, alive = psutil.wait_procs(mine, 20)
        for child in alive:
            child.kill()
        assert not alive, f"outlived their daemon: {alive}"


@pytest.fixture(scope="session")
def spark_master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a cluster with one worker of two cores."""
    directory = tmp_path_factory.mktemp("spark")
    daemons = [Daemon(directory, "Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0")]
    try:
        url = daemons[0].wait_for(MASTER_URL)[1]
        offers = ("--host", "127.0.0.1", "--cores", "2", "--memory", "2g", "--webui-port", "0")
        daemons.append(Daemon(directory, "Worker", *offers, url))
        daemons[1].wait_for(re.compile("Successfully registered with master"))
        yield url
    finally:
        for daemon in reversed(daemons):
            daemon.stop()


@pytest.fixture
def run_program(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a program as its user does, on a master that the environment names."""
    root = str(Path(__file__).resolve().parents[2])

    def run(master: str, *command: object, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": root, "SIMSPARK_MASTER": master, **variables}
        environment["SIMSPARK_LOCAL_DIR"] = str(tmp_path_factory.mktemp("s"))
        for name in ("PYSPARK_PYTHON", "PYSPARK_GATEWAY_PORT"):
            environment.pop(name, None)
        return subprocess.run(
            [sys.executable, *map(str, command)], capture_output=True, text=True, timeout=140, check=False,
            env=environment, cwd=tmp_path,
        )  # fmt: skip

    return run
