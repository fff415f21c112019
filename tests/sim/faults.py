"""Faults: each strikes once, at its phase, and is undone by itself or at the healing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.sim.daemons import SimMaster, SimWorker
from tests.sim.executor import SimExecutor
from tests.sim.plan import Fault
from tests.sim.world import Host, Process

if TYPE_CHECKING:
    from tests.sim.driver import SimDriver
    from tests.sim.simulation import Simulation

CLOCK_STEP_S = 3600.0
OVERFLOW_FRAMES = 12
MASTER_BACK_S = 6.0


class Saboteur:
    """Waits for the phases of a plan's faults."""

    def __init__(self, sim: Simulation, faults: tuple[Fault, ...]) -> None:
        self.sim = sim
        self.waiting: dict[str, list[list[object]]] = {}
        for fault in faults:
            self.waiting.setdefault(fault.phase, []).append([fault.nth, fault])
        self.hits: dict[tuple[str, str], int] = {}

    def on_phase(self, phase: str, process: Process) -> None:
        """Somebody is at a named place."""
        pending = self.waiting.get(phase)
        if not pending or self.sim.world.healed:
            return
        for entry in list(pending):
            entry[0] -= 1  # type: ignore[operator]
            fault = entry[1]
            assert isinstance(fault, Fault)
            if entry[0] <= 0 and process.alive and self._strike(fault, process):  # type: ignore[operator]
                pending.remove(entry)
                self.count(fault.kind.strip(), phase)

    def count(self, kind: str, phase: str) -> None:
        self.hits[kind, phase] = self.hits.get((kind, phase), 0) + 1

    def _strike(self, fault: Fault, process: Process) -> bool:
        self.sim.world.note("fault", fault.kind, "at", fault.phase, process)
        verb, _, whom = fault.kind.strip().partition(" ")
        return self._verbs()[verb](whom, fault, process)

    def _verbs(self) -> dict[str, Callable[[str, Fault, Process], bool]]:
        return {
            "kill": self._kill, "stop": self._stop, "cut": self._cut, "reset": self._reset, "power": self._power,
            "disk": self._disk, "overflow": self._overflow, "clock": self._clock, "evict": self._evict,
            "forget": self._forget, "corrupt": self._corrupt, "lose": self._lose, "refuse": self._refuse,
        }  # fmt: skip

    # ── who ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _find(self, whom: str, process: Process) -> Process | None:
        return {"executor": self._executor, "worker": self._worker, "driver": self._driver, "master": self._master}[
            whom
        ](process)

    def _executor(self, process: Process) -> SimExecutor | None:
        if isinstance(process, SimExecutor):
            return process
        everyone = [other for other in self.sim.world.processes.values() if isinstance(other, SimExecutor)]
        if isinstance(process, SimWorker):
            everyone = list(process.children.values()) or everyone
        return everyone[0] if everyone else None

    def _worker(self, process: Process) -> SimWorker | None:
        if isinstance(process, SimExecutor):
            return process.parent if process.parent.alive else None
        if isinstance(process, SimWorker):
            return process
        workers = [worker for worker in self.sim.workers if worker.alive]
        return workers[self.sim.world.random.randrange(len(workers))] if workers else None

    def _driver(self, process: Process) -> SimDriver | None:
        drivers = [driver for driver in self.sim.drivers if driver.alive]
        if isinstance(process, SimExecutor):
            drivers = [driver for driver in drivers if driver.endpoint == process.spec.driver_endpoint] or drivers
        elif process in drivers:
            return process  # type: ignore[return-value]
        return drivers[0] if drivers else None

    def _master(self, _process: Process) -> SimMaster | None:
        return self.sim.master if self.sim.master is not None and self.sim.master.alive else None

    # ── what ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _kill(self, whom: str, fault: Fault, process: Process) -> bool:
        if whom == "workers":
            return self._kill_workers(fault)
        target = self._find(whom, process)
        if target is None:
            return False
        if isinstance(target, SimMaster):
            self.sim.world.call_in(fault.seconds, self.sim.start_master)
        elif isinstance(target, SimWorker):
            self.sim.world.call_in(fault.seconds, self.sim.start_worker, target.slot)
        target.kill()
        return True

    def _kill_workers(self, fault: Fault) -> bool:
        """All daemons of workers at once; their executors see it a moment later."""
        living = [worker for worker in self.sim.workers if worker.alive]
        for worker in living:
            self.sim.world.call_in(fault.seconds, self.sim.start_worker, worker.slot)
            worker.kill()
        return bool(living)

    def _stop(self, whom: str, fault: Fault, process: Process) -> bool:
        target = self._find(whom, process)
        if target is None or target.paused:
            return False
        target.pause(fault.seconds)
        return True

    def _cut(self, whom: str, fault: Fault, process: Process) -> bool:
        hosts = self.sim.hosts
        inside = [process.host]
        if whom == "driver":
            driver = self._driver(process)
            if driver is None:
                return False
            inside = [driver.host]
        elif whom == "halves":
            inside = [host for index, host in enumerate(hosts) if index % 2]
        outside = [host for host in hosts if host not in inside]
        if whom == "workers":
            inside, outside = self._pair(process)
        pairs = {(a.index, b.index) for a in inside for b in outside}
        if whom != "one way":
            pairs |= {(b, a) for a, b in pairs}
        elif self.sim.world.random.random() < 0.5:
            pairs = {(b, a) for a, b in pairs}
        self.sim.network.cut(pairs)
        self.sim.world.call_in(fault.seconds, self.sim.network.heal, pairs)
        return True

    def _pair(self, process: Process) -> tuple[list[Host], list[Host]]:
        """Two machines of workers that everybody else reaches."""
        homes = [worker.host for worker in self.sim.workers]
        one = process.host if process.host in homes else homes[0]
        return [one], [next(host for host in homes if host is not one)]

    def _reset(self, whom: str, _fault: Fault, process: Process) -> bool:
        target = self._find(whom, process)
        if target is None:
            return False
        self.sim.network.reset(target)
        return True

    def _power(self, _whom: str, fault: Fault, process: Process) -> bool:
        """The machine of a worker: all its processes and what was not synced."""
        worker = self._worker(process)
        if worker is None:
            return False
        host: Host = worker.host
        for other in [entry for entry in self.sim.world.processes.values() if entry.host is host]:
            other.kill()
        self.sim.disk(host).lose_power(self.sim.world.random)
        self.sim.world.call_in(fault.seconds, self.sim.start_worker, worker.slot)
        return True

    def _disk(self, _whom: str, fault: Fault, process: Process) -> bool:
        worker = self._worker(process)
        if worker is None:
            return False
        disk = self.sim.disk(worker.host)
        disk.full = True
        self.sim.world.call_in(fault.seconds, setattr, disk, "full", False)
        return True

    def _overflow(self, _whom: str, fault: Fault, process: Process) -> bool:
        """Queues hold next to nothing while a machine is cut off."""
        network = self.sim.network
        usual = network.queue_frames
        network.queue_frames = OVERFLOW_FRAMES
        self.sim.world.call_in(fault.seconds, setattr, network, "queue_frames", usual)
        return self._cut("node", fault, process)

    def _clock(self, _whom: str, _fault: Fault, process: Process) -> bool:
        process.host.wall_offset_s += CLOCK_STEP_S
        return True

    def _evict(self, _whom: str, _fault: Fault, process: Process) -> bool:
        target = self._executor(process)
        if target is None or target.session is None:
            return False
        target.evict()
        return True

    def _forget(self, _whom: str, _fault: Fault, process: Process) -> bool:
        target = self._executor(process)
        if target is None:
            return False
        target.forget_code()
        return True

    def _corrupt(self, _whom: str, _fault: Fault, process: Process) -> bool:
        return self._damage(process, corrupt=True)

    def _lose(self, _whom: str, _fault: Fault, process: Process) -> bool:
        return self._damage(process, corrupt=False)

    def _map_outputs(self, host: Host) -> list[tuple[Host, str, str]]:
        directories = self.sim.disk(host).directories
        return [
            (host, directory, name)
            for directory, files in directories.items() for name in files if name.startswith("shuffle")
        ]  # fmt: skip

    def _damage(self, process: Process, *, corrupt: bool) -> bool:
        names = self._map_outputs(process.host) or [each for host in self.sim.hosts for each in self._map_outputs(host)]
        if not names:
            return False
        host, directory, name = names[self.sim.world.random.randrange(len(names))]
        files = self.sim.disk(host).directories[directory]
        if corrupt:
            files[name].corrupt = True
        else:
            del files[name]
        return True

    def _refuse(self, _whom: str, fault: Fault, process: Process) -> bool:
        worker = self._worker(process)
        if worker is None:
            return False
        self.sim.no_forks_until[worker.host.name] = self.sim.world.now + min(fault.seconds, 4.0)
        return True
