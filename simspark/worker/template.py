"""The template process: a clean interpreter from which this machine's executors fork in about a millisecond.

What it guarantees. It never starts a thread or a zmq context and never runs user code, so a fork of it is sound.
Every executor leads its own process group and session; its end is reported with status, signal, peak memory and last
lines, and what it left running is killed: its group, and what left the group (see orphans). When the parent's pipe
ends or the parent dies, all of it is killed and the run directory is removed. When the template itself dies,
executors see the end of a pipe that only it held, and leave. A signal makes it sweep, too, but the directory is left
to the parent, which lives.

Races it knows. A request may come before the imports are done: it waits in the pipe. A process group id is
free for reuse once its leader is reaped, so the group is killed before that. A fork of the parent may hold
the pipe open, so the parent's death is watched as well. An orphan that appears while it sweeps is found by
the next round.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from simspark.publib.blocks.app_directory import remove_tree
from simspark.publib.clock import SystemClock
from simspark.publib.interpreters import watched
from simspark.publib.kept_memory import forget_to_keep
from simspark.publib.template_client import (
    ANYWHERE,
    CHILD_READS_FD,
    CHILD_WRITES_FD,
    EXITED,
    FORK,
    HERE,
    JANITOR,
    KILL,
    OWN,
    PRINTED,
    STARTED,
    STOPPED,
    Channel,
    ExecutorStart,
)
from simspark.worker import orphans
from simspark.worker.capped_log import CappedLog

KILL_AFTER_TERM_S = 1.0
SWEEP_S = 2.0
PARENT_CHECK_S = 1.0
READ_BYTES = 1 << 16
READS_PER_TURN = 16
FORWARD_BACKLOG_BYTES = 128 << 10
OWN_MEMORY_BYTES = 32 << 20
YOUNG_OBJECTS = 5000  # made, and not gone, before gc looks at them: with Python's 700, grouping takes a third longer
OOM_SCORE = "500"
MARKS_KEPT = 64
MARK = "SIMSPARK_EXECUTOR"
# What executors need, by the template's purpose: imported once, before they fork.
EXECUTORS = (
    "simspark.worker.executor.service", "simspark.publib.lineage.sources", "simspark.publib.lineage.sinks",
    "simspark.publib.lineage.result_functions", "simspark.publib.lineage.fusion", "cloudpickle",
)  # fmt: skip
MODULES = {JANITOR: (), HERE: EXECUTORS, ANYWHERE: (*EXECUTORS, "simspark.publib.wire.transport")}


class _Child:
    """One executor, as its parent knows it."""

    __slots__ = ("doomed_at", "log", "output_fd", "process", "seen_name", "start")

    def __init__(self, start: ExecutorStart, process: int, seen_name: str, output: int, log: CappedLog) -> None:
        self.start = start
        self.process = process
        self.seen_name = seen_name
        self.output_fd = output
        self.log = log
        self.doomed_at: float | None = None


class Template:
    """Forks, reaps, kills and reports, in one thread."""

    def __init__(self, channel: Channel, parent: int) -> None:
        self._clock = SystemClock()
        self._channel = channel
        self._parent = parent
        self._children: dict[int, _Child] = {}
        self._over: list[tuple[str, str]] = []
        self._run_directory = ""
        self._forks = 0
        self._closing = False
        self.told_to_end = False
        self._life_reads, self._life_writes = os.pipe()
        self._wake_reads, self._wake_writes = _wakeup_pipe()
        self._parent_fd = watched(parent)
        self._poll = select.poll()
        for fd in (channel.read_fd, self._wake_reads, self._parent_fd):
            if fd >= 0:
                self._poll.register(fd, select.POLLIN)

    def run(self) -> None:
        """Serve until the parent has gone, then leave nothing behind."""
        while not (self._closing or self.told_to_end):
            self._turn()
        self._sweep()
        if self._closing and self._run_directory:
            remove_tree(self._run_directory)

    def _turn(self) -> None:
        ready = [fd for fd, _ in self._poll.poll(int(self._wait_s() * 1000))]
        if self._wake_reads in ready:
            _drain(self._wake_reads)
        self._drain_outputs(set(ready))
        self._reap()
        if self._channel.read_fd in ready:
            self._serve_requests()
        self._channel.flush()
        self._kill_overdue()
        self._closing = self._closing or self._parent_fd in ready or os.getppid() != self._parent

    def _wait_s(self) -> float:
        busy = self._channel.unsent_bytes or any(child.doomed_at for child in self._children.values())
        return 0.1 if busy else PARENT_CHECK_S

    # ── requests ────────────────────────────────────────────────────────────────────────────────────────

    def _serve_requests(self) -> None:
        frames, closed = self._channel.receive()
        for kind, *fields in frames:
            self._serve(kind, fields)
        self._closing = self._closing or closed

    def _serve(self, kind: int, fields: list[Any]) -> None:
        if kind == FORK:
            self._fork(ExecutorStart(*fields))
        elif kind == KILL:
            self._doom(*fields)
        elif kind == OWN:
            self._run_directory = fields[0]

    def _fork(self, start: ExecutorStart) -> None:
        self._forks += 1
        seen_name = f"simspark-x{self._forks % 10000}"
        try:
            output, process = self._fork_process(start, seen_name)
        except OSError as error:
            self._channel.send(EXITED, start.executor, -1, 0, 0, f"fork failed: {error}")
            return
        os.set_blocking(output, False)
        self._poll.register(output, select.POLLIN)
        log = CappedLog(start.log_path, self._clock.now())
        self._children[process] = _Child(start, process, seen_name, output, log)
        self._channel.send(STARTED, start.executor, process)

    def _fork_process(self, start: ExecutorStart, seen_name: str) -> tuple[int, int]:
        output, child_writes = os.pipe()
        try:
            process = os.fork()
            if process == 0:
                os.close(output)
                self._become_executor(start, seen_name, child_writes)
            return output, process
        except OSError:
            os.close(output)
            raise
        finally:
            os.close(child_writes)

    def _doom(self, executor: str, reason: str) -> None:
        for child in self._children.values():
            if child.start.executor == executor and child.doomed_at is None:
                child.doomed_at = self._clock.now() + KILL_AFTER_TERM_S
                child.log.write(f"\nsimspark ends this executor: {reason}\n".encode(), self._clock.now())
                _kill_group(child.process, signal.SIGTERM)

    def _kill_overdue(self) -> None:
        now = self._clock.now()
        for child in self._children.values():
            if child.doomed_at is not None and now >= child.doomed_at:
                _kill_group(child.process, signal.SIGKILL)

    # ── in the child ────────────────────────────────────────────────────────────────────────────────────

    def _become_executor(self, start: ExecutorStart, seen_name: str, output: int) -> None:
        """Runs in the new process and never returns. Nothing of the template's may stay open in it."""
        status = 1
        try:
            os.setsid()
            _reset_signals()
            _print_to(output)
            self._forget_descriptors(output)
            os.environ[MARK] = start.executor
            _write_proc("/proc/self/comm", seen_name)
            _write_proc("/proc/self/oom_score_adj", OOM_SCORE)
            _limit_memory(start.memory_bytes)
            from simspark.worker.executor import service

            status = service.main(start, self._life_reads)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            _flush_streams()
            os._exit(status)

    def _forget_descriptors(self, output: int) -> None:
        signal.set_wakeup_fd(-1)
        self._channel.close()
        fds = [self._life_writes, self._wake_reads, self._wake_writes, self._parent_fd, output]
        for child in self._children.values():
            fds += [child.output_fd, child.log.fd]
        for fd in fds:
            if fd >= 0:
                os.close(fd)
        self._children.clear()

    # ── ends ────────────────────────────────────────────────────────────────────────────────────────────

    def _reap(self) -> None:
        """Report the children that have ended; kill what they left before their group id is free again."""
        for process in _ended_children():
            child = self._children.pop(process, None)
            if child is None:
                _reap_one(process)
                orphans.kill_of(self._over)  # its own children come to us now
                continue
            _kill_group(process, signal.SIGKILL)
            status, signal_number, peak = _reap_one(process)
            mark = (child.seen_name, f"{MARK}={child.start.executor}")
            self._over = [*self._over[-MARKS_KEPT:], mark]
            orphans.kill_of([mark])
            self._drain_output(child)
            self._close_output(child)
            child.log.close()
            text = child.log.last_lines()
            self._channel.send(EXITED, child.start.executor, status, signal_number, peak, text)
        for process, is_stopped in _stopped_children():
            child = self._children.get(process)
            if child is not None:
                self._channel.send(STOPPED, child.start.executor, is_stopped)

    def _drain_outputs(self, ready: set[int]) -> None:
        for child in self._children.values():
            if child.output_fd in ready:
                self._drain_output(child)
            else:
                self._forward(child, child.log.catch_up(self._clock.now()))

    def _drain_output(self, child: _Child) -> None:
        for _ in range(READS_PER_TURN if child.output_fd >= 0 else 0):
            try:
                data = os.read(child.output_fd, READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                self._close_output(child)
                return
            self._forward(child, child.log.write(data, self._clock.now()))

    def _close_output(self, child: _Child) -> None:
        if child.output_fd >= 0:
            self._poll.unregister(child.output_fd)
            os.close(child.output_fd)
            child.output_fd = -1

    def _forward(self, child: _Child, data: bytes) -> None:
        if data and child.start.forward and self._channel.unsent_bytes < FORWARD_BACKLOG_BYTES:
            self._channel.send(PRINTED, child.start.executor, data.decode(errors="replace"))

    def _sweep(self) -> None:
        """Kill everything below this process. Bounded."""
        deadline = self._clock.now() + SWEEP_S
        for process in list(self._children):
            _kill_group(process, signal.SIGKILL)
        while _reap_all() and self._clock.now() < deadline:
            orphans.kill_all()
            self._poll.poll(5)
        for child in self._children.values():
            child.log.close()


def main(parent: int, purpose: str = ANYWHERE) -> None:
    """Be the template of the process ``parent``, over the two descriptors that it left open."""
    if os.getsid(0) != os.getpid():
        os.setsid()
    forget_to_keep(os.environ)
    for module in MODULES[purpose]:
        import_module(module)
    os.chdir("/")
    orphans.adopt()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    template = Template(Channel(CHILD_READS_FD, CHILD_WRITES_FD), parent)
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, lambda *_: setattr(template, "told_to_end", True))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    gc.freeze()  # off since the first line; what is garbage by now is too little to look for it
    gc.set_threshold(YOUNG_OBJECTS)
    gc.enable()
    template.run()


