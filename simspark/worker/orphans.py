"""Processes that user code left behind: found, told apart and killed.

A process that a task started in a session of its own outlives the executor's process group. When the
executor ends, Linux makes the nearest subreaper, the template, its parent. Whose it was shows in what every
process inherits: the command name when it was forked, the environment when it was exec'd. Elsewhere than on
Linux nothing is found.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

PR_SET_CHILD_SUBREAPER = 36


def adopt() -> None:
    """Become the parent of every orphan below this process, where the system allows it."""
    import ctypes

    try:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (AttributeError, OSError):
        return


def kill_of(marks: Sequence[tuple[str, str]]) -> None:
    """Kill children of this process that inherited one of these command names or variables."""
    for process in _children():
        name = _read(f"/proc/{process}/comm").strip().decode(errors="replace")
        entries = _read(f"/proc/{process}/environ").decode(errors="replace").split("\0")
        if any(name == seen_name or mark in entries for seen_name, mark in marks):
            _kill(process)


def kill_all() -> None:
    """Kill every child of this process."""
    for process in _children():
        _kill(process)


def _children() -> list[int]:
    process = os.getpid()
    data = _read(f"/proc/{process}/task/{process}/children")
    return [int(word) for word in data.split()]


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except OSError:
        pass
