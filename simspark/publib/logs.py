"""Where daemons log: one file a process, rotated at 10 MB, five old ones kept.

Loggers are called simspark.<part>. A library adds no handlers of its own, so only ``open_log`` writes. Who
logs about an entity names it: ``logger.info("joined", extra={"ids": {"worker": "w3"}})``. Secrets travel as
``config.Secret``, whose text is not its form.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler

MAX_LOG_BYTES = 10_000_000
OLD_LOGS = 5
_TAIL_BYTES = 16_384
_ROOT = "simspark"


def _time(record: logging.LogRecord) -> str:
    stamp = datetime.fromtimestamp(record.created, UTC)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _part(record: logging.LogRecord) -> str:
    return record.name.removeprefix(_ROOT + ".")


class TextForm(logging.Formatter):
    """2026-01-31T12:00:00.000Z INFO master worker joined worker=w3."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback below it where there is one."""
        ids = "".join(f" {key}={value}" for key, value in getattr(record, "ids", {}).items())
        line = f"{_time(record)} {record.levelname} {_part(record)} {record.getMessage()}{ids}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonForm(logging.Formatter):
    """One JSON object a line: time, level, part, text, the ids, and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        fields = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "part": _part(record),
            "text": record.getMessage(),
            **getattr(record, "ids", {}),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str, ensure_ascii=False)


def open_log(path: str, form: str = "text", level: str = "info", *, stderr: bool = False) -> None:
    """Send what simspark logs to this file, and to stderr too where a person or a service manager reads it."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    file = RotatingFileHandler(path, maxBytes=MAX_LOG_BYTES, backupCount=OLD_LOGS, encoding="utf-8", delay=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    handlers: list[logging.Handler] = [file, *([logging.StreamHandler(sys.stderr)] if stderr else [])]
    close_log()
    root = logging.getLogger(_ROOT)
    root.setLevel(level.upper())
    root.propagate = False
    for handler in handlers:
        handler.setFormatter(JsonForm() if form == "json" else TextForm())
        root.addHandler(handler)


def close_log() -> None:
    """Take away what ``open_log`` added."""
    root = logging.getLogger(_ROOT)
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()


def tail(path: str, lines: int, start: int = 0) -> list[str]:
    """Return the last lines of a file from byte ``start`` on; nothing when there is no file."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start if start <= size else 0, size - _TAIL_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()[-lines:]
    except OSError:
        return []


def size(path: str) -> int:
    """Return the size of a log in bytes, 0 when there is none."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0
