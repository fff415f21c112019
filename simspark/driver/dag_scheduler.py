"""Jobs and their stages: which shuffles must be made, by which tasks, for whom.

A stage that writes a shuffle is one for all jobs that name the shuffle; the first job that needs it leads. What is
needed is worked out anew whenever something changed: from each job's last stage back through the shuffles that miss
outputs. So a lost output, a job that was cancelled and a second job that reads the same shuffle are one case. A stage
whose input is incomplete is paused: its attempts in flight go on, nothing is launched.

A stage that fails to fetch the same input again pauses before its next try, longer each time; when that goes on without
one task getting through, it fails its jobs.
"""

from __future__ import annotations

from collections.abc import Sequence

from simspark.driver.block_directory import CachedBlocks, MapOutputs
from simspark.driver.executor_pool import Running
from simspark.driver.fetch_rounds import FetchRounds, pause_s
from simspark.driver.scheduling import (
    CountAccumulated,
    DropFiles,
    JobEnded,
    JobSpec,
    SchedulerSettings,
    StageSpec,
    TakeResult,
)
from simspark.driver.states import JOB_MOVES, STAGE_MOVES, JobState, StageState, check_move
from simspark.driver.task_outcomes import Fault, TaskOutcomes, name_of
from simspark.driver.task_scheduler import TaskScheduler
from simspark.driver.task_set import Limits, TaskSet
from simspark.driver.turn import Turn
from simspark.publib import events
from simspark.publib.errors import InternalError
from simspark.publib.wire.messages import FetchFault, TaskReport

OUTCOMES = {JobState.SUCCEEDED: "succeeded", JobState.FAILED: "failed", JobState.CANCELLED: "cancelled"}
PAUSE = "pause"
FILES_IN_A_MESSAGE = 1000


class Stage:
    """A stage while jobs that run name it. ``specs`` has each job's own view of it, the leading job first."""

    __slots__ = ("attempts", "fetches", "lost", "specs", "state", "tasks")

    def __init__(self) -> None:
        self.state = StageState.RESTING
        self.specs: dict[int, StageSpec] = {}
        self.tasks: TaskSet | None = None
        self.attempts = 0
        self.lost = False
        self.fetches = FetchRounds()

    def move(self, state: StageState) -> None:
        """Go to another state; again is harmless."""
        if state != self.state:
            if (self.state, state) not in STAGE_MOVES:
                check_move(STAGE_MOVES, self.state, state, "a stage")
            self.state = state


class Job:
    """An action under way."""

    __slots__ = ("finished", "job", "makers", "result", "result_bytes", "spec", "state", "submitted_at")

    def __init__(self, spec: JobSpec, now: float) -> None:
        self.spec = spec
        self.job = spec.job
        self.state = JobState.RUNNING
        self.submitted_at = now
        self.finished = 0
        self.result_bytes = 0
        self.result = Stage()
        self.result.specs[spec.job] = spec.stages[-1]
        self.makers = {stage.shuffle: stage for stage in spec.stages[:-1]}


