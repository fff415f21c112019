"""The driver's scheduler core: events in, effects out.

It decides which tasks run where and when, and what their ends mean for stages and jobs. It does nothing itself: no
socket, clock, thread or file. What it guarantees:

* Every job that was submitted ends once: succeeded, failed for a named cause, or cancelled.
* One result is accepted per (job, partition), one output per (shuffle, map partition) until it is lost, and updates of
  accumulators count once for each of them.
* A report of an attempt that is not in flight on that executor changes nothing.
* The same events give the same effects, in the same order.

An event is handled in two steps: its own consequences, then what follows from the new state of everything (which
stages are needed, which slots are free, how many executors are wanted). Illegal events raise and change nothing.
"""

from __future__ import annotations

from simspark.driver import scheduling
from simspark.driver.barriers import BARRIER, Barriers
from simspark.driver.block_directory import CachedBlocks, CachedPlace, MapOutputs
from simspark.driver.dag_scheduler import PAUSE, DagScheduler
from simspark.driver.demand import Demand
from simspark.driver.executor_pool import Executor, ExecutorPool
from simspark.driver.scheduling import Effect, Event, Outputs, SchedulerSettings
from simspark.driver.task_outcomes import TaskOutcomes
from simspark.driver.task_scheduler import TaskScheduler
from simspark.driver.turn import Turn
from simspark.driver.watch import Watch
from simspark.publib import events, machine
from simspark.publib.errors import InternalError
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.wire.messages import TaskReport


class Statistics(NamedTuple):
    """The sizes of the core's tables at a moment."""

    jobs: int
    stages: int
    task_sets: int
    running: int
    pending: int
    cancelled: int
    executors: int
    slots: int
    silent: int
    excluded: int
    shuffles: int
    shuffles_to_forget: int
    cached_blocks: int
    meetings: int

    @property
    def is_empty(self) -> bool:
        """Nothing is left but executors: what holds when all jobs ended and all that they made was forgotten."""
        return not (self.jobs or self.stages or self.task_sets or self.running or self.pending or self.cancelled
                    or self.shuffles or self.shuffles_to_forget or self.cached_blocks or self.meetings)  # fmt: skip


