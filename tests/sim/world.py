"""Simulated time, hosts and processes.

One heap of moments; whatever happens is a call at a moment. A call belongs to a process: it is dropped when that
process has died meanwhile, and waits while it is stopped. Random numbers come from one generator that the seed makes,
and are drawn in the order of the heap: the same seed gives the same run, whatever the hashes of strings are.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

MOST_STEPS = 100_000


class Violation(AssertionError):
    """An invariant does not hold."""


class Stuck(Violation):
    """Something did not finish in bounded simulated time."""


class Host:
    """A machine: its processes die and its clock steps together. Its disk is in disks.py."""

    __slots__ = ("index", "name", "wall_offset_s")

    def __init__(self, name: str, index: int) -> None:
        self.name = name
        self.index = index
        self.wall_offset_s = 0.0

    def __repr__(self) -> str:
        return self.name


class Process:
    """Something that can be killed, stopped and continued. Subclasses say what they do at their end."""

    def __init__(self, world: World, name: str, host: Host) -> None:
        self.world = world
        self.name = name
        self.host = host
        self.alive = True
        self.paused = False
        self.continued_at = -1e9
        self._stalled: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        world.processes[name] = self
        world.note("start", name)

    def __repr__(self) -> str:
        return self.name

    def call_at(self, when: float, fn: Callable[..., None], *args: Any) -> None:
        """Call in this process at a moment, if it then lives; later, when it is stopped then."""
        world = self.world
        world.sequence += 1
        heappush(world.heap, (max(world.now, when), world.sequence, self, fn, args))

    def call_in(self, delay_s: float, fn: Callable[..., None], *args: Any) -> None:
        world = self.world
        world.sequence += 1
        heappush(world.heap, (world.now + delay_s, world.sequence, self, fn, args))

    def kill(self) -> None:
        """SIGKILL: nothing of it runs any more; the kernel closes what it had open."""
        if not self.alive:
            return
        self.world.note("kill", self.name)
        self.alive = False
        self._stalled.clear()
        if self.world.processes.get(self.name) is self:
            del self.world.processes[self.name]
        self.world.network.process_died(self)
        self.died()

    def died(self) -> None:
        """What the world does when this process ends; the parent's notice, for example."""

    def pause(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so many seconds."""
        if not self.alive or self.paused:
            return
        self.world.note("stop", self.name)
        self.paused = True
        self.world.network.process_stopped(self)
        self.world.call_in(seconds, self.resume)

    def resume(self) -> None:
        if not self.alive or not self.paused:
            return
        self.world.note("continue", self.name)
        self.paused = False
        self.continued_at = self.world.now
        stalled, self._stalled = self._stalled, []
        for fn, args in stalled:
            self.call_at(self.world.now, fn, *args)
        self.world.network.process_continued(self)


class World:
    """The heap, the generator, the trace and the table of who lives."""

    def __init__(self, seed: str, *, traced: bool = False) -> None:
        self.now = 0.0
        self.heap: list[Any] = []
        self.sequence = 0
        self.random = random.Random(seed)
        self.processes: dict[str, Process] = {}
        self.trace: list[str] | None = [] if traced else None
        self.network: Any = None
        self.steps = 0
        self.healed = False
        self.on_phase: Callable[[str, Process], None] = lambda _phase, _process: None
        self.after_step: Callable[[], None] | None = None

    def note(self, what: str, *details: Any) -> None:
        """One line of the trace."""
        if self.trace is not None:
            self.trace.append(f"{self.now:9.4f} {what} " + " ".join([str(detail) for detail in details]))

    def call_in(self, delay_s: float, fn: Callable[..., None], *args: Any) -> None:
        """Call something of the world itself: faults, links, healing."""
        self.sequence += 1
        heappush(self.heap, (self.now + delay_s, self.sequence, None, fn, args))

    def phase(self, name: str, process: Process) -> bool:
        """A process is at a named place; a fault may strike there. False when it does not survive it."""
        self.on_phase(name, process)
        return process.alive

    def run(self, until: float, done: Callable[[], bool]) -> bool:
        """Let time pass until ``done`` or the moment ``until``; whether it is done."""
        heap = self.heap
        while heap:
            if heap[0][0] > until:
                self.now = until
                return done()
            when, _, process, fn, args = heappop(heap)
            self.now = when
            if process is not None:
                if not process.alive:
                    continue
                if process.paused:
                    process._stalled.append((fn, args))
                    continue
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise Stuck(f"{MOST_STEPS} steps and no end: the last is {fn} at {when:.4f}")
            fn(*args)
            if done():
                return True
        return done()