class DagScheduler:
    """The jobs and stages that are under way. Implements StageListener."""

    def __init__(self, settings: SchedulerSettings, turn: Turn, outputs: MapOutputs, cached: CachedBlocks,
                 scheduler: TaskScheduler) -> None:
        self._settings = settings
        self._turn = turn
        self._outputs = outputs
        self._cached = cached
        self._scheduler = scheduler
        self._jobs: dict[int, Job] = {}
        self._makers: dict[int, Stage] = {}
        self._forgotten: dict[int, None] = {}
        self._to_clean: dict[int, None] = {}
        self._dirty = False
        self.outcomes: TaskOutcomes

    # ── jobs ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def submit(self, spec: JobSpec) -> None:
        """A job is wanted."""
        self._check(spec)
        for stage in spec.stages[:-1]:
            self._outputs.open(stage.shuffle, stage.partitions)
            self._makers.setdefault(stage.shuffle, Stage()).specs[spec.job] = stage
        job = self._jobs[spec.job] = Job(spec, self._turn.now)
        job.result.fetches.pause_until = self._turn.now + pause_s(spec.rerun)
        stages = tuple([(stage.stage, stage.name, stage.site, stage.partitions) for stage in spec.stages])
        self._turn.emit(events.JobStarted(spec.job, spec.name, spec.site, spec.group, stages))
        self._dirty = True
        if not spec.partitions:
            self._end(job, JobState.SUCCEEDED, JobEnded(spec.job, "succeeded"))

    def _check(self, spec: JobSpec) -> None:
        if spec.job in self._jobs:
            raise InternalError(f"job {spec.job} was submitted twice")
        if not spec.stages or spec.stages[-1].shuffle != -1:
            raise InternalError(f"the last stage of job {spec.job} must give results")
        made: dict[int, StageSpec] = {}
        for stage in spec.stages:
            if not made.keys() >= set(stage.parents):
                raise InternalError(f"stage {stage.stage} of job {spec.job} reads what no earlier stage makes")
            if stage.shuffle in made:
                raise InternalError(f"shuffle {stage.shuffle} is made twice in job {spec.job}")
            if self._outputs.partitions(stage.shuffle) not in (-1, stage.partitions):
                raise InternalError(f"jobs disagree about the map partitions of shuffle {stage.shuffle}")
            made[stage.shuffle] = stage
        wanted, last = spec.partitions, spec.stages[-1].partitions
        if wanted and (len(set(wanted)) != len(wanted) or min(wanted) < 0 or max(wanted) >= last):
            raise InternalError(f"job {spec.job} asks for partitions that its last stage does not have, or twice")

    def cancel(self, job_id: int, reason: str) -> None:
        """A job is not wanted any more."""
        job = self._jobs.get(job_id)
        if job is not None:
            self._end(job, JobState.CANCELLED, JobEnded(job_id, "cancelled", text=reason))

    def fail_job(self, job: Job, error: str, text: str) -> None:
        """A job cannot be done."""
        failures = self._failures(job)
        self._end(job, JobState.FAILED, JobEnded(job.job, "failed", error, text, failures=failures))

    def _end(self, job: Job, state: JobState, ended: JobEnded) -> None:
        check_move(JOB_MOVES, job.state, state, f"job {job.job}")
        job.state = state
        del self._jobs[job.job]
        if state != JobState.SUCCEEDED:
            self._sweep_results(job)
        self._close(job.result, OUTCOMES[state], f"job {job.job} {OUTCOMES[state]}")
        job.result.move(StageState.CLOSED)
        for shuffle in job.makers:
            self._makers[shuffle].specs.pop(job.job, None)
        # who waits for the job may ask at once what the stream has told of it
        self._turn.emit(events.JobEnded(job.job, ended.outcome, ended.text))
        self._turn.add(ended)
        self._dirty = True

    def _sweep_results(self, job: Job) -> None:
        prefix = f"result-{job.job}-"
        tasks = job.result.tasks
        if tasks is not None:
            for attempts in tasks.running.values():
                for running in attempts:
                    running.sweep = prefix
        if job.finished:
            self._turn.add(DropFiles("", (prefix,)))

    def jobs(self) -> list[Job]:
        """Those that are under way, first come first. Any thread: one copy."""
        return list(self._jobs.values())

    def job(self, job_id: int) -> Job | None:
        """The job, while it is under way."""
        return self._jobs.get(job_id)

    # ── what is needed ───────────────────────────────────────────────────────────────────────────────────────────

    def plan(self) -> None:
        """Work out which stages are needed and start, pause, go on with or close them. At the end of a turn."""
        while self._dirty:
            self._dirty = False
            needed: dict[int, None] = {}
            steps: list[tuple[Stage, StageSpec, Job, bool]] = []
            for job in self._jobs.values():
                self._walk(job, needed, steps)
            for shuffle, stage in list(self._makers.items()):
                if shuffle not in needed:
                    self._rest(shuffle, stage)
            for stage, spec, job, waits in steps:
                self._prepare(stage, spec, job, waits=waits)

    def end_pause(self) -> None:
        """A stage may have paused long enough."""
        self._dirty = True

    def _walk(self, job: Job, needed: dict[int, None], steps: list[tuple[Stage, StageSpec, Job, bool]]) -> None:
        """Add the stages that a job needs and no job before it; True with those whose input is incomplete."""
        todo: list[tuple[Stage, StageSpec]] = [(job.result, job.spec.stages[-1])]
        while todo:
            stage, spec = todo.pop()
            missing = [parent for parent in spec.parents if not self._outputs.is_complete(parent)]
            steps.append((stage, spec, job, bool(missing)))
            for parent in missing:
                if parent not in needed:
                    needed[parent] = None
                    todo.append((self._makers[parent], job.makers[parent]))

    def _prepare(self, stage: Stage, spec: StageSpec, job: Job, *, waits: bool) -> None:
        if stage.lost and stage.tasks is not None:
            self._reopen(stage.tasks)
        stage.lost = False
        tasks = stage.tasks
        pause_until = stage.fetches.pause_until
        if pause_until > self._turn.now:
            self._turn.arm(PAUSE, pause_until)
            waits = True
        if waits:
            if tasks is not None:
                tasks.paused = True
            stage.move(StageState.WAITING)
            return
        stage.move(StageState.RUNNING)
        if tasks is None:
            self._start(stage, spec, job)
            return
        if tasks.paused:
            tasks.paused = False
            tasks.ready_at = self._turn.now
            self._scheduler.offer_soon()
        if tasks.job != job.job and tasks.job not in stage.specs:
            self._hand_over(stage, tasks, spec, job)

    def _start(self, stage: Stage, spec: StageSpec, job: Job) -> None:
        partitions: Sequence[int]
        missing: Sequence[int]
        if spec.shuffle < 0:
            partitions = job.spec.partitions
            missing = range(len(partitions))
        else:
            partitions = range(spec.partitions)
            if spec.gang:
                self._outputs.clear(spec.shuffle)  # what a gang made counts as a whole
            missing = self._outputs.missing(spec.shuffle)
        limits = Limits(job.spec.max_failures, job.spec.max_losses)
        stage.tasks = TaskSet(spec, job.job, partitions, missing, attempt=stage.attempts, limits=limits,
                              pool=job.spec.pool, now=self._turn.now)
        self._scheduler.add(stage.tasks)
        self._turn.emit(
            events.StageStarted(job.job, spec.stage, stage.attempts, spec.name, spec.site, len(missing))
        )

    def _hand_over(self, stage: Stage, tasks: TaskSet, spec: StageSpec, job: Job) -> None:
        """The job that led is over and another one needs the stage: it goes on under that one's name."""
        if tasks.spec.stage != spec.stage or tasks.spec.gang:
            self._close(stage, "cancelled", "its job is over")
            self._start(stage, spec, job)
            return
        tasks.spec = spec
        tasks.job = job.job
        tasks.pool = job.spec.pool
        tasks.order = (job.job, spec.stage)
        self._scheduler.reorder()

    def _reopen(self, tasks: TaskSet) -> None:
        """Outputs of a stage under way were lost."""
        missing = self._outputs.missing(tasks.spec.shuffle)
        lost = [index for index in missing if tasks.is_done(index) and index not in tasks.held]
        if lost and tasks.spec.gang:
            self.outcomes.restart_gang(tasks)
            return
        for index in lost:
            tasks.reopen(index)
        if lost:
            self._scheduler.offer_soon()

    def _rest(self, shuffle: int, stage: Stage) -> None:
        """Nobody needs the stage now; nobody names it any more, perhaps."""
        complete = self._outputs.is_complete(shuffle)
        self._close(stage, "succeeded" if complete else "cancelled", "nobody needs it any more")
        stage.move(StageState.RESTING)
        stage.lost = False
        if not stage.specs:
            stage.move(StageState.CLOSED)
            del self._makers[shuffle]
            if shuffle in self._forgotten:
                self.forget(shuffle)
            elif shuffle in self._to_clean:
                self.clean(shuffle)

    def _close(self, stage: Stage, outcome: str, reason: str) -> None:
        tasks = stage.tasks
        if tasks is None:
            return
        stage.tasks = None
        stage.attempts = tasks.attempt + 1
        self._scheduler.close(tasks, reason)
        self._turn.emit(events.StageEnded(tasks.job, tasks.spec.stage, tasks.attempt, outcome))

    # ── StageListener ────────────────────────────────────────────────────────────────────────────────────────────

    def accept(self, tasks: TaskSet, index: int, worker: str, report: TaskReport) -> None:
        """See StageListener."""
        if tasks.closed:
            return
        shuffle = tasks.spec.shuffle
        if shuffle < 0:
            self._accept_result(tasks, index, worker, report)
            return
        self._got_through(self._makers[shuffle])
        if not self._outputs.commit(shuffle, index, worker, report.task):
            return
        if self._outputs.count_once(shuffle, index) and report.accumulated:
            self._turn.add(CountAccumulated(report.accumulated))
        if self._outputs.is_complete(shuffle):
            self._dirty = True

    def _accept_result(self, tasks: TaskSet, index: int, worker: str, report: TaskReport) -> None:
        job = self._jobs[tasks.job]
        if job.result.fetches.count:
            self._got_through(job.result)
        job.finished += 1
        job.result_bytes += report.size_bytes
        self._turn.add(TakeResult(job.job, tasks.partitions[index], worker, report))
        if report.accumulated and not job.spec.rerun:
            self._turn.add(CountAccumulated(report.accumulated))
        limit = self._settings.max_result_bytes
        if limit and job.result_bytes > limit:
            self.fail_job(job, "ResultTooLarge", _too_large(job, limit))
        elif job.finished == len(job.spec.partitions):
            self._end(job, JobState.SUCCEEDED,
                      JobEnded(job.job, "succeeded", failures=self._failures(job)))

    def _got_through(self, stage: Stage) -> None:
        if stage.fetches.count:
            stage.fetches.get_through()
            self._dirty = True

    def fail(self, tasks: TaskSet, fault: Fault) -> None:
        """See StageListener."""
        running = fault.running
        for job in self._dependents(tasks):
            self._end(job, JobState.FAILED, JobEnded(
                job.job, "failed", fault.error, fault.text, fault.report, tasks.spec.stage, running.partition,
                running.attempt, running.executor.worker, self._failures(job),
            ))  # fmt: skip

    def fetch_failed(self, running: Running, fault: FetchFault) -> None:
        """See StageListener."""
        tasks = running.tasks
        stage = self._stage_of(tasks)
        fetches = stage.fetches
        if fetches.is_new(running.task):
            times = fetches.begin(fault, self._scheduler.next_task)
            if times > self._settings.max_fetch_rounds:
                text = (f"{name_of(running)} could not read {fault.name} of {fault.owner} ({fault.reason}) after "
                        f"{fetches.count - 1} repairs of its input, and no task of its stage got through")  # fmt: skip
                self.fail(tasks, Fault("JobFailed", text, None, running))
                return
            fetches.pause_until = self._turn.now + pause_s(times)
            self._dirty = True
        self._cached.lose_file(fault.owner, fault.name)
        if self._outputs.fail(fault.shuffle, fault.map_index, fault.owner, _writer(fault.name)):
            self._lost((fault.shuffle,))
            self._blame(stage, fault)

    def _blame(self, stage: Stage, fault: FetchFault) -> None:
        """A worker whose files failed readers in several rounds is out of reach, and all that it has is lost."""
        if stage.fetches.blame(fault.owner):
            self._lost(self._outputs.lose_worker(fault.owner))
            self.outcomes.exclude_unless_last(fault.owner, f"its files cannot be read: {fault.reason}")

    def late_success(self, running: Running, report: TaskReport) -> None:
        """See StageListener."""
        shuffle = running.tasks.spec.shuffle
        worker = running.executor.worker
        if shuffle >= 0 and not self._outputs.knows(shuffle):
            self._turn.add(DropFiles(worker, (f"shuffle-{shuffle}-",)))
        elif running.sweep and report.name:
            self._turn.add(DropFiles(worker, (running.sweep,)))

    # ── blocks ───────────────────────────────────────────────────────────────────────────────────────────────────

    def lose_worker(self, worker: str) -> None:
        """All files of a worker are gone."""
        self._cached.lose_worker(worker)
        self._lost(self._outputs.lose_worker(worker))
        for tasks in self._scheduler.sets():
            if any(held.worker == worker and held.report.name for held in tasks.held.values()):
                self.outcomes.restart_gang(tasks)

    def forget(self, shuffle: int) -> None:
        """No lineage names a shuffle; it is kept while a job does."""
        if shuffle in self._makers:
            self._forgotten[shuffle] = None
            return
        self._forgotten.pop(shuffle, None)
        self._to_clean.pop(shuffle, None)
        if self._outputs.forget(shuffle):
            self._turn.add(DropFiles("", (f"shuffle-{shuffle}-",), (), (shuffle,)))

    def clean(self, shuffle: int) -> None:
        """The outputs of a shuffle go, once no job names it; they are made anew when one does.

        Each file is named: others of the shuffle may be written while the message is on its way.
        """
        if shuffle in self._makers:
            self._to_clean[shuffle] = None
            return
        self._to_clean.pop(shuffle, None)
        for worker, files in self._outputs.clear(shuffle).items():
            for start in range(0, len(files), FILES_IN_A_MESSAGE):
                self._turn.add(DropFiles(worker, tuple(files[start : start + FILES_IN_A_MESSAGE])))

    def _lost(self, shuffles: Sequence[int]) -> None:
        for shuffle in shuffles:
            stage = self._makers.get(shuffle)
            if stage is not None:
                stage.lost = True
                self._dirty = True

    # ── who depends on what ──────────────────────────────────────────────────────────────────────────────────────

    def _stage_of(self, tasks: TaskSet) -> Stage:
        shuffle = tasks.spec.shuffle
        return self._makers[shuffle] if shuffle >= 0 else self._jobs[tasks.job].result

    def _dependents(self, tasks: TaskSet) -> list[Job]:
        """The jobs that cannot end without these tasks."""
        shuffle = tasks.spec.shuffle
        if shuffle < 0:
            return [self._jobs[tasks.job]]
        return [job for job in self.jobs() if shuffle in self.missing_shuffles(job)]

    def missing_shuffles(self, job: Job) -> dict[int, None]:
        """The shuffles that must still be made for a job."""
        found: dict[int, None] = {}
        todo = [job.spec.stages[-1]]
        while todo:
            for parent in todo.pop().parents:
                if parent not in found and not self._outputs.is_complete(parent):
                    found[parent] = None
                    todo.append(job.makers[parent])
        return found

    def _failures(self, job: Job) -> int:
        failures = 0
        for stage in (job.result, *map(self._makers.__getitem__, job.makers)):
            if stage.tasks is not None:
                for trouble in stage.tasks.troubles.values():
                    failures += bool(trouble.failures or trouble.losses)
        return failures

    def statistics(self) -> tuple[int, int, int]:
        """Jobs, stages that jobs name, shuffles to be forgotten or cleaned later."""
        return len(self._jobs), len(self._makers), len(self._forgotten) + len(self._to_clean)


def _writer(name: str) -> int:
    """The task that wrote a map output, by the file's name; -1 when it is no such name."""
    last = name.partition(".")[0].rpartition("-")[2]
    return int(last) if last.isascii() and last.isdigit() else -1


def _too_large(job: Job, limit: int) -> str:
    count, wanted = job.finished, len(job.spec.partitions)
    return (f"the results of {count} of {wanted} partitions take {job.result_bytes:,} bytes, the limit is {limit:,}. "
            "Take less, save to files, or raise spark.driver.maxResultSize")  # fmt: skip
