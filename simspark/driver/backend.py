"""Where executors come from: the seam between the driver's loop and a machine or a cluster.

A backend's methods are called by the driver's loop thread and must not block. It tells the engine what happens
through ``ExecutorNews``: which executors may say hello, which ended, what became of their workers.
"""

from __future__ import annotations

from typing import Protocol

from simspark.publib.wire.messages import ExecutorExit, Owner


class ExecutorNews(Protocol):
    """What a backend tells the engine. Called in the loop thread."""

    def expect(self, executor: str, worker: str, host: str) -> None:
        """An executor of this name is on its way and may say hello."""
        ...

    def gone(self, ended: ExecutorExit) -> None:
        """An executor ended, or never started."""
        ...

    def worker_changed(self, worker: str, state: str, cause: str) -> None:
        """A worker is "alive", "late" or "dead"."""
        ...

    def queue_changed(self, text: str, unmet: bool) -> None:
        """Why not all executors that were asked for are there."""
        ...

    def give_back(self, count: int) -> None:
        """Others wait for executors of this application."""
        ...


class Backend(Protocol):
    """Gives executors and takes them back."""

    def start(self, news: ExecutorNews) -> Owner:
        """Begin; returns where the driver's own files are. Called by the thread that makes the context."""
        ...

    def want(self, total: int) -> None:
        """So many executors are wanted in all."""
        ...

    def end(self, executors: tuple[str, ...], reason: str) -> None:
        """End these executors: idle ones that go back, or one that hangs (any reason but "")."""
        ...

    def remove_files(self, worker: str, prefixes: tuple[str, ...]) -> None:
        """Remove files by the start of their name, on one worker, or "" for all."""
        ...

    def stop(self) -> None:
        """Give everything back; afterwards nothing of the application runs or lies about."""
        ...


def exit_text(ended: ExecutorExit) -> str:
    """How an executor ended, in words for the user."""
    if ended.signal:
        text = f"was killed by signal {ended.signal}"
        if ended.signal == 9:  # noqa: PLR2004 (SIGKILL)
            text += f" (peak memory {ended.peak_memory_bytes / 2**20:.0f} MiB; the OOM killer sends this signal)"
    elif ended.status >= 0:
        text = f"exited with status {ended.status}"
    else:
        text = "ended"
    last = ended.text.strip()
    return f"{text}; last output: {last}" if last else text
