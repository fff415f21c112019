"""How attempts end, and what that means for their task.

    ok             the first one is accepted; a gang's tasks are accepted together
    raised         the user's code failed: counted; tried again elsewhere until the limit
    out_of_memory  the same
    fetch_failed   its input is gone: not counted; the stage that made it runs again
    node_fault     the machine's disk failed: not counted; the worker is left out for a while, and where there is no
                   other the task comes back after a rest, longer each time
    cancelled      nobody wants it any more, or another attempt may commit
    lost           its executor ended: counted apart, only for attempts that were running

A report about an attempt that is not in its executor's flight has no effect: it was sent twice, or its executor was
given up. What the reports mean for stages and jobs is for the listener.
"""

from __future__ import annotations

from typing import Protocol

from simspark.driver.block_directory import CachedBlocks, CachedPlace
from simspark.driver.executor_pool import Executor, ExecutorPool, Running
from simspark.driver.scheduling import AnswerCommit, DropFiles, KillExecutor, SchedulerSettings
from simspark.driver.task_scheduler import TaskScheduler
from simspark.driver.task_set import ALONE, Held, TaskSet
from simspark.driver.turn import Turn
from simspark.publib.events import (
    BlockUpdated,
    ExecutorRemoved,
    TaskEnd,
    TasksEnded,
    WorkerStateChanged,
)
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.wire.messages import FetchFault, TaskReport

EXCLUDED = "excluded"
NODE_REST_S = 1.0


class Fault(NamedTuple):
    """Why a task makes its jobs fail: the class of error, what to say, and the report that told it."""

    error: str
    text: str
    report: TaskReport | None
    running: Running


class StageListener(Protocol):
    """What the outcomes of tasks mean for stages and jobs. Called within a turn."""

    def accept(self, tasks: TaskSet, index: int, worker: str, report: TaskReport) -> None:
        """A task's result counts; called once per task of a stage attempt."""
        ...

    def fail(self, tasks: TaskSet, fault: Fault) -> None:
        """A task has gone wrong for good."""
        ...

    def fetch_failed(self, running: Running, fault: FetchFault) -> None:
        """A task could not read its input."""
        ...

    def late_success(self, running: Running, report: TaskReport) -> None:
        """An attempt that nobody wanted any more ended well."""
        ...


