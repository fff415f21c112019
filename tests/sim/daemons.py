"""Simulated shells of the master and the worker: the real cores, and effects performed in the simulated world."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simspark.master.core import MasterCore
from simspark.master.records import Known, Persist, fold
from simspark.publib import machine
from simspark.publib.wire import messages
from simspark.worker import core as worker_core
from tests.sim.network import Dialer, Listener
from tests.sim.world import Host, Process

if TYPE_CHECKING:
    from tests.sim.executor import SimExecutor
    from tests.sim.simulation import Simulation

MASTER_ENDPOINT = "tcp://master"
CONNECT_TIMEOUT_S = 4.0


class Timers:
    """Named timers of one process: setting one again replaces it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._current: dict[str, int] = {}
        self._number = 0

    def set(self, name: str, when: float, call: Callable[[], None]) -> None:
        self._number += 1
        self._current[name] = self._number
        self._process.call_at(when, self._fire, name, self._number, call)

    def cancel(self, name: str) -> None:
        self._current.pop(name, None)

    def _fire(self, name: str, number: int, call: Callable[[], None]) -> None:
        if self._current.get(name) == number:
            del self._current[name]
            call()

    def __len__(self) -> int:
        return len(self._current)


class SimMaster(Process):
    """The master daemon. Its journal outlives it."""

    core_class: type[MasterCore] = MasterCore

    def __init__(self, sim: Simulation, host: Host) -> None:
        super().__init__(sim.world, f"master#{sim.next_process()}", host)
        self.sim = sim
        self.timers = Timers(self)
        self.heard: dict[str, float] = {}
        known = Known()
        for record in sim.journal.replay():
            known = fold(known, record)
        epoch = known.epoch + 1
        self._persist(_epoch_record(epoch, known))
        self.core = self.core_class(sim.plan.master_settings, epoch, known)
        self.unheard = set(known.workers)
        self.started_at = sim.world.now
        self.listener = Listener(sim.network, self, MASTER_ENDPOINT, self.step)
        self._perform(self.core.start(sim.world.now))

    def died(self) -> None:
        self.sim.journal.crash(self.sim.world.random)
        self.sim.process_died(self)

    def step(self, event: Any) -> None:
        self._hear(event)
        self._perform(self.core.handle(self.world.now, event))
        self.sim.judge.after_master(self)

    def _hear(self, event: Any) -> None:
        """Who has spoken, as the judge of grants sees it."""
        kind = type(event)
        if kind is machine.Received:
            self.heard[event.peer] = self.world.now
        elif kind is machine.PeerJoined:
            self.heard[event.peer] = self.world.now
            if isinstance(event.hello, messages.RegisterWorker):
                self.unheard.discard(event.hello.worker)

    def _persist(self, record: Any) -> None:
        self.sim.journal.append(record)
        self.sim.journal.sync()

    def _perform(self, effects: list[Any]) -> None:
        for effect in effects:
            if not self.alive:
                return
            match effect:
                case machine.Send(peer, message):
                    if isinstance(message, messages.LaunchExecutors):
                        self.sim.judge.granted(self, peer, message)
                    self.listener.send(peer, message)
                case machine.SetTimer(name, when):
                    self.timers.set(name, when, lambda name=name: self.step(machine.TimerFired(name)))
                case machine.CancelTimer(name):
                    self.timers.cancel(name)
                case machine.Accept(peer):
                    self.listener.accept(peer)
                case machine.Refuse(peer, code, text):
                    self.listener.refuse(peer, code, text)
                case machine.Close(peer):
                    self.listener.close_peer(peer)
                case Persist(record):
                    self._persist(record)
                    self.sim.journal_written(self)
                case machine.Emit():
                    pass
                case _:
                    raise TypeError(f"the master's shell has no effect {effect!r}")


def _epoch_record(epoch: int, known: Known) -> Any:
    from simspark.master.records import EpochStarted

    return EpochStarted(epoch, known.worker_number)


