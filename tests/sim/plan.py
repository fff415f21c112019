"""Schedules: what one run of the simulator is made of. A seed makes one; a file keeps one.

Faults strike at phases: the n-th time that a process is at the named place. ``CELLS`` are all pairs that can be
simulated; consecutive seeds walk through them, each fault of a seed in another order, so that each is tried often and
beside many others.
"""

from __future__ import annotations

import json
import random
from typing import Any, NamedTuple

from simspark.driver.scheduling import SchedulerSettings
from simspark.master.core import MasterSettings
from simspark.worker.core import WorkerSettings
from tests.sim.programs import Program, make_program, with_gangs


class Fault(NamedTuple):
    """``kind`` strikes the n-th time that somebody is in ``phase``, and lasts so long where it lasts."""

    kind: str
    phase: str
    nth: int
    seconds: float


class Behaviour(NamedTuple):
    """What user code does in the n-th attempt of a task."""

    driver: str
    stage: int
    partition: int
    nth: int
    what: str


class Plan(NamedTuple):
    """One schedule."""

    seed: str
    workers: int
    slots: int
    executor_cores: int
    drivers: tuple[str, ...]
    wanted: int
    faults: tuple[Fault, ...]
    behaviours: tuple[Behaviour, ...]
    loss: float
    delay_s: float
    task_timeout_s: float
    speculation: bool
    slow_worker: bool
    gangs: bool = False

    @property
    def master_settings(self) -> MasterSettings:
        return MasterSettings()

    @property
    def worker_settings(self) -> WorkerSettings:
        return WorkerSettings()

    @property
    def scheduler_settings(self) -> SchedulerSettings:
        return SchedulerSettings(
            task_timeout_s=self.task_timeout_s, speculation=self.speculation, max_executors=self.wanted
        )

    def program(self, driver: str) -> Program:
        program = make_program(driver, random.Random(f"{self.seed} {driver}"))
        return with_gangs(program) if self.gangs else program


PHASES = ("p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10")
EVERYWHERE = (
    "kill executor", "kill worker", "kill master", "kill driver",
    "stop executor", "stop worker", "stop master", "stop driver",
    "cut node", "cut one way", "cut halves", "cut driver",
    "reset executor", "reset worker", "reset driver",
    "power off", "disk full", "overflow", "clock step", "evict", "forget code",
)  # fmt: skip
SOMEWHERE = {"corrupt block": ("p5", "p6", "p7", "p8", "p8"), "lose block": ("p5", "p6", "p7", "p8"),
             "kill master ": ("log", *("give",) * 4), "cut driver ": ("give",) * 4,
             "refuse fork": ("p1",), "cut workers": ("p3", "p8"), "kill workers": ("p7", "p8"),
             "cut node ": ("p10",), "stop master ": ("p10",), "power off ": ("p10",)}  # fmt: skip
CELLS = tuple((kind, phase) for kind in EVERYWHERE for phase in PHASES) + tuple(
    (kind, phase) for kind, phases in SOMEWHERE.items() for phase in phases
)
LIMITS = {"p1": 4, "p4": 3, "p5": 3, "p7": 2, "p9": 2, "p10": 1, "log": 6, "give": 1}
STOPS_S = (2.0, 6.0, 60.0)
CUTS_S = (1.0, 4.0, 9.0, 25.0)
TASK_FAULTS = ("raise", "die", "hang", "deaf hang", "slow")
FAULTS_PER_SEED = 4
GANG_MOST = 3
WALKS = tuple(random.Random(walk).sample(CELLS, len(CELLS)) for walk in range(FAULTS_PER_SEED))


def _duration(kind: str, draw: random.Random) -> float:
    if kind.startswith("stop"):
        return draw.choice(STOPS_S)
    if kind.startswith("kill"):
        return draw.uniform(0.3, 4.0)
    return draw.choice(CUTS_S)


def _faults(number: int, draw: random.Random) -> tuple[Fault, ...]:
    faults = []
    for index in range(FAULTS_PER_SEED):
        kind, phase = WALKS[index][number % len(CELLS)]
        nth = draw.randint(1, LIMITS.get(phase, 5))
        faults.append(Fault(kind, phase, nth, _duration(kind, draw)))
    return tuple(faults)


def _behaviours(drivers: tuple[str, ...], draw: random.Random) -> tuple[Behaviour, ...]:
    chosen = []
    for driver in drivers:
        while draw.random() < 0.35:
            what = draw.choice((*TASK_FAULTS, "slow", "slow"))
            stage, partition = draw.randint(0, 5), draw.randint(0, 2)
            chosen.append(Behaviour(driver, stage, partition, 1, what))
    return tuple(chosen)


def plan_of(number: int) -> Plan:
    """The schedule of a seed."""
    draw = random.Random(f"plan {number}")
    drivers = ("driver-a", "driver-b") if number % 3 == 0 else ("driver-a",)
    workers = draw.choice((2, 2, 3))
    behaviours = _behaviours(drivers, draw)
    hangs = any("hang" in entry.what for entry in behaviours)
    slow_worker = draw.random() < 0.1
    slots, wanted = draw.choice((1, 2, 2)), draw.choice((2, 3, 4))
    return Plan(
        seed=str(number), workers=workers, slots=slots, executor_cores=1, drivers=drivers,
        wanted=wanted, faults=_faults(number, draw), behaviours=behaviours,
        loss=draw.choice((0.0, 0.0, 0.05, 0.2)), delay_s=draw.choice((0.0, 0.0, 0.02, 0.2)),
        task_timeout_s=30.0 if hangs else 0.0, speculation=slow_worker or draw.random() < 0.4, slow_worker=slow_worker,
        gangs=number % 4 == 2 and min(wanted, workers * slots) >= GANG_MOST,
    )  # fmt: skip


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────


def to_json(plan: Plan) -> str:
    """One schedule, to be kept."""
    return json.dumps(plan._asdict(), indent=1)


def from_json(text: str) -> Plan:
    """A schedule that was kept."""
    fields: dict[str, Any] = json.loads(text)
    fields["drivers"] = tuple(fields["drivers"])
    fields["faults"] = tuple(Fault(*entry) for entry in fields["faults"])
    fields["behaviours"] = tuple(Behaviour(*entry) for entry in fields["behaviours"])
    return Plan(**fields)
