"""Executors of a cluster: what the driver says to the master and hears from it and from the workers.

The master only grants; a master that is down for a while stops new grants and nothing else. Its session is dialled
again for ever, and a master that does not know us any more gets the registration anew, with the executors that we
hold. Workers that host executors of ours dial us with their own key, which the grant named; they report exits straight,
and who is stopped by a signal, remove files, and end executors when the master is down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simspark.driver.backend import ExecutorNews
from simspark.publib import machine
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.wire import messages
from simspark.publib.wire.messages import Grant, Owner

REDIAL_FIRST_S = 0.2
REDIAL_MOST_S = 1.0
AWAY = "away"
LATE = "late"
NOT_THERE = ("no_peer", "timeout")


class MasterLink(NamedTuple):
    """How to reach the master: sends one message, or dials again with a registration."""

    send: Callable[[Any], None]
    dial: Callable[[messages.RegisterApplication, int], None]


class WorkerSessions(NamedTuple):
    """How to answer workers that dial us; the listener's methods."""

    send: Callable[[str, Any], object]
    accept: Callable[[str], None]
    refuse: Callable[[str, str, str], None]
    close: Callable[[str], None]


class Membership:
    """What the driver knows of its executors' grants and workers. Of the loop alone; no I/O of its own.

    ``timer`` asks for a call after so many seconds, by name.
    """

    def __init__(self, registration: messages.RegisterApplication, news: ExecutorNews, link: MasterLink,
                 sessions: WorkerSessions, add_owner: Callable[[Owner], None],
                 timer: Callable[[str, float, Callable[[], None]], None], addresses: int = 1) -> None:
        self._registration = registration
        self._news = news
        self._link = link
        self._sessions = sessions
        self._add_owner = add_owner
        self._timer = timer
        self._addresses = addresses
        self._grants: dict[str, Grant] = {}
        self._given_back: set[str] = set()
        self._worker_peers: dict[str, str] = {}
        self._worker_keys: dict[str, str] = {}
        self._paused: dict[str, tuple[str, ...]] = {}
        self._doubts: set[tuple[str, str]] = set()
        self._incarnations: dict[str, int] = {}
        self._wanted = 0
        self._registered = False
        self._redial_s = REDIAL_FIRST_S
        self._dials = 0
        self.application = ""
        self.slots = 0
        self.refused: str | None = None
        self.on_registered: Callable[[], None] = lambda: None

    # ── what the engine wants ────────────────────────────────────────────────────────────────────────────────────

    def want(self, total: int) -> None:
        """So many executors in all."""
        self._wanted = total
        if self._registered:
            self._link.send(messages.AskExecutors(total))

    def end(self, executors: tuple[str, ...], reason: str) -> None:
        """Give executors back; with a reason, have their workers end them even when the master is down.

        A master that never hears it learns it at the next registration, which does not claim them.
        """
        self._given_back.update(executor for executor in executors if executor in self._grants)
        if self._registered:
            self._link.send(messages.ReleaseExecutors(executors))
        for executor in executors:
            grant = self._grants.get(executor)
            peer = None if grant is None else self._worker_peers.get(grant.worker)
            if peer is not None:
                self._sessions.send(peer, messages.KillExecutors((executor,), reason or "released"))

    def remove_files(self, worker: str, prefixes: tuple[str, ...]) -> None:
        """Tell one worker, or all, to remove files."""
        for name, peer in list(self._worker_peers.items()):
            if worker in ("", name):
                self._sessions.send(peer, messages.RemoveFiles(prefixes))

    def finish(self) -> None:
        """The application is over."""
        if self._registered:
            self._link.send(messages.FinishApplication())

    def role_of(self, public_key: str) -> str | None:
        """Who may connect to the driver: its own executors, and workers that grants have named. Any thread."""
        if public_key == self._registration.executor_public:
            return f"executor:{self.application}"
        if public_key in list(self._worker_keys.values()):
            return "worker"
        return None

    # ── what the master says ─────────────────────────────────────────────────────────────────────────────────────

    def handle_master(self, event: Any) -> None:
        """An event of the session with the master."""
        match event:
            case machine.Received(_, message):
                self._handle_master_message(message)
            case machine.PeerLost(_, reason):
                self._lost_master(reason)

    def _handle_master_message(self, message: Any) -> None:
        match message:
            case messages.ApplicationRegistered(application, _, lost, slots):
                self.slots = slots
                self._register(application, lost)
            case messages.ExecutorsGranted(grants):
                for grant in grants:
                    self._take_grant(grant)
            case messages.ExecutorsGone(ended):
                for exit_ in ended:
                    self._end_executor(exit_)
            case messages.WorkersChanged(workers):
                for state in workers:
                    self._change_worker(state)
            case messages.GiveBack(count):
                self._news.give_back(count)
            case messages.QueueState(text, _, _, _, unmet):
                self._news.queue_changed(text, unmet)

    def _register(self, application: str, lost: tuple[str, ...]) -> None:
        self.application = application
        self._registered = True
        self._redial_s = REDIAL_FIRST_S
        for executor in lost:
            self._end_executor(messages.ExecutorExit(executor, -1, 0, 0, "the master gave it up"))
        self.on_registered()
        self._link.send(messages.AskExecutors(self._wanted))

    def _take_grant(self, grant: Grant) -> None:
        self._grants[grant.executor] = grant
        self._incarnations[grant.worker] = grant.incarnation
        self._worker_keys[grant.worker] = grant.worker_key  # kept when the executors go: their files are still there
        self._news.expect(grant.executor, grant.worker, grant.host)

    def _end_executor(self, ended: messages.ExecutorExit) -> None:
        self._given_back.discard(ended.executor)
        if self._grants.pop(ended.executor, None) is not None:
            self._news.gone(ended)

    def _change_worker(self, state: messages.WorkerState) -> None:
        known = self._incarnations.get(state.worker)
        if known is None or state.incarnation < known:
            return
        if state.state == "dead":
            self._lose_worker(state.worker)
        else:
            self._doubt(state.worker, LATE, state.state == "late")
        self._news.worker_changed(state.worker, state.state, f"worker {state.worker} is {state.state}")

    def _lose_worker(self, worker: str) -> None:
        self._incarnations.pop(worker, None)
        self._worker_keys.pop(worker, None)
        self._paused.pop(worker, None)
        self._doubts -= {(worker, LATE), (worker, AWAY)}
        for executor in [name for name, grant in self._grants.items() if grant.worker == worker]:
            del self._grants[executor]
            self._given_back.discard(executor)
        peer = self._worker_peers.pop(worker, None)
        if peer is not None:
            self._sessions.close(peer)

    def _lost_master(self, reason: str) -> None:
        self._registered = False
        if not self.application and (self._dials >= self._addresses or not reason.startswith(NOT_THERE)):
            self.refused = reason
            self.on_registered()
            return
        self._timer("redial-master", self._redial_s, self.redial)
        self._redial_s = min(REDIAL_MOST_S, self._redial_s * 2)

    def redial(self) -> None:
        """Dial the master, the next of its addresses, with what we hold."""
        self._dials += 1
        held = tuple(executor for executor in self._grants if executor not in self._given_back)
        registration = self._registration._replace(application=self.application, executors=held)
        self._link.dial(registration, self._dials - 1)

    # ── what workers say ─────────────────────────────────────────────────────────────────────────────────────────

    def handle_worker(self, event: Any) -> bool:
        """An event of the listener; True when it was a worker's."""
        match event:
            case machine.PeerJoined(peer, role, key, messages.WorkerHello() as hello):
                self._join_worker(peer, role, key, hello)
                return True
            case machine.Received(peer, messages.ExecutorsExited(ended)):
                if peer in self._worker_peers.values():
                    for exit_ in ended:
                        self._end_executor(exit_)
                return True
            case machine.Received(peer, messages.ExecutorsPaused(executors)):
                for worker, known in self._worker_peers.items():
                    if known == peer:
                        self._pause(worker, executors)
                return True
            case machine.PeerSilent(peer) | machine.PeerReturned(peer) | machine.PeerLost(peer, _):
                for worker, known in list(self._worker_peers.items()):
                    if known == peer:
                        if isinstance(event, machine.PeerLost):
                            del self._worker_peers[worker]
                        self._doubt(worker, AWAY, not isinstance(event, machine.PeerReturned))
                        return True
        return False

    def _join_worker(self, peer: str, role: str, key: str, hello: messages.WorkerHello) -> None:
        granted = self._worker_keys.get(hello.worker) == key
        if role != "worker" or not granted or hello.owner.owner != hello.worker:
            self._sessions.refuse(peer, "access_refused", "this worker hosts nothing of the application")
            return
        if hello.incarnation < self._incarnations.get(hello.worker, 0):
            self._sessions.refuse(peer, "old_incarnation", "a newer incarnation of this worker is known")
            return
        self._sessions.accept(peer)
        self._worker_peers[hello.worker] = peer
        self._incarnations[hello.worker] = hello.incarnation
        self._add_owner(hello.owner)
        self._pause(hello.worker, ())
        self._doubt(hello.worker, AWAY, False)

    def _doubt(self, worker: str, why: str, is_doubted: bool) -> None:
        """A worker is out of reach of us or of the master, or no more so: as long as it is of one, it is doubted."""
        reason = worker, why
        if is_doubted == (reason in self._doubts):
            return
        self._doubts ^= {reason}
        if not {(worker, LATE), (worker, AWAY)} & (self._doubts - {reason}):
            self._news.doubted(worker, is_doubted)
            for executor in () if is_doubted else self._paused.get(worker, ()):
                self._news.stopped(executor, True)  # its silence was the same

    def _pause(self, worker: str, executors: tuple[str, ...]) -> None:
        """These executors of a worker, and no other, are stopped by a signal now."""
        before = self._paused.get(worker, ())
        self._paused[worker] = executors
        for executor in {*before, *executors}:
            grant = self._grants.get(executor)
            if grant is not None and grant.worker == worker and (executor in before) != (executor in executors):
                self._news.stopped(executor, executor in executors)

