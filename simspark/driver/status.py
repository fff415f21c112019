"""What is known of the latest jobs, their stages and the executors, for a program that asks.

``StatusStore`` is folded from the event stream and keeps the latest jobs and stages only; ``StatusTracker`` gives
snapshots of it to any thread. Both know what events have told, and nothing else is asked. Most programs never ask: the
driver's loop only notes events, and they are folded when somebody asks, or many together.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Any

from simspark.publib import events
from simspark.publib.named_tuple import NamedTuple

RUNNING, SUCCEEDED, FAILED = "RUNNING", "SUCCEEDED", "FAILED"
NO_FAILURES = frozenset({"ok", "cancelled"})
OF_JOBS = frozenset({events.JobStarted, events.JobEnded, events.StageStarted, events.StageEnded})
NEWS_LIMIT = 256


class SparkJobInfo(NamedTuple):
    """A job: its number, the numbers of its stages, and RUNNING, SUCCEEDED or (also when cancelled) FAILED.

    >>> from simspark import SparkJobInfo
    >>> SparkJobInfo(0, (0, 1), "SUCCEEDED").status
    'SUCCEEDED'
    """

    jobId: int
    stageIds: tuple[int, ...]
    status: str


class SparkStageInfo(NamedTuple):
    """A stage and how many of its tasks are where. ``numFailedTasks`` counts attempts.

    >>> from simspark import SparkStageInfo
    >>> SparkStageInfo(3, 0, "map", 8, 2, 5, 0).numCompletedTasks
    5
    """

    stageId: int
    currentAttemptId: int
    name: str
    numTasks: int
    numActiveTasks: int
    numCompletedTasks: int
    numFailedTasks: int


class SparkExecutorInfo(NamedTuple):
    """An executor, or the driver: its machine, the bytes of cached partitions it holds, and its running tasks.

    ``port`` is 0: executors call the driver and listen nowhere. ``totalOnHeapStorageMemory`` is 0 where unknown.

    >>> from simspark import SparkExecutorInfo
    >>> SparkExecutorInfo("127.0.0.1", 0, 0, 2, 0, 0, 0, 0).numRunningTasks
    2
    """

    host: str
    port: int
    cacheSize: int
    numRunningTasks: int
    usedOnHeapStorageMemory: int
    usedOffHeapStorageMemory: int
    totalOnHeapStorageMemory: int
    totalOffHeapStorageMemory: int


class _Job:
    __slots__ = ("group", "job", "stages", "status")

    def __init__(self, started: events.JobStarted) -> None:
        self.job = started.job
        self.group = started.group
        self.stages = tuple([stage[0] for stage in started.stages])
        self.status = RUNNING


class _Stage:
    __slots__ = ("active", "attempt", "completed", "failed", "name", "running", "stage", "tasks")

    def __init__(self, stage: int, name: str, site: str, tasks: int) -> None:
        self.stage = stage
        self.name = f"{name} at {site}"
        self.tasks = tasks
        self.attempt = self.active = self.completed = self.failed = 0
        self.running = False


class _Executor:
    __slots__ = ("blocks", "host", "running")

    def __init__(self, host: str) -> None:
        self.host = host
        self.running = 0
        self.blocks: dict[tuple[int, int], int] = {}


class StatusStore:
    """The state of the latest jobs and stages and of all executors. ``handle`` is for the loop, the rest for anyone."""

    def __init__(self, retained_jobs: int, retained_stages: int, driver_host: str, executor_memory_bytes: int) -> None:
        self._retained_jobs = retained_jobs
        self._retained_stages = retained_stages
        self._driver_host = driver_host
        self._executor_memory_bytes = executor_memory_bytes
        self._jobs: dict[int, _Job] = {}
        self._stages: dict[int, _Stage] = {}
        self._executors: dict[str, _Executor] = {}
        self._lock = threading.Lock()
        self._news: deque[Any] = deque()

    # ── the fold ─────────────────────────────────────────────────────────────────────────────────────────────────

    def handle(self, told: Iterable[Any]) -> None:
        """Take events: whoever asks from now on is told of them."""
        self._news.extend(told)
        if len(self._news) >= NEWS_LIMIT:
            with self._lock:
                self._fold()

    def _fold(self) -> None:
        """Take in what is new, in its order. Under the lock."""
        news = self._news
        while news:
            event = news.popleft()
            kind = type(event)
            if kind is events.TasksStarted:
                self._start_tasks(event)
            elif kind is events.TasksEnded:
                self._end_tasks(event)
            elif kind in OF_JOBS:
                self._follow_job(event)
            else:
                self._follow_executor(event)
        self._drop_oldest()

    def _start_tasks(self, event: events.TasksStarted) -> None:
        stage = self._stages.get(event.stage)
        if stage is not None and stage.attempt == event.attempt:
            stage.active += len(event.tasks)
        executor = self._executors.get(event.executor)
        if executor is not None:
            executor.running += len(event.tasks)

    def _end_tasks(self, event: events.TasksEnded) -> None:
        stage = self._stages.get(event.stage)
        if stage is not None and stage.attempt == event.attempt:
            stage.active = max(0, stage.active - len(event.tasks))
            for task in event.tasks:
                stage.completed += task.accepted
                stage.failed += task.outcome not in NO_FAILURES
        executor = self._executors.get(event.executor)
        if executor is not None:
            executor.running = max(0, executor.running - len(event.tasks))

    def _follow_job(self, event: Any) -> None:
        match event:
            case events.JobStarted():
                self._start_job(event)
            case events.JobEnded(job, outcome) if job in self._jobs:
                self._jobs[job].status = SUCCEEDED if outcome == "succeeded" else FAILED
            case events.StageStarted(_, number, attempt, name, site, tasks):
                self._stages[number] = _Stage(number, name, site, tasks)
                self._stages[number].attempt = attempt
                self._stages[number].running = True
            case events.StageEnded(_, number) if number in self._stages:
                self._stages[number].running = False

    def _start_job(self, started: events.JobStarted) -> None:
        self._jobs[started.job] = _Job(started)
        for stage in started.stages:
            self._stages.setdefault(stage[0], _Stage(*stage))

    def _drop_oldest(self) -> None:
        if len(self._jobs) > self._retained_jobs:
            _drop(self._jobs, self._retained_jobs, {job.job for job in self._jobs.values() if job.status == RUNNING})
        if len(self._stages) > self._retained_stages:
            needed = {stage for job in self._jobs.values() if job.status == RUNNING for stage in job.stages}
            _drop(self._stages, self._retained_stages, needed)

    def _follow_executor(self, event: Any) -> None:
        match event:
            case events.ExecutorAdded(executor, _, host):
                self._executors[executor] = _Executor(host)
            case events.ExecutorRemoved(executor):
                self._executors.pop(executor, None)
            case events.BlockUpdated(rdd, -1):
                for each in self._executors.values():
                    each.blocks = {block: size for block, size in each.blocks.items() if block[0] != rdd}
            case events.BlockUpdated(rdd, partition, executor) if executor in self._executors:
                blocks = self._executors[executor].blocks
                blocks.pop((rdd, partition), None)
                if event.size_bytes >= 0 and not event.in_file:
                    blocks[rdd, partition] = event.size_bytes

    # ── snapshots ────────────────────────────────────────────────────────────────────────────────────────────────

    def jobs_of(self, group: str) -> list[int]:
        """The jobs of a group."""
        with self._lock:
            self._fold()
            return [job.job for job in self._jobs.values() if job.group == group]

    def active_jobs(self) -> list[int]:
        """Those that have not ended, in their order."""
        with self._lock:
            self._fold()
            return sorted(job.job for job in self._jobs.values() if job.status == RUNNING)

    def active_stages(self) -> list[int]:
        """Those whose tasks may run now."""
        with self._lock:
            self._fold()
            return sorted(stage.stage for stage in self._stages.values() if stage.running)

    def job(self, number: int) -> SparkJobInfo | None:
        """A job, while it is remembered."""
        with self._lock:
            self._fold()
            job = self._jobs.get(number)
            return None if job is None else SparkJobInfo(job.job, job.stages, job.status)

    def stage(self, number: int) -> SparkStageInfo | None:
        """A stage, while it is remembered."""
        with self._lock:
            self._fold()
            known = self._stages.get(number)
            return None if known is None else SparkStageInfo(
                known.stage, known.attempt, known.name, known.tasks, known.active, known.completed, known.failed
            )

    def executors(self) -> list[SparkExecutorInfo]:
        """The driver and all executors."""
        with self._lock:
            self._fold()
            infos = [SparkExecutorInfo(self._driver_host, 0, 0, 0, 0, 0, 0, 0)]
            for executor in self._executors.values():
                size = sum(executor.blocks.values())
                infos.append(SparkExecutorInfo(
                    executor.host, 0, size, executor.running, size, 0, self._executor_memory_bytes, 0
                ))  # fmt: skip
            return infos


def _drop(table: dict[int, Any], retained: int, needed: set[int]) -> None:
    """Forget the oldest, but for those that are needed."""
    for number in [number for number in table if number not in needed][: len(table) - retained]:
        del table[number]


class StatusTracker:
    """Tells how jobs get on. What it says is a snapshot, and may be None for what is long over or not yet begun.

    It remembers the latest ``spark.ui.retainedJobs`` jobs and ``spark.ui.retainedStages`` stages.

    >>> tracker = sc.statusTracker()
    >>> tracker.getActiveJobsIds(), tracker.getJobInfo(10**9)
    ([], None)
    """

    def __init__(self, jtracker: StatusStore) -> None:
        self._store = jtracker

    def getJobIdsForGroup(self, jobGroup: str | None = None) -> list[int]:
        """The known jobs of a job group, whether they run or have ended; None: those without a group.

        >>> sc.statusTracker().getJobIdsForGroup("never used")
        []
        """
        return self._store.jobs_of(jobGroup or "")

    def getActiveJobsIds(self) -> list[int]:
        """The jobs that have begun and not ended, in their order.

        >>> sc.statusTracker().getActiveJobsIds()
        []
        """
        return self._store.active_jobs()

    def getActiveStageIds(self) -> list[int]:
        """The stages whose tasks may run now.

        >>> sc.statusTracker().getActiveStageIds()
        []
        """
        return self._store.active_stages()

    def getJobInfo(self, jobId: int) -> SparkJobInfo | None:
        """What is known of a job, or None.

        >>> print(sc.statusTracker().getJobInfo(10**9))
        None
        """
        return self._store.job(jobId)

    def getStageInfo(self, stageId: int) -> SparkStageInfo | None:
        """What is known of a stage's latest attempt, or None.

        >>> print(sc.statusTracker().getStageInfo(10**9))
        None
        """
        return self._store.stage(stageId)

    def getExecutorInfos(self) -> list[SparkExecutorInfo]:
        """What is known of the driver, which comes first, and of each executor.

        >>> sc.statusTracker().getExecutorInfos()[0].numRunningTasks
        0
        """
        return self._store.executors()
