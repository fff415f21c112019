"""Bugs to be found: each is one small wrong thing, put into the real cores (or into what stands for an executor).

They score the simulator. A bug is found when a run ends in a violation, or a core raises. Numbers are those of the list
of planted bugs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from simspark.driver import dag_scheduler, task_outcomes, watch
from simspark.driver.barriers import Barriers
from simspark.driver.block_directory import MapOutputs
from simspark.driver.cluster import Membership
from simspark.driver.dag_scheduler import DagScheduler
from simspark.driver.demand import Demand
from simspark.driver.dispatch import Dispatcher
from simspark.driver.executor_pool import ExecutorPool
from simspark.driver.scheduling import AnswerCommit
from simspark.driver.service import Engine
from simspark.driver.task_outcomes import Fault, TaskOutcomes
from simspark.driver.task_scheduler import TaskScheduler
from simspark.master.ledger import Ledger
from simspark.master.registry import ExecutorLife, Executors, Worker, WorkerLife, Workers
from simspark.master.workers import WorkerDesk
from simspark.publib.machine import CancelTimer
from simspark.publib.wire.session import Session
from simspark.worker.core import HEARTBEAT, Phase, WorkerCore
from tests.sim.executor import SimExecutor

Patches = list[tuple[Any, str, Any]]


def accept_old_incarnation() -> Patches:
    """(1) Reports of an executor that was given up are taken."""

    def remove(self: Any, name: str) -> Any:
        executor = self._executors.pop(name, None)
        if executor is not None:
            graves = self.__dict__.setdefault("graves", {})
            graves[name] = copy.copy(executor)
            self._changed()
        return executor

    def get(self: Any, name: str) -> Any:
        return self._executors.get(name) or self.__dict__.get("graves", {}).get(name)

    def leave(self: Any, executor: str, cause: str) -> None:
        if self._expected.pop(executor, None) is not None:
            self._dispatcher.leave(executor)
            self.step(_lost(executor, cause))

    return [(ExecutorPool, "remove", remove), (ExecutorPool, "get", get), (Engine, "_leave", leave)]


def _lost(executor: str, cause: str) -> Any:
    from simspark.driver.scheduling import ExecutorLost

    return ExecutorLost(executor, cause)


def accept_second_commit() -> Patches:
    """(2) An attempt that ends well after another one counts as well."""
    settle = TaskOutcomes._settle

    def wrong(self: Any, running: Any, report: Any) -> bool:
        tasks = running.tasks
        if report.outcome == "ok" and tasks.is_done(running.index):
            tasks.leave(running)
            self._listener.accept(tasks, running.index, running.executor.worker, report)
            return True
        return settle(self, running, report)

    return [(TaskOutcomes, "_settle", wrong)]


def allow_every_commit() -> Patches:
    """(2, files) Every attempt that asks may rename its output."""

    def wrong(self: Any, executor: str, task: int) -> None:
        self._turn.add(AnswerCommit(executor, task, True))

    return [(TaskOutcomes, "answer_commit", wrong)]


def skip_epoch_check() -> Patches:
    """(3) A table of map outputs that was told once is never told again."""
    tell = Dispatcher._tell_outputs

    def wrong(self: Any, told: Any, shuffle: int) -> None:
        if shuffle not in told.epochs:
            tell(self, told, shuffle)

    return [(Dispatcher, "_tell_outputs", wrong)]


def report_before_rename() -> Patches:
    """(4) A map output is reported before it is in place."""
    return [(SimExecutor, "report_before_rename", True)]


def forget_to_register_again() -> Patches:
    """(5) A worker whose master restarts does not dial it again."""

    def wrong(self: Any, now: float) -> None:
        if self._phase not in (Phase.DRAINING, Phase.GONE):
            self._become(Phase.DIALLING)
            self._add(CancelTimer(HEARTBEAT))

    return [(WorkerCore, "_lost_master", wrong)]


def driver_forgets_to_register_again() -> Patches:
    """(5, driver) A driver whose master restarts does not dial it again."""
    lost = Membership._lost_master

    def wrong(self: Any, reason: str) -> None:
        if not self.application:
            lost(self, reason)
        self._registered = False

    return [(Membership, "_lost_master", wrong)]


def grant_on_late_worker() -> Patches:
    """(6) A worker that is late gets executors."""
    alive = (WorkerLife.ALIVE, WorkerLife.LATE)
    wrong = property(lambda self: self.life in alive and bool(self.peer))
    return [(Worker, "takes_grants", wrong)]


def forget_slot() -> Patches:
    """(7) The slot of an executor that was killed is not returned."""
    end = Ledger.end

    def wrong(self: Any, exits: Any) -> None:
        exits = list(exits)
        for exit_ in exits:
            entry = self.executors.get(exit_.executor)
            if entry is not None and entry.life is ExecutorLife.ENDING:
                return
        end(self, exits)

    return [(Ledger, "end", wrong)]


def forget_parent_stage() -> Patches:
    """(8) A fetch failure does not run the stage again that made the output."""
    return [(DagScheduler, "_lost", lambda _self, _shuffles: None)]


def charge_loss() -> Patches:
    """(9) An attempt that ended with its executor counts as one that raised."""
    lose = TaskOutcomes._lose_attempt

    def wrong(self: Any, running: Any, cause: str, *, charged: bool, suspected: bool) -> None:
        tasks = running.tasks
        if not (tasks.closed or running.is_cancelled or tasks.is_done(running.index)):
            trouble = tasks.trouble(running.index)
            trouble.failures += 1
            if trouble.failures >= tasks.limits.failures:
                self._listener.fail(tasks, Fault("JobFailed", cause, None, running))
                return
        lose(self, running, cause, charged=charged, suspected=suspected)

    return [(TaskOutcomes, "_lose_attempt", wrong)]


def drop_launch() -> Patches:
    """(10) A worker loses its second launch and nobody notices."""
    launch = WorkerCore._launch

    def wrong(self: Any, *arguments: Any) -> None:
        self.launches = getattr(self, "launches", 0) + 1
        if self.launches != 2:
            launch(self, *arguments)

    return [(WorkerCore, "_launch", wrong), (Executors, "pending", lambda _self: [])]


def consume_in_arrival_order() -> Patches:
    """(11) Map outputs are read as they arrive."""
    return [(SimExecutor, "in_arrival_order", True)]


def count_twice() -> Patches:
    """(12) A map task that runs again counts its accumulators again."""
    return [(MapOutputs, "count_once", lambda _self, _shuffle, _index: True)]


def remove_from_one_index() -> Patches:
    """(13) A worker is removed from the index by id and stays in the one by session."""
    return [(Workers, "remove", lambda self, worker: self._by_id.pop(worker, None))]


def leave_recovering() -> Patches:
    """(14) A master that has restarted grants before all workers were heard."""
    return [(WorkerDesk, "unheard", lambda _self: 0)]


def start_gang_short() -> Patches:
    """(15) A gang starts with one slot short."""

    def wrong(self: Any, sets: Any) -> Any:
        for tasks in [tasks for tasks in sets if tasks.spec.gang]:
            usable = self._pool.usable()
            free = sum(executor.free_slots for executor in usable)
            if free and free >= len(tasks.pending) - 1:
                left = [*tasks.pending.returned, *tasks.pending.take_plain(free), *tasks.pending.take_choosy(free)]
                for executor in usable:
                    for index in left[: executor.free_slots]:
                        left.remove(index)
                        tasks.pending.discard(index)
                        self._launch(executor, tasks, index)
                for index in left:
                    tasks.pending.give_back(index)
        return [tasks for tasks in sets if not tasks.spec.gang]

    return [(TaskScheduler, "_serve_gangs", wrong)]


def forget_to_begin_meetings_anew() -> Patches:
    """(15, meetings) Those who came in a stage attempt count in the next one."""
    review = Barriers.review

    def wrong(self: Any) -> None:
        for tasks, meetings in self.gangs.items():
            meetings.attempt = tasks.attempt
        review(self)

    return [(Barriers, "review", wrong)]


def use_attempt_id_again() -> Patches:
    """(18) A task that is tried again gets the id of the attempt before."""
    try_again = TaskOutcomes._try_again

    def wrong(self: Any, running: Any) -> None:
        try_again(self, running)
        self._scheduler._next_task = max(1, self._scheduler._next_task - 1)

    return [(TaskOutcomes, "_try_again", wrong)]


def forget_replay() -> Patches:
    """(17) What was not acknowledged is not sent again after a reconnect."""
    resume = Session.resume

    def wrong(self: Any, peer_received: int) -> None:
        resume(self, peer_received)
        self._queue.clear()

    return [(Session, "resume", wrong)]


# ── bugs that the simulator has found; the schedules kept in schedules/ fail with them ────────────────────────────────


def keep_draining() -> Patches:
    """An executor that was asked back gets no tasks after the request was withdrawn."""
    give_back = Demand._give_back_owed

    def wrong(self: Any) -> None:
        if self._owed:
            give_back(self)

    return [(Demand, "_give_back_owed", wrong)]


def judge_after_oversleeping() -> Patches:
    """A driver that was stopped itself times tasks out before it reads their reports."""

    def wrong(self: Any) -> None:
        for executor in self._pool.all():
            for running in list(executor.started()):
                late = self._turn.now >= running.started_at + self._settings.task_timeout_s
                if running.started_at >= 0 and late and not running.is_cancelled:
                    self._outcomes.fail_attempt(running, "JobFailed", "ran too long")
        self.watch_running()

    return [(watch, "JUDGES", frozenset()), (watch.Watch, "_check_timeouts", wrong)]


def hurry_back_to_full_disk() -> Patches:
    """A task whose machine's disk failed it is back there at once."""
    return [(task_outcomes, "NODE_REST_S", 0.0)]


