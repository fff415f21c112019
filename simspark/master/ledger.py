"""Where executors come into being and end: grants, ends, and who is told.

Every executor is added and removed here and nowhere else, so that its slots are taken and returned exactly
once and nobody who should hear of it is forgotten. The tables are in the registry; what is to be sent
collects in the outbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from simspark.master.placement import Held, Need, Placed, Seat
from simspark.master.registry import (
    Application,
    Applications,
    Executor,
    ExecutorLife,
    Executors,
    Worker,
    WorkerLife,
    Workers,
)
from simspark.publib.events import WorkerStateChanged
from simspark.publib.machine import Emit, Send
from simspark.publib.wire import messages
from simspark.publib.wire.messages import ExecutorExit
from simspark.publib.wire.nonce import executor_nonce

MOST_IN_MESSAGE = 100
T = TypeVar("T")


class Outbox:
    """Effects of one event, in the order in which they are to be performed."""

    def __init__(self) -> None:
        self._effects: list[Any] = []

    def add(self, effect: Any) -> None:
        """One more effect."""
        self._effects.append(effect)

    def send(self, peer: str, message: Any) -> None:
        """A message to a session; to nobody when there is none."""
        if peer:
            self._effects.append(Send(peer, message))

    def take(self) -> list[Any]:
        """All effects so far; empty afterwards."""
        effects, self._effects = self._effects, []
        return effects


class Ledger:
    """The tables, and the only operations that add, change and remove executors."""

    def __init__(self, epoch: int, outbox: Outbox, answer_within_s: float) -> None:
        self.now = 0.0  # of the event that is handled
        self._answer_within_s = answer_within_s
        self.epoch = epoch
        self.outbox = outbox
        self.workers = Workers()
        self.applications = Applications()
        self.executors = Executors()
        self._number = 0

    # ── how things stand ────────────────────────────────────────────────────────────────────────────────────

    def seat(self, worker: Worker) -> Seat:
        """A worker as placement sees it."""
        mine = self.executors.on_worker(worker.worker)
        return Seat(
            worker.worker, worker.order, len(mine), worker.slots, worker.memory_bytes,
            worker.slots - sum(entry.cores for entry in mine),
            worker.memory_bytes - sum(entry.memory_bytes for entry in mine),
            worker.hello.labels if worker.hello else {}, worker.takes_grants,
        )  # fmt: skip

    def seats(self) -> list[Seat]:
        """Every worker that has registered and is not dead."""
        return [self.seat(worker) for worker in self.workers if worker.hello is not None]

    def need(self, application: Application, cap: int) -> Need | None:
        """What an application still wants; None when it is away or has said nothing yet."""
        hello = application.hello
        if hello is None or not application.connected:
            return None
        held = self.executors.held(application.application)
        wanted = min([application.wanted, *filter(None, (hello.max_executors, cap))])
        return Need(
            application.application, application.order,
            hello.cores_per_executor, hello.memory_per_executor_bytes, hello.labels, hello.placement,
            max(0, wanted - len(held)), sum(entry.cores for entry in held),
        )  # fmt: skip

    def holdings(self) -> list[Held]:
        """Who keeps what where, executors that end left out."""
        kept = (entry for entry in self.executors if entry.life is not ExecutorLife.ENDING)
        return [Held(entry.application, entry.worker, entry.cores) for entry in kept]

    def ending(self) -> int:
        """How many executors have been told to end and have not yet."""
        return sum(entry.life is ExecutorLife.ENDING for entry in self.executors)

    # ── coming ──────────────────────────────────────────────────────────────────────────────────────────────

    def grant(self, placed: Iterable[Placed]) -> None:
        """Create these executors: their drivers hear of them first, then their workers start them."""
        grants: dict[str, list[messages.Grant]] = {}
        specs: dict[str, list[messages.ExecutorSpec]] = {}
        for application_id, worker_id in placed:
            application, worker = self.applications.get(application_id), self.workers.get(worker_id)
            assert application is not None
            assert worker is not None
            assert worker.hello is not None
            spec = self._spec(application)
            entry = Executor(spec.executor, application_id, worker_id, spec.cores, spec.memory_bytes,
                             ExecutorLife.LAUNCHING, self.deadline())
            self.executors.add(entry)
            application.hosts.add(worker_id)
            host = worker.hello.host
            grant = messages.Grant(spec.executor, worker_id, worker.incarnation, worker.key, host)
            grants.setdefault(application.peer, []).append(grant)
            specs.setdefault(worker.peer, []).append(spec)
        for peer, granted in grants.items():
            for some in _pieces(granted):
                self.outbox.send(peer, messages.ExecutorsGranted(some))
        for peer, wanted in specs.items():
            for each in _pieces(wanted):
                self.outbox.send(peer, messages.LaunchExecutors(each))

    def _spec(self, application: Application) -> messages.ExecutorSpec:
        hello = application.hello
        assert hello is not None
        executor = self._next_executor(application.application)
        return messages.ExecutorSpec(
            executor, application.application, hello.cores_per_executor, hello.memory_per_executor_bytes,
            hello.driver_endpoint, hello.driver_key, hello.executor_public, hello.executor_secret,
            executor_nonce(hello.nonce_secret, executor), hello.driver_socket,
        )  # fmt: skip

    def _next_executor(self, application: str) -> str:
        """An id never used before: numbers start again in each epoch, so later epochs name theirs."""
        self._number += 1
        number = str(self._number) if self.is_ours(application) else f"{self.epoch}.{self._number}"
        return f"{application}/{number}"

    def adopt(self, worker: Worker, held: messages.HeldExecutor) -> Executor:
        """Take in an executor that a worker still runs and this master did not grant."""
        entry = Executor(held.executor, held.application, worker.worker, held.cores, held.memory_bytes,
                         ExecutorLife.RUNNING, 0.0)
        self.executors.add(entry)
        application = self.applications.get(held.application)
        if application is not None:
            application.hosts.add(worker.worker)
        return entry

    # ── going ───────────────────────────────────────────────────────────────────────────────────────────────

    def deadline(self) -> float:
        """By when a worker should answer what is asked of it now."""
        return self.now + self._answer_within_s

    def kill(self, executors: Iterable[str], reason: str) -> None:
        """Have executors ended by their workers. Each keeps its slots until its worker says it is gone."""
        by_worker: dict[str, list[str]] = {}
        for name in executors:
            entry = self.executors.get(name)
            if entry is not None:
                self.executors.expect_end(entry, self.deadline())
                by_worker.setdefault(entry.worker, []).append(name)
        for worker_id, names in by_worker.items():
            worker = self.workers.get(worker_id)
            if worker is not None:
                for some in _pieces(names):
                    self.outbox.send(worker.peer, messages.KillExecutors(some, reason))

    def press(self) -> None:
        """Ask again for what no worker has answered in time; drivers hear of executors that never started.

        The slot stays taken: a worker answers that it does not run such an executor, or it is dead soon.
        """
        overdue = [entry for entry in self.executors.pending() if entry.deadline <= self.now]
        never = [entry for entry in overdue if entry.life is ExecutorLife.LAUNCHING]
        text = f"did not start within {self._answer_within_s:g} s"
        self._tell([(entry, lost(entry.executor, text)) for entry in never])
        self.kill([entry.executor for entry in overdue], "it took too long to start or to end")

    def end(self, exits: Iterable[ExecutorExit]) -> None:
        """Free the slots of executors that are no more and tell their drivers. Unknown ones are ignored."""
        ended = [(self.executors.remove(exit_.executor), exit_) for exit_ in exits]
        self._tell([(entry, exit_) for entry, exit_ in ended if entry is not None])

    def _tell(self, ended: Iterable[tuple[Executor, ExecutorExit]]) -> None:
        gone: dict[str, list[ExecutorExit]] = {}
        for entry, exit_ in ended:
            application = self.applications.get(entry.application)
            if application is not None and not entry.told:
                gone.setdefault(application.peer, []).append(exit_)
            entry.told = True
        for peer, exits in gone.items():
            for some in _pieces(exits):
                self.outbox.send(peer, messages.ExecutorsGone(some))

    def end_worker(self, worker: Worker, text: str) -> None:
        """A worker is dead: its drivers hear so, and of each executor that went with it."""
        worker.become(WorkerLife.DEAD)
        self.announce(worker, text)
        self.end(lost(entry.executor, text) for entry in self.executors.on_worker(worker.worker))
        self.workers.remove(worker.worker)
        for application in self.applications:
            application.hosts.discard(worker.worker)

    def announce(self, worker: Worker, cause: str) -> None:
        """Tell the applications that this worker hosts how it is now, and the event stream."""
        self.outbox.add(Emit(WorkerStateChanged(worker.worker, worker.life.value, cause)))
        state = messages.WorkerState(worker.worker, worker.incarnation, worker.life.value)
        for application in self.applications:
            if self._hosts(worker.worker, application):
                self.outbox.send(application.peer, messages.WorkersChanged((state,)))

    def hosts_of(self, application: Application) -> list[Worker]:
        """The workers that have, or may have, executors or files of an application."""
        return [worker for worker in self.workers if self._hosts(worker.worker, application)]

    def _hosts(self, worker: str, application: Application) -> bool:
        """Hosts are not in the journal: any worker may have files of an application of an earlier epoch."""
        return worker in application.hosts or not self.is_ours(application.application)

    def is_ours(self, application: str) -> bool:
        """Whether this epoch gave the application its id."""
        return application.startswith(f"app-{self.epoch}-")


def _pieces(items: list[T]) -> Iterator[tuple[T, ...]]:
    """As many at a time as surely fit into one message."""
    for start in range(0, len(items), MOST_IN_MESSAGE):
        yield tuple(items[start : start + MOST_IN_MESSAGE])


def lost(executor: str, text: str) -> ExecutorExit:
    """The end of an executor of which nobody knows how."""
    return ExecutorExit(executor, -1, 0, 0, text)
