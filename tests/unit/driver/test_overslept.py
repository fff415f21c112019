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