def use_full_disk() -> Patches:
    """Executors on the machine with the full disk are used while others are silent."""

    def wrong(self: Any) -> Any:
        ready = [e for e in self._executors.values() if e.silent_since < 0 and not e.draining]
        return [e for e in ready if e.worker not in self._excluded] or ready

    return [(ExecutorPool, "usable", wrong)]


def exclude_both() -> Patches:
    """Of two workers that blame each other both are left out, which then means nothing: both are used."""

    def wrong(self: Any, worker: str, cause: str) -> None:
        self._exclude(worker, cause, unreachable=True)

    return [(TaskOutcomes, "exclude_unless_last", wrong), (ExecutorPool, "is_left_out", lambda _self, _worker: False),
            *use_full_disk()]


def keep_unreachable() -> Patches:
    """Results that the driver cannot read are made again on the same worker."""
    return [(TaskOutcomes, "exclude_unreachable", lambda _self, _worker, _cause: None)]


def count_again() -> Patches:
    """Results that are made again add to accumulators again."""
    accept = DagScheduler._accept_result

    def wrong(self: Any, tasks: Any, *arguments: Any) -> None:
        job = self._jobs[tasks.job]
        job.spec = job.spec._replace(rerun=0)
        accept(self, tasks, *arguments)

    return [(DagScheduler, "_accept_result", wrong)]


