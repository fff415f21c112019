"""How many executors the application wants, and which it gives back.

It wants one slot for each task that could run now, and no fewer executors than it has; what it has goes back when it
idles for a while without cached partitions, or when the master asks for it: idle ones at once, those without cached
partitions first, busy ones as their tasks end. A need that the cluster could not meet even when idle fails its job
after a while, with the arithmetic. While all that it has are on workers that are left out it asks for others, and they
get a while to come before the ones that it has are used after all.

A gang that waits for its last slots keeps the executors that idle for it. But two applications could so wait for each
other for ever; where others have the rest, it gives its own back after a while, cached partitions or not, and asks
again after a pause, in which one of the others may get all that it needs. The pauses of two applications differ.
"""

from __future__ import annotations

from simspark.driver.block_directory import CachedBlocks
from simspark.driver.dag_scheduler import DagScheduler, Job
from simspark.driver.executor_pool import Executor, ExecutorPool
from simspark.driver.scheduling import ReleaseExecutor, SchedulerSettings, WantExecutors
from simspark.driver.task_outcomes import TaskOutcomes
from simspark.driver.task_scheduler import TaskScheduler
from simspark.driver.task_set import TaskSet
from simspark.driver.turn import Turn

IDLE = "idle"
YIELD = "yield"
UNMET = "unmet"
DEMAND = "demand"
ELSEWHERE = "elsewhere"
LESS_AFTER_S = 0.5
"""The need must have fallen for so long before the master is told: between two stages it falls for a moment."""