class SimWorker(Process):
    """A worker daemon with its launcher and its block server; its executors are its children."""

    core_class: type[worker_core.WorkerCore] = worker_core.WorkerCore

    def __init__(self, sim: Simulation, host: Host, slot: int) -> None:
        number = sim.next_process()
        super().__init__(sim.world, f"worker {host.name}#{number}", host)
        self.sim = sim
        self.slot = slot
        self.timers = Timers(self)
        self.children: dict[str, SimExecutor] = {}
        self.doomed: set[str] = set()
        self.sessions: dict[str, Dialer] = {}
        self.directories: dict[str, str] = {}
        self.endpoint = f"tcp://{host.name}:{number}"
        sim.block_servers[self.endpoint] = self
        sim.clean_start(host)
        settings = sim.plan.worker_settings._replace(
            name=f"w-{host.name}", host=host.name, process=number, slots=sim.plan.slots, memory_bytes=1 << 30,
            block_endpoint=self.endpoint, master_endpoint=MASTER_ENDPOINT)  # fmt: skip
        self.core = self.core_class(settings)
        self._perform(self.core.start(sim.world.now))

    def died(self) -> None:
        """The children see the end of the pipe."""
        for child in self.children.values():
            child.call_in(0.2, child.kill)
            if child.paused:
                self.sim.world.call_in(0.3, child.kill)
        self.sim.process_died(self)

    def child_died(self, child: SimExecutor) -> None:
        if self.alive:
            status, signal = (child.exit_status, 0) if child.exit_status >= 0 else (-1, 9)
            self.call_in(0.002, self._exited, child.spec.executor, status, signal)

    def _exited(self, executor: str, status: int, signal: int) -> None:
        if self.children.pop(executor, None) is not None:
            self.step(worker_core.ExecutorExited(executor, status, signal, 0, ""))

    def step(self, event: Any) -> None:
        self._perform(self.core.handle(self.world.now, event))
        self.sim.judge.after_worker(self)

    def _perform(self, effects: list[Any]) -> None:
        for effect in effects:
            if not self.alive:
                return
            match effect:
                case machine.Send(peer, message):
                    session = self.sessions.get(peer)
                    if session is not None:
                        session.send(message)
                case machine.SetTimer(name, when):
                    self.timers.set(name, when, lambda name=name: self.step(machine.TimerFired(name)))
                case machine.CancelTimer(name):
                    self.timers.cancel(name)
                case worker_core.Dial(peer, endpoint, _, hello):
                    self._dial(peer, endpoint, hello)
                case machine.Close(peer):
                    session = self.sessions.pop(peer, None)
                    if session is not None:
                        session.close()
                case worker_core.StartExecutors(specs):
                    for spec in specs:
                        self.call_in(0.002 + 0.003 * self.world.random.random(), self._fork, spec)
                case worker_core.StopExecutor(executor, _):
                    child = self.children.get(executor)
                    if child is not None:
                        self.call_in(0.05, child.kill)
                    else:
                        self.doomed.add(executor)
                case worker_core.RemoveApplication(application):
                    self.sim.disk(self.host).remove_directory(self.directory(application))
                case worker_core.RemoveFiles(application, prefixes):
                    self.sim.disk(self.host).remove(self.directory(application), prefixes)
                case worker_core.Leave():
                    self.kill()
                case _:
                    raise TypeError(f"the worker's shell has no effect {effect!r}")

    def directory(self, application: str) -> str:
        return f"{self.host.name}:{self.name}:{application}"

    def _fork(self, spec: messages.ExecutorSpec) -> None:
        from tests.sim.executor import SimExecutor

        self.sim.disk(self.host).make(self.directory(spec.application))
        if self.sim.refuses_fork(self):
            self.step(worker_core.ExecutorExited(spec.executor, -1, 0, 0, "cannot fork"))
            return
        self.children[spec.executor] = SimExecutor(self.sim, self.host, spec, self)
        self.step(worker_core.ExecutorStarted(spec.executor, 1))
        if spec.executor in self.doomed:
            self.doomed.discard(spec.executor)
            self.children[spec.executor].kill()

    def _dial(self, peer: str, endpoint: str, hello: Any) -> None:
        old = self.sessions.pop(peer, None)
        if old is not None:
            old.close()
        if isinstance(hello, messages.WorkerHello):
            application = peer.partition(":")[2]
            directory = self.directory(application)
            self.sim.disk(self.host).make(directory)
            hello = hello._replace(owner=hello.owner._replace(directory=directory, token=directory))

        def handle(event: Any) -> None:
            if self.sessions.get(peer) is not session:
                return
            if type(event) is machine.PeerLost:
                del self.sessions[peer]
            self.step(event._replace(peer=peer))

        session = Dialer(
            self.sim.network, self, endpoint, hello, handle, "worker", f"key of {self.host.name}", CONNECT_TIMEOUT_S
        )
        self.sessions[peer] = session
