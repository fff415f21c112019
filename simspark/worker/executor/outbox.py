"""Reports on their way to the driver: many in one message when tasks are short, none ever kept waiting.

A lone report leaves at once. While other attempts wait for their turn, reports are gathered: until there
are 64 of them, or 512 KiB, or 2 ms have passed, or nothing waits any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from simspark.publib import failpoints
from simspark.publib.clock import Clock
from simspark.publib.service import Loop
from simspark.publib.wire.messages import TaskReport, TaskReports

BATCH_REPORTS = 64
BATCH_BYTES = 512 << 10
BATCH_S = 0.002


class Outbox:
    """Gathers reports of task threads and sends them: from the loop's thread or, ``at_once``, from theirs."""

    def __init__(self, loop: Loop, clock: Clock, send: Callable[[Any], None], *, at_once: bool = False) -> None:
        self._loop = loop
        self._clock = clock
        self._send = send
        self._at_once = at_once
        self._lock = threading.Lock()
        self._reports: list[TaskReport] = []
        self._size_bytes = 0
        self._posted = False

    def post(self, report: TaskReport, more_to_come: bool) -> None:
        """Take a report. Any thread. ``more_to_come``: another attempt starts right now in this thread."""
        if self._at_once and not (more_to_come or self._reports):
            self._send_here((report,))
            return
        with self._lock:
            first = not self._reports
            self._reports.append(report)
            self._size_bytes += len(report.payload) + len(report.accumulated)
            full = len(self._reports) >= BATCH_REPORTS or self._size_bytes >= BATCH_BYTES
            leave = (full or not more_to_come) and not self._posted
            self._posted = self._posted or leave
        if leave and self._at_once:
            self._flush_here()
        elif leave:
            self._loop.post(self.flush)
        elif first and more_to_come:
            self._loop.post(self._flush_soon)

    def flush(self) -> None:
        """Send what there is, in messages of bounded size. In the loop's thread, if nothing may be sent at once."""
        with self._lock:
            reports, self._reports = self._reports, []
            self._size_bytes = 0
            self._posted = False
        if failpoints.armed is not None:
            failpoints.hit("p6")
        batch: list[TaskReport] = []
        size_bytes = 0
        for report in reports:
            size = _weight(report)
            if batch and size_bytes + size > BATCH_BYTES:
                self._send(TaskReports(tuple(batch)))
                batch, size_bytes = [], 0
            batch.append(report)
            size_bytes += size
        if batch:
            self._send(TaskReports(tuple(batch)))

    def _send_here(self, alone: tuple[TaskReport]) -> None:
        """A report beside which none waits."""
        try:
            if failpoints.armed is not None:
                failpoints.hit("p6")
            self._send(TaskReports(alone))
        except Exception as error:  # see _flush_here
            self._loop.post(partial(_fail, error))

    def _flush_here(self) -> None:
        try:
            self.flush()
        except Exception as error:  # whatever it is, the process ends of it, as it does when the loop sends
            self._loop.post(partial(_fail, error))

    def _flush_soon(self) -> None:
        self._loop.call_at("outbox", self._clock.now() + BATCH_S, self.flush)


def _fail(error: Exception) -> None:
    raise error


def _weight(report: TaskReport) -> int:
    """About how long a report is on the wire."""
    size = 256 + len(report.payload) + len(report.accumulated) + 64 * len(report.blocks)
    failure = report.failure
    if failure is not None:
        texts = (failure.text, failure.traceback, *failure.notes, *(frame.source for frame in failure.frames))
        size += len(failure.pickled) + 4 * sum(map(len, texts)) + 256 * len(failure.frames)
    return size
