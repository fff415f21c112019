"""The event stream: what happened to jobs, stages, tasks, executors, workers and blocks.

Progress lines, the event log, the history and the metrics are folded from it and read nothing else. Events are named
tuples of plain values. Tasks come in batches, one event for each message to or from an executor. A record, which is
what a log keeps, names its kind and version; fields are only ever added, at the end and with a default, so that an
old log stays readable.
"""

from __future__ import annotations

from typing import Any

from simspark.publib.named_tuple import NamedTuple

VERSION = 1


class JobStarted(NamedTuple):
    """An action began. ``stages`` are (stage, name, call site, tasks); those made before are among them."""

    job: int
    name: str
    site: str
    group: str
    stages: tuple[tuple[int, str, str, int], ...]


class JobEnded(NamedTuple):
    """A job is over: "succeeded", "failed" or "cancelled"; ``text`` says why."""

    job: int
    outcome: str
    text: str


class StageStarted(NamedTuple):
    """Tasks of a stage may run from now on; only those of ``tasks`` partitions are missing."""

    job: int
    stage: int
    attempt: int
    name: str
    site: str
    tasks: int


class StageEnded(NamedTuple):
    """A stage attempt is over: "succeeded", "failed" or "cancelled"."""

    job: int
    stage: int
    attempt: int
    outcome: str


class TaskStart(NamedTuple):
    """One attempt that was sent to an executor."""

    task: int
    partition: int
    attempt: int


class TasksStarted(NamedTuple):
    """Attempts that were sent to one executor together."""

    job: int
    stage: int
    attempt: int
    executor: str
    tasks: tuple[TaskStart, ...]


class TaskEnd(NamedTuple):
    """One attempt that ended. ``outcome`` is a TaskReport's, or "lost"; ``accepted`` when its result counts."""

    task: int
    partition: int
    attempt: int
    outcome: str
    accepted: bool
    text: str
    metrics: dict[str, int]


class TasksEnded(NamedTuple):
    """Attempts of one stage whose end one message of an executor, or its loss, told."""

    job: int
    stage: int
    attempt: int
    executor: str
    tasks: tuple[TaskEnd, ...]


class ExecutorAdded(NamedTuple):
    """An executor may run tasks."""

    executor: str
    worker: str
    host: str
    slots: int


class ExecutorRemoved(NamedTuple):
    """An executor is gone; ``cause`` in words."""

    executor: str
    worker: str
    cause: str


class WorkerStateChanged(NamedTuple):
    """A worker is "alive", "late", "dead" or, after a fault of its disk, "excluded" for a while."""

    worker: str
    state: str
    cause: str


class BlockUpdated(NamedTuple):
    """A cached partition is in an executor's memory, in a file of its worker, or (``size_bytes`` -1) no more.

    An unpersisted RDD is told of once, with partition -1.
    """

    rdd: int
    partition: int
    executor: str
    worker: str
    in_file: bool
    size_bytes: int


class LogLine(NamedTuple):
    """A line that a task printed; ``stream`` is "stdout" or "stderr"."""

    executor: str
    task: int
    stream: str
    text: str


KINDS: dict[str, type] = {
    "job_started": JobStarted, "job_ended": JobEnded, "stage_started": StageStarted, "stage_ended": StageEnded,
    "tasks_started": TasksStarted, "tasks_ended": TasksEnded, "executor_added": ExecutorAdded,
    "executor_removed": ExecutorRemoved, "worker_state_changed": WorkerStateChanged,
    "block_updated": BlockUpdated, "log_line": LogLine,
}  # fmt: skip
EVENTS = frozenset(KINDS.values())
_KIND_OF = {made: kind for kind, made in KINDS.items()}
_ITEMS: dict[type, type] = {TasksStarted: TaskStart, TasksEnded: TaskEnd}


def kind_of(event: Any) -> str:
    """The stable name of an event's type."""
    return _KIND_OF[type(event)]


def to_record(event: Any) -> dict[str, Any]:
    """The event as a dict of plain values, which JSON and msgpack can hold."""
    record = {"kind": kind_of(event), "version": VERSION, **event._asdict()}
    if type(event) in _ITEMS:
        record["tasks"] = [list(item) for item in event.tasks]
    elif "stages" in record:
        record["stages"] = [list(item) for item in event.stages]
    return record


def from_record(record: dict[str, Any]) -> Any:
    """The event of a record; None for a kind that this version does not know. Unknown fields are left out."""
    made: Any = KINDS.get(record["kind"])
    if made is None:
        return None
    fields = {name: record[name] for name in made._fields if name in record}
    item: Any = _ITEMS.get(made)
    if item is not None:
        fields["tasks"] = tuple(item(*values[: len(item._fields)]) for values in fields["tasks"])
    elif "stages" in fields:
        fields["stages"] = tuple((stage, name, site, tasks) for stage, name, site, tasks in fields["stages"])
    return made(**fields)
