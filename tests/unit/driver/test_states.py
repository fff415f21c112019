"""Transitions: the tables, and that an illegal one raises and changes nothing."""

from __future__ import annotations

import pytest

from simspark.driver.executor_pool import Executor
from simspark.driver.scheduling import StageSpec
from simspark.driver.states import JOB_MOVES, JobState, check_move
from simspark.driver.task_set import Limits, PendingTasks, TaskSet
from simspark.publib.errors import InternalError


def tasks_of(partitions: int) -> TaskSet:
    spec = StageSpec(1, -1, partitions, ())
    return TaskSet(spec, 0, range(partitions), range(partitions), attempt=0, limits=Limits(4, 4), pool="", now=0.0)


def test_a_job_ends_once():
    check_move(JOB_MOVES, JobState.RUNNING, JobState.FAILED, "job 0")
    with pytest.raises(InternalError, match="job 0"):
        check_move(JOB_MOVES, JobState.FAILED, JobState.SUCCEEDED, "job 0")


def test_a_task_is_accepted_once():
    tasks = tasks_of(2)
    executor = Executor("e", "w", "h", 1, 0.0)
    tasks.pending.take_plain(1)
    tasks.leave(tasks.launch(0, 1, executor))
    tasks.finish(0)
    with pytest.raises(InternalError, match="task 0 of stage 1"):
        tasks.finish(0)
    assert tasks.done == 1


def test_a_task_that_was_never_launched_is_not_accepted():
    tasks = tasks_of(2)
    with pytest.raises(InternalError):
        tasks.finish(1)
    assert (tasks.done, len(tasks.pending)) == (0, 2)


def test_pending_tasks_are_ranges():
    pending = PendingTasks([0, 1, 2, 5, 6, 9])
    assert list(pending._plain) == [range(3), range(5, 7), range(9, 10)]
    assert pending.take_plain(4) == [0, 1, 2, 5]
    assert len(pending) == 2
    assert pending.take_plain(9) == [6, 9]
    assert not pending.take_plain(1) and not len(pending)


def test_preferences_are_asked_for_anew_without_losing_a_task():
    executor = Executor("e", "w", "h", 1, 0.0)
    pending = PendingTasks(range(6))
    pending.prefer(lambda index: ("host:h",) if index % 2 else ())
    assert pending.take_local(executor, 1) == [1]
    pending.prefer(lambda _: ())
    assert pending.take_plain(9) == [0, 2, 3, 4, 5]
