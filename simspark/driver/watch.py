"""What the passing of time brings to light: silence, lateness, slowness, and tasks that do not stop.

Each kind has one timer, which rings for the earliest of its kind and is armed anew for the next. Silence alone is
never death while the master hears the worker: only a long silence is. A task is copied, never moved: whichever
attempt ends well first counts, so a mistaken guess costs time and nothing else.
"""

from __future__ import annotations

from simspark.driver.executor_pool import NEVER, Executor, ExecutorPool, Running
from simspark.driver.scheduling import Cancel, SchedulerSettings
from simspark.driver.task_outcomes import EXCLUDED, TaskOutcomes, name_of
from simspark.driver.task_scheduler import BALANCE, BALANCE_AFTER_S, CANCELLED, TaskScheduler
from simspark.driver.task_set import TaskSet
from simspark.driver.turn import Turn

SILENT = "silent"
SLOW = "slow"
TIMEOUT = "timeout"
SLOW_LEAST_S = 0.1
OVERSLEPT_S = 1.0
JUDGES = frozenset({SILENT, TIMEOUT, CANCELLED})


class Watch:
    """Hears the timers of executors and tasks."""

    def __init__(self, settings: SchedulerSettings, turn: Turn, pool: ExecutorPool, scheduler: TaskScheduler,
                 outcomes: TaskOutcomes) -> None:
        self._settings = settings
        self._turn = turn
        self._pool = pool
        self._scheduler = scheduler
        self._outcomes = outcomes
        self.has_timers = settings.task_timeout_s > 0 or settings.speculation

    def ring(self, name: str, late_s: float) -> bool:
        """A timer rang; False when it is none of these.

        When it rang late this process was stopped itself: the reports that would speak for the others still wait to
        be read, so nobody is judged before they had time to be.
        """
        if late_s > OVERSLEPT_S and name in JUDGES:
            self._turn.arm(name, self._turn.now + OVERSLEPT_S)
            return True
        match name:
            case "silent":
                self._check_silent()
            case "cancelled":
                self._check_cancelled()
            case "timeout":
                self._check_timeouts()
            case "slow":
                self._check_slow()
            case "balance":
                self._check_balance()
            case "excluded":
                self._end_exclusions()
            case "offer":
                self._scheduler.offer_soon()
            case _:
                return False
        return True

    # ── silence ──────────────────────────────────────────────────────────────────────────────────────────────────

    def fall_silent(self, executor: Executor) -> None:
        """The connection of an executor broke."""
        if executor.silent_since >= 0:
            return
        self._pool.set_silent(executor, self._turn.now)
        self._turn.arm(SILENT, self._turn.now + self._settings.silent_is_lost_s)
        if self._pool.is_late(executor.worker):
            self._copy_all(executor)

    def hear(self, executor: Executor) -> None:
        """The connection is back."""
        if executor.silent_since >= 0:
            self._pool.set_silent(executor, NEVER)
            for running in executor.flight.values():
                if running.is_cancelled:
                    running.cancelled_at = self._turn.now
            self._scheduler.offer_soon()

    def find_late(self, worker: str) -> None:
        """The master has not heard of a worker for a while: copy what its silent executors had."""
        self._pool.set_late(worker, late=True)
        for executor in self._pool.on_worker(worker):
            if executor.silent_since >= 0:
                self._copy_all(executor)

    def _check_silent(self) -> None:
        limit = self._settings.silent_is_lost_s
        for executor in self._pool.all():
            if executor.silent_since < 0:
                continue
            if self._turn.now >= executor.silent_since + limit:
                self._outcomes.kill(executor, f"was silent for {limit:g} s", charged=True)
            else:
                self._turn.arm(SILENT, executor.silent_since + limit)

    def _copy_all(self, executor: Executor) -> None:
        for running in list(executor.flight.values()):
            self._copy(running)

    def _copy(self, running: Running) -> bool:
        tasks = running.tasks
        if running.copied or running.is_cancelled or tasks.spec.gang or len(tasks.running[running.index]) > 1:
            return False
        running.copied = True
        tasks.copy(running.index)
        self._scheduler.offer_soon()
        return True

    # ── tasks that do not stop ───────────────────────────────────────────────────────────────────────────────────

    def _check_cancelled(self) -> None:
        grace = self._settings.cancel_grace_s
        for executor in self._pool.all():
            if executor.silent_since >= 0:
                if any(running.is_cancelled for running in executor.flight.values()):
                    self._turn.arm(CANCELLED, self._turn.now + grace)
                continue
            for running in executor.started():
                if not running.is_cancelled:
                    continue
                patience = max(running.cancelled_at, running.started_at) + grace
                if self._turn.now >= patience:
                    self._outcomes.kill(executor, f"does not stop {name_of(running)}", charged=False)
                    break
                self._turn.arm(CANCELLED, patience)
            else:
                if any(running.is_cancelled for running in executor.queued()):
                    self._turn.arm(CANCELLED, self._turn.now + grace)

    def _check_timeouts(self) -> None:
        limit = self._settings.task_timeout_s
        for executor in self._pool.all():
            for running in list(executor.started()):
                if running.is_cancelled or running.waits or running.started_at < 0 or executor.silent_since >= 0:
                    continue
                if self._turn.now >= running.started_at + limit:
                    text = f"{name_of(running)} ran longer than {limit:g} s"
                    self._outcomes.fail_attempt(running, "JobFailed", text)
        self.watch_running()

    def watch_running(self) -> None:
        """Have the timers of running tasks ring while there are any. At the end of a turn, if it ``has_timers``.

        What a silent executor runs is not judged: it cannot hear nor tell. When it is back its reports come first.
        """
        limit = self._settings.task_timeout_s
        if limit > 0 and not self._turn.is_armed(TIMEOUT):
            starts = [
                running.started_at
                for executor in self._pool.all() if executor.silent_since < 0 for running in executor.started()
                if not running.is_cancelled and not running.waits and running.started_at >= 0
            ]  # fmt: skip
            if starts:
                due = min(starts) + limit
                self._turn.arm(TIMEOUT, due if due > self._turn.now else self._turn.now + OVERSLEPT_S)
        if self._settings.speculation and not self._turn.is_armed(SLOW) and self._scheduler.sets():
            self._turn.arm(SLOW, self._turn.now + self._settings.speculation_interval_s)

    # ── slow tasks, and tasks behind slow ones ───────────────────────────────────────────────────────────────────

    def _check_slow(self) -> None:
        for tasks in self._scheduler.sets():
            if tasks.running and tasks.durations_s and not tasks.spec.gang:
                self._copy_slow(tasks)

    def _copy_slow(self, tasks: TaskSet) -> None:
        durations = sorted(tasks.durations_s)
        if len(durations) < self._settings.speculation_quantile * (len(durations) + tasks.remaining):
            return
        limit = max(SLOW_LEAST_S, self._settings.speculation_multiplier * durations[len(durations) // 2])
        for attempts in list(tasks.running.values()):
            running = attempts[0]
            if running.started_at >= 0 and self._turn.now - running.started_at > limit:
                self._copy(running)

    def _check_balance(self) -> None:
        """Copy tasks that wait behind a slow one to slots that idle, and have the waiting ones dropped."""
        now = self._turn.now
        idle = sum(executor.free_slots for executor in self._pool.usable())
        for executor in self._pool.all():
            queued = [running for running in executor.queued() if not running.copied and not running.is_cancelled]
            if not queued or not idle:
                continue
            if now < executor.heard_at + BALANCE_AFTER_S:
                self._turn.arm(BALANCE, executor.heard_at + BALANCE_AFTER_S)
                continue
            moved = [running.task for running in queued[:idle] if self._move(running)]
            idle -= len(moved)
            if moved:
                self._turn.add(Cancel(executor.name, tuple(moved), "a slot elsewhere is free"))

    def _move(self, running: Running) -> bool:
        running.moved = self._copy(running)
        return running.moved

    def _end_exclusions(self) -> None:
        self._pool.end_exclusions(self._turn.now)
        following = self._pool.next_exclusion_end()
        if following >= 0:
            self._turn.arm(EXCLUDED, following)
        self._scheduler.offer_soon()


