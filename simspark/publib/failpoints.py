"""Named places where a test can make a process fail, exactly there.

The code at such a place says ``if failpoints.armed is not None: failpoints.hit("p4")``, which costs one comparison with
None when nothing is armed. A process arms what its surroundings tell it, once, when it starts (``arm``).

    p1  registering: before a hello to a master or driver, and when a worker is registered; in the master, before it
        lets a peer in
    p2  an attempt was received          p3  in user code: all is unpickled, its rows are about to run
    p4  mid block write: before each frame of a block, and before each batch of lines of a saved file
    p5  after the rename of an attempt's file, before its report
    p6  its report is about to leave     p7  serving a fetch: the bytes were read, and not sent
    p8  fetching: a segment is about to be had, mapped or from another machine
    p9  a broadcast is about to be had   p10 shutdown: when it begins, and in a worker before its files go
    commit   a saved file has leave to appear, and has not
    journal  the master's journal has a new record on disk, or a new file before and after its rename

The text that arms them: ``p4=kill,nth=2,role=executor,once=/run/claim; p8=delay,seconds=0.5``. Without ``nth`` it
is the first visit; ``role`` limits it to processes that call themselves so: master, worker, executor. ``once`` names a
file that only one process of all can create, so that the one that retries is spared; it says which process that was.
Except for ``delay``, each strikes once in a process.

Daemons and executors arm what the variable SIMSPARK_FAILPOINTS says; the driver's process arms nothing.
"""

from __future__ import annotations

import errno
import os
import signal
import threading

from simspark.publib.errors import ConfigError
from simspark.publib.named_tuple import NamedTuple

VARIABLE = "SIMSPARK_FAILPOINTS"
PHASES = ("p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "commit", "journal")
ACTIONS = ("kill", "stop", "raise", "enospc", "delay", "corrupt")


class FailpointHit(RuntimeError):
    """What an armed ``raise`` raises: no error that any code expects."""


class Failpoint(NamedTuple):
    """What happens in the ``nth`` visit of ``phase``; ``role`` and ``once`` may be empty."""

    phase: str
    action: str
    nth: int = 1
    seconds: float = 0.1
    role: str = ""
    once: str = ""


class Armed:
    """The failpoints of this process and how often each place was visited. Any thread."""

    def __init__(self, points: tuple[Failpoint, ...]) -> None:
        self._points = list(points)
        self._visits: dict[str, int] = {}
        self._lock = threading.Lock()

    def visit(self, phase: str) -> bool:
        """Do what is armed here. True when the caller is to corrupt what it handles."""
        due = self._due(phase)
        for point in due:
            _strike(point)
        return any(point.action == "corrupt" for point in due)

    def _due(self, phase: str) -> list[Failpoint]:
        with self._lock:
            visits = self._visits[phase] = self._visits.get(phase, 0) + 1
            due = [point for point in self._points if point.phase == phase and _is_due(point, visits)]
            for point in due:
                if point.action != "delay":
                    self._points.remove(point)
        return [point for point in due if _claim(point.once)]


armed: Armed | None = None


def arm(text: str, role: str = "") -> None:
    """Arm what ``text`` says for a process that calls itself ``role``; an empty text disarms everything."""
    global armed
    points = tuple(point for point in parse(text) if point.role in ("", role))
    armed = Armed(points) if points else None


def hit(phase: str) -> bool:
    """This process is at a named place. True when the caller is to corrupt what it handles."""
    return armed is not None and armed.visit(phase)


def spoil(data: bytes) -> bytes:
    """The same bytes with one bit of the middle flipped."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :] if data else data


def parse(text: str) -> tuple[Failpoint, ...]:
    """The failpoints that a text names. Raises ConfigError."""
    return tuple(_parse_one(part.strip()) for part in text.split(";") if part.strip())


def _parse_one(part: str) -> Failpoint:
    head, *options = part.split(",")
    phase, _, action = (word.strip() for word in head.partition("="))
    if phase not in PHASES or action not in ACTIONS:
        raise ConfigError(f"failpoint '{part}': use <phase>=<action> with {', '.join(PHASES)} and {', '.join(ACTIONS)}")
    point = Failpoint(phase, action)
    for option in options:
        name, _, value = (word.strip() for word in option.partition("="))
        point = _with_option(point, name, value, part)
    return point


def _with_option(point: Failpoint, name: str, value: str, part: str) -> Failpoint:
    try:
        match name:
            case "nth":
                return point._replace(nth=int(value))
            case "seconds":
                return point._replace(seconds=float(value))
            case "role":
                return point._replace(role=value)
            case "once":
                return point._replace(once=value)
    except ValueError:
        raise ConfigError(f"failpoint '{part}': {name} is a number") from None
    raise ConfigError(f"failpoint '{part}': no option '{name}'; there are nth, seconds, role and once")


def _is_due(point: Failpoint, visits: int) -> bool:
    return visits >= point.nth if point.action == "delay" else visits == point.nth


def _claim(path: str) -> bool:
    """Whether this process may strike: nobody has created the file before. It appears with who it was in it."""
    if not path:
        return True
    mine = f"{path}.{os.getpid()}"
    fd = os.open(mine, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    os.write(fd, str(os.getpid()).encode())
    os.close(fd)
    try:
        os.link(mine, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(mine)
    return True


def _strike(point: Failpoint) -> None:
    match point.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "raise":
            raise FailpointHit(f"the armed failpoint {point.phase}")
        case "enospc":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), point.phase)
        case "delay":
            threading.Event().wait(point.seconds)
