"""The master's tables as JSON, for who only looks."""

from __future__ import annotations

import json
from typing import Any

from simspark.master.ledger import Ledger
from simspark.master.registry import Application, Executor, Worker

MOST_ROWS = 1000
MOST_CHARACTERS = 700_000


def status_text(ledger: Ledger, *, recovering: bool) -> str:
    """All workers, applications and executors, with their counts beside: of very many only the first."""
    rows = MOST_ROWS
    text = _text(ledger, rows, recovering=recovering)
    while len(text) > MOST_CHARACTERS:
        rows //= 2
        text = _text(ledger, rows, recovering=recovering)
    return text


def _text(ledger: Ledger, rows: int, *, recovering: bool) -> str:
    table: dict[str, Any] = {
        "epoch": ledger.epoch,
        "recovering": recovering,
        "counts": {
            "workers": len(ledger.workers),
            "applications": len(ledger.applications),
            "executors": len(ledger.executors),
        },
        "workers": [_worker(ledger, entry) for entry in list(ledger.workers)[:rows]],
        "applications": [_application(ledger, entry) for entry in list(ledger.applications)[:rows]],
        "executors": [_executor(entry) for entry in list(ledger.executors)[:rows]],
    }
    return json.dumps(table)


def _worker(ledger: Ledger, worker: Worker) -> dict[str, Any]:
    seat = ledger.seat(worker)
    hello = worker.hello
    return {
        "worker": worker.worker,
        "incarnation": worker.incarnation,
        "state": worker.life.value,
        "connected": worker.connected,
        "name": hello.name if hello else "",
        "host": hello.host if hello else "",
        "process": hello.process if hello else 0,
        "labels": hello.labels if hello else {},
        "slots": seat.slots,
        "busy_slots": seat.slots - seat.free_slots,
        "memory_bytes": seat.memory_bytes,
        "memory_used_bytes": worker.memory_used_bytes,
        "load": worker.load,
        "executors": seat.busy,
    }


def _application(ledger: Ledger, application: Application) -> dict[str, Any]:
    hello = application.hello
    return {
        "application": application.application,
        "name": hello.name if hello else "",
        "user": hello.user if hello else "",
        "connected": application.connected,
        "wanted": application.wanted,
        "executors": len(ledger.executors.held(application.application)),
        "waiting": application.said[0] if application.said else "",
    }


def _executor(executor: Executor) -> dict[str, Any]:
    return {
        "executor": executor.executor,
        "application": executor.application,
        "worker": executor.worker,
        "state": executor.life.value,
        "cores": executor.cores,
        "memory_bytes": executor.memory_bytes,
    }
