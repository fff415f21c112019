"""Runs one attempt after another and says how each ended.

Every attempt gives exactly one report, whatever its code does, with one exception: code that ends the
process ends it. A cancelled attempt never reports a result, not even when its code caught the interrupt and
went on: what it would bring might be a part. An interrupt is raised only while the attempt that it is meant
for runs; ``interrupts`` holds that line for the main thread (by signal) and for others (by an exception
set in the thread).
"""

from __future__ import annotations

import errno
import resource
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from simspark.publib import failpoints
from simspark.publib.blocks.segments import encode_batch
from simspark.publib.clock import Clock
from simspark.publib.errors import FetchFailed, StorageFault
from simspark.publib.lineage.plain import made_of
from simspark.publib.lineage.program import Program, run_program
from simspark.publib.lineage.task import Gang, MapDone, ResultValue, TaskRun
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.optimizations import uses
from simspark.publib.wire import payload
from simspark.publib.wire.messages import (
    BarrierAsk,
    CachedBlock,
    Failure,
    FetchFault,
    LaunchTasks,
    TaskLaunch,
    TaskReport,
)
from simspark.worker.executor import failures
from simspark.worker.executor.blocks import TaskData
from simspark.worker.executor.env import Environment
from simspark.worker.executor.interrupts import Interrupts, TaskCancelled

PROGRAMS_KEPT = 64
SHOW_VALUES = "spark.simspark.errors.showValues"
SAMPLE = "spark.simspark.profile.sample"
DISK_FAULTS = frozenset({errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT})
RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


class Work(NamedTuple):
    """One attempt to run, and what it shares with others of its stage."""

    launch: LaunchTasks
    task: TaskLaunch


class Runs(Protocol):
    """A Runner, or what watches one."""

    def run(self, work: Work) -> TaskReport:
        """See Runner."""
        ...


class Terminated(BaseException):
    """The template asks this process to end; user code gets to run its cleanup."""


class Programs:
    """The programs of stages, pickled; the least recently used ones are let go.

    Each attempt unpickles its own: what a user function changes in the values that it captured is gone with the
    attempt, so a second attempt gives the rows that the first would have given. Programs in which there is nothing
    that could be changed are unpickled once.
    """

    def __init__(self, load: Callable[[bytes], Program] = payload.load) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[bytes, bytes] = OrderedDict()
        self._loaded: dict[bytes, Program | None] = {}
        self._load = load

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._held

    def add(self, digest: bytes, program: bytes) -> None:
        """Hold a program, still pickled."""
        with self._lock:
            self._held.setdefault(digest, program)
            self._held.move_to_end(digest)
            while len(self._held) > PROGRAMS_KEPT:
                self._loaded.pop(self._held.popitem(last=False)[0], None)

    def get(self, digest: bytes) -> Program | None:
        """The program; None when it was let go. Raises what unpickling it raises."""
        with self._lock:
            held = self._held.get(digest)
            if held is None:
                return None
            self._held.move_to_end(digest)
            loaded = self._loaded.get(digest)
        if loaded is not None:
            return loaded
        program = self._load(held)
        if digest not in self._loaded:
            self._keep(digest, program)
        return program

    def _keep(self, digest: bytes, program: Program) -> None:
        """Note, at the first attempt, whether the next may have this very object."""
        kept = None if made_of(program) is None else program
        with self._lock:
            if digest in self._held:
                self._loaded[digest] = kept


