"""A shell around the scheduler core for tests: executors, files and time as plain tables.

It performs every effect, and on each it checks what must always hold: task ids are new, nothing is launched on an
executor that is not there, a result is taken once per (job, partition), a job ends once, updates count once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from simspark.driver.core import SchedulerCore
from simspark.driver.scheduling import (
    AnswerBarrier,
    AnswerCommit,
    Attempt,
    Cancel,
    CancelJob,
    CountAccumulated,
    DropFiles,
    ExecutorJoined,
    ExecutorLost,
    JobEnded,
    JobSpec,
    KillExecutor,
    Launch,
    Outputs,
    ReleaseExecutor,
    Reported,
    SchedulerSettings,
    StageSpec,
    SubmitJob,
    TakeResult,
    WantExecutors,
    WorkerChanged,
)
from simspark.publib import machine
from simspark.publib.events import EVENTS
from simspark.publib.wire.messages import CachedBlock, Failure, FetchFault, TaskReport


class Sent(NamedTuple):
    """An attempt in an executor's queue, with the map output tables that it was sent with."""

    launch: Launch
    attempt: Attempt
    tables: tuple[Outputs, ...]


class FakeExecutor:
    def __init__(self, name: str, worker: str, slots: int) -> None:
        self.name = name
        self.worker = worker
        self.slots = slots
        self.queue: list[Sent] = []
        self.told_to_stop: list[int] = []
        self.most = 0


def failure(text: str = "boom") -> Failure:
    return Failure("ValueError", "builtins", text, (), (), "", b"")


def report(task: int, outcome: str = "ok", *, payload: bytes = b"", name: str = "", size: int = 1,
           accumulated: bytes = b"", blocks: tuple[CachedBlock, ...] = (), run_us: int | None = 10_000,
           fetch: FetchFault | None = None, text: str = "boom") -> TaskReport:
    said = failure(text) if outcome in ("raised", "node_fault", "out_of_memory") else None
    metrics = {} if run_us is None else {"run_us": run_us}
    return TaskReport(task, outcome, payload, name, size, accumulated, blocks, metrics, said, fetch)


