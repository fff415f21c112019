"""The worker as a state machine: events in, effects out.

It starts and ends executors on the master's word and watches over them. Guarantees:

* A master that is down changes nothing for what runs; it is dialled again for ever, with a bounded
  back-off, and each new session names what still runs. Ends of executors that the master may have missed
  are told again.
* What the master says to kill after a registration (an older incarnation, an unknown application) is killed.
* An application's driver hears straight from here which executors have ended, and which a signal has stopped. It
  may end its own executors and remove its own files, nobody else's.
* An application is removed when the master says so, or when it runs nothing here and its driver is out of
  reach for ``orphan_grace_s``: its driver can compute anew what it loses, while nobody else would ever
  remove it.
"""

from __future__ import annotations

from typing import Any

from simspark.publib.machine import (
    CancelTimer,
    Close,
    PeerJoined,
    PeerLost,
    PeerReturned,
    PeerSilent,
    Received,
    Send,
    SetTimer,
    TimerFired,
)
from simspark.publib.wire import messages
from simspark.publib.wire.messages import ExecutorExit, ExecutorSpec
from simspark.worker.supervision import (
    HEARTBEAT,
    MASTER,
    PHASES,
    Dial,
    ExecutorExited,
    ExecutorPaused,
    ExecutorStarted,
    Hosted,
    IllegalTransition,
    Leave,
    LoadMeasured,
    Phase,
    RemoveApplication,
    RemoveFiles,
    ShutDown,
    StartExecutors,
    StopExecutor,
    WorkerSettings,
)

__all__ = [
    "Dial", "ExecutorExited", "ExecutorPaused", "ExecutorStarted", "Leave", "LoadMeasured", "RemoveApplication",
    "RemoveFiles", "ShutDown", "StartExecutors", "StopExecutor", "WorkerCore", "WorkerSettings",
]  # fmt: skip

DRAINED = "drained"
KEPT_EXITS = 1000
EXITS_IN_MESSAGE = 100
EXIT_TEXT_LIMIT = 2000