def _wakeup_pipe() -> tuple[int, int]:
    reads, writes = os.pipe()
    for fd in (reads, writes):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
    return reads, writes


def _drain(fd: int) -> None:
    try:
        os.read(fd, READ_BYTES)
    except BlockingIOError:
        return


def _ended_children() -> Iterator[int]:
    """Children that have ended and are not reaped yet; the caller reaps each before it asks for the next."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or not ended.si_pid:
            return
        yield ended.si_pid


def _stopped_children() -> Iterator[tuple[int, bool]]:
    """Children that a signal has stopped (True) or let go on (False), each change once."""
    while True:
        try:
            changed = os.waitid(os.P_ALL, 0, os.WSTOPPED | os.WCONTINUED | os.WNOHANG)
        except (AttributeError, OSError):
            return
        if changed is None or not changed.si_pid:
            return
        yield changed.si_pid, changed.si_code == os.CLD_STOPPED


def _reap_one(process: int) -> tuple[int, int, int]:
    """Exit status (-1 when a signal did it), signal, and peak resident memory in bytes."""
    _, status, usage = os.wait4(process, 0)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if os.WIFSIGNALED(status):
        return -1, os.WTERMSIG(status), peak
    return os.WEXITSTATUS(status), 0, peak


def _reap_all() -> bool:
    """Reap whatever has ended; True while there is still a child."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _kill_group(process: int, signal_number: int) -> None:
    try:
        os.killpg(process, signal_number)
    except OSError:
        pass
    try:
        os.kill(process, signal_number)  # it may not lead its group yet
    except OSError:
        pass


def _reset_signals() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _write_proc(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return


def _limit_memory(limit_bytes: int) -> None:
    """Private memory beyond the limit gives MemoryError in the task, not an end of its neighbours.

    What the template has is shared and not the application's, so it is added. Mapped block files do not
    count.
    """
    if limit_bytes <= 0:
        return
    import resource

    try:
        with open("/proc/self/statm", encoding="utf-8") as file:
            have = int(file.read().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes + have + OWN_MEMORY_BYTES, resource.RLIM_INFINITY))
    except (OSError, ValueError):
        return


def _print_to(output: int) -> None:
    for fd in (1, 2):
        os.dup2(output, fd)
    sys.stdout, sys.stderr = (
        open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        for fd in (1, 2)
    )


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