class SchedulerCore:
    """The state machine. One thread calls ``handle``; the questions may be asked by any."""

    def __init__(self, settings: SchedulerSettings) -> None:
        self._turn = Turn()
        self._pool = ExecutorPool()
        self._outputs = MapOutputs()
        self._cached = CachedBlocks()
        self._scheduler = TaskScheduler(settings, self._turn, self._pool, self._cached)
        self._dag = DagScheduler(settings, self._turn, self._outputs, self._cached, self._scheduler)
        self._outcomes = TaskOutcomes(settings, self._turn, self._pool, self._cached, self._scheduler, self._dag)
        self._dag.outcomes = self._outcomes
        self._watch = Watch(settings, self._turn, self._pool, self._scheduler, self._outcomes)
        self._barriers = Barriers(settings, self._turn, self._pool)
        self._demand = Demand(settings, self._turn, self._pool, self._cached, self._dag, self._scheduler,
                              self._outcomes)  # fmt: skip

    # ── questions ────────────────────────────────────────────────────────────────────────────────────────────────

    def outputs(self, shuffle: int) -> Outputs:
        """Where the map outputs of a shuffle are; ("", -1) for a missing one."""
        return self._outputs.snapshot(shuffle)

    def cached_places(self, rdd: int, partition: int) -> tuple[CachedPlace, ...]:
        """Where copies of a cached partition are."""
        return self._cached.places(rdd, partition)

    def statistics(self) -> Statistics:
        """How much there is of everything."""
        sets = self._scheduler.sets()
        executors = self._pool.all()
        jobs, stages, to_forget = self._dag.statistics()
        flight = [running for executor in executors for running in list(executor.flight.values())]
        cancelled = sum(1 for running in flight if running.is_cancelled)
        return Statistics(
            jobs=jobs, stages=stages, task_sets=len(sets), running=len(flight) - cancelled,
            pending=sum(len(tasks.pending) for tasks in sets), cancelled=cancelled, executors=len(executors),
            slots=self._pool.slots, silent=sum(1 for executor in executors if executor.silent_since >= 0),
            excluded=len(self._pool.excluded()), shuffles=len(self._outputs), shuffles_to_forget=to_forget,
            cached_blocks=len(self._cached), meetings=len(self._barriers),
        )  # fmt: skip

    def waiting_text(self) -> str:
        """What the first job that waits waits for, in words; "" when every job gets on."""
        for job in self._dag.jobs():
            sets = [tasks for tasks in self._scheduler.sets() if tasks.job == job.job]
            if any(tasks.in_flight for tasks in sets):
                continue
            return f"job {job.job} waits: {self._reason(job.job)}"
        return ""

    def _reason(self, job_id: int) -> str:
        said = f": {self._demand.queue_text}" if self._demand.queue_text else ""
        if not len(self._pool):
            return f"no executors yet{said}"
        job = self._dag.job(job_id)
        gang = None if job is None else self._demand.gang_too_large(job)
        if gang is not None:
            return f"{len(gang.pending) * gang.spec.cpus} slots at once are needed, there are {self._pool.slots}{said}"
        if not self._pool.usable():
            if self._pool.excluded():
                return f"{', '.join(self._pool.excluded())} is left out, executors elsewhere are expected{said}"
            return f"no executor answers ({len(self._pool)} are silent or going){said}"
        busy = [tasks.job for tasks in self._scheduler.sets() if tasks.in_flight]
        others = ", ".join(str(other) for other in dict.fromkeys(busy) if other != job_id)
        slots = f"all {self._pool.slots} slots are busy" if self._pool.slots > 1 else "the only slot is busy"
        return f"{slots} with job {others}" if others else "its tasks are about to start"

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────

    def handle(self, now: float, event: Event) -> list[Effect]:
        """Take one event and return what to do."""
        turn = self._turn
        turn.begin(now)
        self._dispatch(event)
        self._dag.plan()
        if self._barriers.gangs:
            self._barriers.review()
        self._demand.look_elsewhere()
        self._scheduler.offer()
        self._demand.review()
        if self._watch.has_timers:
            self._watch.watch_running()
        if self._outcomes.unpersisted:
            self._outcomes.prune()
        return turn.effects

    def _dispatch(self, event: Event) -> None:
        match event:
            case scheduling.Reported(executor, reports):
                self._handle_reported(executor, reports)
            case machine.TimerFired(name):
                self._handle_timer(name)
            case scheduling.SubmitJob(spec):
                self._dag.submit(spec)
            case scheduling.CancelJob(job, reason):
                self._dag.cancel(job, reason)
            case scheduling.CommitAsked(executor, task):
                self._outcomes.answer_commit(executor, task)
            case scheduling.BarrierAsked():
                self._barriers.ask(event)
            case scheduling.ExecutorJoined():
                self._handle_joined(event)
            case scheduling.ExecutorSilent(executor):
                self._handle_silent(executor)
            case scheduling.ExecutorHeard(executor):
                self._handle_heard(executor)
            case scheduling.ExecutorLost(executor, cause):
                self._handle_lost(executor, cause)
            case scheduling.WorkerChanged(worker, state, cause):
                self._handle_worker(worker, state, cause)
            case scheduling.BlocksDropped(executor, blocks):
                self._handle_dropped(executor, blocks)
            case scheduling.GiveBackAsked(count):
                self._demand.owe(count)
            case scheduling.ResultUnreachable(worker, cause):
                self._outcomes.exclude_unreachable(worker, cause)
            case scheduling.QueueChanged(text, unmet):
                self._demand.hear_queue(text, unmet=unmet)
            case scheduling.Unpersist(rdd):
                self._outcomes.unpersist(rdd)
            case scheduling.ForgetShuffle(shuffle):
                self._dag.forget(shuffle)
            case scheduling.CleanShuffle(shuffle):
                self._dag.clean(shuffle)
            case _:
                raise InternalError(f"the scheduler has no handler for {type(event).__name__}")

    def _handle_reported(self, name: str, reports: tuple[TaskReport, ...]) -> None:
        executor = self._pool.get(name)
        if executor is None:
            return
        self._outcomes.report(executor, reports)
        if not executor.flight:
            executor.idle_since = self._turn.now

    def _handle_timer(self, name: str) -> None:
        late_s = self._turn.rang(name)
        if name == PAUSE:
            self._dag.end_pause()
        elif name == BARRIER:
            self._barriers.ring(late_s)
        elif not self._watch.ring(name, late_s):
            self._demand.ring(name)

    def _handle_joined(self, joined: scheduling.ExecutorJoined) -> None:
        executor = Executor(joined.executor, joined.worker, joined.host, max(1, joined.slots), self._turn.now)
        if self._pool.join(executor):
            self._turn.emit(events.ExecutorAdded(*joined))
            self._scheduler.offer_soon()

    def _handle_silent(self, name: str) -> None:
        executor = self._pool.get(name)
        if executor is not None:
            self._watch.fall_silent(executor)

    def _handle_heard(self, name: str) -> None:
        executor = self._pool.get(name)
        if executor is not None:
            self._watch.hear(executor)

    def _handle_lost(self, name: str, cause: str) -> None:
        executor = self._pool.get(name)
        if executor is not None:
            self._outcomes.lose(executor, cause, charged=True, suspected=True)
            if not len(self._pool):
                self._demand.note_empty()

    def _handle_worker(self, worker: str, state: str, cause: str) -> None:
        self._turn.emit(events.WorkerStateChanged(worker, state, cause))
        if state == "late":
            self._watch.find_late(worker)
        elif state == "alive":
            if self._pool.hear_worker(worker):
                self._scheduler.offer_soon()
        elif state == "dead":
            self._pool.forget_worker(worker)
            for executor in self._pool.on_worker(worker):
                self._outcomes.lose(executor, cause or f"worker {worker} is dead", charged=True, suspected=False)
            self._dag.lose_worker(worker)
            if not len(self._pool):
                self._demand.note_empty()

    def _handle_dropped(self, executor: str, blocks: tuple[tuple[int, int], ...]) -> None:
        for rdd, partition in blocks:
            self._cached.drop(executor, rdd, partition)
            self._turn.emit(events.BlockUpdated(rdd, partition, executor, "", False, -1))