class WorkerCore:
    """See the module. ``start`` once, then ``handle`` for each event; neither blocks."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._effects: list[Any] = []
        self._phase = Phase.NEW
        self._worker = ""
        self._incarnation = 0
        self._heartbeat_s = 1.0
        self._load = LoadMeasured(0.0, 0)
        self._redial_s = settings.redial_first_s
        self._hosted: dict[str, Hosted] = {}
        self._application_of: dict[str, str] = {}
        self._exits: list[ExecutorExit] = []

    @property
    def phase(self) -> Phase:
        """Where the worker stands with its master."""
        return self._phase

    @property
    def identity(self) -> tuple[str, int]:
        """Its id and incarnation; "" and 0 before the first registration."""
        return self._worker, self._incarnation

    def running(self) -> tuple[str, ...]:
        """The executors that were started here and have not ended."""
        return tuple(self._application_of)

    def applications(self) -> tuple[str, ...]:
        """The applications that have executors or files here."""
        return tuple(self._hosted)

    def start(self, now: float) -> list[Any]:
        """Begin: dial the master."""
        del now  # a worker waits for nothing at first
        self._dial_master()
        return self._take()

    def handle(self, now: float, event: Any) -> list[Any]:
        """Take one event and return the effects to perform, in order."""
        match event:
            case Received(peer, message):
                self._received(now, peer, message)
            case LoadMeasured():
                self._load = event
            case TimerFired(name):
                self._timer(now, name)
            case ExecutorStarted(executor):
                self._started(executor)
            case ExecutorPaused(executor, is_paused):
                self._paused(executor, is_paused)
            case ExecutorExited():
                self._exited(now, ExecutorExit(*event))
            case PeerJoined(peer) | PeerReturned(peer):
                self._connected(peer, joined=isinstance(event, PeerJoined))
            case PeerSilent(peer):
                self._silent(now, peer)
            case PeerLost(peer):
                self._lost(now, peer)
            case ShutDown(reason):
                self._shut_down(now, reason)
            case _:
                raise TypeError(f"a worker has no event {type(event).__name__}")
        return self._take()

    def _take(self) -> list[Any]:
        effects, self._effects = self._effects, []
        return effects

    def _add(self, effect: Any) -> None:
        self._effects.append(effect)

    def _become(self, phase: Phase) -> None:
        if phase not in PHASES[self._phase]:
            raise IllegalTransition(f"a worker that is {self._phase.value} cannot become {phase.value}")
        self._phase = phase

    # ── the master ──────────────────────────────────────────────────────────────────────────────────────────

    def _dial_master(self) -> None:
        self._become(Phase.DIALLING)
        settings = self._settings
        held = tuple(
            messages.HeldExecutor(spec.executor, spec.application, spec.cores, spec.memory_bytes)
            for hosted in self._hosted.values() for spec in hosted.running.values()
        )  # fmt: skip
        hello = messages.RegisterWorker(
            settings.name, settings.host, settings.process, settings.slots, settings.memory_bytes,
            settings.labels, settings.block_endpoint, self._worker, self._incarnation, held,
        )  # fmt: skip
        self._add(Dial(MASTER, settings.master_endpoint, settings.master_key, hello))

    def _lost_master(self, now: float) -> None:
        if self._phase in (Phase.DRAINING, Phase.GONE):
            return
        self._become(Phase.DIALLING)
        self._add(CancelTimer(HEARTBEAT))
        self._add(SetTimer(f"redial:{MASTER}", now + self._redial_s))
        self._redial_s = min(self._settings.redial_most_s, self._redial_s * 2)

    def _registered(self, now: float, message: messages.WorkerRegistered) -> None:
        if self._phase is not Phase.OPEN:
            return
        self._become(Phase.REGISTERED)
        self._worker, self._incarnation = message.worker, message.incarnation
        self._heartbeat_s = message.heartbeat_s
        self._redial_s = self._settings.redial_first_s
        self._stop(message.kill, "the master does not know it any more")
        self._repeat_reports(message.kill)
        self._beat(now)

    def _repeat_reports(self, kill: tuple[str, ...]) -> None:
        """What the last session may have lost; a master that knows it already ignores it."""
        exits, self._exits = self._exits, []
        started = tuple(name for name in self._application_of if name not in kill)
        if exits or started:
            self._report(started, tuple(exits[:EXITS_IN_MESSAGE]))
        for start in range(EXITS_IN_MESSAGE, len(exits), EXITS_IN_MESSAGE):
            self._report((), tuple(exits[start : start + EXITS_IN_MESSAGE]))

    def _report(self, started: tuple[str, ...], ended: tuple[ExecutorExit, ...]) -> None:
        """Tell the master; ends are kept for a repetition after the next registration."""
        self._exits = [*self._exits, *ended][-KEPT_EXITS:]
        if self._phase is Phase.REGISTERED or (self._phase is Phase.DRAINING and self._incarnation):
            self._add(Send(MASTER, messages.ExecutorsChanged(self._incarnation, started, ended)))

    def _beat(self, now: float) -> None:
        if self._phase is not Phase.REGISTERED:
            return
        beat = messages.Heartbeat(self._incarnation, len(self._application_of), *self._load)
        self._add(Send(MASTER, beat))
        self._add(SetTimer(HEARTBEAT, now + self._heartbeat_s))

    # ── sessions ────────────────────────────────────────────────────────────────────────────────────────────

    def _connected(self, peer: str, *, joined: bool) -> None:
        if peer == MASTER:
            if joined and self._phase is Phase.DIALLING:
                self._become(Phase.OPEN)
            return
        hosted = self._of_peer(peer)
        if hosted is None:
            self._add(Close(peer))
            return
        hosted.connected = True
        hosted.redial_s = self._settings.redial_first_s
        self._add(CancelTimer(f"orphan:{hosted.application}"))
        for start in range(0, len(hosted.exits) if joined else 0, EXITS_IN_MESSAGE):
            some = tuple(hosted.exits[start : start + EXITS_IN_MESSAGE])
            self._add(Send(peer, messages.ExecutorsExited(some)))
        if joined and hosted.paused:
            self._tell_paused(hosted)

    def _silent(self, now: float, peer: str) -> None:
        hosted = self._of_peer(peer)
        if hosted is not None and hosted.connected:
            hosted.connected = False
            self._watch_orphan(now, hosted)

    def _lost(self, now: float, peer: str) -> None:
        if peer == MASTER:
            self._lost_master(now)
            return
        hosted = self._of_peer(peer)
        if hosted is None:
            return
        self._silent(now, peer)
        self._add(SetTimer(f"redial:{peer}", now + hosted.redial_s))
        hosted.redial_s = min(self._settings.redial_most_s, hosted.redial_s * 2)

    def _of_peer(self, peer: str) -> Hosted | None:
        kind, _, application = peer.partition(":")
        return self._hosted.get(application) if kind == "driver" else None

    def _dial_driver(self, hosted: Hosted) -> None:
        owner = messages.Owner(self._worker, "", "", self._settings.block_endpoint, "")
        hello = messages.WorkerHello(self._worker, self._incarnation, self._settings.host, owner)
        self._add(Dial(hosted.peer, hosted.driver_endpoint, hosted.driver_key, hello))

    def _received(self, now: float, peer: str, message: Any) -> None:
        if peer == MASTER:
            self._received_from_master(now, message)
            return
        hosted = self._of_peer(peer)
        if hosted is None:
            return
        match message:
            case messages.KillExecutors(executors, reason):
                self._stop(tuple(name for name in executors if name in hosted.running), reason)
            case messages.RemoveFiles(prefixes):
                self._add(RemoveFiles(hosted.application, prefixes))

    def _received_from_master(self, now: float, message: Any) -> None:
        match message:
            case messages.WorkerRegistered():
                self._registered(now, message)
            case messages.LaunchExecutors(executors):
                self._launch(executors)
            case messages.KillExecutors(executors, reason):
                self._kill(executors, reason)
            case messages.ForgetApplications(applications):
                for application in applications:
                    self._forget(application)

    # ── executors ───────────────────────────────────────────────────────────────────────────────────────────

    def _launch(self, specs: tuple[ExecutorSpec, ...]) -> None:
        fresh = tuple(spec for spec in specs if spec.executor not in self._application_of)
        if self._phase is not Phase.REGISTERED:
            self._report((), tuple(_never(spec.executor, "its worker leaves") for spec in fresh))
            return
        for spec in fresh:
            self._host(spec).running[spec.executor] = spec
            self._application_of[spec.executor] = spec.application
        if fresh:
            self._add(StartExecutors(fresh))

    def _host(self, spec: ExecutorSpec) -> Hosted:
        """The application's entry; its driver is dialled when it is new or has moved."""
        name, driver = spec.application, (spec.driver_endpoint, spec.driver_key)
        hosted = self._hosted.get(name)
        if hosted is None or (hosted.driver_endpoint, hosted.driver_key) != driver:
            running = hosted.running if hosted else {}
            hosted = self._hosted[name] = Hosted(name, *driver, self._settings.redial_first_s)
            hosted.running = running
            self._dial_driver(hosted)
        hosted.leaving = False
        self._add(CancelTimer(f"orphan:{name}"))
        return hosted

    def _kill(self, executors: tuple[str, ...], reason: str) -> None:
        """On the master's word. What does not run here is reported as ended: its slot must not stay taken."""
        unknown = tuple(name for name in executors if name not in self._application_of)
        if unknown:
            self._report((), tuple(_never(name, "not running here") for name in unknown))
        self._stop(executors, reason)

    def _stop(self, executors: tuple[str, ...], reason: str) -> None:
        for name in executors:
            if name in self._application_of:
                self._add(StopExecutor(name, reason))

    def _started(self, executor: str) -> None:
        if executor in self._application_of:
            self._report((executor,), ())

    def _paused(self, executor: str, is_paused: bool) -> None:
        application = self._application_of.get(executor)
        if application is None:
            return
        hosted = self._hosted[application]
        if is_paused != (executor in hosted.paused):
            hosted.paused = [*hosted.paused, executor] if is_paused else _without(hosted.paused, executor)
            if hosted.connected:
                self._tell_paused(hosted)

    def _tell_paused(self, hosted: Hosted) -> None:
        self._add(Send(hosted.peer, messages.ExecutorsPaused(tuple(hosted.paused))))

    def _exited(self, now: float, ended: ExecutorExit) -> None:
        application = self._application_of.pop(ended.executor, None)
        if application is None:
            return
        ended = ended._replace(text=ended.text[-EXIT_TEXT_LIMIT:])
        self._report((), (ended,))
        hosted = self._hosted[application]
        del hosted.running[ended.executor]
        hosted.paused = _without(hosted.paused, ended.executor)
        hosted.exits = [*hosted.exits, ended][-KEPT_EXITS:]
        if hosted.connected:
            self._add(Send(hosted.peer, messages.ExecutorsExited((ended,))))
        if not hosted.running:
            self._emptied(now, hosted)
        if self._phase is Phase.DRAINING and not self._application_of:
            self._leave()

    def _emptied(self, now: float, hosted: Hosted) -> None:
        if hosted.leaving:
            self._remove(hosted)
        elif not hosted.connected:
            self._watch_orphan(now, hosted)

    # ── applications that end ───────────────────────────────────────────────────────────────────────────────

    def _forget(self, application: str) -> None:
        hosted = self._hosted.get(application)
        if hosted is None:
            return
        hosted.leaving = True
        self._stop(tuple(hosted.running), "its application is over")
        if not hosted.running:
            self._remove(hosted)

    def _remove(self, hosted: Hosted) -> None:
        del self._hosted[hosted.application]
        for timer in ("orphan:" + hosted.application, "redial:" + hosted.peer):
            self._add(CancelTimer(timer))
        self._add(Close(hosted.peer))
        self._add(RemoveApplication(hosted.application))

    def _watch_orphan(self, now: float, hosted: Hosted) -> None:
        if not hosted.running:
            self._add(SetTimer(f"orphan:{hosted.application}", now + self._settings.orphan_grace_s))

    # ── timers and the end ──────────────────────────────────────────────────────────────────────────────────

    def _timer(self, now: float, name: str) -> None:
        kind, _, subject = name.partition(":")
        if kind == HEARTBEAT:
            self._beat(now)
        elif kind == DRAINED and self._phase is Phase.DRAINING:
            self._leave()
        elif name == f"redial:{MASTER}" and self._phase is Phase.DIALLING:
            self._dial_master()
        elif kind == "redial":
            hosted = self._of_peer(subject)
            if hosted is not None:
                self._dial_driver(hosted)
        elif kind == "orphan":
            hosted = self._hosted.get(subject)
            if hosted is not None and not hosted.running and not hosted.connected:
                self._remove(hosted)

    def _shut_down(self, now: float, reason: str) -> None:
        """Leave: end what runs, within ``drain_s``, then say good-bye."""
        if self._phase in (Phase.DRAINING, Phase.GONE):
            return
        self._become(Phase.DRAINING)
        self._stop(tuple(self._application_of), reason)
        self._add(CancelTimer(HEARTBEAT))
        if self._application_of:
            self._add(SetTimer(DRAINED, now + self._settings.drain_s))
        else:
            self._leave()

    def _leave(self) -> None:
        self._become(Phase.GONE)
        for hosted in list(self._hosted.values()):
            self._remove(hosted)
        self._add(CancelTimer(DRAINED))
        self._add(Close(MASTER))
        self._add(Leave())


def _without(names: list[str], gone: str) -> list[str]:
    return [name for name in names if name != gone]


def _never(executor: str, text: str) -> ExecutorExit:
    return ExecutorExit(executor, -1, 0, 0, text)
