from __future__ import annotations

import pytest

from simspark.driver import scheduling
from simspark.driver.core import SchedulerCore
from simspark.driver.scheduling import JobSpec, SchedulerSettings, StageSpec
from simspark.publib.machine import SetTimer, TimerFired
from simspark.publib.wire.messages import TaskReport

TIMEOUT_S = 30.0
OK = TaskReport(1, "ok", b"1", "", 1, b"", (), {}, None, None)


@pytest.fixture
def core():
    core = SchedulerCore(SchedulerSettings(task_timeout_s=TIMEOUT_S))
    core.handle(0.0, scheduling.ExecutorJoined("e1", "w1", "h1", 1))
    core.handle(0.0, scheduling.SubmitJob(JobSpec(0, (StageSpec(0, -1, 1, ()),), (0,), max_failures=1)))
    return core


def ends(effects):
    return [effect.outcome for effect in effects if isinstance(effect, scheduling.JobEnded)]


def test_a_driver_that_was_stopped_itself_reads_the_reports_before_it_judges_tasks(core):
    effects = core.handle(90.0, TimerFired("timeout"))
    assert not ends(effects)
    assert any(isinstance(effect, SetTimer) and effect.name == "timeout" and effect.when > 90.0 for effect in effects)
    assert ends(core.handle(90.1, scheduling.Reported("e1", (OK,)))) == ["succeeded"]


def test_it_judges_a_little_later_when_nothing_speaks_for_the_task(core):
    core.handle(90.0, TimerFired("timeout"))
    assert ends(core.handle(91.0, TimerFired("timeout"))) == ["failed"]


def test_a_timer_that_rings_in_time_judges_at_once(core):
    assert ends(core.handle(TIMEOUT_S, TimerFired("timeout"))) == ["failed"]


def test_a_task_of_a_silent_executor_is_not_judged_until_it_is_back(core):
    core.handle(20.0, scheduling.ExecutorSilent("e1"))
    effects = core.handle(TIMEOUT_S, TimerFired("timeout"))
    assert not ends(effects) and not any(getattr(effect, "name", "") == "timeout" for effect in effects)
    effects = core.handle(31.0, scheduling.ExecutorHeard("e1"))
    assert [effect.when for effect in effects if getattr(effect, "name", "") == "timeout"] == [32.0]
    assert ends(core.handle(31.5, scheduling.Reported("e1", (OK,)))) == ["succeeded"]


def test_an_executor_that_cannot_hear_a_cancellation_is_not_killed_for_not_stopping():
    core = SchedulerCore(SchedulerSettings())
    core.handle(0.0, scheduling.ExecutorJoined("e1", "w1", "h1", 1))
    core.handle(0.0, scheduling.SubmitJob(JobSpec(0, (StageSpec(0, -1, 1, ()),), (0,))))
    core.handle(1.0, scheduling.ExecutorSilent("e1"))
    core.handle(1.5, scheduling.CancelJob(0, "asked"))
    assert not kills(core.handle(3.5, TimerFired("cancelled")))
    core.handle(4.0, scheduling.ExecutorHeard("e1"))
    assert not kills(core.handle(5.5, TimerFired("cancelled")))
    assert kills(core.handle(6.0, TimerFired("cancelled"))) == ["e1"]


def kills(effects):
    return [effect.executor for effect in effects if isinstance(effect, scheduling.KillExecutor)]
