"""``simspark demo``: a real cluster on this machine, two programs on it, where the time went, and nothing left."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from simspark.cli import daemons, master, output, worker
from simspark.cli.daemons import Chosen
from simspark.publib import config
from simspark.publib.clock import SystemClock
from simspark.publib.daemon import Place, Started, StartFailed, start, stop
from simspark.publib.resources import usable_cores, usable_memory_bytes

WORKERS = 2
LICENCES = "/usr/share/common-licenses"
PROGRAM_TIMEOUT_S = 300


class DemoFailed(Exception):
    """Part of the demonstration failed; its text was printed."""


class Stopwatch:
    """Where the time went."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self.spent: list[tuple[str, float]] = []

    @contextlib.contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        """Count the time of a block."""
        began = self._clock.now()
        try:
            yield
        finally:
            self.spent.append((what, self._clock.now() - began))


def run_demo(integers: int) -> int:
    """Run it all. Returns the exit code."""
    watch = Stopwatch()
    directory = tempfile.mkdtemp(prefix="simspark-")
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    places: list[Place] = []
    try:
        with watch(f"starting a master and {WORKERS} workers"):
            url = _start_cluster(directory, places)
        output.say(f"Cluster of {WORKERS} workers at {url}\n")
        for program, arguments in (("sum_array.py", ["--count", str(integers)]), ("wordcount.py", _texts())):
            with watch(program):
                _run_program(program, arguments, url, directory)
    except DemoFailed:
        return output.FAILED
    finally:
        with watch("stopping the cluster"):
            for place in reversed(places):
                stop(place)
        signal.signal(signal.SIGTERM, previous)
        shutil.rmtree(directory, ignore_errors=True)
    output.say("Where the time went")
    for what, time_s in watch.spent:
        output.say(f"  {time_s:6.2f} s  {what}")
    return output.OK


def _start_cluster(directory: str, places: list[Place]) -> str:
    """Start the daemons, note each in ``places`` as it starts, and return the master's URL."""
    private = config.private(directory)
    url = _start(Chosen({}, config.load(private)), "master", master.body, places)
    for number in range(1, WORKERS + 1):
        code: dict[str, Any] = {
            **private,
            "worker.name": f"demo-{number}",
            "worker.master": url,
            "worker.cores": max(1, usable_cores() // WORKERS),
            "worker.memory": usable_memory_bytes() // 2 // WORKERS,
        }
        _start(Chosen({}, config.load(code)), f"worker-demo-{number}", worker.body, places)
    return url


def _start(chosen: Chosen, name: str, body: Any, places: list[Place]) -> str:
    place = daemons.place_of(name, chosen.settings)
    places.append(place)
    outcome = start(place, body(chosen))
    if isinstance(outcome, Started):
        return outcome.info.url
    if isinstance(outcome, StartFailed):
        daemons.tell_failed(name.capitalize(), outcome)
    raise DemoFailed


def _run_program(program: str, arguments: list[str], url: str, directory: str) -> None:
    """Run an example as a user would, with its output on ours."""
    environment = {
        **os.environ,
        "SIMSPARK_MASTER": url,
        "SIMSPARK_PATHS_STATE": os.path.join(directory, "state"),
        "SIMSPARK_LOCAL_DIR": os.path.join(directory, "scratch"),
    }
    output.say(f"$ python examples/{program} {_shown(arguments)}")
    sys.stdout.flush()
    path = os.path.join(_examples(), program)
    try:
        code = subprocess.run(
            [sys.executable, path, *arguments], env=environment, timeout=PROGRAM_TIMEOUT_S, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        output.note(f"{program} did not end in {PROGRAM_TIMEOUT_S} s.")
        raise DemoFailed from None
    if code != 0:
        output.note(f"{program} ended with code {code}.")
        raise DemoFailed
    output.say()


def _shown(arguments: list[str]) -> str:
    if len(arguments) > 2:
        return f"{arguments[0]} … ({len(arguments)} files)"
    return " ".join(arguments)


def _examples() -> str:
    """The example programs: inside an installed package, beside it in a checkout."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    inside = os.path.join(package, "examples")
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(package), "examples")


def _texts() -> list[str]:
    """A real text: the licences of a Debian machine, or what simspark says of itself."""
    for directory, ending in ((LICENCES, ""), (os.path.dirname(_examples()), ".md"), (_examples(), ".py")):
        if os.path.isdir(directory):
            paths = (os.path.join(directory, name) for name in sorted(os.listdir(directory)) if name.endswith(ending))
            files = [path for path in paths if os.path.isfile(path) and not os.path.islink(path)]
            if files:
                return files
    raise DemoFailed
