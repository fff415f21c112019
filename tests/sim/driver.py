"""A simulated driver: the real engine, dispatcher, membership and scheduler core, in the simulated world.

Only the loop, the sockets and the user's program are stand-ins. What the core is told and what it decides passes by the
judge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simspark.driver import scheduling, service
from simspark.driver.cluster import MasterLink, Membership, WorkerSessions
from simspark.driver.core import SchedulerCore
from simspark.driver.executor_pool import Executor
from simspark.driver.job import Accepted, AccumulatedUpdates, RunningJob, StageCode
from simspark.publib import machine
from simspark.publib.wire import messages
from tests.sim import programs
from tests.sim.daemons import MASTER_ENDPOINT, Timers
from tests.sim.network import Dialer, Listener
from tests.sim.world import Host, Process

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

CONNECT_TIMEOUT_S = 4.0
REFETCH_JOBS = 3
REFETCHED = 100
LINGER_S = 0.5
MIB = 1 << 20
FETCH_TIMEOUT_S = 3.0
LET_GO_S = 90.0


class SimLoop:
    """What the engine asks of its loop."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.timers = Timers(process)

    def add(self, endpoint: Any, handler: Callable[[Any], None]) -> None:
        endpoint.handle = handler

    def post(self, call: Callable[[], None]) -> None:
        self._process.call_in(0.0, call)

    def call_at(self, name: str, when: float, call: Callable[[], None]) -> None:
        self.timers.set(name, when, call)

    def cancel(self, name: str) -> None:
        self.timers.cancel(name)

    def run(self) -> None:
        """The world runs it."""

    def stop(self) -> None:
        """The process ends when it is killed."""


class WorldClock:
    """The world's time for the engine."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def now(self) -> float:
        return self._process.world.now

    def wall(self) -> float:
        return self._process.world.now + self._process.host.wall_offset_s


class JudgedCore:
    """The scheduler core, with somebody who looks on."""

    def __init__(self, core: SchedulerCore, driver: SimDriver) -> None:
        self._core = core
        self._driver = driver
        self.outputs = core.outputs
        self.waiting_text = core.waiting_text
        self.statistics = core.statistics
        self.pool = core._pool

    def handle(self, now: float, event: Any) -> list[Any]:
        effects = list(self._core.handle(now, event))
        self._driver.sim.judge.after_driver(self._driver, event, effects)
        return effects


class SimBackend:
    """The cluster as the engine's backend: the real membership, simulated sockets."""

    def __init__(self, driver: SimDriver) -> None:
        self._driver = driver

    def joined(self, executor: str) -> None:
        """Nothing to do."""

    def want(self, total: int) -> None:
        self._driver.membership.want(total)

    def end(self, executors: tuple[str, ...], reason: str) -> None:
        self._driver.membership.end(executors, reason)
        self._driver.world.phase("give", self._driver)

    def remove_files(self, worker: str, prefixes: tuple[str, ...]) -> None:
        if worker in ("", "driver"):
            self._driver.sim.disk(self._driver.host).remove(self._driver.directory, prefixes)
        self._driver.membership.remove_files(worker, prefixes)

    def finish(self) -> None:
        self._driver.membership.finish()

    def stop(self) -> None:
        """The process ends."""


