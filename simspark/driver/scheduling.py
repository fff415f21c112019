"""What goes into the driver's scheduler core, and what comes out.

The core knows jobs, stages, tasks, executors, map outputs and cached blocks. It does not know lineage, code, rows or
sockets: a stage is a number of partitions, the shuffle that it writes and the shuffles that it reads. The shell
around it compiles lineage to ``StageSpec``, keeps the programs and splits, and performs the effects. An event of
publib.events among the effects goes on the event stream as it is.

Executors are named by text ids, workers (the machines' daemons, or "local") too.
"""

from __future__ import annotations

from typing import Any

from simspark.publib.named_tuple import NamedTuple
from simspark.publib.wire.messages import Said, TaskReport


class StageSpec(NamedTuple):
    """A run of tasks without a shuffle between them.

    ``stage`` is unique in the application. ``shuffle`` is what its tasks write, or -1 for the job's last stage.
    ``parents`` are the shuffles that it reads. Many jobs may name the same shuffle: its outputs are made once.
    ``rdds`` are cached RDDs on the way, nearest to the end first: a task goes where its partition of the first cached
    one is. ``places`` maps a partition to workers' hosts that its input prefers. ``gang``: all tasks or none. Each task
    takes ``cpus`` slots of its executor; ``cpu_amount`` is the exact number that was asked for.
    """

    stage: int
    shuffle: int
    partitions: int
    parents: tuple[int, ...]
    rdds: tuple[int, ...] = ()
    places: dict[int, tuple[str, ...]] = {}  # noqa: RUF012 (never changed: a NamedTuple's default)
    gang: bool = False
    name: str = ""
    site: str = ""
    cpus: int = 1
    cpu_amount: str = "1"


class JobSpec(NamedTuple):
    """One action. ``stages`` are in an order in which parents come first; the last one gives the results.

    ``partitions`` are those of the last stage that the action wants, in the order of its result.
    ``max_failures`` counts attempts of one task that raised; ``max_losses`` those that ended with their executor.
    ``rerun``: how often results of the action, accepted and counted, could not be read; this job makes them again,
    after a pause when it is not the first time, and adds nothing to accumulators.
    """

    job: int
    stages: tuple[StageSpec, ...]
    partitions: tuple[int, ...]
    max_failures: int = 4
    max_losses: int = 4
    pool: str = "default"
    group: str = ""
    name: str = ""
    site: str = ""
    rerun: int = 0


# ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────


class SubmitJob(NamedTuple):
    """The user's program wants this job's results."""

    spec: JobSpec


class CancelJob(NamedTuple):
    """Somebody does not want this job any more."""

    job: int
    reason: str


class ExecutorJoined(NamedTuple):
    """An executor said hello and was let in; it has ``slots`` task threads."""

    executor: str
    worker: str
    host: str
    slots: int


class ExecutorSilent(NamedTuple):
    """The connection of an executor broke; it may come back."""

    executor: str


class ExecutorHeard(NamedTuple):
    """The connection of a silent executor is back."""

    executor: str


class ExecutorLost(NamedTuple):
    """An executor ended; ``cause`` says how, in words for the user. Files of its worker stay."""

    executor: str
    cause: str


class WorkerChanged(NamedTuple):
    """The master sees a worker as "alive", "late" or "dead"; when dead its executors and files are lost."""

    worker: str
    state: str
    cause: str = ""


class Reported(NamedTuple):
    """Attempts that ended, in the order in which the executor sent them."""

    executor: str
    reports: tuple[TaskReport, ...]


class CommitAsked(NamedTuple):
    """An attempt asks whether it may make its output visible."""

    executor: str
    task: int


class BarrierAsked(NamedTuple):
    """A task of a gang has come to its ``meeting``-th "barrier" or "allGather" (``kind``)."""

    executor: str
    task: int
    meeting: int
    kind: str
    said: Said


class BlocksDropped(NamedTuple):
    """Cached partitions, as (rdd, partition), that an executor evicted."""

    executor: str
    blocks: tuple[tuple[int, int], ...]


class GiveBackAsked(NamedTuple):
    """The master wants so many executors back, as their tasks end."""

    executors: int


class ResultUnreachable(NamedTuple):
    """The driver cannot read what a worker keeps, so the results that it holds must be made elsewhere."""

    worker: str
    cause: str


