from __future__ import annotations

from simspark.driver import scheduling
from simspark.driver.core import SchedulerCore
from simspark.driver.scheduling import JobSpec, SchedulerSettings, StageSpec
from simspark.publib.wire.messages import TaskReport


def job(number):
    return scheduling.SubmitJob(JobSpec(number, (StageSpec(number, -1, 1, ()),), (0,)))


def report(task):
    return scheduling.Reported("e1", (TaskReport(task, "ok", b"1", "", 1, b"", (), {}, None, None),))


def launches(effects):
    return [effect.executor for effect in effects if isinstance(effect, scheduling.Launch)]


def test_an_executor_that_was_asked_back_gets_tasks_again_when_the_request_is_withdrawn():
    core = SchedulerCore(SchedulerSettings())
    core.handle(0.0, scheduling.ExecutorJoined("e1", "w1", "h1", 1))
    assert launches(core.handle(0.0, job(0))) == ["e1"]
    core.handle(1.0, scheduling.GiveBackAsked(1))
    core.handle(2.0, scheduling.GiveBackAsked(0))
    effects = core.handle(3.0, report(1))
    assert not any(isinstance(effect, scheduling.ReleaseExecutor) for effect in effects)
    assert launches(core.handle(4.0, job(1))) == ["e1"]


def test_an_executor_that_is_still_asked_back_goes_when_its_task_ends():
    core = SchedulerCore(SchedulerSettings())
    core.handle(0.0, scheduling.ExecutorJoined("e1", "w1", "h1", 1))
    core.handle(0.0, job(0))
    core.handle(1.0, scheduling.GiveBackAsked(1))
    effects = core.handle(3.0, report(1))
    assert scheduling.ReleaseExecutor("e1") in effects
