"""Processes as the benchmark runs them: each with all that it starts, watched for memory, and none left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

MARK = "SIMSPARK_BENCHMARK_RUN"
SAMPLE_S = 0.1
SHARE_OF_TIME = 50  # a sample that takes long is followed by a pause of so many times that


class Ended(NamedTuple):
    """How a run went: seconds to its first line, its output, the most memory of all its processes together."""

    code: int
    first_line_s: float
    stdout: str
    stderr: str
    peak_mb: float
    left_behind: int
    late: bool = False  # it was killed at its time limit


class Family:
    """A process, and all that carry its mark in their environment or have a known parent."""

    def __init__(self, mark: str) -> None:
        self._mark = f"{MARK}={mark}".encode()
        self._known: dict[int, bool] = {os.getpid(): False}

    def members(self) -> list[int]:
        """The processes that live now."""
        alive = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        self._known = {pid: known for pid, known in self._known.items() if pid in set(alive)}
        for pid in sorted(set(alive) - set(self._known)):
            self._known[pid] = self._belongs(pid)
        return [pid for pid in alive if self._known[pid]]

    def _belongs(self, pid: int) -> bool:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if self._mark in file.read().split(b"\0"):
                    return True
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
            return self._known.get(parent, False)
        except OSError:
            return False

    def memory_mb(self) -> float:
        """Their memory now, in MB: what several share is shared among them."""
        return sum(map(pss_kb, self.members())) / 1000 * 1.024


def pss_kb(pid: int) -> int:
    """One process's proportional part of the memory that it uses, in KiB; 0 when it has gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def run(command: list[str], environment: dict[str, str], directory: str, timeout_s: float) -> Ended:
    """Run a program to its end, or to its time limit."""
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    paths = [os.path.join(directory, f"{mark}.{name}") for name in ("out", "err")]
    family = Family(mark)
    with open(paths[0], "wb") as out, open(paths[1], "wb") as err:
        before = time.monotonic()
        process = subprocess.Popen(
            command, env={**environment, MARK: mark}, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=directory
        )
        peak = max(watch(process, family, before + timeout_s))
        late = process.returncode != 0 and time.monotonic() - before >= timeout_s
    left = end_all(family)
    texts = [taken(path) for path in paths]
    return Ended(process.returncode, 0.0, texts[0], texts[1], peak, left, late)


def watch(process: subprocess.Popen[bytes], family: Family, until: float) -> Iterator[float]:
    """The family's memory, a few times a second, until the process has ended."""
    yield 0.0
    while process.poll() is None:
        before = time.monotonic()
        yield family.memory_mb()
        after = time.monotonic()
        if after > until:
            process.kill()
        try:
            process.wait(min(max(SAMPLE_S, SHARE_OF_TIME * (after - before)), max(SAMPLE_S, until - after)))
        except subprocess.TimeoutExpired:
            continue


def run_to_first_line(command: list[str], environment: dict[str, str], directory: str, timeout_s: float) -> Ended:
    """Run a program whose first line of output is what is waited for; nothing looks at it meanwhile."""
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    errors = os.path.join(directory, f"{mark}.err")
    with open(errors, "wb") as err:
        before = time.perf_counter()
        process = subprocess.Popen(
            command, env={**environment, MARK: mark}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err,
            cwd=directory,
        )  # fmt: skip
        limit = threading.Timer(timeout_s, process.kill)
        limit.start()
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - before
        family = Family(mark)
        peak = family.memory_mb()
        process.communicate()
        limit.cancel()
    return Ended(process.returncode, seconds, line.decode(), taken(errors), peak, end_all(family))


def taken(path: str) -> str:
    """What a file holds; the file is gone then."""
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    os.unlink(path)
    return text


def end_all(family: Family, patience_s: float = 5.0) -> int:
    """See the last of a family go; those that do not are killed, and counted."""
    until = time.monotonic() + patience_s
    while (left := family.members()) and time.monotonic() < until:
        time.sleep(0.01)
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return len(left)