class QueueChanged(NamedTuple):
    """What the master says about executors that were asked for and not given."""

    text: str
    unmet: bool


class Unpersist(NamedTuple):
    """An RDD's cached partitions are not needed any more."""

    rdd: int


class ForgetShuffle(NamedTuple):
    """No lineage refers to this shuffle any more; a running or queued job may still read it."""

    shuffle: int


class CleanShuffle(NamedTuple):
    """The outputs of this shuffle are not needed for now. Lineage may ask for them again, and jobs may read them."""

    shuffle: int


# ── effects ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Attempt(NamedTuple):
    """One attempt: the task id is unique in the application and never used again."""

    task: int
    partition: int
    attempt: int


class Launch(NamedTuple):
    """Send these attempts of one stage to an executor; map output tables that it lacks go first.

    ``gang``: the executors of all tasks of a gang, by partition; empty for other stages.
    """

    executor: str
    job: int
    stage: int
    stage_attempt: int
    attempts: tuple[Attempt, ...]
    gang: tuple[str, ...] = ()


class Cancel(NamedTuple):
    """Tell an executor to stop these attempts."""

    executor: str
    tasks: tuple[int, ...]
    reason: str


class AnswerCommit(NamedTuple):
    """Answer a CommitAsked."""

    executor: str
    task: int
    allowed: bool


class AnswerBarrier(NamedTuple):
    """Answer a BarrierAsked: what all said, by partition, or why they cannot meet."""

    executor: str
    task: int
    meeting: int
    said: tuple[Said, ...]
    error: str


class TakeResult(NamedTuple):
    """The one accepted result of a partition of a job: its report holds the payload or names the file."""

    job: int
    partition: int
    worker: str
    report: TaskReport


class CountAccumulated(NamedTuple):
    """Add the updates of an accepted task; never given twice for the same (shuffle, map) or (job, partition)."""

    accumulated: bytes


class JobEnded(NamedTuple):
    """A job is over: ``outcome`` is "succeeded", "failed" or "cancelled".

    A failed one has the report of the task that failed it (its exception) or, without one, a ``text`` and the name
    of the error class (simspark.publib.errors). ``failures`` counts the tasks that failed.
    """

    job: int
    outcome: str
    error: str = ""
    text: str = ""
    report: TaskReport | None = None
    stage: int = -1
    partition: int = -1
    attempt: int = 0
    worker: str = ""
    failures: int = 0


class KillExecutor(NamedTuple):
    """End an executor: it does not stop a cancelled task, or was silent for too long."""

    executor: str
    reason: str


class WantExecutors(NamedTuple):
    """How many executors the application wants in all now."""

    total: int


class ReleaseExecutor(NamedTuple):
    """Give an idle executor back."""

    executor: str


class DropFiles(NamedTuple):
    """Remove files whose names start so, on every worker (empty) or one, and the executors' memory of these ids."""

    worker: str
    prefixes: tuple[str, ...]
    rdds: tuple[int, ...] = ()
    shuffles: tuple[int, ...] = ()


class Outputs(NamedTuple):
    """The table of a shuffle at an epoch, as the shell asks it of the core: per map index (worker, task)."""

    shuffle: int
    epoch: int
    places: tuple[tuple[str, int], ...]


class SchedulerSettings(NamedTuple):
    """What the scheduler core may be told. Presets: the default, and ``fast()`` for tests."""

    silent_is_lost_s: float = 15.0
    locality_wait_s: float = 0.3
    cancel_grace_s: float = 2.0
    speculation: bool = False
    speculation_multiplier: float = 3.0
    speculation_quantile: float = 0.75
    speculation_interval_s: float = 0.1
    task_timeout_s: float = 0.0
    node_exclude_s: float = 60.0
    elsewhere_wait_s: float = 15.0
    idle_release_s: float = 10.0
    unmet_need_fails_s: float = 120.0
    window_per_slot: int = 2
    max_fetch_rounds: int = 4
    max_result_bytes: int = 1 << 30
    max_executors: int = 0
    barrier_timeout_s: float = 365 * 86400.0

    def fast(self) -> SchedulerSettings:
        """The same with short waits, for tests on real processes."""
        return self._replace(silent_is_lost_s=3.0, locality_wait_s=0.05, cancel_grace_s=0.5, idle_release_s=1.0,
                             elsewhere_wait_s=3.0)


Event = Any
Effect = Any
