"""The master's side of its workers: registration, heartbeats, reports, late and dead.

A worker gets a new incarnation at each registration. What it reports under an older one is refused by
ending the session, on which it registers again. It keeps the executors that this master knows (or, after a
restart, that belong to applications of the journal) unless it had been dead: then its drivers have already
given those up, and it is told to kill all that it holds.
"""

from __future__ import annotations

from typing import Any

from simspark.master.ledger import Ledger, lost
from simspark.master.limits import worker_fault
from simspark.master.records import Persist, WorkerForgotten, WorkerKnown, worker_number
from simspark.master.registry import ExecutorLife, Worker, WorkerLife
from simspark.publib.liveness import Liveness, Tracker, Vital
from simspark.publib.machine import Accept, Close, PeerJoined, Refuse
from simspark.publib.wire import messages
from simspark.publib.wire.messages import HeldExecutor, RegisterWorker

CLEAN_CLOSE = "closed"  # the code with which a session ends that the other side ended in an orderly way


class WorkerDesk:
    """Answers workers, and judges those that do not speak."""

    def __init__(self, ledger: Ledger, thresholds: Liveness, highest_number: int) -> None:
        self._ledger = ledger
        self._out = ledger.outbox
        self._thresholds = thresholds
        self._tracker = Tracker(thresholds)
        self._number = highest_number

    # ── after a start ───────────────────────────────────────────────────────────────────────────────────────

    def expect(self, now: float, workers: dict[str, tuple[int, str]], patience_s: float) -> None:
        """Wait for the workers that the journal knows: they have to find out first that the master is back."""
        for worker, (incarnation, key) in workers.items():
            self._ledger.workers.add(worker, incarnation, key, None)
            self._tracker.watch(now, worker, patience_s)

    def unheard(self) -> int:
        """How many of those have neither registered nor become late."""
        return sum(worker.life is WorkerLife.EXPECTED for worker in self._ledger.workers)

    # ── registration ────────────────────────────────────────────────────────────────────────────────────────

    def join(self, now: float, event: PeerJoined) -> None:
        """A worker says hello."""
        hello: RegisterWorker = event.hello
        fault = worker_fault(hello)
        if fault:
            self._out.add(Refuse(event.peer, "bad_hello", fault))
            return
        self._bury_predecessor(hello, event.key)
        earlier = self._earlier(hello, event.key)
        worker_id, incarnation = self._identity(hello, earlier)
        keeps = earlier is not None and earlier.incarnation == hello.incarnation
        if earlier is not None and earlier.peer:
            self._out.add(Close(earlier.peer))
        worker = self._ledger.workers.add(worker_id, incarnation, event.key, hello)
        worker.become(WorkerLife.ALIVE)
        self._ledger.workers.attach(worker, event.peer)
        self._tracker.watch(now, worker_id)
        self._out.add(Persist(WorkerKnown(worker_id, incarnation, event.key)))
        self._out.add(Accept(event.peer))
        kill = self._settle(worker, hello.executors, keeps=keeps)
        heartbeat_s = self._thresholds.heartbeat_s
        self._out.send(event.peer, messages.WorkerRegistered(worker_id, incarnation, heartbeat_s, kill))
        self._ledger.announce(worker, "registered")

    def _bury_predecessor(self, hello: RegisterWorker, key: str) -> None:
        """A fresh process in the place of one whose connection is gone: that one died with its executors."""
        if hello.worker or not hello.name:
            return
        for worker in self._ledger.workers:
            old = worker.hello
            same = old is not None and (old.name, old.host, worker.key) == (hello.name, hello.host, key)
            if same and not worker.connected:
                self._bury(worker, f"worker {worker.worker} was started again")

    def _earlier(self, hello: RegisterWorker, key: str) -> Worker | None:
        earlier = self._ledger.workers.get(hello.worker) if hello.worker else None
        return earlier if earlier is not None and earlier.key == key else None

    def _identity(self, hello: RegisterWorker, earlier: Worker | None) -> tuple[str, int]:
        if earlier is not None:
            return earlier.worker, max(earlier.incarnation, hello.incarnation) + 1
        number = worker_number(hello.worker)
        taken = self._ledger.workers.get(hello.worker) is not None
        if 0 < number <= self._number and not taken:
            return hello.worker, hello.incarnation + 1
        self._number += 1
        return f"w{self._number}", 1

    def _settle(self, worker: Worker, held: tuple[HeldExecutor, ...], *, keeps: bool) -> tuple[str, ...]:
        """Compare what the worker holds with the tables; returns what it is to kill.

        That keeps its slots until the worker says that it is gone.
        """
        names = {entry.executor for entry in held}
        known = [entry.executor for entry in self._ledger.executors.on_worker(worker.worker)]
        text = "its worker registered again without it"
        self._ledger.end([lost(executor, text) for executor in known if executor not in names])
        kill = []
        for entry in held:
            stays = keeps and self._may_keep(worker, entry)
            self._enter(worker, entry, stays=stays)
            if not stays:
                kill.append(entry.executor)
        return tuple(kill)

    def _may_keep(self, worker: Worker, held: HeldExecutor) -> bool:
        known = self._ledger.executors.get(held.executor)
        if known is not None:
            return known.worker == worker.worker and known.life is not ExecutorLife.ENDING
        application = self._ledger.applications.get(held.application)
        if application is None:
            return False
        return application.hello is None or held.executor in application.claimed

    def _enter(self, worker: Worker, held: HeldExecutor, *, stays: bool) -> None:
        known = self._ledger.executors.get(held.executor)
        if known is None:
            known = self._ledger.adopt(worker, held)
            known.told = not stays  # its driver has given it up, or never knew it
        if known.worker != worker.worker:
            return
        if stays:
            self._ledger.executors.run(known)
        else:
            self._ledger.executors.expect_end(known, self._ledger.deadline())

    # ── what a worker says ──────────────────────────────────────────────────────────────────────────────────

    def received(self, now: float, worker: Worker, message: Any) -> None:
        """A message in the session of a worker."""
        match message:
            case messages.Heartbeat(worker.incarnation, _, load, memory_used_bytes):
                self._heard(now, worker)
                worker.load, worker.memory_used_bytes = load, memory_used_bytes
            case messages.ExecutorsChanged(worker.incarnation, started, ended):
                self._heard(now, worker)
                self._started(worker, started)
                mine = {entry.executor for entry in self._ledger.executors.on_worker(worker.worker)}
                self._ledger.end([exit_ for exit_ in ended if exit_.executor in mine])
            case _:
                self._turn_away(worker)

    def _started(self, worker: Worker, started: tuple[str, ...]) -> None:
        strays = []
        for name in started:
            entry = self._ledger.executors.get(name)
            if entry is not None and entry.worker == worker.worker:
                self._ledger.executors.run(entry)
            else:
                strays.append(name)
        if strays:
            self._out.send(worker.peer, messages.KillExecutors(tuple(strays), "nobody waits for it"))

    def _turn_away(self, worker: Worker) -> None:
        peer = worker.peer
        self._ledger.workers.detach(worker)
        self._out.add(Close(peer))

    def _heard(self, now: float, worker: Worker) -> None:
        self._tracker.heard(now, worker.worker)
        if worker.life is WorkerLife.LATE:
            worker.become(WorkerLife.ALIVE)
            self._ledger.announce(worker, "heard again")

    def returned(self, worker: Worker) -> None:
        """Its connection is back."""
        worker.connected = True

    def silent(self, now: float, worker: Worker) -> None:
        """Its connection broke: no grants. One that lives dials again at once, so it is late after a heartbeat."""
        worker.connected = False
        self._tracker.hurry(now, worker.worker, self._thresholds.heartbeat_s)

    def lost(self, worker: Worker, reason: str) -> None:
        """Its session is over. One that hung up itself has left with its executors."""
        self._ledger.workers.detach(worker)
        if reason.partition(":")[0] == CLEAN_CLOSE:
            self._bury(worker, f"worker {worker.worker} has left")

    # ── rounds ──────────────────────────────────────────────────────────────────────────────────────────────

    def next_check(self) -> float | None:
        """When ``check`` is due."""
        return self._tracker.next_check()

    def check(self, now: float) -> None:
        """Judge those that miss a round."""
        for subject, vital in self._tracker.check(now):
            worker = self._ledger.workers.get(subject)
            if worker is None:
                continue
            if vital is Vital.DEAD:
                self._bury(worker, f"worker {subject} was silent for {self._thresholds.dead_after_s:g} s")
            else:
                worker.become(WorkerLife.LATE)
                why = f"silent for {self._thresholds.late_after_s:g} s" if worker.connected else "its connection broke"
                self._ledger.announce(worker, why)

    def _bury(self, worker: Worker, text: str) -> None:
        peer = worker.peer
        self._tracker.forget(worker.worker)
        self._ledger.end_worker(worker, text)
        self._out.add(Persist(WorkerForgotten(worker.worker)))
        if peer:
            self._out.add(Close(peer))