class Demand:
    """Wants executors, gives them back, and gives up on those that cannot be."""

    def __init__(self, settings: SchedulerSettings, turn: Turn, pool: ExecutorPool, cached: CachedBlocks,
                 dag: DagScheduler, scheduler: TaskScheduler, outcomes: TaskOutcomes) -> None:
        self._settings = settings
        self._turn = turn
        self._pool = pool
        self._cached = cached
        self._dag = dag
        self._scheduler = scheduler
        self._outcomes = outcomes
        self._wanted = 0
        self._owed = 0
        self._leaving: list[str] = []
        self._unmet_since = -1.0
        self._empty_since = 0.0
        self._told = False
        self._alone_since = -1.0
        self._made_room = False
        self._short_since = -1.0
        self._gangs_pause_until = 0.0
        self.queue_text = ""

    # ── what is wanted ───────────────────────────────────────────────────────────────────────────────────────────

    def review(self) -> None:
        """Say how many executors are wanted: more at once, fewer when it lasts. At the end of a turn."""
        if self._owed or self._leaving:
            self._give_back_owed()
        total = self._total()
        if total > self._wanted:
            self._want(total)
        elif total < self._wanted:
            self._turn.arm(DEMAND, self._turn.now + LESS_AFTER_S)
        if self._turn.now < self._gangs_pause_until:
            self._turn.arm(DEMAND, self._gangs_pause_until)
        has_gangs = self._scheduler.gangs > 0
        if has_gangs or self._short_since >= 0:
            self._watch_short_gangs()
        if self._settings.idle_release_s > 0:
            self._watch_idle()
        if has_gangs or not self._pool.slots:
            self._watch_unmet()

    def _want(self, total: int) -> None:
        if total != self._wanted:
            self._wanted = total
            self._turn.add(WantExecutors(total))

    def ring(self, name: str) -> None:
        """A timer rang."""
        if name == DEMAND:
            self._want(self._total())
        elif name == IDLE:
            self._release_idle()
        elif name == YIELD:
            self._yield()
        elif name == UNMET:
            self._fail_unmet()

    def _total(self) -> int:
        each = self._pool.slots_per_executor
        slots = 0
        gangs_pause = self._turn.now < self._gangs_pause_until
        for tasks in self._scheduler.served:
            if not tasks.paused:
                wanting = 0 if tasks.spec.gang and gangs_pause else len(tasks.pending)
                # so many of them fit an executor, and what they leave over is nobody's
                fit = max(1, each // tasks.spec.cpus)
                slots += -(-(wanting + tasks.in_flight) * each // fit)
        total = -(-slots // each)
        if total and self._alone_since >= 0:
            total += len(self._pool)
        if self._settings.max_executors:
            total = min(total, self._settings.max_executors)
        return max(total, self._pool.staying)

    def look_elsewhere(self) -> None:
        """Ask for executors on other workers when all are on those that are left out. Before slots are offered."""
        if not self._pool.excludes and self._alone_since < 0 and not self._pool.expecting:
            return
        excluded = self._pool.excluded()
        alone = bool(excluded) and len(self._pool) > 0 and not self._pool.has_others(excluded)
        expecting = False
        if not alone or self._settings.elsewhere_wait_s <= 0:
            self._alone_since = -1.0
        else:
            expecting = self._ask_elsewhere()
        if self._pool.set_expecting(expecting):
            self._scheduler.offer_soon()

    def _ask_elsewhere(self) -> bool:
        """Whether others may still come."""
        if self._alone_since < 0:
            self._alone_since = self._turn.now
            self._made_room = False
        if len(self._pool) == self._settings.max_executors and not self._made_room:
            self._make_room()
        self._want(max(self._wanted, self._total()))
        until = self._alone_since + self._settings.elsewhere_wait_s
        if self._turn.now >= until or self._unmet_since >= 0 or self._wanted <= len(self._pool):
            return False
        self._turn.arm(ELSEWHERE, until)
        return True

    def _make_room(self) -> None:
        """The application may have no more: one that is left out goes, so that another can come."""
        idle = [executor for executor in self._pool.all() if not executor.flight]
        if idle and self._scheduler.sets():
            self._made_room = True
            self._release(min(idle, key=lambda executor: self._cached.is_holder(executor.name)))

    # ── giving back ──────────────────────────────────────────────────────────────────────────────────────────────

    def owe(self, count: int) -> None:
        """The master wants so many back."""
        self._owed = min(count, len(self._pool))

    def _give_back_owed(self) -> None:
        lost = sum(1 for name in self._leaving if self._pool.get(name) is None)
        self._owed = max(0, self._owed - lost)
        ranked = sorted(self._pool.all(), key=lambda executor: self._cached.is_holder(executor.name))
        for executor in [executor for executor in ranked if not executor.flight]:
            self._pool.set_draining(executor, draining=False)
            if self._owed:
                self._release(executor)
        busy = [executor for executor in ranked if executor.flight]
        for place, executor in enumerate(busy):
            self._pool.set_draining(executor, place < self._owed)
        self._leaving = [executor.name for executor in busy[: self._owed]]

    def _release(self, executor: Executor) -> None:
        self._owed = max(0, self._owed - 1)
        self._outcomes.lose(executor, "given back", charged=False, suspected=False)
        self._want(self._total())
        self._turn.add(ReleaseExecutor(executor.name))

    def _watch_idle(self) -> None:
        limit = self._settings.idle_release_s
        if self._turn.is_armed(IDLE) or not self._pool.loads.roomy:
            return
        idle = [executor.idle_since for executor in self._idle()]
        if idle:
            self._turn.arm(IDLE, min(idle) + limit)

    def _idle(self) -> list[Executor]:
        if self._short_since >= 0:
            return []
        return [
            executor for executor in list(self._pool.loads.roomy.values())
            if not executor.flight and not self._cached.is_holder(executor.name)
        ]

    def _release_idle(self) -> None:
        limit = self._settings.idle_release_s
        for executor in self._idle():
            if self._turn.now >= executor.idle_since + limit:
                self._release(executor)

    def _watch_short_gangs(self) -> None:
        """Note since when a gang waits for more executors than there are, and when to let others have them."""
        if not any(self._is_short(tasks) for tasks in self._scheduler.sets()):
            self._short_since = -1.0
            return
        if self._short_since < 0:
            self._short_since = max(self._turn.now, self._gangs_pause_until)
        limit = self._settings.idle_release_s
        if limit > 0 and self._told and self._unmet_since < 0:
            self._turn.arm(YIELD, max(self._short_since + limit, self._turn.now))

    def _is_short(self, tasks: TaskSet) -> bool:
        spec = tasks.spec
        return spec.gang and not tasks.paused and len(tasks.pending) > self._pool.room_for(spec.cpus)

    def _yield(self) -> None:
        limit = self._settings.idle_release_s
        if self._short_since < 0 or self._unmet_since >= 0 or self._turn.now < self._short_since + limit:
            return
        idle = [executor for executor in self._pool.all() if not executor.flight]
        self._short_since = self._turn.now
        if idle:
            self._gangs_pause_until = self._turn.now + limit * (1.0 + self._turn.now * 997.0 % 1.0)
            self._short_since = self._gangs_pause_until
        for executor in idle:
            self._release(executor)

    # ── what cannot be met ───────────────────────────────────────────────────────────────────────────────────────

    def hear_queue(self, text: str, *, unmet: bool) -> None:
        """The master says why there are no more."""
        self._told = True
        self.queue_text = text
        if not unmet:
            self._unmet_since = -1.0
        elif self._unmet_since < 0:
            self._unmet_since = self._turn.now

    def note_empty(self) -> None:
        """The last executor is gone."""
        self._empty_since = self._turn.now

    def _watch_unmet(self) -> None:
        """Without a gang, and with executors, there is nothing that could not be met."""
        if self._settings.unmet_need_fails_s <= 0 or self._turn.is_armed(UNMET):
            return
        moments = [at for job in self._dag.jobs() if (at := self._fails_at(job)) >= 0]
        if moments:
            self._turn.arm(UNMET, max(min(moments), self._turn.now))

    def _fail_unmet(self) -> None:
        for job in self._dag.jobs():
            at = self._fails_at(job)
            if 0 <= at <= self._turn.now:
                self._dag.fail_job(job, "NotEnoughResources", self._unmet_text(job))

    def _fails_at(self, job: Job) -> float:
        """When the job fails because its need cannot be met; -1 when it can, as far as is known."""
        limit = self._settings.unmet_need_fails_s
        if not len(self._pool):
            if self._unmet_since < 0:
                return -1.0
            return max(self._unmet_since, job.submitted_at, self._empty_since) + limit
        gang = self.gang_too_large(job)
        if gang is None or (self._told and self._unmet_since < 0):
            return -1.0
        return max(gang.ready_at, self._unmet_since) + limit

    def gang_too_large(self, job: Job) -> TaskSet | None:
        """A gang of the job that has more tasks than there are slots."""
        for tasks in self._scheduler.sets():
            if tasks.job == job.job and self._is_short(tasks):
                return tasks
        return None

    def _unmet_text(self, job: Job) -> str:
        waited = f"waited {self._settings.unmet_need_fails_s:g} s"
        gang = self.gang_too_large(job)
        said = f": {self.queue_text}" if self.queue_text else ""
        if gang is not None and len(self._pool):
            return (f"stage {gang.spec.stage} needs {len(gang.pending) * gang.spec.cpus} slots at once, "
                    f"the application has {self._pool.slots}{said} ({waited})")  # fmt: skip
        return f"job {job.job} needs at least 1 slot, the application has 0{said} ({waited})"