def fetch_without_pause() -> Patches:
    """Input that cannot be had is asked for again at once, and both of a pair are left out: soon it is all over."""
    return [(dag_scheduler, "pause_s", lambda _times: 0.0), *exclude_both()]


FOUND: dict[str, Callable[[], Patches]] = {
    "draining": keep_draining, "overslept": judge_after_oversleeping, "hurried": hurry_back_to_full_disk,
    "full": use_full_disk, "apart": exclude_both, "unread": keep_unreachable, "recounted": count_again,
    "refused": fetch_without_pause,
}  # fmt: skip


BUGS: dict[str, Callable[[], Patches]] = {
    "1": accept_old_incarnation, "2": accept_second_commit, "2 files": allow_every_commit, "3": skip_epoch_check,
    "4": report_before_rename, "5": forget_to_register_again, "5 driver": driver_forgets_to_register_again,
    "6": grant_on_late_worker, "7": forget_slot, "8": forget_parent_stage, "9": charge_loss, "10": drop_launch,
    "11": consume_in_arrival_order, "12": count_twice, "13": remove_from_one_index, "14": leave_recovering,
    "15": start_gang_short, "15 meetings": forget_to_begin_meetings_anew, "17": forget_replay,
    "18": use_attempt_id_again,
}  # fmt: skip


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The named bug is there within the block."""
    with ExitStack() as stack:
        for owner, attribute, wrong in {**BUGS, **FOUND}[name]():
            stack.enter_context(patch.object(owner, attribute, wrong))
        yield
