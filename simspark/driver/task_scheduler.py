"""Free slots meet task sets.

First every free slot gets a task, round and round, so that a stage of few tasks is spread over the executors. Then
each executor's window is filled: tasks that wait there, so that it never idles between two messages. How many
depends on how long the tasks of the stage have been taking: none for long ones, hundreds for tiny ones, which then
travel in big batches. A window is refilled when half of it is free, and never with more than its share of what is
left, so that the last tasks are spread again.

Jobs are served in the order in which they came; with several pools, the pool with the fewest tasks in flight is
served first. A gang gets all its slots at once or none; while it could have them, nothing behind it gets any. A task
that takes several slots waits until its executor has as many, and nothing behind it gets any of these.
"""

from __future__ import annotations

from bisect import insort

from simspark.driver.block_directory import CachedBlocks
from simspark.driver.executor_pool import Executor, ExecutorPool, Running
from simspark.driver.scheduling import Attempt, Cancel, Launch, SchedulerSettings
from simspark.driver.task_set import ALONE, TaskSet
from simspark.driver.turn import Turn
from simspark.publib.events import TasksStarted, TaskStart

WINDOW_S = 0.05
"""A window holds about so much work per slot ..."""
WINDOW_MOST = 256
"""... but no more tasks than this."""
WINDOW_GROWTH = 4
TINY_S = 0.001
LONG_S = 0.1
BALANCE_AFTER_S = 0.1
OFFER = "offer"
CANCELLED = "cancelled"
BALANCE = "balance"


