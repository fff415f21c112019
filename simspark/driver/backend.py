"""Where executors come from: the seam between the driver's loop and a machine or a cluster.

A backend's methods are called by the driver's loop thread and must not block. It tells the engine what happens
through ``ExecutorNews``: which executors may say hello, which ended, what became of their workers.
"""

from __future__ import annotations

from typing import Protocol

from simspark.publib.wire.messages import ExecutorExit


class ExecutorNews(Protocol):
    """What a backend tells the engine. Called in the loop thread."""

    def expect(self, executor: str, worker: str, host: str) -> None:
        """An executor of this name is on its way and may say hello."""
        ...

    def gone(self, ended: ExecutorExit) -> None:
        """An executor ended, or never started."""
        ...

    def stopped(self, executor: str, is_stopped: bool) -> None:
        """A signal has stopped an executor, or lets it go on."""
        ...

    def doubted(self, worker: str, is_doubted: bool) -> None:
        """Nothing is heard of a worker, so its executors must speak for themselves; or it is heard again."""
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

    def printed(self, executor: str, text: str) -> None:
        """An executor's user code wrote to its standard output or error."""
        ...


class Backend(Protocol):
    """Gives executors and takes them back."""

    def joined(self, executor: str) -> None:
        """An executor said hello and was let in."""
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

    def finish(self) -> None:
        """The application is over: say so, in the loop, which ends after this."""
        ...

    def stop(self) -> None:
        """Afterwards nothing of the application runs or lies about. After the loop has ended, in any thread."""
        ...


def exit_text(ended: ExecutorExit) -> str:
    """How an executor ended, in words for the user."""
    if ended.signal:
        text = f"was killed by signal {ended.signal}"
        if ended.signal == 9:
            text += f" (peak memory {ended.peak_memory_bytes / 2**20:.0f} MiB; the OOM killer sends this signal)"
    elif ended.status >= 0:
        text = f"exited with status {ended.status}"
    else:
        text = "ended"
    last = ended.text.strip()
    return f"{text}; last output: {last}" if last else text
