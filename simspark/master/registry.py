"""Workers, applications and executors: one class owns each kind and all its indexes.

Adding, changing and removing go through these classes alone, so an index cannot be forgotten; removing what
is not there is harmless. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from simspark.publib.wire.messages import RegisterApplication, RegisterWorker


class WorkerLife(Enum):
    """How the master sees a worker."""

    EXPECTED = "expected"  # known from the journal, not heard since this master started
    ALIVE = "alive"
    LATE = "late"
    DEAD = "dead"


WORKER_TRANSITIONS: dict[WorkerLife, frozenset[WorkerLife]] = {
    WorkerLife.EXPECTED: frozenset({WorkerLife.ALIVE, WorkerLife.LATE, WorkerLife.DEAD}),
    WorkerLife.ALIVE: frozenset({WorkerLife.LATE, WorkerLife.DEAD}),
    WorkerLife.LATE: frozenset({WorkerLife.ALIVE, WorkerLife.DEAD}),
    WorkerLife.DEAD: frozenset(),
}


class IllegalTransition(Exception):
    """A bug: something was to become what it cannot become from what it is."""


class Worker:
    """One registration of one worker."""

    __slots__ = (
        "connected", "hello", "incarnation", "key", "life", "load", "memory_used_bytes", "order", "peer",
        "worker",
    )  # fmt: skip

    def __init__(
        self, worker: str, incarnation: int, key: str, order: int, hello: RegisterWorker | None
    ) -> None:
        self.worker = worker
        self.incarnation = incarnation
        self.key = key
        self.order = order
        self.hello = hello
        self.peer = ""
        self.connected = False
        self.life = WorkerLife.EXPECTED
        self.load = 0.0
        self.memory_used_bytes = 0

    @property
    def slots(self) -> int:
        """Executor slots that the worker offers, 0 before it has registered."""
        return self.hello.slots if self.hello else 0

    @property
    def memory_bytes(self) -> int:
        """Memory that the worker offers."""
        return self.hello.memory_bytes if self.hello else 0

    @property
    def takes_grants(self) -> bool:
        """Alive, and its connection is up."""
        return self.life is WorkerLife.ALIVE and self.connected

    def become(self, life: WorkerLife) -> None:
        """Change state as the table allows."""
        if life not in WORKER_TRANSITIONS[self.life]:
            raise IllegalTransition(f"{self.worker} is {self.life.value} and cannot become {life.value}")
        self.life = life


class Workers:
    """All workers, by id and by session."""

    def __init__(self) -> None:
        self._by_id: dict[str, Worker] = {}
        self._by_peer: dict[str, Worker] = {}
        self._orders = 0

    def __iter__(self) -> Iterator[Worker]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, worker: str) -> Worker | None:
        """The worker of this id."""
        return self._by_id.get(worker)

    def of_peer(self, peer: str) -> Worker | None:
        """The worker at the other end of this session."""
        return self._by_peer.get(peer)

    def add(self, worker: str, incarnation: int, key: str, hello: RegisterWorker | None) -> Worker:
        """A new registration; it takes the place of an older one of the same id."""
        self.remove(worker)
        self._orders += 1
        entry = Worker(worker, incarnation, key, self._orders, hello)
        self._by_id[worker] = entry
        return entry

    def attach(self, entry: Worker, peer: str) -> None:
        """This session is the worker's."""
        self.detach(entry)
        entry.peer, entry.connected = peer, True
        self._by_peer[peer] = entry

    def detach(self, entry: Worker) -> None:
        """The worker has no session."""
        self._by_peer.pop(entry.peer, None)
        entry.peer, entry.connected = "", False

    def remove(self, worker: str) -> None:
        """Forget the worker, if it is there."""
        entry = self._by_id.pop(worker, None)
        if entry is not None:
            self.detach(entry)


class Application:
    """One application. ``wanted`` counts executors in all; ``claimed`` are those named after a restart."""

    __slots__ = (
        "application", "asked_back", "away_since", "claimed", "connected", "hello", "hosts", "key", "order",
        "peer", "said", "wanted",
    )  # fmt: skip

    def __init__(self, application: str, key: str, order: int, hello: RegisterApplication | None) -> None:
        self.application = application
        self.key = key
        self.order = order
        self.hello = hello
        self.peer = ""
        self.connected = False
        self.away_since: float | None = None
        self.wanted = 0
        self.claimed: frozenset[str] = frozenset()
        self.hosts: set[str] = set()
        self.asked_back = 0
        self.said: tuple[str, bool] | None = None


