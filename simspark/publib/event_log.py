"""The event log on disk: one JSON object a line, in two files of bounded size.

``<name>.jsonl`` is written; when it is full it becomes ``<name>.1.jsonl`` in place of the one before, so that at most
``max_bytes`` are ever used, and the newest half of that is always there. Events are kept in memory until there
are enough to write, or a moment has passed. A disk that is full or gone ends the log, never the application: ``fault``
says so.
"""

from __future__ import annotations

import os
from typing import Any

from simspark.publib.clock import Clock
from simspark.publib.events import from_record

WRITE_EVENTS = 256
WRITE_AFTER_S = 2.0
SUFFIX = ".jsonl"


class EventLog:
    """Writes events. Of one thread; ``add`` writes to disk now and then."""

    def __init__(self, directory: str, name: str, clock: Clock, max_bytes: int = 32 << 20) -> None:
        self.path = os.path.join(directory, name + SUFFIX)
        self.older_path = os.path.join(directory, f"{name}.1{SUFFIX}")
        self.fault = ""
        self._clock = clock
        self._file_bytes = max(1, max_bytes // 2)
        self._waiting: list[tuple[float, Any]] = []
        self._written_at = clock.now()
        self._size = 0
        self._file: Any = None

    def add(self, event: Any) -> None:
        """Take one event of the stream."""
        self.add_all([(self._clock.wall(), event)])

    def add_all(self, events: list[tuple[float, Any]]) -> None:
        """Take events with the seconds since the epoch at which they came."""
        if self.fault:
            return
        self._waiting.extend(events)
        if len(self._waiting) >= WRITE_EVENTS or self._clock.now() - self._written_at >= WRITE_AFTER_S:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting or self.fault:
            return
        from simspark.publib.event_lines import line_of

        waiting, self._waiting = self._waiting, []
        self._written_at = self._clock.now()
        lines = [line_of(wall, event) for wall, event in waiting]
        try:
            self._write(lines)
        except OSError as error:
            self.fault = f"event log {self.path}: {error.strerror or error}"
            self._close()

    def close(self) -> None:
        """Write what waits and close the file. Twice is harmless."""
        self.flush()
        self._close()

    def _write(self, lines: list[str]) -> None:
        together = "".join(lines).encode()
        fits = self._size + len(together) <= self._file_bytes
        for data in [together] if fits else [line.encode() for line in lines]:
            if self._size + len(data) > self._file_bytes:
                self._close()
                if self._size:
                    os.replace(self.path, self.older_path)
                self._size = 0
                if len(data) > self._file_bytes:
                    continue
            if self._file is None:
                self._open()
            self._file.write(data)
            self._size += len(data)
        if self._file is not None:
            self._file.flush()

    def _open(self) -> None:
        os.makedirs(os.path.dirname(self.path), 0o700, exist_ok=True)
        self._file = open(self.path, "ab")  # noqa: SIM115 (open as long as the log)
        self._size = self._file.tell()

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError as error:
                self.fault = self.fault or f"event log {self.path}: {error.strerror or error}"


def read_event_log(path: str) -> list[tuple[float, Any]]:
    """The events of one file with the seconds since the epoch at which they came.

    Kinds that this version does not know and a last line that was cut off are left out.
    """
    import json

    events: list[tuple[float, Any]] = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if not line.endswith("\n"):
                break
            record = json.loads(line)
            event = from_record(record)
            if event is not None:
                events.append((record["time"], event))
    return events


def prune_event_logs(directory: str, max_bytes: int) -> None:
    """Remove the oldest logs of a directory until the rest takes no more than ``max_bytes``."""
    try:
        names = [name for name in os.listdir(directory) if name.endswith(SUFFIX)]
    except FileNotFoundError:
        return
    found = []
    for name in names:
        try:
            status = os.stat(os.path.join(directory, name))
        except OSError:
            continue
        found.append((status.st_mtime, status.st_size, name))
    found.sort(reverse=True)
    total = 0
    for _, size, name in found:
        total += size
        if total > max_bytes:
            try:
                os.unlink(os.path.join(directory, name))
            except OSError:
                pass
