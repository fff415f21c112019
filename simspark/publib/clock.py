"""The two clocks. Nothing else in simspark asks what time it is.

Deadlines and durations use ``now()``, which no clock step moves. ``wall()`` is for showing to people only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """A source of time, in seconds."""

    def now(self) -> float:
        """Monotonic seconds: for deadlines, timers and durations."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch: for time stamps that people read."""
        ...


def thread_cpu_s() -> float:
    """How long the calling thread has been on a processor: for what work costs, not for when it is done."""
    return time.thread_time()


def cpu_clock_of(thread: int) -> Callable[[], float]:
    """How long another thread, named by its ident, has been on a processor."""
    clock = time.pthread_getcpuclockid(thread)
    return lambda: time.clock_gettime(clock)


class SystemClock:
    """The machine's clocks: the functions of Python themselves, since loops ask a dozen times for each small job."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