class TaskOutcomes:
    """Takes reports and losses of executors."""

    def __init__(self, settings: SchedulerSettings, turn: Turn, pool: ExecutorPool, cached: CachedBlocks,
                 scheduler: TaskScheduler, listener: StageListener) -> None:
        self._settings = settings
        self._turn = turn
        self._pool = pool
        self._cached = cached
        self._scheduler = scheduler
        self._listener = listener
        self.unpersisted: dict[int, int] = {}

    # ── reports ──────────────────────────────────────────────────────────────────────────────────────────────────

    def report(self, executor: Executor, reports: tuple[TaskReport, ...]) -> None:
        """An executor tells how attempts ended."""
        known: list[tuple[Running, TaskReport]] = []
        for report in reports:
            running = executor.end(report.task)
            if running is not None:
                known.append((running, report))
        if not known:
            return
        place = len(self._turn.effects)
        ends: dict[TaskSet, list[TaskEnd]] = {}
        for running, report in known:
            tasks = running.tasks
            accepted = self._settle(running, report)
            end = TaskEnd(report.task, tasks.partitions[running.index], running.attempt, report.outcome, accepted,
                          "" if report.outcome == "ok" else _text(report), report.metrics)
            ends.setdefault(tasks, []).append(end)
        for tasks, batch in ends.items():
            self._measure(executor, tasks, batch)
            self._turn.emit_at(place, _ended(tasks, executor, batch))
        executor.heard_at = self._turn.now
        if executor.flight:
            executor.mark_started(self._turn.now)
        self._scheduler.offer_soon(executor)

    def _settle(self, running: Running, report: TaskReport) -> bool:
        tasks = running.tasks
        tasks.leave(running)
        if report.blocks:
            self._keep_blocks(running, report)
        if running.cancelled_at >= 0 or tasks.is_done(running.index):
            if report.outcome == "ok":
                self._listener.late_success(running, report)
            return False
        match report.outcome:
            case "ok":
                self._succeed(running, report)
                return True
            case "raised" | "out_of_memory":
                self._count_failure(running, report)
            case "fetch_failed":
                self._fetch_failed(running, report)
            case "node_fault":
                self._leave_node(running, report)
            case _ if running.moved:
                self._try_again(running)
            case _:
                self._count_move(running, report, "JobFailed", "was cancelled by its executor")
        return False

    def _succeed(self, running: Running, report: TaskReport) -> None:
        tasks = running.tasks
        worker = running.executor.worker
        others = tasks.finish(running.index)
        if others:
            self._scheduler.cancel(others, "another attempt was first")
        if self._settings.speculation and running.started_at >= 0:
            tasks.durations_s.append(self._turn.now - running.started_at)
        if not tasks.spec.gang:
            self._listener.accept(tasks, running.index, worker, report)
            return
        tasks.held[running.index] = Held(worker, report)
        if not tasks.remaining:
            held, tasks.held = tasks.held, {}
            for index in sorted(held):
                self._listener.accept(tasks, index, held[index].worker, held[index].report)

    def _count_failure(self, running: Running, report: TaskReport) -> None:
        tasks = running.tasks
        trouble = tasks.trouble(running.index)
        trouble.failures += 1
        trouble.avoid(running.executor, self._turn.now + self._settings.locality_wait_s)
        if trouble.failures >= tasks.limits.failures:
            self._listener.fail(tasks, Fault("JobFailed", _text(report), report, running))
        else:
            self._try_again(running)

    def _fetch_failed(self, running: Running, report: TaskReport) -> None:
        tasks = running.tasks
        trouble = tasks.trouble(running.index)
        trouble.avoid(running.executor, self._turn.now + self._settings.locality_wait_s)
        fault = report.fetch
        if fault is None:
            self._count_move(running, report, "JobFailed", "could not read its input")
            return
        reader = running.executor.worker
        if fault.owner == reader or not self._pool.is_left_out(reader):  # else it is the reader that is out of reach
            self._listener.fetch_failed(running, fault)
        self._try_again(running)

    def _leave_node(self, running: Running, report: TaskReport) -> None:
        worker = running.executor.worker
        self._exclude(worker, _text(report), unreachable=False)
        trouble = running.tasks.trouble(running.index)
        trouble.avoid(running.executor, self._turn.now + self._settings.node_exclude_s)
        trouble.rest_until = self._turn.now + NODE_REST_S * 2.0 ** trouble.moves
        tried = trouble.avoid_workers
        elsewhere = len(tried) < running.tasks.limits.losses and self._pool.has_others(tried)
        what = f"found the disk of worker {worker} at fault"
        self._count_move(running, report, "StorageFault", what, elsewhere=elsewhere)

    def _count_move(self, running: Running, report: TaskReport, error: str, what: str, *,
                    elsewhere: bool = False) -> None:
        """``elsewhere``: it moved too often among few workers, perhaps, but there is one where it has not been."""
        tasks = running.tasks
        if tasks.is_running(running.index):
            return
        trouble = tasks.trouble(running.index)
        trouble.moves += 1
        if trouble.moves >= tasks.limits.losses and not elsewhere:
            text = f"{name_of(running)} {what}, {trouble.moves} times: {_text(report)}"
            self._listener.fail(tasks, Fault(error, text, report, running))
        else:
            self._try_again(running)

    def _try_again(self, running: Running) -> None:
        tasks = running.tasks
        if tasks.closed:
            return
        if tasks.spec.gang:
            self.restart_gang(tasks)
        else:
            tasks.put_back(running.index)
        self._scheduler.offer_soon()

    def restart_gang(self, tasks: TaskSet) -> None:
        """One of a gang is gone: all begin anew."""
        self._scheduler.cancel(tasks.restart(), "its gang restarts")
        self._scheduler.offer_soon()

    def _measure(self, executor: Executor, tasks: TaskSet, batch: list[TaskEnd]) -> None:
        good = told = run_us = 0
        for end in batch:
            if end.outcome == "ok":
                good += 1
                if "run_us" in end.metrics:
                    told += 1
                    run_us += end.metrics["run_us"]
        if told:
            self._scheduler.measured(tasks, told, run_us / 1e6)
        elif good:
            self._scheduler.measured(tasks, len(batch), (self._turn.now - executor.heard_at) * executor.slots)

    # ── cached partitions ────────────────────────────────────────────────────────────────────────────────────────

    def _keep_blocks(self, running: Running, report: TaskReport) -> None:
        executor = running.executor
        for rdd, partition, name, size_bytes in report.blocks:
            if running.task < self.unpersisted.get(rdd, 0):
                if not self._cached.has_rdd(rdd):
                    self._turn.add(DropFiles("", (f"cache-{rdd}-",), (rdd,)))
                continue
            if self._cached.add(rdd, partition, CachedPlace(executor.name, executor.worker, name)):
                self._turn.emit(
                    BlockUpdated(rdd, partition, executor.name, executor.worker, bool(name), size_bytes)
                )

    def unpersist(self, rdd: int) -> None:
        """An RDD is not cached any more, nor is what attempts that are in flight now will have cached of it."""
        if self._cached.forget(rdd):
            self._turn.emit(BlockUpdated(rdd, -1, "", "", False, -1))
        if any(executor.flight for executor in self._pool.all()):
            self.unpersisted[rdd] = self._scheduler.next_task
        self._turn.add(DropFiles("", (f"cache-{rdd}-",), (rdd,)))

    def prune(self) -> None:
        """Forget about unpersisted RDDs when no attempt is left that began before."""
        if self.unpersisted and not any(executor.flight for executor in self._pool.all()):
            self.unpersisted = {}

    # ── leave to commit ──────────────────────────────────────────────────────────────────────────────────────────

    def answer_commit(self, executor: str, task: int) -> None:
        """One attempt of a task gets leave to make its output visible; the leave ends with a failed attempt."""
        known = self._pool.get(executor)
        running = None if known is None else known.flight.get(task)
        allowed = False
        if running is not None and not running.is_cancelled and not running.tasks.is_done(running.index):
            allowed = running.tasks.leaves.setdefault(running.index, task) == task
        self._turn.add(AnswerCommit(executor, task, allowed))

    # ── losses ───────────────────────────────────────────────────────────────────────────────────────────────────

    def lose(self, executor: Executor, cause: str, *, charged: bool, suspected: bool) -> None:
        """An executor is gone.

        ``charged``: its running attempts count as losses. ``suspected``: one of its tasks may have ended it, so they
        wait in no window the next time.
        """
        if self._pool.remove(executor.name) is None:
            return
        self._cached.lose_executor(executor.name)
        running = list(executor.started())
        queued = list(executor.queued())
        self._turn.emit(ExecutorRemoved(executor.name, executor.worker, cause))
        self._emit_lost(executor, running, cause)
        executor.flight = {}
        for attempt in [*running, *queued]:
            attempt.ended = True
            attempt.tasks.leave(attempt)
        for attempt in queued:
            self._lose_attempt(attempt, cause, charged=False, suspected=suspected)
        for attempt in running:
            self._lose_attempt(attempt, cause, charged=charged, suspected=suspected)
        self._scheduler.offer_soon()

    def kill(self, executor: Executor, cause: str, *, charged: bool) -> None:
        """End an executor and take it for lost at once."""
        self._turn.add(KillExecutor(executor.name, cause))
        self.lose(executor, cause, charged=charged, suspected=False)

    def _lose_attempt(self, running: Running, cause: str, *, charged: bool, suspected: bool) -> None:
        tasks = running.tasks
        if tasks.closed or running.is_cancelled or tasks.is_done(running.index):
            return
        trouble = tasks.trouble(running.index)
        if charged:
            trouble.losses += 1
            if trouble.losses >= tasks.limits.losses:
                where = f"executor {running.executor.name} on worker {running.executor.worker}"
                text = f"{where} {cause} while running {name_of(running)}; tried {trouble.losses} times"
                self._listener.fail(tasks, Fault("WorkerLost", text, None, running))
                return
        if suspected:
            trouble.suspicion = ALONE if trouble.losses >= ALONE else 1
        self._try_again(running)

    def _emit_lost(self, executor: Executor, running: list[Running], cause: str) -> None:
        ends: dict[TaskSet, list[TaskEnd]] = {}
        for lost in running:
            end = TaskEnd(lost.task, lost.partition, lost.attempt, "lost", False, cause, {})
            ends.setdefault(lost.tasks, []).append(end)
        for tasks, batch in ends.items():
            self._turn.emit(_ended(tasks, executor, batch))

    def fail_attempt(self, running: Running, error: str, text: str) -> None:
        """An attempt took too long: counted as a failure, cancelled, tried again elsewhere."""
        tasks = running.tasks
        tasks.leave(running)
        self._scheduler.cancel([running], text)
        trouble = tasks.trouble(running.index)
        trouble.failures += 1
        trouble.avoid(running.executor, self._turn.now + self._settings.locality_wait_s)
        if trouble.failures >= tasks.limits.failures:
            self._listener.fail(tasks, Fault(error, text, None, running))
        else:
            self._try_again(running)

    def _exclude(self, worker: str, cause: str, *, unreachable: bool) -> None:
        """Leave a worker out for a while."""
        until = self._turn.now + self._settings.node_exclude_s
        self._pool.exclude(worker, until, unreachable=unreachable)
        self._turn.arm(EXCLUDED, until)
        self._turn.emit(WorkerStateChanged(worker, "excluded", cause))

    def exclude_unless_last(self, worker: str, cause: str) -> None:
        """Leave a worker out for a while if there are executors elsewhere: without them nothing would be gained."""
        if self._pool.has_others((worker, *self._pool.excluded())):
            self._exclude(worker, cause, unreachable=True)

    def exclude_unreachable(self, worker: str, cause: str) -> None:
        """The driver cannot read a worker's files, though its executors are still here, perhaps."""
        if self._pool.on_worker(worker):
            self._exclude(worker, f"out of reach: {cause}", unreachable=True)


def name_of(running: Running) -> str:
    """The attempt, as people are told of it."""
    tasks = running.tasks
    return f"task {tasks.spec.stage}.{running.partition} (attempt {running.attempt + 1})"


def _ended(tasks: TaskSet, executor: Executor, batch: list[TaskEnd]) -> TasksEnded:
    return TasksEnded(tasks.job, tasks.spec.stage, tasks.attempt, executor.name, tuple(batch))


def _text(report: TaskReport) -> str:
    if report.failure is not None:
        return f"{report.failure.type_name}: {report.failure.text}"
    if report.fetch is not None:
        return f"{report.fetch.name} of {report.fetch.owner}: {report.fetch.reason}"
    return report.outcome