class Applications:
    """All applications, by id and by session."""

    def __init__(self) -> None:
        self._by_id: dict[str, Application] = {}
        self._by_peer: dict[str, Application] = {}
        self._orders = 0

    def __iter__(self) -> Iterator[Application]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, application: str) -> Application | None:
        """The application of this id."""
        return self._by_id.get(application)

    def of_peer(self, peer: str) -> Application | None:
        """The application at the other end of this session."""
        return self._by_peer.get(peer)

    def add(self, application: str, key: str, hello: RegisterApplication | None) -> Application:
        """A new application."""
        self.remove(application)
        self._orders += 1
        entry = Application(application, key, self._orders, hello)
        self._by_id[application] = entry
        return entry

    def attach(self, entry: Application, peer: str, hello: RegisterApplication) -> None:
        """This session is the application's, and this is what it needs."""
        self.detach(entry)
        entry.peer, entry.connected, entry.away_since, entry.hello = peer, True, None, hello
        self._by_peer[peer] = entry

    def detach(self, entry: Application) -> None:
        """The application has no session."""
        self._by_peer.pop(entry.peer, None)
        entry.peer, entry.connected = "", False

    def remove(self, application: str) -> None:
        """Forget the application, if it is there."""
        entry = self._by_id.pop(application, None)
        if entry is not None:
            self.detach(entry)


class ExecutorLife(Enum):
    """What the master knows of an executor; it holds its slot in each of these."""

    LAUNCHING = "launching"
    RUNNING = "running"
    ENDING = "ending"


class Executor:
    """One executor that holds ``cores`` slots of a worker.

    ``deadline`` is by when its worker should have said that it started or ended; ``told``, whether its
    driver has been told that it is gone although the worker has not said so yet.
    """

    __slots__ = ("application", "cores", "deadline", "executor", "life", "memory_bytes", "told", "worker")

    def __init__(self, executor: str, application: str, worker: str, cores: int, memory_bytes: int,
                 life: ExecutorLife, deadline: float) -> None:
        self.executor = executor
        self.application = application
        self.worker = worker
        self.cores = cores
        self.memory_bytes = memory_bytes
        self.life = life
        self.deadline = deadline
        self.told = False


class Executors:
    """All executors, by id, worker and application, with what they hold of their workers."""

    def __init__(self) -> None:
        self._by_id: dict[str, Executor] = {}
        self._by_worker: dict[str, dict[str, Executor]] = {}
        self._by_application: dict[str, dict[str, Executor]] = {}
        self._pending: dict[str, Executor] = {}

    def __iter__(self) -> Iterator[Executor]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, executor: str) -> Executor | None:
        """The executor of this id."""
        return self._by_id.get(executor)

    def add(self, entry: Executor) -> None:
        """A new executor; one of the same id is replaced."""
        self.remove(entry.executor)
        self._by_id[entry.executor] = entry
        self._by_worker.setdefault(entry.worker, {})[entry.executor] = entry
        self._by_application.setdefault(entry.application, {})[entry.executor] = entry
        if entry.life is not ExecutorLife.RUNNING:
            self._pending[entry.executor] = entry

    def run(self, entry: Executor) -> None:
        """Its worker says that it runs; one that is to end stays so."""
        if entry.life is ExecutorLife.LAUNCHING:
            entry.life = ExecutorLife.RUNNING
            self._pending.pop(entry.executor, None)

    def expect_end(self, entry: Executor, deadline: float) -> None:
        """It is to end, and its worker should say so by then."""
        entry.life, entry.deadline = ExecutorLife.ENDING, deadline
        self._pending[entry.executor] = entry

    def remove(self, executor: str) -> Executor | None:
        """Forget the executor and free its slots; None when it is not there (any more)."""
        entry = self._by_id.pop(executor, None)
        if entry is None:
            return None
        self._pending.pop(executor, None)
        _drop(self._by_worker, entry.worker, executor)
        _drop(self._by_application, entry.application, executor)
        return entry

    def pending(self) -> list[Executor]:
        """Those of which word is waited for: that they started, or that they ended."""
        return list(self._pending.values())

    def on_worker(self, worker: str) -> list[Executor]:
        """Executors that hold slots of a worker."""
        return list(self._by_worker.get(worker, {}).values())

    def of_application(self, application: str) -> list[Executor]:
        """Executors of an application, those that end included."""
        return list(self._by_application.get(application, {}).values())

    def held(self, application: str) -> list[Executor]:
        """Executors that an application has and keeps."""
        mine = self._by_application.get(application, {}).values()
        return [entry for entry in mine if entry.life is not ExecutorLife.ENDING]


def _drop(index: dict[str, dict[str, Executor]], name: str, executor: str) -> None:
    entries = index.get(name, {})
    entries.pop(executor, None)
    if not entries:
        index.pop(name, None)
