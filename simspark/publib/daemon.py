"""Starting, stopping and finding a daemon, as a Unix daemon should behave.

``start`` forks twice with a session of its own between, umask 077, directory / and standard streams to
/dev/null. It returns when the daemon answers, or with the reason why it does not: the daemon holds the end
of a pipe and writes one line to it. Its death closes the pipe, so that no way of failing is waited for.
``stop`` signals only the process that its own pid file names, after comparing the start time: TERM, a drain,
then KILL. What a daemon is can be read in its state file, which it writes when it answers.

The starting process must have one thread only. Nothing here reads a clock: waits are counted in pauses.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Callable
from typing import Any

from simspark.publib import logs
from simspark.publib.errors import SimsparkError
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.pid_file import PidFile, Process

START_TIMEOUT_S = 20.0
DRAIN_S = 10.0
KILL_WAIT_S = 5.0
TAIL_LINES = 5


class ReadyInfo(NamedTuple):
    """What a daemon says once, when it answers. The fields after ``pid`` are a worker's."""

    url: str
    pid: int
    worker: str = ""
    cores: int = 0
    memory_bytes: int = 0


Ready = Callable[[ReadyInfo], None]
Body = Callable[[Ready], None]


class Place(NamedTuple):
    """Where one daemon keeps its pid, state and log, and how it logs."""

    name: str
    state_dir: str
    log_dir: str
    log_format: str = "text"
    log_level: str = "info"

    @property
    def pid_path(self) -> str:
        """Pid file."""
        return os.path.join(self.state_dir, self.name + ".pid")

    @property
    def state_path(self) -> str:
        """State file: JSON with pid, started, url and the rest of ReadyInfo."""
        return os.path.join(self.state_dir, self.name + ".json")

    @property
    def log_path(self) -> str:
        """Log file."""
        return os.path.join(self.log_dir, self.name + ".log")


class Started(NamedTuple):
    """The daemon answers."""

    info: ReadyInfo


class AlreadyRunning(NamedTuple):
    """It ran before; nothing was done."""

    process: Process
    info: ReadyInfo | None


class StartFailed(NamedTuple):
    """It does not run: the name of the error's type, its text, and the end of the log."""

    kind: str
    text: str
    log_path: str
    tail: tuple[str, ...]


StartOutcome = Started | AlreadyRunning | StartFailed


class Stopped(NamedTuple):
    """It ran and has ended; ``killed`` when it did not end by itself in time."""

    process: Process
    killed: bool


class NotRunning(NamedTuple):
    """Nothing ran; ``stale`` is the process id in a pid file that a crash left behind, or 0."""

    stale: int


def find(place: Place) -> Process | None:
    """Return the running daemon, or None."""
    return PidFile(place.pid_path).holder()


def read_state(place: Place) -> ReadyInfo | None:
    """Return what the daemon said when it answered, or None."""
    try:
        with open(place.state_path, encoding="utf-8") as file:
            return ReadyInfo(**json.load(file))
    except (OSError, ValueError, TypeError):
        return None


def names(state_dir: str, prefix: str) -> list[str]:
    """Return the names of the daemons of one kind that have a pid file here, sorted."""
    try:
        files = os.listdir(state_dir)
    except OSError:
        return []
    return sorted(name.removesuffix(".pid") for name in files if name.startswith(prefix) and name.endswith(".pid"))


def start(place: Place, body: Body, timeout_s: float = START_TIMEOUT_S) -> StartOutcome:
    """Start a daemon that runs ``body`` and wait until it answers."""
    pid_file = PidFile(place.pid_path)
    if not pid_file.take():
        return AlreadyRunning(pid_file.read() or Process(0, ""), read_state(place))
    log_start = logs.size(place.log_path)
    told, tell = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(told)
        _fork_again(place, pid_file, body, tell)
    os.close(tell)
    os.waitpid(child, 0)
    pid_file.leave()
    try:
        report = _read_report(told, timeout_s)
    finally:
        os.close(told)
    if report is None:
        stop(place, drain_s=0.0)
        report = {"kind": "PeerTimeout", "text": f"It did not answer within {timeout_s:g} s."}
    if "url" in report:
        return Started(ReadyInfo(**report))
    tail = logs.tail(place.log_path, TAIL_LINES, log_start)
    return StartFailed(report["kind"], report["text"], place.log_path, tuple(tail))


