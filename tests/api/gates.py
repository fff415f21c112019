"""Tasks that say when they have begun and wait until the test lets them go on: no clock decides what happens first."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

WAIT_S = 60.0


class Pass(NamedTuple):
    """What a function of tasks holds of a gate."""

    begun: str
    gate: str

    def wait(self) -> None:
        """Say that a task has begun, and wait for the gate to open for it."""
        for path, act in ((self.begun, lambda fd: os.write(fd, b".")), (self.gate, lambda fd: os.read(fd, 1))):
            fd = os.open(path, os.O_RDWR)
            try:
                act(fd)
            finally:
                os.close(fd)


class Gate:
    """Two pipes in a directory. ``key`` is for tasks, the rest for the test."""

    def __init__(self, directory: Path) -> None:
        self.key = Pass(str(directory / "begun"), str(directory / "gate"))
        for path in self.key:
            os.mkfifo(path)
        self._begun, self._gate = (os.open(path, os.O_RDWR) for path in self.key)

    def wait_begun(self, tasks: int) -> None:
        """Wait until so many more tasks have come to the gate."""
        for _ in range(tasks):
            assert select.select([self._begun], [], [], WAIT_S)[0], "a task did not begin"
            os.read(self._begun, 1)

    def is_quiet(self) -> bool:
        """Whether no task has come that was not waited for."""
        return not select.select([self._begun], [], [], 0)[0]

    def open(self, tasks: int) -> None:
        """Let so many tasks go on."""
        os.write(self._gate, b"." * tasks)

    def close(self) -> None:
        """Give the pipes back."""
        os.close(self._begun)
        os.close(self._gate)


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition, within bounds."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        threading.Event().wait(0.01)


def our_threads() -> list[str]:
    """The threads of actions that are there."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("simspark-")]