class TaskScheduler:
    """The task sets that are under way, ``served`` in this order, and what is launched where."""

    def __init__(self, settings: SchedulerSettings, turn: Turn, pool: ExecutorPool, cached: CachedBlocks) -> None:
        self._settings = settings
        self._turn = turn
        self._pool = pool
        self._cached = cached
        self.served: list[TaskSet] = []
        self.gangs = 0  # of those served
        self._next_task = 1
        self._roomy: dict[str, Executor] = {}
        self._offer_all = False
        self._launches: dict[tuple[Executor, TaskSet], list[Attempt]] = {}

    # ── task sets ────────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, tasks: TaskSet) -> None:
        """Tasks that may run from now on."""
        insort(self.served, tasks, key=lambda known: known.order)
        self.gangs += tasks.spec.gang
        self._offer_all = True

    def reorder(self) -> None:
        """A set was given to another job."""
        self.served.sort(key=lambda tasks: tasks.order)

    def close(self, tasks: TaskSet, reason: str) -> None:
        """Nobody wants anything of these tasks any more."""
        if tasks.closed:
            return
        tasks.closed = True
        self.served.remove(tasks)
        self.gangs -= tasks.spec.gang
        if tasks.running:
            rest = [running for attempts in tasks.running.values() for running in attempts]
            for running in rest:
                tasks.leave(running)
            self.cancel(rest, reason)
        self._offer_all = True

    def sets(self) -> list[TaskSet]:
        """All of them, in the order in which they are served."""
        return list(self.served)

    @property
    def next_task(self) -> int:
        """The id that the next attempt will have."""
        return self._next_task

    def cancel(self, attempts: list[Running], reason: str) -> None:
        """Have executors stop attempts that nobody wants any more."""
        by_executor: dict[str, list[int]] = {}
        for running in attempts:
            if running.is_cancelled:
                continue
            running.cancelled_at = self._turn.now
            if running.ended:
                continue
            by_executor.setdefault(running.executor.name, []).append(running.task)
        for name, tasks in by_executor.items():
            self._turn.add(Cancel(name, tuple(tasks), reason))
        if by_executor:
            self._turn.arm(CANCELLED, self._turn.now + self._settings.cancel_grace_s)

    # ── offers ───────────────────────────────────────────────────────────────────────────────────────────────────

    def offer_soon(self, executor: Executor | None = None) -> None:
        """At the end of this turn, offer the slots of this executor, or of all."""
        if executor is None:
            self._offer_all = True
        else:
            self._roomy[executor.name] = executor

    def offer(self) -> None:
        """Launch what may be launched. Called once at the end of a turn."""
        if not self._offer_all and not self._roomy:
            return
        roomy = None if self._offer_all else self._roomy
        self._offer_all = False
        self._roomy = {}
        sets = [tasks for tasks in self.served if tasks.pending and not tasks.paused] if self.served else None
        if sets:
            self._offer_to(sets, self._pool.usable() if roomy is None else self._pool.usable_of(roomy))
        if self._pool.loads.crowded:
            self._watch_balance()

    def _offer_to(self, sets: list[TaskSet], usable: list[Executor]) -> None:
        if usable:
            for tasks in sets:
                self._ask_places(tasks)
            self._launch_on(usable, self._serve_gangs(sets) if self.gangs else sets)
            self._send_launches()

    def _launch_on(self, executors: list[Executor], sets: list[TaskSet]) -> None:
        suspicion = max(map(self._suspicion, sets), default=0)
        if suspicion >= ALONE:
            executors = self._without_reserved(executors)
        hungry = [executor for executor in executors if executor.free_slots]
        while hungry and sets:
            hungry = [
                executor for executor in hungry
                if self._serve(executor, sets) and executor.free_slots
            ]
        sets = [tasks for tasks in sets if tasks.pending]
        if sets and not suspicion:
            for executor in executors:
                if not executor.suspects:
                    self._fill_window(executor, sets)

    def _serve(self, executor: Executor, sets: list[TaskSet]) -> bool:
        """Launch one task on a free slot, of which there is one; False when there is none for it."""
        for tasks in sets if len(sets) < 2 else self._line(sets):
            cpus = tasks.spec.cpus
            if cpus > 1 and cpus > executor.free_slots:
                if cpus <= executor.slots and tasks.pending:
                    return False
            elif self._give(executor, tasks, 1, idle=True):
                return True
        return False

    def _line(self, sets: list[TaskSet]) -> list[TaskSet]:
        """In the order to serve them: first the pool with the fewest tasks in flight, then first come."""
        pools = {tasks.pool: 0 for tasks in sets}
        if len(pools) < 2:
            return sets
        for tasks in self.served:
            if tasks.pool in pools:
                pools[tasks.pool] += tasks.in_flight
        return sorted(sets, key=lambda tasks: (pools[tasks.pool], tasks.order))

    def _give(self, executor: Executor, tasks: TaskSet, most: int, *, idle: bool) -> bool:
        """Launch up to ``most`` tasks; ``idle``: for a slot that would stay empty otherwise."""
        pending = tasks.pending
        taken = self._take_returned(executor, tasks, most) if pending.returned else []
        if pending.choosy and len(taken) < most:
            taken += pending.take_local(executor, most - len(taken))
        if len(taken) < most:
            taken += pending.take_plain(most - len(taken))
        if not taken and idle and pending.choosy:
            anywhere_at = tasks.ready_at + self._settings.locality_wait_s
            if self._turn.now >= anywhere_at:
                taken = pending.take_choosy(most)
            else:
                self._turn.arm(OFFER, anywhere_at)
        for index in taken:
            self._launch(executor, tasks, index)
        return bool(taken)

    def _launch(self, executor: Executor, tasks: TaskSet, index: int) -> None:
        task = self._next_task
        self._next_task = task + 1
        running = tasks.launch(index, task, executor)
        executor.take(running)
        attempt = Attempt(task, tasks.partitions[index], running.attempt)
        batch = self._launches.get((executor, tasks))
        if batch is None:
            self._launches[executor, tasks] = [attempt]
        else:
            batch.append(attempt)

    def _send_launches(self) -> None:
        launches, self._launches = self._launches, {}
        gangs: dict[TaskSet, tuple[str, ...]] = {}
        turn = self._turn
        for (executor, tasks), attempts in launches.items():
            name, stage = executor.name, tasks.spec.stage
            if tasks.spec.gang and tasks not in gangs:
                gangs[tasks] = _executors_of(tasks)
            turn.add(Launch(name, tasks.job, stage, tasks.attempt, tuple(attempts), gangs.get(tasks, ())))
            starts = tuple([TaskStart(*attempt) for attempt in attempts])
            turn.emit(TasksStarted(tasks.job, stage, tasks.attempt, name, starts))
            executor.mark_started(turn.now)
            if len(executor.flight) == len(attempts):
                executor.heard_at = turn.now

    def _fill_window(self, executor: Executor, sets: list[TaskSet]) -> None:
        for tasks in sets if len(sets) < 2 else self._line(sets):
            room = self._window_room(executor, tasks)
            if room:
                self._give(executor, tasks, room, idle=False)
            if tasks.pending.in_line:
                return  # nothing of a later job waits in front of these

    # ── windows ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _window_room(self, executor: Executor, tasks: TaskSet) -> int:
        limit = executor.slots * self._window(tasks)
        room = limit - len(executor.flight)
        if tasks.spec.gang or tasks.spec.cpus > 1 or executor.extra or room <= 0 or room * 2 < limit:
            return 0
        pending, slots = len(tasks.pending), self._pool.slots
        if not 0 <= tasks.mean_s < TINY_S and pending <= slots:
            return 0
        share = -(-pending // (2 * slots))
        if 0 <= tasks.mean_s < TINY_S:
            share = max(share, int(TINY_S / max(tasks.mean_s, 2e-5)))
        return min(room, share)

    def _window(self, tasks: TaskSet) -> int:
        if tasks.mean_s < 0:
            return self._settings.window_per_slot
        if tasks.mean_s >= LONG_S:
            return 1
        return max(tasks.window, self._settings.window_per_slot)

    def measured(self, tasks: TaskSet, count: int, seconds: float) -> None:
        """So many tasks took so long: the window follows, fast downwards and step by step upwards."""
        tasks.measure(count, seconds)
        wanted = min(WINDOW_MOST, int(WINDOW_S / max(tasks.mean_s, 2e-5)))
        tasks.window = min(wanted, WINDOW_GROWTH * max(tasks.window, self._settings.window_per_slot))

    def _watch_balance(self) -> None:
        """Have somebody look whether slots idle while tasks wait in the windows of others."""
        if self._turn.is_armed(BALANCE) or any(tasks.pending for tasks in self.served):
            return
        if any(e.free_slots for e in self._pool.usable_of(self._pool.loads.roomy)):
            self._turn.arm(BALANCE, self._turn.now + BALANCE_AFTER_S)

    # ── places, avoidance, suspicion ─────────────────────────────────────────────────────────────────────────────

    def _ask_places(self, tasks: TaskSet) -> None:
        if tasks.pool_version == self._pool.version:
            return
        tasks.pool_version = self._pool.version
        spec = tasks.spec
        rdds = [rdd for rdd in spec.rdds if self._cached.has_rdd(rdd)]
        if rdds or spec.places or tasks.pending.choosy:
            tasks.pending.prefer(lambda index: self._places(tasks, rdds, index))

    def _places(self, tasks: TaskSet, rdds: list[int], index: int) -> tuple[str, ...]:
        partition = tasks.partitions[index]
        wanted: list[str] = []
        for rdd in rdds:
            wanted = [
                "worker:" + place.worker if place.name else "executor:" + place.executor
                for place in self._cached.places(rdd, partition)
            ]
            if wanted:
                break
        else:
            wanted = ["host:" + host for host in tasks.spec.places.get(partition, ())]
        return tuple(place for place in wanted if self._pool.has_place(place))

    def _take_returned(self, executor: Executor, tasks: TaskSet, most: int) -> list[int]:
        taken: list[int] = []
        for index in tasks.pending.returned:
            if len(taken) == most:
                break
            if self._may_run(executor, tasks, index):
                taken.append(index)
        for index in taken:
            tasks.pending.discard(index)
        return taken

    def _may_run(self, executor: Executor, tasks: TaskSet, index: int) -> bool:
        trouble = tasks.trouble(index)
        if any(running.executor is executor for running in tasks.running.get(index, ())):
            return False
        if trouble.suspicion >= ALONE and executor.flight:
            return False
        if not trouble.avoids(executor):
            return True
        if self._turn.now < trouble.rest_until:
            self._turn.arm(OFFER, trouble.rest_until)
            return False
        if self._turn.now >= trouble.avoid_until:
            return True
        usable = self._pool.usable()
        if any(not trouble.avoids(other) for other in usable):
            self._turn.arm(OFFER, trouble.avoid_until)
            return False
        if executor.name not in trouble.avoid_executors:
            return True
        return all(other.name in trouble.avoid_executors for other in usable)

    def _suspicion(self, tasks: TaskSet) -> int:
        if tasks.spec.gang or not tasks.pending.returned:
            return 0
        return max((tasks.trouble(index).suspicion for index in tasks.pending.returned), default=0)

    def _without_reserved(self, executors: list[Executor]) -> list[Executor]:
        """Let one executor run empty, for a task that must run alone."""
        usable = self._pool.usable()
        if any(not executor.flight for executor in usable):
            return executors
        reserved = min(usable, key=lambda executor: len(executor.flight))
        return [executor for executor in executors if executor is not reserved]

    # ── gangs ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _serve_gangs(self, sets: list[TaskSet]) -> list[TaskSet]:
        """Launch gangs that fit; returns the other sets that may be served now."""
        rest: list[TaskSet] = []
        for tasks in sets:
            if not tasks.spec.gang:
                rest.append(tasks)
                continue
            usable = self._pool.usable()
            if self._rests(tasks, usable):
                continue
            wanted = len(tasks.pending)
            cpus = tasks.spec.cpus
            if sum(executor.free_slots // cpus for executor in usable) >= wanted:
                self._launch_gang(tasks, usable)
            elif sum(executor.slots // cpus for executor in usable) >= wanted:
                break
        return rest

    def _rests(self, tasks: TaskSet, usable: list[Executor]) -> bool:
        """Whether a gang would only go back, too soon, to where one of its tasks failed."""
        until = max((trouble.rest_until for trouble in tasks.troubles.values()
                     if any(trouble.avoids(executor) for executor in usable)), default=0.0)
        if until <= self._turn.now:
            return False
        self._turn.arm(OFFER, until)
        return True

    def _launch_gang(self, tasks: TaskSet, usable: list[Executor]) -> None:
        pending = tasks.pending
        most = len(pending)
        left = [*pending.returned, *pending.take_plain(most), *pending.take_choosy(most)]
        left.sort(reverse=True)
        while left:
            for executor in usable:
                if left and executor.free_slots >= tasks.spec.cpus:
                    index = left.pop()
                    pending.discard(index)
                    self._launch(executor, tasks, index)


def _executors_of(gang: TaskSet) -> tuple[str, ...]:
    """Where the tasks of a gang run, by partition."""
    order = sorted(gang.running, key=gang.partitions.__getitem__)
    return tuple(gang.running[index][0].executor.name for index in order)