def run_foreground(place: Place, body: Body, announce: Ready) -> AlreadyRunning | None:
    """Run ``body`` here, for a service manager or a container, until it ends. Its errors pass through."""
    pid_file = PidFile(place.pid_path)
    if not pid_file.take():
        return AlreadyRunning(pid_file.read() or Process(0, ""), read_state(place))
    pid_file.write(os.getpid())
    logs.open_log(place.log_path, place.log_format, place.log_level, stderr=True)

    def ready(info: ReadyInfo) -> None:
        _write_state(place, info)
        announce(info)

    try:
        body(ready)
    finally:
        _clean_up(place, pid_file)
        logs.close_log()
    return None


def stop(place: Place, drain_s: float = DRAIN_S) -> Stopped | NotRunning:
    """End the daemon of this place, and none else. Removes what a crashed one left."""
    pid_file = PidFile(place.pid_path)
    process = pid_file.holder()
    if process is None:
        stale = pid_file.read()
        if stale is not None and pid_file.take():
            _clean_up(place, pid_file)
        return NotRunning(stale.pid if stale else 0)
    process.send(signal.SIGTERM)
    killed = not process.wait(drain_s)
    if killed:
        process.send(signal.SIGKILL)
        process.wait(KILL_WAIT_S)
    if pid_file.take():
        _clean_up(place, pid_file)
    return Stopped(process, killed)


def _fork_again(place: Place, pid_file: PidFile, body: Body, tell: int) -> None:
    """In the first child: become leader of a session, fork the daemon, end. Never returns."""
    status = 1
    try:
        os.setsid()
        status = 0 if os.fork() > 0 else _be_daemon(place, pid_file, body, _Report(tell))
    finally:
        os._exit(status)


def _be_daemon(place: Place, pid_file: PidFile, body: Body, report: _Report) -> int:
    """In the daemon: detach from everything, run the body, tell how that went. Returns the exit status."""
    os.umask(0o077)
    os.chdir("/")
    _close_streams()
    pid_file.write(os.getpid())

    def ready(info: ReadyInfo) -> None:
        _write_state(place, info)
        report.send(info._asdict())

    try:
        logs.open_log(place.log_path, place.log_format, place.log_level)
        body(ready)
    except BaseException as error:
        _log_end(place, error)
        text = str(error) if isinstance(error, SimsparkError) else f"{type(error).__name__}: {error}"
        report.send({"kind": type(error).__name__, "text": text})
        return 1
    else:
        report.send({"kind": "InternalError", "text": "It ended before it answered."})
        return 0
    finally:
        _clean_up(place, pid_file)


def _log_end(place: Place, error: BaseException) -> None:
    import logging

    logger = logging.getLogger("simspark." + place.name.partition("-")[0])
    if isinstance(error, SimsparkError):
        logger.error("%s", error)
    else:
        logger.critical("ended by an error that nobody expected", exc_info=error)


def _close_streams() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    if null > 2:
        os.close(null)


class _Report:
    """The daemon's one word to who started it. Later words are dropped, and so is one to a starter that left."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def send(self, fields: dict[str, Any]) -> None:
        """Tell, if nothing was told before: the number of a closed pipe may be a socket's by now."""
        pipe, self._pipe = self._pipe, -1
        if pipe < 0:
            return
        try:
            os.write(pipe, json.dumps(fields).encode() + b"\n")
        except BrokenPipeError:
            pass
        finally:
            os.close(pipe)


def _read_report(pipe: int, timeout_s: float) -> dict[str, Any] | None:
    """Return the daemon's word, an account of its silent death, or None when it says nothing in time."""
    received = b""
    while not received.endswith(b"\n"):
        if not select.select([pipe], [], [], timeout_s)[0]:
            return None
        chunk = os.read(pipe, 65_536)
        if not chunk:
            return {"kind": "InternalError", "text": "It ended without a word."}
        received += chunk
    report: dict[str, Any] = json.loads(received)
    return report


def _write_state(place: Place, info: ReadyInfo) -> None:
    temporary = f"{place.state_path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(info._asdict(), file)
    os.replace(temporary, place.state_path)


def _clean_up(place: Place, pid_file: PidFile) -> None:
    try:
        os.unlink(place.state_path)
    except FileNotFoundError:
        pass
    pid_file.remove()
