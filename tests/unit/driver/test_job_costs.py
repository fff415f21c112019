"""What a small job costs the driver, counted and not timed: the Python frames that its loop and its caller enter."""

from __future__ import annotations

from typing import Any

import pytest

from simspark.driver.call_site import CallSite
from simspark.driver.core import SchedulerCore
from simspark.driver.node import DataNode
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
from simspark.driver.stages import compile_job
from simspark.driver.status import StatusStore
from simspark.publib import events
from simspark.publib.event_lines import line_of
from simspark.publib.lineage.sinks import Count, ResultSink
from simspark.publib.lineage.sources import RangeSource
from simspark.publib.wire import codec, messages
from tests.unit.driver.harness import report
from tests.unit.frames import Frames

pytestmark = pytest.mark.unit
EXECUTORS = ("e0", "e1")


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
        told = [effect for effect in effects if type(effect) in events.EVENTS]
        self.followed.of(self.status.handle, told)
        return effects


def test_a_job_of_two_tasks_enters_some_hundred_frames_of_the_scheduler():
    driver = Driver()
    driver.run_job()
    assert driver.run_job() <= 160


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


@pytest.mark.usefixtures("nothing_goes_by_value")
def test_a_count_is_compiled_and_pickled_in_some_dozen_frames():
    frames = Frames()

    def compiled():
        node = DataNode(1, "parallelize", CallSite("a.py", 1, "f"), RangeSource(), [(0, 1, 1), (1, 2, 1)])
        job = compile_job(node, ResultSink(Count(), "count", "a.py:1"), next_stage=lambda: 1, name="count")
        return [pickled() for pickled in job.programs.values()]

    compiled()
    frames.of(compiled)
    assert frames.entered <= 42


def test_what_a_small_job_tells_becomes_lines_in_a_few_frames_each():
    frames = Frames()
    ended = events.TaskEnd(7, 0, 0, "ok", True, "", {"run_us": 50, "peak_bytes": 1 << 20})
    told = [events.JobStarted(1, "count", "a.py:1", "", ((1, "parallelize", "a.py:1", 2),)),
            events.TasksStarted(1, 1, 0, "x1", (events.TaskStart(7, 0, 0),)),
            events.TasksEnded(1, 1, 0, "x1", (ended,)), events.JobEnded(1, "succeeded", "")]
    for event in told:
        line_of(0.5, event)
        frames.of(line_of, 0.5, event)
    assert frames.entered <= 12


def test_a_small_message_is_written_and_checked_in_a_few_frames():
    frames = Frames()
    report = messages.TaskReport(7, "ok", b"1", "", 1, b"", (), {"run_us": 50}, None, None)
    message = messages.TaskReports((report,))
    codec.decode(codec.encode(1, 0, message))
    frame = frames.of(codec.encode, 1, 0, message)
    assert frames.entered <= 1
    assert frames.of(codec.decode, frame)[2] == message
    assert frames.entered <= 8
