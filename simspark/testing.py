"""Test doubles for programs and services built on simspark.

``ManualClock`` is a clock that moves when the test says so. ``Loopback`` runs a core without sockets; ``Wire`` joins
two of them: what one sends the other receives, in order, when the test pumps.

    clock = ManualClock()
    clock.advance(5.0)
    assert clock.now() == 5.0

``LocalCluster`` is a real master and real workers in child processes, for tests of whole programs.

    with LocalCluster(workers=2) as cluster, SparkContext(cluster.url) as sc:
        assert sc.parallelize(range(10)).sum() == 45
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from tempfile import TemporaryDirectory
from typing import Any, Self

from simspark.driver import local_cluster
from simspark.publib.machine import CancelTimer, Core, PeerLost, Received, Send, SetTimer, TimerFired


class LocalCluster(local_cluster.LocalCluster):
    """A master and ``workers`` with ``executors`` of ``memory_mib`` each; at the end nothing of it is left.

    In the ``with`` block contexts of this process find its keys, and programs started from it ``url`` by themselves.
    ``workers``, ``master`` are the processes, to be killed as a test likes; ``add_workers`` and ``restart_master``.
    """

    def __init__(self, workers: int = 2, executors: int = 1, memory_mib: int = 1024) -> None:
        from simspark.driver.master_url import LocalClusterMaster

        self._temporary = TemporaryDirectory(prefix="simspark-test-")
        super().__init__(f"{self._temporary.name}/c", LocalClusterMaster(workers, executors, memory_mib))
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> Self:
        for name, value in (("SIMSPARK_PATHS_KEYS", self.keys_dir), ("SIMSPARK_MASTER", self.url)):
            self._before[name] = os.environ.get(name)
            os.environ[name] = value
        return self

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self.stop()
        self._temporary.cleanup()


class ManualClock:
    """Time that stands still until it is moved. ``now()`` starts at 0 s, ``wall()`` at 2020-01-01 UTC."""

    def __init__(self, now_s: float = 0.0, wall_s: float = 1_577_836_800.0) -> None:
        self._now_s = now_s
        self._wall_offset_s = wall_s - now_s

    def now(self) -> float:
        """Monotonic seconds."""
        return self._now_s

    def wall(self) -> float:
        """Seconds since the epoch."""
        return self._now_s + self._wall_offset_s

    def advance(self, seconds: float) -> None:
        """Let time pass, which cannot go back."""
        if seconds < 0:
            raise ValueError("time does not go back; step_wall() moves the time of day")
        self._now_s += seconds

    def step_wall(self, seconds: float) -> None:
        """Set the time of day, as an administrator or NTP would; the monotonic clock does not notice."""
        self._wall_offset_s += seconds


class ManualTimers:
    """Named timers that fire when a ManualClock has passed them and somebody asks."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str]] = []
        self._current: dict[str, int] = {}
        self._number = 0

    def set(self, timer: SetTimer) -> None:
        """As the effect says; the same name replaces."""
        self._number += 1
        self._current[timer.name] = self._number
        heappush(self._heap, (timer.when, self._number, timer.name))

    def cancel(self, timer: CancelTimer) -> None:
        """As the effect says."""
        self._current.pop(timer.name, None)

    def next_at(self) -> float | None:
        """When the next one is due."""
        while self._heap and self._current.get(self._heap[0][2]) != self._heap[0][1]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float) -> str | None:
        """The name of one timer that is due; it is forgotten."""
        when = self.next_at()
        if when is None or when > now:
            return None
        name = heappop(self._heap)[2]
        del self._current[name]
        return name


class Loopback:
    """Runs one core without sockets: give it events, move the clock, read what it sent.

    Sends collect in ``sent`` as (peer, message), or go to the other core of a pair (``connect``). Every other effect is
    kept in ``effects``.
    """

    def __init__(self, core: Core, clock: ManualClock) -> None:
        self.core = core
        self.clock = clock
        self.sent: list[tuple[str, Any]] = []
        self.effects: list[Any] = []
        self._timers = ManualTimers()
        self._routes: dict[str, Callable[[Any], None]] = {}

    def give(self, event: Any) -> None:
        """Let the core have an event and perform what it wants."""
        for effect in self.core.handle(self.clock.now(), event):
            self._perform(effect)

    def advance(self, seconds: float) -> None:
        """Let time pass and fire each timer at its moment."""
        until = self.clock.now() + seconds
        while (when := self._timers.next_at()) is not None and when <= until:
            self.clock.advance(max(0.0, when - self.clock.now()))
            name = self._timers.take_due(self.clock.now())
            if name is not None:
                self.give(TimerFired(name))
        self.clock.advance(max(0.0, until - self.clock.now()))

    def next_timer_at(self) -> float | None:
        """When the core wants to be called next."""
        return self._timers.next_at()

    def route(self, peer: str, deliver: Callable[[Any], None]) -> None:
        """Hand what is sent to this peer over instead of collecting it."""
        self._routes[peer] = deliver

    def _perform(self, effect: Any) -> None:
        match effect:
            case Send(peer, message) if peer in self._routes:
                self._routes[peer](message)
            case Send(peer, message):
                self.sent.append((peer, message))
            case SetTimer():
                self._timers.set(effect)
            case CancelTimer():
                self._timers.cancel(effect)
            case _:
                self.effects.append(effect)


class Wire:
    """Two loopbacks joined: what a core sends to the named peer arrives at the other one when ``pump`` is called."""

    def __init__(self, left: Loopback, left_peer: str, right: Loopback, right_peer: str) -> None:
        self._ends = ((left, left_peer), (right, right_peer))
        self._under_way: deque[tuple[Loopback, Any]] = deque()
        left.route(left_peer, lambda message: self._under_way.append((right, Received(right_peer, message))))
        right.route(right_peer, lambda message: self._under_way.append((left, Received(left_peer, message))))

    def pump(self, limit: int = 10_000) -> int:
        """Deliver until nothing is under way; how many messages that were."""
        delivered = 0
        while self._under_way and delivered < limit:
            end, event = self._under_way.popleft()
            end.give(event)
            delivered += 1
        return delivered

    def cut(self, reason: str = "cut by the test") -> None:
        """End the session: what is under way is lost and both sides hear of it."""
        self._under_way.clear()
        for end, peer in self._ends:
            end.give(PeerLost(peer, reason))
