"""One action from submission to result, as the thread that waits for it sees it.

The driver's loop thread fills a ``RunningJob``; the caller's thread waits on it, untimed but interruptible, and then
decodes the results itself, so that no row is ever unpickled while the loop decides. Updates of accumulators are user
code too: the loop only queues them, and the caller's thread applies them before the action returns.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from queue import SimpleQueue

from simspark.driver.scheduling import JobEnded, JobSpec
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.wire.messages import TaskReport


class StageCode(NamedTuple):
    """What the executors need of one stage: its pickled program, known by hash, and each partition's split.

    ``name`` is the driver's file that holds the program when it is too large for a message.
    """

    hash: bytes
    program: bytes
    name: str
    split: Callable[[int], bytes]


class Accepted(NamedTuple):
    """The accepted result of one partition and the worker that keeps its file, if it has one."""

    worker: str
    report: TaskReport


class RunningJob:
    """The state of one job that a thread waits for."""

    __slots__ = ("_done", "_in_files", "codes", "ended", "has_files", "properties", "results", "spec")

    def __init__(self, spec: JobSpec, codes: dict[int, StageCode], properties: dict[str, str]) -> None:
        self.spec = spec
        self.codes = codes
        self.properties = properties
        self.results: dict[int, Accepted] = {}
        self.ended: JobEnded | None = None
        self.has_files = False
        self._done = threading.Lock()
        self._done.acquire()
        self._in_files: SimpleQueue[int | None] = SimpleQueue()

    def take(self, partition: int, accepted: Accepted) -> None:
        """Called by the loop: a partition's result was accepted."""
        self.results[partition] = accepted
        if accepted.report.name:
            self.has_files = True
            self._in_files.put(partition)

    def finish(self, ended: JobEnded) -> None:
        """Called once, by the loop: nothing more will come."""
        if self.ended is None:
            self.ended = ended
            self._done.release()
            self._in_files.put(None)

    def in_files(self) -> Iterator[int]:
        """The partitions whose results are in files, as they come, until the job ends. Blocks; Ctrl-C interrupts it."""
        yield from iter(self._in_files.get, None)
        self._in_files.put(None)

    def wait(self, timeout_s: float = -1) -> bool:
        """Wait for the end; False when the time is up. Ctrl-C interrupts it."""
        if not self._done.acquire(timeout=timeout_s):
            return False
        self._done.release()
        return True


class AccumulatedUpdates:
    """Updates of accumulators on their way from the loop to the thread that applies them."""

    def __init__(self, apply: Callable[[bytes], None]) -> None:
        self._apply = apply
        self._queue: deque[bytes] = deque()
        self._lock = threading.Lock()

    def put(self, accumulated: bytes) -> None:
        """Called by the loop."""
        self._queue.append(accumulated)

    def apply(self) -> None:
        """Called by any other thread; returns when every update put before has been applied."""
        with self._lock:
            while self._queue:
                self._apply(self._queue.popleft())


class JobTable:
    """The jobs that run, by id. The loop's alone."""

    def __init__(self) -> None:
        self._jobs: dict[int, RunningJob] = {}

    def add(self, job: RunningJob) -> None:
        """A job was submitted."""
        self._jobs[job.spec.job] = job

    def take(self, job: int, partition: int, accepted: Accepted) -> None:
        """A partition's result was accepted."""
        running = self._jobs.get(job)
        if running is not None:
            running.take(partition, accepted)

    def end(self, ended: JobEnded) -> RunningJob | None:
        """A job is over; its waiter goes on."""
        running = self._jobs.pop(ended.job, None)
        if running is not None:
            running.finish(ended)
        return running

    def end_all(self, make: Callable[[int], JobEnded]) -> None:
        """The engine is over, and every job with it."""
        for job in list(self._jobs):
            self.end(make(job))

    def running(self) -> list[RunningJob]:
        """The jobs that run now. Any thread."""
        return list(self._jobs.values())

    def get(self, job: int) -> RunningJob | None:
        """The job, while it runs."""
        return self._jobs.get(job)

    def __len__(self) -> int:
        return len(self._jobs)

