"""What goes on in the background of one context: asynchronous actions, and whatever else has a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from simspark.driver.engine import Following
from simspark.publib.clock import Clock


class Activities:
    """Those that are under way. Any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[Following, None] = {}
        self._lock = threading.Lock()

    def add(self, activity: Following) -> None:
        """One begins."""
        with self._lock:
            self._open[activity] = None

    def remove(self, activity: Following) -> None:
        """One is over. Twice is harmless."""
        with self._lock:
            self._open.pop(activity, None)

    def cancel(self, which: Callable[[Mapping[str, str]], bool], reason: str) -> None:
        """Cancel those whose properties ``which`` picks."""
        for activity in self._now_open():
            if which(activity.properties):
                activity.cancel(reason)

    def end(self, timeout_s: float) -> None:
        """Wait for all of them, so long at most; their jobs have ended."""
        deadline = self._clock.now() + timeout_s
        for activity in self._now_open():
            activity.join(max(0.0, deadline - self._clock.now()))

    def _now_open(self) -> list[Following]:
        with self._lock:
            return list(self._open)
