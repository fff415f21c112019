"""The executors that the driver may use, by name and by worker, and what runs on each.

An executor works through what it was sent in order, ``slots`` tasks at a time: the first ``slots`` of its flight are
running, the others wait in its window. What the driver knows of it lags behind by one batch of reports.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from simspark.publib.named_tuple import NamedTuple

if TYPE_CHECKING:
    from simspark.driver.task_set import TaskSet

NEVER = -1.0


class Running:
    """An attempt that an executor has been sent and that has not ended.

    ``cancelled_at``: since when nobody wants it any more (NEVER while somebody does). ``copied``: another attempt
    was asked for because this one is slow, stuck in a window or out of reach; the first that ends well counts.
    ``moved``: its executor was told to leave it out, unless it had begun. ``waits``: for others of its gang, so its
    time does not run.
    """

    __slots__ = (
        "attempt", "cancelled_at", "copied", "cpus", "ended", "executor", "index", "moved", "started_at", "suspicion",
        "sweep", "task", "tasks", "waits",
    )

    def __init__(self, task: int, index: int, attempt: int, tasks: TaskSet, executor: Executor, suspicion: int) -> None:
        self.task = task
        self.index = index
        self.attempt = attempt
        self.tasks = tasks
        self.cpus = tasks.spec.cpus
        self.executor = executor
        self.suspicion = suspicion
        self.started_at = NEVER
        self.cancelled_at = NEVER
        self.copied = False
        self.moved = False
        self.ended = False
        self.waits = False
        self.sweep = ""

    @property
    def is_cancelled(self) -> bool:
        """Nobody wants its result."""
        return self.cancelled_at >= 0

    @property
    def partition(self) -> int:
        """The partition that it computes."""
        return self.tasks.partitions[self.index]


class Executor:
    """One executor and its flight: the attempts that it was sent, by task id, in order.

    ``extra``: how many slots the attempts in flight take beyond one each. While there are any, nothing waits in the
    window: the executor's free threads would start it.
    """

    __slots__ = ("draining", "extra", "flight", "heard_at", "host", "idle_since", "loads", "name", "places",
                 "silent_since", "slots", "suspects", "worker")

    def __init__(self, name: str, worker: str, host: str, slots: int, now: float) -> None:
        self.name = name
        self.worker = worker
        self.host = host
        self.slots = slots
        self.places = ("executor:" + name, "worker:" + worker, "host:" + host)
        self.flight: dict[int, Running] = {}
        self.suspects = 0
        self.extra = 0
        self.silent_since = NEVER
        self.draining = False
        self.heard_at = now
        self.idle_since = now
        self.loads = Loads()

    def started(self) -> Iterator[Running]:
        """The attempts that it is taken to run now."""
        return islice(self.flight.values(), self.slots)

    def queued(self) -> Iterator[Running]:
        """The attempts that wait in its window."""
        return islice(self.flight.values(), self.slots, None)

    @property
    def free_slots(self) -> int:
        """How many slots of it idle; none beside a task that must be alone."""
        free = self.slots - len(self.flight) - self.extra
        if free <= 0:
            return 0
        if self.suspects and any(running.suspicion > 1 for running in self.flight.values()):
            return 0
        return free

    def take(self, running: Running) -> None:
        """It was sent an attempt."""
        self.flight[running.task] = running
        self.extra += running.cpus - 1
        if running.suspicion:
            self.suspects += 1
        self.loads.note(self)

    def end(self, task: int) -> Running | None:
        """An attempt of its flight ended; None when it is not there."""
        running = self.flight.pop(task, None)
        if running is None:
            return None
        running.ended = True
        self.extra -= running.cpus - 1
        if running.suspicion:
            self.suspects -= 1
        self.loads.note(self)
        return running

    def mark_started(self, now: float) -> None:
        """Note since when those that run have been running."""
        for running in islice(self.flight.values(), self.slots):
            if running.started_at < 0:
                running.started_at = now


class Loads:
    """Which executors have less or more in flight than slots, so that nobody need look at all of them."""

    __slots__ = ("crowded", "roomy")

    def __init__(self) -> None:
        self.roomy: dict[str, Executor] = {}
        self.crowded: dict[str, Executor] = {}

    def note(self, executor: Executor) -> None:
        """The flight of an executor has changed."""
        sent = len(executor.flight)
        if sent + executor.extra < executor.slots:
            self.roomy[executor.name] = executor
        else:
            self.roomy.pop(executor.name, None)
        if sent > executor.slots:
            self.crowded[executor.name] = executor
        else:
            self.crowded.pop(executor.name, None)

    def forget(self, executor: Executor) -> None:
        """An executor is gone."""
        self.roomy.pop(executor.name, None)
        self.crowded.pop(executor.name, None)


class Exclusion(NamedTuple):
    """Why and how long a worker is left out: at fault so many ``times``, for its disk or for being out of reach."""

    until: float
    times: int
    unreachable: bool


class ExecutorPool:
    """All executors, and which workers are late or excluded.

    ``excludes``: some are. ``expecting``: executors on other workers than those excluded are on their way.
    """

    def __init__(self) -> None:
        self._executors: dict[str, Executor] = {}
        self._late: dict[str, None] = {}
        self._excluded: dict[str, Exclusion] = {}
        self._usable: list[Executor] | None = None
        self._positions: dict[str, int] | None = None
        self.loads = Loads()
        self.excludes = False
        self.staying = 0
        self.expecting = False
        self.slots = 0
        self.slots_per_executor = 1
        self.version = 0

    def join(self, executor: Executor) -> bool:
        """A new executor; False when it is here already."""
        if executor.name in self._executors:
            return False
        self._executors[executor.name] = executor
        executor.loads = self.loads
        self.loads.note(executor)
        self.slots_per_executor = max(self.slots_per_executor, executor.slots)
        self._changed()
        return True

    def remove(self, name: str) -> Executor | None:
        """An executor is gone; None when it was not here."""
        executor = self._executors.pop(name, None)
        if executor is not None:
            executor.loads = Loads()
            self.loads.forget(executor)
            self._changed()
        return executor

    def get(self, name: str) -> Executor | None:
        """The executor of this name."""
        return self._executors.get(name)

    def all(self) -> list[Executor]:
        """In the order in which they joined."""
        return list(self._executors.values())

    def room_for(self, cpus: int) -> int:
        """How many tasks of so many slots each they could run at once, were they idle."""
        return self.slots if cpus == 1 else sum(executor.slots // cpus for executor in self._executors.values())

    def on_worker(self, worker: str) -> list[Executor]:
        """The executors of one worker."""
        return [executor for executor in self._executors.values() if executor.worker == worker]

    def __len__(self) -> int:
        return len(self._executors)

    # ── who may get tasks ────────────────────────────────────────────────────────────────────────────────────────

    def usable(self) -> list[Executor]:
        """Those that may be sent tasks: heard of, not on their way back to the master, not on an excluded worker.

        When all are on excluded workers, and no others are silent or expected, they may, on those that were at fault
        the fewest times.
        """
        if self._usable is None:
            ready = [e for e in self._executors.values() if e.silent_since < 0 and not e.draining]
            self._usable = [e for e in ready if e.worker not in self._excluded]
            if ready and not self._usable and not self.expecting and not self.has_others(self._excluded):
                least = min(self._excluded[e.worker].times for e in ready)
                self._usable = [e for e in ready if self._excluded[e.worker].times == least]
        return self._usable

    def usable_of(self, names: Iterable[str]) -> list[Executor]:
        """Those of these that may be sent tasks, in the order in which they joined."""
        usable = self.usable()
        if self._positions is None:
            self._positions = {executor.name: position for position, executor in enumerate(usable)}
        known = self._positions
        return [usable[position] for position in sorted(known[name] for name in names if name in known)]

    def has_others(self, workers: Container[str]) -> bool:
        """Whether executors that stay, heard of or silent, are on other workers than these."""
        return any(not e.draining and e.worker not in workers for e in self._executors.values())

    def is_left_out(self, worker: str) -> bool:
        """Whether the worker is excluded and so gets no tasks now."""
        return worker in self._excluded and not any(e.worker == worker for e in self.usable())

    def set_expecting(self, expecting: bool) -> bool:
        """Executors on other workers than those excluded are on their way, or not any more; True for a change."""
        changed = self.expecting != expecting
        if changed:
            self.expecting = expecting
            self._changed()
        return changed

    def has_place(self, place: str) -> bool:
        """Whether a usable executor is at this place."""
        return any(place in executor.places for executor in self.usable())

    def set_silent(self, executor: Executor, since: float) -> None:
        """The connection of an executor broke (or, with NEVER, is back)."""
        executor.silent_since = since
        self._changed()

    def set_draining(self, executor: Executor, draining: bool) -> None:
        """Send it nothing more, because it goes back when its tasks have ended; or have it stay after all."""
        if executor.draining != draining:
            executor.draining = draining
            self._changed()

    def set_late(self, worker: str, late: bool) -> None:
        """The master has not heard of a worker for a while, or has again."""
        if late:
            self._late[worker] = None
        else:
            self._late.pop(worker, None)

    def is_late(self, worker: str) -> bool:
        """Whether the master has not heard of the worker for a while."""
        return worker in self._late

    def exclude(self, worker: str, until: float, *, unreachable: bool) -> None:
        """Use a worker only if there is no other and none is expected, until then (or until it is heard of again)."""
        before = self._excluded.get(worker)
        if before is not None:
            unreachable = unreachable and before.unreachable
        times = 1 if before is None else before.times + 1
        self._excluded[worker] = Exclusion(until, times, unreachable)
        self._changed()

    def hear_worker(self, worker: str) -> bool:
        """The master hears a worker again: out of reach it is no more. True when it was excluded for that."""
        self.set_late(worker, late=False)
        known = self._excluded.get(worker)
        if known is None or not known.unreachable:
            return False
        self.forget_worker(worker)
        return True

    def end_exclusions(self, now: float) -> list[str]:
        """Exclusions whose time has passed end; returns these workers."""
        over = [worker for worker, known in self._excluded.items() if known.until <= now]
        for worker in over:
            del self._excluded[worker]
        if over:
            self._changed()
        return over

    def next_exclusion_end(self) -> float:
        """When the next exclusion ends; NEVER without one."""
        return min((known.until for known in self._excluded.values()), default=NEVER)

    def excluded(self) -> tuple[str, ...]:
        """The workers that are excluded now."""
        return tuple(self._excluded)

    def forget_worker(self, worker: str) -> None:
        """A worker is dead: what was said of it is void."""
        self._late.pop(worker, None)
        if self._excluded.pop(worker, None) is not None:
            self._changed()

    def _changed(self) -> None:
        self._usable = self._positions = None
        self.version += 1
        self.excludes = bool(self._excluded)
        self.staying = sum(not executor.draining for executor in self._executors.values())
        self.slots = sum(executor.slots for executor in self._executors.values())
