"""What goes into the worker's core, and what comes out; the tables it keeps.

Sessions are named: "master", and "driver:<application>" for each application hosted here.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from simspark.publib.named_tuple import NamedTuple
from simspark.publib.wire.messages import ExecutorExit, ExecutorSpec

MASTER = "master"
HEARTBEAT = "heartbeat"


class WorkerSettings(NamedTuple):
    """What a worker may be told. ``heartbeat_s`` is what the master says after registration."""

    name: str = ""
    host: str = "127.0.0.1"
    process: int = 0
    slots: int = 1
    memory_bytes: int = 1 << 30
    labels: dict[str, str] = {}  # noqa: RUF012 (never changed: a NamedTuple's default)
    block_endpoint: str = ""
    master_endpoint: str = ""
    master_key: str = ""
    redial_first_s: float = 0.1
    redial_most_s: float = 1.0
    orphan_grace_s: float = 10.0
    drain_s: float = 8.0

    def fast(self) -> WorkerSettings:
        """The same with short waits, for tests on real processes."""
        return self._replace(redial_most_s=0.5, orphan_grace_s=2.0, drain_s=3.0)


# ── events of its own ───────────────────────────────────────────────────────────────────────────────────────


class LoadMeasured(NamedTuple):
    """What the next heartbeats say of the machine."""

    load: float
    memory_used_bytes: int


class ExecutorStarted(NamedTuple):
    """The launcher has forked it."""

    executor: str
    process: int


class ExecutorExited(NamedTuple):
    """The launcher saw it end, or could not start it; see messages.ExecutorExit."""

    executor: str
    status: int
    signal: int
    peak_memory_bytes: int
    text: str


class ExecutorPaused(NamedTuple):
    """A signal has stopped an executor's process, or lets it go on."""

    executor: str
    is_paused: bool


class ShutDown(NamedTuple):
    """Somebody wants this worker to leave."""

    reason: str


# ── effects of its own ──────────────────────────────────────────────────────────────────────────────────────


class Dial(NamedTuple):
    """Open a session as ``peer``, in the place of one of that name. The shell fills in a hello's owner."""

    peer: str
    endpoint: str
    key: str
    hello: Any


class StartExecutors(NamedTuple):
    """Have the launcher start these; each ends in one ExecutorExited, started or not."""

    executors: tuple[ExecutorSpec, ...]


class StopExecutor(NamedTuple):
    """Have the launcher end this one: politely, then by force."""

    executor: str
    reason: str


class RemoveApplication(NamedTuple):
    """Nothing of the application runs here: remove its directory and forget its keys."""

    application: str


class RemoveFiles(NamedTuple):
    """Remove the application's files whose names start with one of these."""

    application: str
    prefixes: tuple[str, ...]


class Leave(NamedTuple):
    """Nothing runs any more, or the time to drain is over: stop the process."""


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────


class Phase(Enum):
    """Where the worker stands with its master."""

    NEW = "new"
    DIALLING = "dialling"
    OPEN = "open"  # the session is there, the master's welcome not yet
    REGISTERED = "registered"
    DRAINING = "draining"
    GONE = "gone"


PHASES: dict[Phase, frozenset[Phase]] = {
    Phase.NEW: frozenset({Phase.DIALLING, Phase.DRAINING}),
    Phase.DIALLING: frozenset({Phase.DIALLING, Phase.OPEN, Phase.DRAINING}),
    Phase.OPEN: frozenset({Phase.REGISTERED, Phase.DIALLING, Phase.DRAINING}),
    Phase.REGISTERED: frozenset({Phase.DIALLING, Phase.DRAINING}),
    Phase.DRAINING: frozenset({Phase.GONE}),
    Phase.GONE: frozenset(),
}


class IllegalTransition(Exception):
    """A bug: the worker was to become what it cannot become from what it is."""


class Hosted:
    """One application here."""

    __slots__ = (
        "application", "connected", "driver_endpoint", "driver_key", "exits", "leaving", "paused", "redial_s",
        "running",
    )  # fmt: skip

    def __init__(self, application: str, driver_endpoint: str, driver_key: str, redial_s: float) -> None:
        self.application = application
        self.driver_endpoint = driver_endpoint
        self.driver_key = driver_key
        self.running: dict[str, ExecutorSpec] = {}
        self.exits: list[ExecutorExit] = []
        self.paused: list[str] = []
        self.connected = False
        self.leaving = False
        self.redial_s = redial_s

    @property
    def peer(self) -> str:
        """The name of the session with its driver."""
        return f"driver:{self.application}"
