"""The executor process: two threads and what passes between them.

With one core the task runs in the main thread, so that a cancel can interrupt it by signal; with more, each
core has a thread. A second thread owns the socket: it takes the driver's messages in order, keeps the
tables that tasks read, and sends reports. Nothing in that thread waits for a task, and no user code runs in
it.

The process leaves at once, without asking its tasks, when the driver is gone or refuses it, when the
template that forked it is gone, and when it is told to. It leaves by ``os._exit``: user code may have left
threads behind.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from simspark.publib import failpoints, machine
from simspark.publib.clock import SystemClock
from simspark.publib.hashing import hash_probe
from simspark.publib.lineage.shared import BROADCAST_VALUES
from simspark.publib.lineage.spark_files import SparkFiles
from simspark.publib.service import Loop
from simspark.publib.template_client import ExecutorStart
from simspark.publib.wire import messages
from simspark.publib.wire.unix_dialer import UnixDialer
from simspark.worker.executor.blocks import TaskData, read_program
from simspark.worker.executor.broadcasts import read_broadcast
from simspark.worker.executor.connection import RemoteBlocks, Sockets, dial_driver
from simspark.worker.executor.env import Environment
from simspark.worker.executor.interrupts import Interrupts
from simspark.worker.executor.memory import ExecutorCache
from simspark.worker.executor.outbox import Outbox
from simspark.worker.executor.runner import SAMPLE, Programs, Runner, Runs, Terminated, Work
from simspark.worker.executor.shared_files import SharedCopies

if TYPE_CHECKING:
    from simspark.publib.wire.transport import Dialer

TERMINATED = 128 + signal.SIGTERM
DEPART_S = 1.0


class Executor:
    """One executor: what it holds, and the driver's messages."""

    def __init__(self, start: ExecutorStart, life_fd: int) -> None:
        self._start = start
        self._clock = SystemClock()
        self._environment = Environment(start)
        self._programs = Programs()
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._parked: dict[bytes, list[Work]] = {}
        self._answers: dict[int, SimpleQueue[Any]] = {}
        self._status = 0
        self._over = threading.Event()
        self._loop = Loop(self._clock, self._crashed)
        sockets = Sockets()
        self._dialer = dial_driver(sockets, start, hash_probe())
        self._fetcher = RemoteBlocks(sockets, self._loop, self._clock, start)
        self._outbox = _outbox(self._loop, self._clock, self._dialer)
        self._interrupts = Interrupts()
        self._cache = ExecutorCache(self._environment, self._post_dropped, self._open_data)
        self._shared = SharedCopies(self._environment, self._fetcher)
        self._runner: Runs = Runner(
            self._environment, self._programs, self._cache, self._open_data, self._interrupts, self._clock,
            self._shared.bring, self._ask,
        )  # fmt: skip
        self._handlers: dict[type, Callable[[Any], None]] = {
            messages.ExecutorSettings: self._handle_settings,
            messages.Owners: lambda message: self._environment.take_owners(message.owners),
            messages.MapOutputs: self._environment.take_map_outputs,
            messages.CachedPartitions: lambda message: self._environment.take_cached(message.blocks),
            messages.SharedFiles: lambda message: self._shared.take(message.files),
            messages.StageProgram: self._handle_program,
            messages.LaunchTasks: self._handle_launch,
            messages.CancelTasks: self._handle_cancel,
            messages.CommitAnswer: lambda message: self._handle_answer(message, message.allowed),
            messages.BarrierAnswer: lambda message: self._handle_answer(message, message),
            messages.DropBlocks: self._handle_drop,
            messages.Shutdown: lambda _: self._leave(0),
        }
        BROADCAST_VALUES.install(self._read_broadcast)
        SparkFiles._install(self._shared.root)
        self._loop.add_fd(life_fd, lambda: os._exit(1))
        self._loop.add(self._dialer, self._handle)

    def run(self) -> int:
        """Serve until told to leave; the exit status. In the main thread."""
        if self._start.cores == 1:
            self._interrupts.install()
        signal.signal(signal.SIGTERM, _terminate)
        socket_thread = threading.Thread(target=self._loop.run, name="simspark-socket", daemon=True)
        try:
            socket_thread.start()
            self._work()
        except Terminated:
            self._status = TERMINATED
        self._loop.stop()
        socket_thread.join(DEPART_S)
        return self._status

    # ── task threads ────────────────────────────────────────────────────────────────────────────────────

    def _work(self) -> None:
        if self._start.cores == 1:
            self._run_tasks()
            return
        threads = [
            threading.Thread(target=self._run_tasks, name=f"simspark-task-{core}", daemon=True)
            for core in range(self._start.cores)
        ]
        for thread in threads:
            thread.start()
        self._over.wait()

    def _run_tasks(self) -> None:
        """Take attempts one after another until the queue says that it is over."""
        while (work := self._queue.get()) is not None:
            try:
                report = self._runner.run(work)
            except SystemExit as error:
                self._depart(work, error)
                break
            self._outbox.post(report, more_to_come=not self._queue.empty())
        self._over.set()

    def _depart(self, work: Work, error: SystemExit) -> None:
        """User code ended the process: other reports leave first, and the log says who it was."""
        code = error.code
        self._status = code & 0xFF if isinstance(code, int) else int(code is not None)
        _say(f"task {work.task.task} called sys.exit({code!r})")
        self._loop.post(self._outbox.flush)

    def _open_data(self, task_id: int) -> TaskData:
        return TaskData(self._environment, self._fetcher, self._ask_commit, task_id)

    def _ask_commit(self, task_id: int) -> bool:
        return bool(self._ask(messages.CommitAsk(task_id)))

    def _ask(self, question: messages.CommitAsk | messages.BarrierAsk) -> Any:
        """Ask the driver on a task's behalf, and wait; False when the task is cancelled meanwhile."""
        answer: SimpleQueue[Any] = SimpleQueue()
        self._answers[question.task] = answer
        self._loop.post(lambda: self._dialer.send(question))
        try:
            return answer.get()
        finally:
            self._answers.pop(question.task, None)

    def _post_dropped(self, blocks: tuple[tuple[int, int], ...]) -> None:
        self._loop.post(lambda: self._dialer.send(messages.BlocksDropped(blocks)))

    def _read_broadcast(self, broadcast: int, pieces: int) -> Any:
        return read_broadcast(self._environment, self._fetcher, broadcast, pieces)

    # ── the socket's thread ─────────────────────────────────────────────────────────────────────────────

    def _handle(self, event: machine.PeerLost | machine.Received | Any) -> None:
        match event:
            case machine.Received(_, message):
                handler = self._handlers.get(type(message))
                if handler is not None:
                    handler(message)
            case machine.PeerLost(_, reason):
                _say(f"the driver is gone: {reason}")
                self._leave(1)

    def _handle_settings(self, message: messages.ExecutorSettings) -> None:
        self._environment.take_settings(message)
        rate = message.properties.get(SAMPLE)
        if rate:
            from simspark.worker.executor.sampling import sampled

            cores, is_idle = self._start.cores, self._queue.empty
            self._runner = sampled(self._runner, float(rate), cores, self._clock, self._send_samples, is_idle)

    def _send_samples(self, message: messages.TaskSamples) -> None:
        """From a task's thread as from the sampler's: ahead of the report that follows, which may leave at once."""
        if isinstance(self._dialer, UnixDialer):
            self._dialer.send_at_once(message)
        else:
            self._loop.post(lambda: self._dialer.send(message))

    def _handle_program(self, message: messages.StageProgram) -> None:
        if message.program:
            self._take_program(message.hash, message.program)
            return
        threading.Thread(target=self._fetch_program, args=(message,), daemon=True).start()

    def _fetch_program(self, message: messages.StageProgram) -> None:
        """A program in a file may have to come from another machine: a thread of its own waits."""
        try:
            program = read_program(self._environment, self._fetcher, message.name)
        except Exception as error:  # whatever it is: tasks that wait for a program that never comes would wait for ever
            _say(f"program {message.name} cannot be had: {error}")
            os._exit(1)
        self._loop.post(lambda: self._take_program(message.hash, program))

    def _take_program(self, digest: bytes, program: bytes) -> None:
        self._programs.add(digest, program)
        for work in self._parked.pop(digest, ()):
            self._queue.put(work)

    def _handle_launch(self, message: messages.LaunchTasks) -> None:
        here = message.hash in self._programs
        for task in message.tasks:
            work = Work(message, task)
            self._interrupts.accept(task.task)
            if here:
                self._queue.put(work)
            else:
                self._parked.setdefault(message.hash, []).append(work)
        if not here:
            missing = tuple(task.task for task in message.tasks)
            self._dialer.send(messages.ProgramMissing(message.hash, missing))

    def _handle_cancel(self, message: messages.CancelTasks) -> None:
        for task in message.tasks:
            self._interrupts.cancel(task)
            answer = self._answers.get(task)
            if answer is not None:
                answer.put(False)

    def _handle_answer(self, message: messages.CommitAnswer | messages.BarrierAnswer, answer: Any) -> None:
        waiting = self._answers.get(message.task)
        if waiting is not None:
            waiting.put(answer)

    def _handle_drop(self, message: messages.DropBlocks) -> None:
        self._environment.drop(message.rdds, message.shuffles)
        self._cache.drop(message.rdds)
        for broadcast in message.broadcasts:
            BROADCAST_VALUES.forget(broadcast)

    def _crashed(self, error: BaseException) -> None:
        import traceback

        traceback.print_exception(error)
        self._leave(1)

    def _leave(self, status: int) -> None:
        """End the process now, whatever its tasks do."""
        failpoints.hit("p10")
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                continue
        os._exit(status)


def _outbox(loop: Loop, clock: SystemClock, dialer: Dialer | UnixDialer) -> Outbox:
    if isinstance(dialer, UnixDialer):
        return Outbox(loop, clock, dialer.send_at_once, at_once=True)
    return Outbox(loop, clock, dialer.send)


def _say(text: str) -> None:
    """A line in this executor's log, which is also what its end is reported with."""
    try:
        sys.stderr.write(f"simspark: {text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


def _terminate(_signal: int, _frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


def main(start: ExecutorStart, life_fd: int) -> int:
    """Be the executor that ``start`` names until it is over; returns the exit status."""
    failpoints.arm(os.environ.get(failpoints.VARIABLE, ""), "executor")
    failpoints.hit("p1")
    return Executor(start, life_fd).run()
