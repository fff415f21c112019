"""Gangs in one process: their tasks are threads, and they meet here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from simspark.publib.errors import BarrierError

PATIENCE_S = 20.0


class HereGang:
    """What the tasks of one stage share. ``place(partition)`` is a task's own view of it."""

    def __init__(self, tasks: int) -> None:
        self.tasks = tasks
        self._changed = threading.Condition()
        self._came: dict[tuple[int, int], tuple[str, str]] = {}
        self._broken = ""

    def run(self, task: Callable[[int, Any], Any]) -> list[Any]:
        """Run all tasks at once; the error of the first that failed."""
        done: dict[int, Any] = {}
        errors: list[BaseException] = []

        def work(partition: int) -> None:
            try:
                done[partition] = task(partition, HerePlace(self, partition))
            except BaseException as error:
                errors.append(error)
            with self._changed:
                self._broken = self._broken or f"cannot end: partition {partition} ended without it"
                self._changed.notify_all()

        threads = [threading.Thread(target=work, args=(partition,)) for partition in range(self.tasks)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return [done[partition] for partition in range(self.tasks)]

    def meet(self, partition: int, meeting: int, kind: str, text: str) -> list[str]:
        with self._changed:
            self._came[meeting, partition] = (kind, text)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._broken or len(self._said(meeting)) == self.tasks, PATIENCE_S)
            said = self._said(meeting)
            if len(said) < self.tasks:
                raise BarrierError(self._broken)
        if len({kind for kind, _ in said}) > 1:
            raise BarrierError("cannot end: some tasks called allGather() and others barrier()")
        return [text for _, text in said] if kind == "allGather" else []

    def _said(self, meeting: int) -> list[tuple[str, str]]:
        return [came for (number, _), came in sorted(self._came.items()) if number == meeting]


class HerePlace:
    def __init__(self, gang: HereGang, partition: int) -> None:
        self.addresses = ("localhost:0",) * gang.tasks
        self._gang = gang
        self._partition = partition
        self._meetings = 0

    def meet(self, kind: str, text: str) -> list[str]:
        self._meetings += 1
        return self._gang.meet(self._partition, self._meetings, kind, text)
