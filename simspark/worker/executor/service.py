"""The executor process."""

from __future__ import annotations

from simspark.publib.template_client import ExecutorStart


def main(start: ExecutorStart, life_fd: int) -> int:
    """Be an executor until told to leave; returns the exit status."""
    import os
    import select

    os.environ.setdefault("X", start.executor)
    select.select([life_fd], [], [])
    return 0
