"""Real processes: contexts on real executors, and a check that each test leaves nothing behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from simspark import SparkConf, SparkContext

WAIT_S = 60.0


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = WAIT_S) -> None:
    """Wait for a condition, within bounds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:.0f} s in vain for: {what}"
        time.sleep(0.02)


def simspark_processes(run_directory: Path) -> list[str]:
    """Processes of simspark that were started with this test's scratch directory."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SIMSPARK_LOCAL_DIR") == str(run_directory) and process.pid != os.getpid():
                found.append(f"{process.pid} {' '.join(process.cmdline())}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.fixture
def scratch(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A scratch directory of the test's own; afterwards no process that knows it and no file in it is left."""
    directory = tmp_path_factory.mktemp("s")
    monkeypatch.setenv("SIMSPARK_LOCAL_DIR", str(directory))
    yield directory
    wait_until(lambda: not simspark_processes(directory), f"the end of {simspark_processes(directory)}")
    wait_until(lambda: not leftovers(directory), f"the removal of {leftovers(directory)}")


def leftovers(directory: Path) -> list[str]:
    """Files below a directory, also while others remove some, which ``Path.rglob`` does not survive."""
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(directory) for name in names)


@pytest.fixture(params=["local[2]", "local-cluster[2,1,512]"])
def sc(request: pytest.FixtureRequest, scratch: Path) -> Iterator[SparkContext]:
    """A context on two executors."""
    with SparkContext(request.param, request.node.name, conf=SparkConf()) as context:
        yield context
