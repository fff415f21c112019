"""The master as a state machine: events in, effects out.

It knows workers, applications and the executors between them, and never what the executors run. Guarantees:

* A slot is granted to one executor at a time, and only on a worker that is alive and connected.
* A slot is returned once: when the worker says that the executor ended, registers again without it, never
  said that it started, or is dead.
* Nobody gets an exception for asking too much: what there is is granted, one executor at a time to the
  application that holds the fewest, the rest waits, and the driver is told why.
* After a restart (RECOVERING) nothing is granted until every worker of the journal has registered or is
  late, since only the workers know what still runs.

Ids: workers ``w<n>``, applications ``app-<epoch>-<n>``, executors ``<application>/<n>``; none is used for
two things. What must survive a restart leaves as ``Persist`` before the messages that rely on it.
"""

from __future__ import annotations

from typing import Any

from simspark.master.applications import ApplicationDesk
from simspark.master.ledger import Ledger, Outbox
from simspark.master.placement import Need, Shortage, explain, give_back, place
from simspark.master.records import Known, Persist
from simspark.master.registry import Application
from simspark.master.status import status_text
from simspark.master.workers import WorkerDesk
from simspark.publib.liveness import Liveness
from simspark.publib.machine import (
    Accept,
    CancelTimer,
    Close,
    PeerJoined,
    PeerLost,
    PeerReturned,
    PeerSilent,
    Received,
    Refuse,
    Send,
    SetTimer,
    TimerFired,
)
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.wire import messages

__all__ = ["Close", "MasterCore", "MasterSettings", "Persist", "Send"]

ROLES = {messages.RegisterWorker: "worker", messages.RegisterApplication: "driver"}
CHECK, ANSWERS, GRACE, REBALANCE = "check", "answers", "grace", "rebalance"


class MasterSettings(NamedTuple):
    """What the master may be told. Presets: the default, and ``fast()`` for tests.

    ``application_grace_s`` is how long a silent driver is waited for; ``return_grace_s`` the same after the
    master's own restart, and ``worker_return_s`` what known workers have then before they are late.
    ``max_executors`` caps each application, 0 for no cap. ``trust_local`` lets peers without a key in: for private
    Unix sockets and the simulator only.
    """

    liveness: Liveness = Liveness()
    application_grace_s: float = 5.0
    return_grace_s: float = 15.0
    launch_timeout_s: float = 10.0
    rebalance_s: float = 2.0
    max_executors: int = 0
    trust_local: bool = False
    worker_return_s: float = 5.0

    def fast(self) -> MasterSettings:
        """The same with short waits, for tests on real processes."""
        return self._replace(liveness=Liveness.fast(), application_grace_s=1.0, return_grace_s=3.0,
                             launch_timeout_s=3.0, rebalance_s=0.3, worker_return_s=3.0)


