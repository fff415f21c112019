"""What the master keeps on disk, and what it knows after reading it again.

Grants are not among it: workers say themselves what they run.
"""

from __future__ import annotations

from typing import Any, TypeVar

from simspark.publib.named_tuple import NamedTuple

V = TypeVar("V")


class EpochStarted(NamedTuple):
    """A master started; ``worker_number`` is the highest that a worker's id has had."""

    epoch: int
    worker_number: int


class WorkerKnown(NamedTuple):
    """A worker registered."""

    worker: str
    incarnation: int
    key: str


class WorkerForgotten(NamedTuple):
    """A worker is dead or has left."""

    worker: str


class ApplicationKnown(NamedTuple):
    """An application registered."""

    application: str
    key: str


class ApplicationForgotten(NamedTuple):
    """An application is over."""

    application: str


class Persist(NamedTuple):
    """An effect: this record is on disk before any later effect of the same batch is performed."""

    record: Any


RECORDS: dict[int, type] = {
    1: EpochStarted, 2: WorkerKnown, 3: WorkerForgotten, 4: ApplicationKnown, 5: ApplicationForgotten,
}  # fmt: skip


class Known(NamedTuple):
    """What all records together say. Values: (incarnation, key) of workers, keys of applications."""

    epoch: int = 0
    worker_number: int = 0
    workers: dict[str, tuple[int, str]] = {}  # noqa: RUF012 (never changed: fold() makes new ones)
    applications: dict[str, str] = {}  # noqa: RUF012


def worker_number(worker: str) -> int:
    """The number in a worker's id, 0 when it has none."""
    digits = worker[1:]
    return int(digits) if worker[:1] == "w" and digits.isascii() and digits.isdigit() else 0


def fold(known: Known, record: Any) -> Known:
    """What is known after one more record."""
    match record:
        case EpochStarted():
            highest = max(known.worker_number, record.worker_number)
            return known._replace(epoch=record.epoch, worker_number=highest)
        case WorkerKnown():
            highest = max(known.worker_number, worker_number(record.worker))
            workers = {**known.workers, record.worker: (record.incarnation, record.key)}
            return known._replace(worker_number=highest, workers=workers)
        case WorkerForgotten():
            return known._replace(workers=_without(known.workers, record.worker))
        case ApplicationKnown():
            return known._replace(applications={**known.applications, record.application: record.key})
        case ApplicationForgotten():
            return known._replace(applications=_without(known.applications, record.application))
        case _:
            raise TypeError(f"{type(record).__name__} is no record of the master")


def summary(known: Known) -> list[Any]:
    """The fewest records that say the same."""
    return [
        EpochStarted(known.epoch, known.worker_number),
        *(WorkerKnown(worker, *value) for worker, value in known.workers.items()),
        *(ApplicationKnown(application, key) for application, key in known.applications.items()),
    ]


def _without(table: dict[str, V], name: str) -> dict[str, V]:
    return {key: value for key, value in table.items() if key != name}
