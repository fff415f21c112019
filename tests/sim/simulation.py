"""One run: a world made from a plan, faults, healing, and the end that must come."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from simspark.publib.wire import messages
from tests.sim import programs
from tests.sim.daemons import SimMaster, SimWorker
from tests.sim.disks import Disk, File, Journal
from tests.sim.driver import SimDriver
from tests.sim.executor import SimExecutor
from tests.sim.faults import Saboteur
from tests.sim.judge import Judge
from tests.sim.network import Network
from tests.sim.plan import Plan
from tests.sim.world import Host, Process, Stuck, Violation, World

HEAL_AT_S = 40.0
DONE_BY_S = 400.0
CLEAN_IN_S = 120.0


class Outcome(NamedTuple):
    """What came of a run."""

    plan: Plan
    violation: str
    seconds: float
    steps: int
    hits: dict[tuple[str, str], int]
    network: dict[str, int]
    trace: tuple[str, ...]

    @property
    def digest(self) -> str:
        """A fingerprint of the trace."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


class Simulation:
    """Everybody in one world."""

    master_class: type[SimMaster] = SimMaster
    worker_class: type[SimWorker] = SimWorker
    driver_class: type[SimDriver] = SimDriver
    executor_class: type[SimExecutor] = SimExecutor

    def __init__(self, plan: Plan, *, traced: bool = False) -> None:
        self.plan = plan
        self.world = World(plan.seed, traced=traced)
        self.network = Network(self.world)
        self.network.loss, self.network.delay_s = plan.loss, plan.delay_s
        self.network.on_hello = self._on_hello
        self.journal = Journal()
        self.judge = Judge(self)
        self.saboteur = Saboteur(self, plan.faults)
        self.world.on_phase = self.saboteur.on_phase
        self.block_servers: dict[str, Process] = {}
        self.no_forks_until: dict[str, float] = {}
        self.renamed: set[str] = set()
        self._number = 0
        self._attempts: dict[tuple[str, int, int], int] = {}
        self._behaviours = {tuple(entry[:4]): entry.what for entry in plan.behaviours}
        self._programs = {name: plan.program(name) for name in plan.drivers}
        self._works = {
            f"{name}:{work.stage}".encode(): (program, work)
            for name, program in self._programs.items() for work in program.stages
        }  # fmt: skip
        names = [
            "m",
            *(f"w{index}" for index in range(plan.workers)),
            *(f"d{index}" for index in range(len(plan.drivers))),
        ]
        self.hosts = [Host(name, index) for index, name in enumerate(names)]
        self._disks = {host.name: RecordingDisk(self.renamed) for host in self.hosts}
        self.master: SimMaster | None = None
        self.workers: list[SimWorker] = []
        self.drivers: list[SimDriver] = []
        self._dead_drivers = 0

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def start_master(self) -> None:
        if self.master is None or not self.master.alive:
            self.master = self.master_class(self, self.hosts[0])

    def start_worker(self, slot: int) -> None:
        if slot < len(self.workers) and self.workers[slot].alive:
            return
        worker = self.worker_class(self, self.hosts[1 + slot], slot)
        if slot < len(self.workers):
            self.workers[slot] = worker
        else:
            self.workers.append(worker)

    def start_driver(self, index: int) -> None:
        name = self.plan.drivers[index]
        host = self.hosts[1 + self.plan.workers + index]
        self.drivers.append(self.driver_class(self, host, name, self._programs[name]))

    def start_driver_again(self, name: str) -> None:
        """The user of a driver that found no master starts the program once more."""
        index = self.plan.drivers.index(name)
        host = self.hosts[1 + self.plan.workers + index]
        self.judge.of.pop(name, None)
        self.drivers[index] = self.driver_class(self, host, name, self._programs[name])

    def process_died(self, process: Process) -> None:
        """Noted by the process itself."""

    def clean_start(self, host: Host) -> None:
        """A worker that starts sweeps what an earlier one on its machine left."""
        for directory in list(self.disk(host).directories):
            self.disk(host).remove_directory(directory)

    def next_process(self) -> int:
        self._number += 1
        return self._number

    # ── what processes ask of the world ──────────────────────────────────────────────────────────────────────────

    def disk(self, host: Host) -> Disk:
        return self._disks[host.name]

    def host_of_directory(self, directory: str) -> Host:
        name = directory.partition(":")[0]
        return next(host for host in self.hosts if host.name == name)

    def read(self, host: Host, directory: str, name: str, segment: int) -> list[int] | str:
        """A segment's rows, or what is wrong with it."""
        try:
            return self.disk(host).read(directory, name, segment)
        except (OSError, ValueError) as error:
            return str(error)

    def read_remotely(self, reader: Process, owner: messages.Owner, name: str) -> list[int] | str:
        """What a driver gets of a large result; in one step, since no invariant looks between."""
        host = self.host_of_directory(owner.directory)
        server = self.block_servers.get(owner.endpoint)
        if not self.network.reachable(reader.host, host) or server is None or not server.alive or server.paused:
            return "out of reach"
        return self.read(host, owner.directory, name, 0)

    def work_of(self, digest: bytes) -> tuple[programs.Program, programs.StageWork]:
        return self._works[digest]

    def disk_cache(self, digest: bytes) -> bool:
        return self._works[digest][0].disk_cache

    def behaviour_of(self, executor: SimExecutor, head: messages.LaunchTasks, task: messages.TaskLaunch) -> str:
        """What the user's function does in this attempt."""
        if not self._behaviours:
            return ""
        name = self._works[head.hash][0].name
        what = self._behaviours.get((name, head.stage, task.partition, task.attempt + 1), "")
        if what:
            self.saboteur.count("task " + what, "p3")
        return what

    def note_hang(self, application: str, stage: int, partition: int) -> None:
        for driver in self.drivers:
            if driver.membership.application == application:
                hangs = self.judge.record(driver).hangs
                hangs[stage, partition] = hangs.get((stage, partition), 0) + 1

    def slowness(self, host: Host) -> float:
        return 10.0 if self.plan.slow_worker and host.index == 1 else 1.0

    def refuses_fork(self, worker: SimWorker) -> bool:
        return self.world.now < self.no_forks_until.get(worker.host.name, 0.0)

    def saved(self, application: str, job: int, partition: int, task: int, value: int) -> None:
        for driver in self.drivers:
            if driver.membership.application == application:
                self.judge.saved(driver, job, partition, task, value)

    def journal_written(self, master: SimMaster) -> None:
        self.world.phase("log", master)

    def _on_hello(self, _hello: Any, process: Process) -> None:
        self.world.phase("p1", process)

    def violate(self, text: str) -> None:
        self.judge.violate(text)

    def check_statistics(self, driver: SimDriver) -> None:
        """No job, task, output or block is left in the scheduler's tables."""
        fields = driver.core.statistics()._asdict()
        left = {name: value for name, value in fields.items() if value and name not in HARMLESS}
        if left:
            self.violate(f"{driver.name}: the scheduler still holds {left}")

    # ── the run ──────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """To the end, or to a Violation."""
        self.start_master()
        for slot in range(self.plan.workers):
            self.world.call_in(0.001 * slot, self.start_worker, slot)
        for index in range(len(self.plan.drivers)):
            self.world.call_in(0.004 + 0.05 * index, self.start_driver, index)
        self.world.call_in(HEAL_AT_S, self._heal)
        if not self.world.run(DONE_BY_S, self._drivers_done):
            waiting = [driver for driver in self.drivers if driver.alive]
            texts = [
                f"{driver.name}: jobs {sorted(driver.open_jobs)}, {driver.engine.waiting_text()}" for driver in waiting
            ]
            raise Stuck(f"not done after {self.world.now:.0f} s: {texts}")
        until = max(self.world.now, HEAL_AT_S) + CLEAN_IN_S
        while not self.world.run(min(until, self.world.now + 1.0), lambda: False):
            if not self.judge.leftovers():
                return
            if self.world.now >= until:
                raise Stuck(f"not clean: {self.judge.leftovers()}")

    def _drivers_done(self) -> bool:
        if len(self.drivers) < len(self.plan.drivers):
            return False
        return all(not driver.alive and driver.membership.refused is None for driver in self.drivers)

    def _heal(self) -> None:
        self.world.healed = True
        self.world.note("all heals")
        self.network.loss = self.network.delay_s = 0.0


HARMLESS = frozenset({"executors", "slots", "silent", "excluded"})


class RecordingDisk(Disk):
    """Remembers every name that was ever renamed into place."""

    def __init__(self, renamed: set[str]) -> None:
        super().__init__()
        self._renamed = renamed

    def commit(self, directory: str, name: str, segments: dict[int, list[int]]) -> None:
        super().commit(directory, name, segments)
        self._renamed.add(name)


def simulate(plan: Plan, *, traced: bool = False, simulation: type[Simulation] = Simulation) -> Outcome:
    """Run one schedule and say what came of it; a Violation, or any exception of a core, is in ``violation``."""
    sim = simulation(plan, traced=traced)
    violation = ""
    try:
        sim.run()
    except Violation as error:
        violation = f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 (a core that raises is what is looked for)
        import traceback

        violation = f"{type(error).__name__}: {error}\n" + "".join(traceback.format_exception(error)[-6:])
    return Outcome(
        plan,
        violation,
        sim.world.now,
        sim.world.steps,
        sim.saboteur.hits,
        sim.network.counts,
        tuple(sim.world.trace or ()),
    )


__all__ = ["File", "Outcome", "Simulation", "simulate"]