class SimDriver(Process):
    """A driver with its program."""

    core_class: type[SchedulerCore] = SchedulerCore
    membership_class: type[Membership] = Membership
    engine_class: type[service.Engine] = service.Engine

    def __init__(self, sim: Simulation, host: Host, name: str, program: programs.Program) -> None:
        super().__init__(sim.world, name, host)
        self.sim = sim
        self.program = program
        self.endpoint = f"tcp://{name}"
        self.directory = f"{host.name}:{name}:files"
        self.finished = False
        self.outcomes: dict[int, scheduling.JobEnded] = {}
        self.values: dict[int, dict[int, int]] = {}
        self.todo: list[programs.JobWork] = list(program.jobs)
        self.open_jobs: dict[int, tuple[programs.JobWork, RunningJob]] = {}
        self._resubmitted = 0
        self.actions: dict[int, int] = {}
        self.reading = 0
        self._rounds: dict[int, int] = {}
        secret = f"secret of {name}".encode()
        self.master: Dialer | None = None
        self._make_files()
        self.core = JudgedCore(self.core_class(sim.plan.scheduler_settings), self)
        self.backend = SimBackend(self)
        self.engine = self._make_engine(secret)
        self.listener = Listener(sim.network, self, self.endpoint, print)
        self.engine.listen(self.listener, self._handle_worker)  # type: ignore[arg-type]
        registration = messages.RegisterApplication(
            name, "user", "", self.endpoint, "", f"executor key of {name}", b"", secret, sim.plan.executor_cores, MIB,
            0, {}, "spread", ())  # fmt: skip
        self.membership = self.membership_class(
            registration,
            self.engine,
            MasterLink(self._send_master, self._dial_master),
            WorkerSessions(self.listener.send, self.listener.accept, self.listener.refuse, self.listener.close_peer),
            self.engine.add_owner,
            self._timer,
        )
        self.membership.on_registered = self._registered
        self.engine.add_owner(self._own_files())
        self.call_in(0.0, self.membership.redial)
        self.call_in(0.01, self._submit_more)

    # ── putting it together ──────────────────────────────────────────────────────────────────────────────────────

    def _make_files(self) -> None:
        disk = self.sim.disk(self.host)
        disk.make(self.directory)
        self.sim.block_servers[self.endpoint] = self
        for work in self.program.stages:
            if work.broadcast:
                disk.commit(self.directory, f"broadcast-{work.stage}", {0: [work.broadcast]})

    def _own_files(self) -> messages.Owner:
        return messages.Owner("driver", self.directory, self.directory, self.endpoint, "")

    def _make_engine(self, secret: bytes) -> service.Engine:
        real_loop = service.Loop
        service.Loop = lambda _clock, _crashed: SimLoop(self)  # type: ignore[assignment, misc, return-value]
        try:
            return self.engine_class(
                WorldClock(self),
                self.core,
                self.backend,
                AccumulatedUpdates(self._count),
                self._settings,
                secret,  # type: ignore[arg-type]
                lambda _name: None,
            )
        finally:
            service.Loop = real_loop  # type: ignore[misc]

    def _settings(self, worker: str) -> messages.ExecutorSettings:
        owner = self.engine.owner(worker) or messages.Owner(worker, "", "", "", "")
        return messages.ExecutorSettings(self.membership.application, (), "", 1 << 20, 1000, 1 << 16, {}, owner)

    def _registered(self) -> None:
        """The master has answered, or nobody has: then the program ends with NoMaster and its user tries again."""
        if self.membership.refused is not None:
            self.world.note("no master", self.name)
            self.call_in(0.0, self.kill)
            self.sim.world.call_in(1.0, self.sim.start_driver_again, self.name)

    def _timer(self, name: str, delay_s: float, call: Callable[[], None]) -> None:
        self.engine.loop.call_at(name, self.world.now + delay_s, call)

    def _send_master(self, message: Any) -> None:
        if self.master is not None:
            self.master.send(message)

    def _dial_master(self, registration: messages.RegisterApplication, attempt: int) -> None:
        del attempt
        if self.master is not None:
            self.master.close()

        def handle(event: Any) -> None:
            if self.master is session:
                if type(event) is machine.PeerLost:
                    self.master = None
                self.membership.handle_master(event)

        session = Dialer(
            self.sim.network,
            self,
            MASTER_ENDPOINT,
            registration,
            handle,
            "driver",
            f"key of {self.name}",
            CONNECT_TIMEOUT_S,
        )
        self.master = session

    def _handle_worker(self, event: Any) -> bool:
        return self.membership.handle_worker(event)

    def _count(self, accumulated: bytes) -> None:
        """Updates of results count once for the action, whichever of its jobs made them."""
        unit = accumulated.decode()
        if unit.startswith("j"):
            job, _, partition = unit[1:].partition(".")
            unit = f"j{self.actions[int(job)]}.{partition}"
        self.sim.judge.counted(self, unit)

    def died(self) -> None:
        self.sim.process_died(self)

    # ── the user's program ───────────────────────────────────────────────────────────────────────────────────────

    def _submit_more(self) -> None:
        while self.todo and (self.program.together or not self.open_jobs):
            self._submit(self.todo.pop(0), -1)
        self._wait()

    def _submit(self, work: programs.JobWork, number: int) -> None:
        spec = programs.spec_of(self.program, work)
        if number >= 0:
            spec = spec._replace(job=number, rerun=self._rounds[work.job])
        self.actions[spec.job] = work.job
        codes = {stage: self._code(stage) for stage in work.stages}
        job = RunningJob(spec, codes, {})
        self.open_jobs[spec.job] = (work, job)
        self.engine._submit(job)

    def _code(self, stage: int) -> StageCode:
        return StageCode(f"{self.name}:{stage}".encode(), b"code", "", lambda _partition: b"")

    def _wait(self) -> None:
        """The user's thread wakes when a job has ended."""
        for number, (work, job) in list(self.open_jobs.items()):
            if job.ended is not None:
                del self.open_jobs[number]
                self.engine._updates.apply()
                self._ended(work, job)
        if self.open_jobs or self.reading:
            return
        if self.todo:
            self._submit_more()
        elif not self.finished:
            self.finished = True
            self.call_in(0.001, self._finish)

    def executors(self) -> list[Executor]:
        """As the scheduler knows them."""
        return self.core.pool.all()

    def job_may_have_ended(self) -> None:
        self.call_in(0.0, self._wait)

    def _ended(self, work: programs.JobWork, job: RunningJob) -> None:
        assert job.ended is not None
        if job.ended.outcome != "succeeded":
            self.outcomes[work.job] = job.ended
            self.sim.judge.failed(self, work, job)
            return
        self._read_results(work, job, self.world.now + FETCH_TIMEOUT_S)

    def _read_results(self, work: programs.JobWork, job: RunningJob, deadline: float) -> None:
        missing = [part for part in job.spec.partitions if not self._decode(work, part, job.results[part])]
        if missing and self.world.now < deadline:
            self.reading += 1
            self.call_in(FETCH_TIMEOUT_S / 3, self._read_again, work, job, deadline)
            return
        if not missing:
            self.outcomes[work.job] = job.ended
            self.sim.judge.succeeded(self, work)
            return
        keepers = {job.results[part].worker: None for part in missing}
        for worker in keepers:
            self.engine.step(scheduling.ResultUnreachable(worker, "out of reach"))
        self._resubmitted += 1
        self._rounds[work.job] = self._rounds.get(work.job, 0) + 1
        if self._rounds[work.job] > REFETCH_JOBS:
            self.outcomes[work.job] = job.ended._replace(outcome="failed", error="FetchFailed")
            self.sim.judge.unreadable(self, work, keepers)
            return
        if not self.program.stages[work.stages[-1]].gang:
            work = work._replace(partitions=tuple(missing))
        self._submit(work, REFETCHED + self._resubmitted)

    def _read_again(self, work: programs.JobWork, job: RunningJob, deadline: float) -> None:
        self.reading -= 1
        self._read_results(work, job, deadline)
        self._wait()

    def _decode(self, work: programs.JobWork, partition: int, accepted: Accepted) -> bool:
        """Whether the value could be had; it may be in a file that is lost."""
        report = accepted.report
        if report.name:
            owner = self.engine.owner(accepted.worker)
            rows = "no owner" if owner is None else self.sim.read_remotely(self, owner, report.name)
            if isinstance(rows, str):
                return False
            value = rows[0]
        else:
            value = int(report.payload)
        self.values.setdefault(work.job, {})[partition] = value
        return True

    def _finish(self) -> None:
        """The program is over: nothing is needed any more."""
        self.world.note("program over", self.name)
        self.engine.step(scheduling.Unpersist(1))
        for shuffle in (0, 1):
            self.engine.step(scheduling.ForgetShuffle(shuffle))
        self._let_go(self.world.now + LET_GO_S)

    def _let_go(self, deadline: float) -> None:
        """Attempts that nobody wants any more end soon; then the scheduler's tables are empty."""
        if not self.core.statistics().is_empty and self.world.now < deadline:
            self.call_in(0.2, self._let_go, deadline)
            return
        self.sim.judge.program_over(self)
        if self.world.phase("p10", self):
            self.call_in(0.05, self._leave)

    def _leave(self) -> None:
        self.engine._stop()
        self.call_in(LINGER_S, self._exit)

    def _exit(self) -> None:
        self.sim.disk(self.host).remove_directory(self.directory)
        self.kill()
