"""What a small job costs the driver's loop, counted and not timed: the Python frames that its turns enter."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from simspark.driver.core import SchedulerCore
from simspark.driver.scheduling import (
    ExecutorJoined,
    JobEnded,
    JobSpec,
    Launch,
    Reported,
    SchedulerSettings,
    StageSpec,
    SubmitJob,
)
from simspark.driver.status import StatusStore
from simspark.publib.machine import Emit
from tests.unit.driver.harness import report

pytestmark = pytest.mark.unit
EXECUTORS = ("e0", "e1")


class Frames:
    """How many frames of Python functions are entered."""

    def __init__(self) -> None:
        self.entered = 0

    def of(self, call: Callable[..., Any], *given: Any) -> Any:
        sys.setprofile(self._note)
        try:
            return call(*given)
        finally:
            sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        self.entered += event == "call" and frame.f_code.co_name != "of"


class Driver:
    """A core with executors of one slot each, as local mode has them, and what takes its events."""

    def __init__(self) -> None:
        self.core = SchedulerCore(SchedulerSettings(idle_release_s=0.0, elsewhere_wait_s=0.0))
        self.status = StatusStore(1000, 1000, "here", 0)
        self.jobs = 0
        self.frames = Frames()
        self.followed = Frames()
        for name in EXECUTORS:
            self.core.handle(0.0, ExecutorJoined(name, "w", "here", 1))

    def run_job(self) -> int:
        """The frames that one job of two tasks enters in the core."""
        job = self.jobs
        self.jobs += 1
        self.frames.entered = 0
        effects = self._handle(SubmitJob(JobSpec(job, (StageSpec(job, -1, 2, ()),), (0, 1))))
        launches = [effect for effect in effects if isinstance(effect, Launch)]
        assert len(launches) == 2
        for launch in launches:
            effects = self._handle(Reported(launch.executor, (report(launch.attempts[0].task, run_us=50),)))
        assert any(isinstance(effect, JobEnded) for effect in effects)
        return self.frames.entered

    def _handle(self, event: Any) -> list[Any]:
        effects: list[Any] = self.frames.of(self.core.handle, float(self.jobs), event)
        told = [effect.event for effect in effects if isinstance(effect, Emit)]
        self.followed.of(self.status.handle, told)
        return effects


def test_a_job_of_two_tasks_enters_some_hundred_frames_of_the_scheduler():
    driver = Driver()
    driver.run_job()
    assert driver.run_job() <= 190


def test_what_jobs_cost_does_not_grow_with_those_before():
    driver = Driver()
    driver.run_job()
    few = driver.run_job()
    for _ in range(3000):
        driver.run_job()
    assert driver.run_job() <= few


def test_the_status_of_jobs_takes_some_frames_for_each_however_many_it_has_forgotten():
    driver = Driver()
    for _ in range(1500):
        driver.run_job()
    driver.followed.entered = 0
    for _ in range(320):
        driver.run_job()
    assert driver.followed.entered / 320 <= 18