class Runner:
    """Turns work into reports. One for all task threads; ``run`` may be called in several at once."""

    def __init__(self, environment: Environment, programs: Programs, cache: Any,
                 open_data: Callable[[int], TaskData], interrupts: Interrupts, clock: Clock,
                 bring_shared: Callable[[], None] = lambda: None,
                 ask_gang: Callable[[BarrierAsk], Any] = lambda _: None) -> None:
        self._environment = environment
        self._programs = programs
        self._cache = cache
        self._open_data = open_data
        self._interrupts = interrupts
        self._clock = clock
        self._bring_shared = bring_shared
        self._ask_gang = ask_gang

    def run(self, work: Work) -> TaskReport:
        """Run one attempt. What ends the process comes out: SystemExit or Terminated."""
        task = work.task.task
        started = self._clock.now()
        if failpoints.armed is not None:
            failpoints.hit("p2")
        data = self._open_data(task)
        run = self._task_run(work, data)
        if not self._interrupts.begin(task):
            self._interrupts.end(task)
            return _report(task, "cancelled")
        try:
            report = self._attempt(work, run)
            cancelled = self._interrupts.end(task)
        except BaseException as error:
            cancelled = self._interrupts.end(task)
            if isinstance(error, Terminated) or (isinstance(error, SystemExit) and not cancelled):
                data.end()
                raise
            report = self._failed(work, error)
        data.end()
        if report.name and failpoints.armed is not None:
            failpoints.hit("p5")
        if cancelled:
            return _report(task, "cancelled")
        run.metrics["run_us"] = int((self._clock.now() - started) * 1e6)
        run.metrics["peak_bytes"] = peak_memory_bytes()
        return report if report.metrics is run.metrics else report._replace(metrics=run.metrics)

    def _task_run(self, work: Work, data: TaskData) -> TaskRun:
        launch, task = work
        settings = self._environment.settings
        return TaskRun(
            job_id=launch.job, stage_id=launch.stage, stage_attempt=launch.stage_attempt,
            partition=task.partition, attempt=task.attempt, task_id=task.task, data=data, cache=self._cache,
            memory_budget_bytes=settings.memory_budget_bytes, batch_rows=settings.batch_rows,
            properties={**settings.properties, **launch.properties},
            cores=1 if launch.cpus == "1" else -int(-float(launch.cpus) // 1), cpu_amount=launch.cpus,
            gang=self._place(work, data) if launch.addresses else None,
        )  # fmt: skip

    def _place(self, work: Work, data: TaskData) -> Gang:
        from simspark.worker.executor.gang import Place

        return Place(work.task.task, work.launch, data, self._environment.own_name, self._ask_gang)

    def _attempt(self, work: Work, run: TaskRun) -> TaskReport:
        self._bring_shared()
        program = self._programs.get(work.launch.hash)
        if program is None:
            raise FetchFailed("driver", f"program-{work.launch.hash.hex()}", -1, -1, "it was let go")
        split = payload.load(work.task.split) if work.task.split else None
        if failpoints.armed is not None:
            failpoints.hit("p3")
        outcome = run_program(program, split, run)
        accumulated = _pickled(run.accumulated) if run.accumulated else b""
        blocks = tuple([CachedBlock(*block) for block in run.cached_blocks]) if run.cached_blocks else ()
        if isinstance(outcome, MapDone):
            result, name, size_bytes = b"", outcome.name, sum(outcome.sizes)
            run.metrics["shuffle_write_bytes"] = size_bytes
        else:
            result, name, size_bytes = self._result(work, run, outcome)
        return TaskReport(run.task_id, "ok", result, name, size_bytes, accumulated, blocks, run.metrics, None, None)

    def _result(self, work: Work, run: TaskRun, outcome: ResultValue) -> tuple[bytes, str, int]:
        """The value in the report if it is small, otherwise a file that outlives this process."""
        parts = encode_batch(outcome.value)
        size_bytes = sum(map(len, parts))
        if size_bytes <= self._environment.settings.inline_result_bytes and uses("inline-results"):
            return b"".join(parts), "", size_bytes
        name = f"result-{work.launch.job}-{run.partition}-{run.task_id}"
        sink = run.data.create(name)
        for part in parts:
            sink.append_frame(0, part)
        sink.commit()
        return b"", name, size_bytes

    def _failed(self, work: Work, error: BaseException) -> TaskReport:
        task = work.task.task
        if isinstance(error, FetchFailed):
            fault = FetchFault(error.owner, error.name, error.shuffle, error.map_index, error.reason)
            return _report(task, "fetch_failed", fetch=fault)
        if isinstance(error, TaskCancelled):
            return _report(task, "cancelled")
        if isinstance(error, MemoryError):
            return _report(task, "out_of_memory", self._out_of_memory(error))
        outcome = "node_fault" if _is_node_fault(error) else "raised"
        return _report(task, outcome, failures.describe(error, self._program(work), show_values=self._shows_values()))

    def _shows_values(self) -> bool:
        return self._environment.settings.properties.get(SHOW_VALUES, "true") == "true"

    def _program(self, work: Work) -> Program | None:
        try:
            return self._programs.get(work.launch.hash)
        except BaseException:
            return None

    def _out_of_memory(self, error: MemoryError) -> Failure:
        mib = 1 << 20
        limit = self._environment.start.memory_bytes
        limited = f", limit {limit // mib} MiB" if limit else ""
        text = f"out of memory: peak {peak_memory_bytes() // mib} MiB{limited}"
        return failures.describe(error)._replace(text=text, pickled=b"")


def peak_memory_bytes() -> int:
    """The most memory that this process has had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT_BYTES


def _is_node_fault(error: BaseException) -> bool:
    """A disk that failed simspark itself; what user code does to files is its own affair."""
    if isinstance(error, StorageFault):
        return True
    return isinstance(error, OSError) and error.errno in DISK_FAULTS and failures.is_own_fault(error)


def _report(task: int, outcome: str, failure: Failure | None = None, fetch: FetchFault | None = None) -> TaskReport:
    return TaskReport(task, outcome, b"", "", 0, b"", (), {}, failure, fetch)


def _pickled(value: Any) -> bytes:
    """Pickled by reference where that works, by value where a class lives in the user's script."""
    try:
        data = payload.dump(value)
        if b"__main__" not in data:
            return data
    except Exception:
        pass
    import cloudpickle

    by_value: bytes = cloudpickle.dumps(value, payload.PROTOCOL)
    return by_value
