"""What the status tracker says after which events."""

from __future__ import annotations

import pytest

from simspark.driver.core import SchedulerCore
from simspark.driver.scheduling import JobEnded, JobSpec, SchedulerSettings, SubmitJob
from simspark.driver.status import NEWS_LIMIT, SparkJobInfo, SparkStageInfo, StatusStore, StatusTracker
from simspark.publib import events
from tests.unit.driver.harness import result_stage


@pytest.fixture
def store() -> StatusStore:
    return StatusStore(3, 3, "driver-host", 1000)


@pytest.fixture
def tracker(store: StatusStore) -> StatusTracker:
    return StatusTracker(store)


def started(job: int, *stages: int, group: str = "") -> events.JobStarted:
    return events.JobStarted(job, "count", "a.py:1", group, tuple((stage, "count", "a.py:1", 4) for stage in stages))


def ends(stage: int, *outcomes: str, attempt: int = 0) -> events.TasksEnded:
    tasks = tuple(events.TaskEnd(n, n, 0, outcome, outcome == "ok", "", {}) for n, outcome in enumerate(outcomes))
    return events.TasksEnded(0, stage, attempt, "e1", tasks)


def starts(stage: int, count: int, attempt: int = 0) -> events.TasksStarted:
    return events.TasksStarted(0, stage, attempt, "e1", tuple(events.TaskStart(n, n, 0) for n in range(count)))


def test_a_job_runs_and_then_has_succeeded(store: StatusStore, tracker: StatusTracker):
    store.handle([started(0, 5, 6)])
    assert tracker.getJobInfo(0) == SparkJobInfo(0, (5, 6), "RUNNING")
    assert tracker.getActiveJobsIds() == [0]
    store.handle([events.JobEnded(0, "succeeded", "")])
    assert tracker.getJobInfo(0) == SparkJobInfo(0, (5, 6), "SUCCEEDED")
    assert tracker.getActiveJobsIds() == []


@pytest.mark.parametrize("outcome", ["failed", "cancelled"])
def test_a_job_without_result_has_failed(store: StatusStore, tracker: StatusTracker, outcome: str):
    store.handle([started(0, 5)])
    store.handle([events.JobEnded(0, outcome, "")])
    info = tracker.getJobInfo(0)
    assert info is not None and info.status == "FAILED"


def test_jobs_are_found_by_their_group(store: StatusStore, tracker: StatusTracker):
    store.handle([started(0, 1, group="a")])
    store.handle([started(1, 2)])
    assert tracker.getJobIdsForGroup("a") == [0]
    assert tracker.getJobIdsForGroup() == [1]
    assert tracker.getJobIdsForGroup("b") == []


def test_a_stage_counts_its_tasks(store: StatusStore, tracker: StatusTracker):
    store.handle([events.ExecutorAdded("e1", "w1", "h1", 1)])
    store.handle([started(0, 5)])
    assert tracker.getStageInfo(5) == SparkStageInfo(5, 0, "count at a.py:1", 4, 0, 0, 0)
    store.handle([events.StageStarted(0, 5, 0, "count", "a.py:1", 4)])
    store.handle([starts(5, 3)])
    assert tracker.getActiveStageIds() == [5]
    assert tracker.getExecutorInfos()[1].numRunningTasks == 3
    store.handle([ends(5, "ok", "error", "cancelled")])
    assert tracker.getStageInfo(5) == SparkStageInfo(5, 0, "count at a.py:1", 4, 0, 1, 1)
    assert tracker.getExecutorInfos()[1].numRunningTasks == 0
    store.handle([events.StageEnded(0, 5, 0, "succeeded")])
    assert tracker.getActiveStageIds() == []


def test_tasks_of_an_earlier_attempt_are_not_those_of_the_next(store: StatusStore, tracker: StatusTracker):
    store.handle([started(0, 5)])
    store.handle([events.StageStarted(0, 5, 0, "count", "a.py:1", 4)])
    store.handle([starts(5, 1)])
    store.handle([events.StageStarted(0, 5, 1, "count", "a.py:1", 2)])
    store.handle([starts(5, 2, attempt=1)])
    store.handle([ends(5, "ok")])
    assert tracker.getStageInfo(5) == SparkStageInfo(5, 1, "count at a.py:1", 2, 2, 0, 0)


def test_old_jobs_and_stages_are_forgotten_but_not_running_ones(store: StatusStore, tracker: StatusTracker):
    store.handle([started(0, 100)])
    for job in range(1, 9):
        store.handle([started(job, 100 + job)])
        store.handle([events.JobEnded(job, "succeeded", "")])
    assert [job for job in range(9) if tracker.getJobInfo(job)] == [0, 7, 8]
    assert [stage for stage in range(100, 109) if tracker.getStageInfo(stage)] == [100, 107, 108]


def test_an_executor_holds_what_was_cached_in_its_memory(store: StatusStore, tracker: StatusTracker):
    store.handle([events.ExecutorAdded("e1", "w1", "h1", 1)])
    store.handle([events.BlockUpdated(7, 0, "e1", "w1", False, 100)])
    store.handle([events.BlockUpdated(7, 1, "e1", "w1", False, 50)])
    store.handle([events.BlockUpdated(8, 0, "e1", "w1", True, 1000)])
    driver, executor = tracker.getExecutorInfos()
    assert (driver.host, executor.host) == ("driver-host", "h1")
    assert (executor.cacheSize, executor.usedOnHeapStorageMemory, executor.totalOnHeapStorageMemory) == (150, 150, 1000)
    store.handle([events.BlockUpdated(7, 1, "e1", "", False, -1)])
    assert tracker.getExecutorInfos()[1].cacheSize == 100
    store.handle([events.BlockUpdated(7, -1, "", "", False, -1)])
    assert tracker.getExecutorInfos()[1].cacheSize == 0
    store.handle([events.ExecutorRemoved("e1", "w1", "gone")])
    assert len(tracker.getExecutorInfos()) == 1


def test_the_stream_tells_of_a_job_s_end_before_who_waits_for_it_goes_on():
    core = SchedulerCore(SchedulerSettings())
    effects = core.handle(0.0, SubmitJob(JobSpec(0, (result_stage(1),), ())))
    kinds = [type(effect) for effect in effects]
    assert kinds.index(events.JobEnded) < kinds.index(JobEnded)


def test_events_are_folded_when_somebody_asks_or_many_together(store: StatusStore, tracker: StatusTracker):
    for job in range(1000):
        store.handle([started(job, job)])
        store.handle([events.JobEnded(job, "succeeded", "")])
        assert len(store._news) < NEWS_LIMIT
    assert len(store._news) > 0
    assert tracker.getJobInfo(999) == SparkJobInfo(999, (999,), "SUCCEEDED")
    assert len(store._news) == 0
    assert len(store._jobs) == len(store._stages) == 3