class Shell:
    def __init__(self, settings: SchedulerSettings | None = None) -> None:
        self.core = SchedulerCore(settings or SchedulerSettings())
        self.now = 0.0
        self.executors: dict[str, FakeExecutor] = {}
        self.specs: dict[int, StageSpec] = {}
        self.jobs: dict[int, JobSpec] = {}
        self.timers: dict[str, float] = {}
        self.results: dict[int, dict[int, TaskReport]] = {}
        self.ended: dict[int, JobEnded] = {}
        self.counted: list[bytes] = []
        self.launches: list[Launch] = []
        self.cancels: list[Cancel] = []
        self.killed: list[KillExecutor] = []
        self.released: list[str] = []
        self.wanted: list[int] = []
        self.dropped: list[DropFiles] = []
        self.answers: list[AnswerCommit] = []
        self.met: list[AnswerBarrier] = []
        self.events: list[Any] = []
        self.messages = 0
        self._used: set[int] = set()

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, event: Any) -> list[Any]:
        effects = self.core.handle(self.now, event)
        for effect in effects:
            self._perform(effect)
        return effects

    def join(self, name: str, worker: str = "w1", slots: int = 1, host: str = "") -> None:
        self.executors[name] = FakeExecutor(name, worker, slots)
        self.send(ExecutorJoined(name, worker, host or "host-" + worker, slots))

    def lose(self, name: str, cause: str = "was killed by signal 9") -> None:
        self.executors.pop(name, None)
        self.send(ExecutorLost(name, cause))

    def kill_worker(self, worker: str) -> None:
        for name in [e.name for e in self.executors.values() if e.worker == worker]:
            del self.executors[name]
        self.send(WorkerChanged(worker, "dead", f"worker {worker} is dead"))

    def submit(self, *stages: StageSpec, job: int | None = None, partitions: tuple[int, ...] | None = None,
               **settings: Any) -> int:
        number = len(self.jobs) if job is None else job
        wanted = tuple(range(stages[-1].partitions)) if partitions is None else partitions
        spec = JobSpec(number, stages, wanted, **settings)
        self.jobs[number] = spec
        self.specs.update({stage.stage: stage for stage in stages})
        self.send(SubmitJob(spec))
        return number

    def cancel(self, job: int, reason: str = "asked") -> None:
        self.send(CancelJob(job, reason))

    def advance(self, seconds: float) -> None:
        """Let time pass; timers ring on their way."""
        until = self.now + seconds
        while True:
            due = [(when, name) for name, when in self.timers.items() if when <= until]
            if not due:
                break
            when, name = min(due)
            del self.timers[name]
            self.now = max(self.now, when)
            self.send(machine.TimerFired(name))
        self.now = until

    # ── what executors do ────────────────────────────────────────────────────────────────────────────────────────

    def queue(self, name: str) -> list[int]:
        """The tasks that an executor has, in order."""
        return [sent.attempt.task for sent in self.executors[name].queue]

    def partitions(self, name: str) -> list[int]:
        return [sent.attempt.partition for sent in self.executors[name].queue]

    def pop(self, name: str, task: int | None = None) -> Sent:
        queue = self.executors[name].queue
        at = 0 if task is None else self.queue(name).index(task)
        return queue.pop(at)

    def finish(self, name: str, count: int = 1, **details: Any) -> None:
        """The executor ends its first tasks well, and reports them together."""
        reports = [self.success(self.pop(name), **details) for _ in range(count)]
        self.send(Reported(name, tuple(reports)))

    def end(self, name: str, outcome: str, task: int | None = None, **details: Any) -> None:
        """The executor's first task (or this one) ends otherwise."""
        sent = self.pop(name, task)
        self.send(Reported(name, (report(sent.attempt.task, outcome, **details),)))

    def success(self, sent: Sent, **details: Any) -> TaskReport:
        stage = self.specs[sent.launch.stage]
        task, partition = sent.attempt.task, sent.attempt.partition
        if stage.shuffle >= 0:
            name = f"shuffle-{stage.shuffle}-{partition}-{task}"
            return report(task, name=name, accumulated=f"s{stage.shuffle}.{partition}".encode(), **details)
        payload = f"{sent.launch.job}.{partition}".encode()
        return report(task, payload=payload, accumulated=b"j" + payload, **details)

    def finish_everything(self, rounds: int = 10_000) -> None:
        """Executors end all that they have until nothing is left to do."""
        for _ in range(rounds):
            busy = [executor for executor in self.executors.values() if executor.queue]
            if not busy:
                return
            for executor in busy:
                if executor.name in self.executors and executor.queue:
                    self.finish(executor.name)
        raise AssertionError("this never ends")

    def outcome(self, job: int) -> str:
        return self.ended[job].outcome if job in self.ended else "running"

    # ── effects ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _perform(self, effect: Any) -> None:
        match effect:
            case Launch():
                self._launch(effect)
            case TakeResult(job, partition, _, taken):
                results = self.results.setdefault(job, {})
                assert job not in self.ended, "a result after the end"
                assert partition not in results, f"two results for partition {partition} of job {job}"
                assert partition in self.jobs[job].partitions
                results[partition] = taken
            case CountAccumulated(accumulated):
                assert accumulated not in self.counted, f"{accumulated!r} counted twice"
                self.counted.append(accumulated)
            case JobEnded():
                self._end(effect)
            case Cancel(executor, tasks, _):
                self.cancels.append(effect)
                if executor in self.executors:
                    self.executors[executor].told_to_stop.extend(tasks)
                self.messages += 1
            case AnswerCommit():
                self.answers.append(effect)
            case AnswerBarrier():
                self.met.append(effect)
            case KillExecutor(executor):
                self.killed.append(effect)
                self.executors.pop(executor, None)
            case ReleaseExecutor(executor):
                assert not self.executors.pop(executor).queue, "gave a busy executor back"
                self.released.append(executor)
            case WantExecutors(total):
                self.wanted.append(total)
            case DropFiles():
                self.dropped.append(effect)
            case machine.SetTimer(name, when):
                self.timers[name] = when
            case machine.CancelTimer(name):
                self.timers.pop(name, None)
            case _ if type(effect) in EVENTS:
                self.events.append(effect)
            case _:
                raise AssertionError(f"unknown effect {effect}")

    def _launch(self, launch: Launch) -> None:
        executor = self.executors[launch.executor]
        spec = self.specs[launch.stage]
        tables = tuple(self.core.outputs(parent) for parent in spec.parents)
        for table in tables:
            assert ("", -1) not in table.places, "launched before its input was complete"
        assert launch.job not in self.ended, "launched for a job that is over"
        assert launch.attempts
        for attempt in launch.attempts:
            assert attempt.task not in self._used, "a task id was used twice"
            self._used.add(attempt.task)
            executor.queue.append(Sent(launch, attempt, tables))
        executor.most = max(executor.most, len(executor.queue))
        self.launches.append(launch)
        self.messages += 1

    def _end(self, ended: JobEnded) -> None:
        assert ended.job not in self.ended, f"job {ended.job} ended twice"
        self.ended[ended.job] = ended
        if ended.outcome == "succeeded":
            assert set(self.results.get(ended.job, ())) == set(self.jobs[ended.job].partitions)


def result_stage(partitions: int, parents: tuple[int, ...] = (), stage: int = 100, **more: Any) -> StageSpec:
    return StageSpec(stage, -1, partitions, parents, **more)


def map_stage(shuffle: int, partitions: int, parents: tuple[int, ...] = (), stage: int | None = None,
              **more: Any) -> StageSpec:
    return StageSpec(shuffle if stage is None else stage, shuffle, partitions, parents, **more)