class MasterCore:
    """See the module. ``start`` once, then ``handle`` for each event; neither blocks."""

    def __init__(self, settings: MasterSettings, epoch: int = 1, known: Known | None = None) -> None:
        known = known or Known()
        self._settings = settings
        self._known = known
        self._out = Outbox()
        self._ledger = Ledger(epoch, self._out, settings.launch_timeout_s)
        self._workers = WorkerDesk(self._ledger, settings.liveness, known.worker_number)
        graces = settings.application_grace_s, settings.return_grace_s
        self._applications = ApplicationDesk(self._ledger, *graces)
        self._recovering = bool(known.workers)
        self._timers: dict[str, float] = {}
        self._rebalance_at: float | None = None

    @property
    def recovering(self) -> bool:
        """Whether workers of the journal are still waited for."""
        return self._recovering

    @property
    def ledger(self) -> Ledger:
        """The tables, to look at."""
        return self._ledger

    def start(self, now: float) -> list[Any]:
        """Begin: wait for what the journal knows."""
        self._ledger.now = now
        self._workers.expect(now, self._known.workers, self._settings.worker_return_s)
        self._applications.expect(now, self._known.applications)
        self._set_timers()
        return self._out.take()

    def handle(self, now: float, event: Any) -> list[Any]:
        """Take one event and return the effects to perform, in order."""
        self._ledger.now = now
        match event:
            case Received(peer, message):
                if not self._received(now, peer, message):
                    return self._out.take()
            case PeerJoined():
                self._joined(now, event)
            case PeerSilent(peer) | PeerReturned(peer) | PeerLost(peer):
                self._connection_changed(now, peer, event)
            case TimerFired(name):
                self._timer(now, name)
            case _:
                raise TypeError(f"the master has no event {type(event).__name__}")
        self._conclude(now)
        return self._out.take()

    def status(self) -> str:
        """The tables as JSON."""
        return status_text(self._ledger, recovering=self._recovering)

    # ── events ──────────────────────────────────────────────────────────────────────────────────────────────

    def _joined(self, now: float, event: PeerJoined) -> None:
        role = ROLES.get(type(event.hello), "")
        if not self._may_enter(event.role, role):
            wanted = f"the key of a {role}" if role else "a key of this cluster"
            self._out.add(Refuse(event.peer, "access_refused", f"this needs {wanted}"))
            return
        match event.hello:
            case messages.RegisterWorker():
                self._workers.join(now, event)
            case messages.RegisterApplication():
                self._applications.join(event, recovering=self._recovering)
            case messages.StatusQuery():
                self._out.add(Accept(event.peer))
                self._out.send(event.peer, messages.StatusReport(self.status()))
            case _:
                self._out.add(Refuse(event.peer, "bad_hello", "a master lets in workers and drivers"))

    def _may_enter(self, proved: str, wanted: str) -> bool:
        if not proved:
            return self._settings.trust_local
        return proved == wanted if wanted else proved in ROLES.values()

    def _received(self, now: float, peer: str, message: Any) -> bool:
        """Whether grants, or what is said about them, may have changed: not by a heartbeat or by a start."""
        worker = self._ledger.workers.of_peer(peer)
        if worker is not None:
            before = worker.life
            self._workers.received(now, worker, message)
            ended = isinstance(message, messages.ExecutorsChanged) and bool(message.ended)
            return ended or worker.life is not before or not worker.connected
        application = self._ledger.applications.of_peer(peer)
        if application is not None:
            self._applications.received(now, application, message)
        return application is not None

    def _connection_changed(self, now: float, peer: str, event: PeerSilent | PeerReturned | PeerLost) -> None:
        worker, application = self._ledger.workers.of_peer(peer), self._ledger.applications.of_peer(peer)
        match event:
            case PeerSilent() if worker is not None:
                self._workers.silent(now, worker)
            case PeerSilent() if application is not None:
                self._applications.silent(now, application)
            case PeerReturned() if worker is not None:
                self._workers.returned(worker)
            case PeerReturned() if application is not None:
                self._applications.returned(application)
            case PeerLost(_, reason) if worker is not None:
                self._workers.lost(worker, reason)
            case PeerLost() if application is not None:
                self._applications.lost(now, application)

    def _timer(self, now: float, name: str) -> None:
        self._timers.pop(name, None)
        match name:
            case "check":
                self._workers.check(now)
            case "grace":
                self._applications.expire(now)
            case "answers":
                self._ledger.press()
            case "rebalance":
                self._rebalance_at = None
                self._rebalance()

    # ── conclusions ─────────────────────────────────────────────────────────────────────────────────────────

    def _conclude(self, now: float) -> None:
        """After each event: leave RECOVERING if all were heard, grant, explain, set timers."""
        if self._recovering and self._workers.unheard() == 0:
            self._recovering = False
            self._applications.recovered()
        if not self._recovering:
            placed = place(self._ledger.seats(), self._needs())
            if placed:
                self._ledger.grant(placed)
        needs = self._needs()
        for need in needs:
            self._explain(need)
        if len(needs) > 1 and any(need.wanted for need in needs) and self._rebalance_at is None:
            self._rebalance_at = now + self._settings.rebalance_s
        self._set_timers()

    def _needs(self) -> list[Need]:
        cap = self._settings.max_executors
        needs = (self._ledger.need(entry, cap) for entry in self._ledger.applications)
        return [need for need in needs if need is not None]

    def _explain(self, need: Need) -> None:
        """Tell a driver why it waits, when that has changed; and once that it does not wait any more."""
        application = self._ledger.applications.get(need.application)
        assert application is not None
        held = len(self._ledger.executors.held(need.application))
        shortage = self._shortage(need, held) if need.wanted else Shortage("", unmet=False)
        if application.said is None and not need.wanted:
            return
        said = messages.QueueState(shortage.text, application.wanted, held, self._alive(), shortage.unmet)
        if application.said != (said.text, said.unmet):
            application.said = (said.text, said.unmet) if need.wanted else None
            self._out.send(application.peer, said)

    def _shortage(self, need: Need, held: int) -> Shortage:
        if self._recovering:
            unheard = self._workers.unheard()
            return Shortage(f"the master has restarted and waits to hear of {unheard} workers", unmet=False)
        return explain(need, self._ledger.seats(), held, self._others(need.application))

    def _others(self, application: str) -> list[str]:
        counts: dict[str, int] = {}
        for entry in self._ledger.executors:
            if entry.application != application:
                counts[entry.application] = counts.get(entry.application, 0) + entry.cores
        return [f"{count} by {name}" for name, count in sorted(counts.items())[:3]]

    def _alive(self) -> int:
        return sum(worker.takes_grants for worker in self._ledger.workers)

    def _rebalance(self) -> None:
        """Ask those above their fair share to give back, or withdraw what was asked."""
        ledger = self._ledger
        asked: dict[str, int] = {}
        if not self._recovering:
            asked = give_back(ledger.seats(), self._needs(), ledger.holdings(), ledger.ending())
        for application in ledger.applications:
            self._ask_back(application, asked.get(application.application, 0))

    def _ask_back(self, application: Application, count: int) -> None:
        """One request at a time: the next when this is fulfilled or withdrawn."""
        if bool(count) != bool(application.asked_back):
            application.asked_back = count
            self._out.send(application.peer, messages.GiveBack(count))

    def _set_timers(self) -> None:
        deadlines = (entry.deadline for entry in self._ledger.executors.pending())
        wanted = {
            CHECK: self._workers.next_check(),
            ANSWERS: min(deadlines, default=None),
            GRACE: self._applications.next_expiry(),
            REBALANCE: self._rebalance_at,
        }
        for name, when in wanted.items():
            self._set_timer(name, when)

    def _set_timer(self, name: str, when: float | None) -> None:
        """A check that comes too early finds nothing and is set anew: cheaper than moving it each second."""
        current = self._timers.get(name)
        if when is None:
            if self._timers.pop(name, None) is not None:
                self._out.add(CancelTimer(name))
        elif current is None or when < current:
            self._timers[name] = when
            self._out.add(SetTimer(name, when))
