"""The invariants: what must hold after every step, whatever strikes, and what must be so at the end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from simspark.driver import scheduling
from simspark.driver.job import RunningJob
from simspark.publib.wire import messages
from tests.sim import programs
from tests.sim.executor import SimExecutor
from tests.sim.gangs import GangRecord
from tests.sim.world import Violation

if TYPE_CHECKING:
    from tests.sim.daemons import SimMaster, SimWorker
    from tests.sim.driver import SimDriver
    from tests.sim.simulation import Simulation

HEARD_SLACK_S = 3.0
SLACK_S = 0.01
WINDOW_MOST = 256
NODE_REST_S = 0.999


class _Attempt:
    """What the judge knows of one attempt."""

    __slots__ = ("executor", "job", "key", "over", "worker")

    def __init__(self, executor: str, worker: str, job: int, key: tuple[int, int]) -> None:
        self.executor = executor
        self.worker = worker
        self.job = job
        self.key = key
        self.over = False


class DriverRecord:
    """What one driver has decided so far."""

    def __init__(self, gangs: GangRecord) -> None:
        self.gangs = gangs
        self.live: dict[str, int] = {}
        self.homes: dict[str, str] = {}
        self.gone: set[str] = set()
        self.attempts: dict[int, _Attempt] = {}
        self.running: dict[str, set[int]] = {}
        self.results: set[tuple[int, int]] = set()
        self.counted: dict[str, int] = {}
        self.losses: dict[tuple[int, int], int] = {}
        self.raises: dict[tuple[int, int], int] = {}
        self.disk_faults: dict[tuple[int, int], list[str]] = {}
        self.full_disks: set[str] = set()
        self.rests: dict[tuple[int, int, int, str], float] = {}
        self.hangs: dict[tuple[int, int], int] = {}
        self.fetch_failures: dict[int, int] = {}
        self.may_commit: dict[tuple[int, int], int] = {}
        self.saved: dict[tuple[int, int], int] = {}


class Judge:
    """Looks at every decision."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.of: dict[str, DriverRecord] = {}

    def violate(self, text: str) -> None:
        raise Violation(f"at {self.sim.world.now:.4f}: {text}")

    def record(self, driver: SimDriver) -> DriverRecord:
        known = self.of.get(driver.name)
        if known is None:
            known = self.of[driver.name] = DriverRecord(GangRecord(driver.program, self.violate))
        return known

    # ── the driver ───────────────────────────────────────────────────────────────────────────────────────────────

    def after_driver(self, driver: SimDriver, event: Any, effects: list[Any]) -> None:
        record = self.record(driver)
        kind = type(event)
        fresh = True
        if kind is scheduling.Reported:
            fresh = event.executor in record.live
            self._reported(record, event)
        elif kind is scheduling.ExecutorJoined:
            if event.executor in record.gone:
                self.violate(f"{driver.name}: executor {event.executor} ended and is let in again")
            record.live[event.executor] = event.slots
            record.homes[event.executor] = event.worker
        elif kind is scheduling.ExecutorLost:
            self.sim.world.note("lost", driver.name, event.executor, event.cause)
            self._lost(record, event.executor)
        elif kind is scheduling.ExecutorSilent:
            self.sim.world.note("silent", driver.name, event.executor)
        elif kind is scheduling.ExecutorHeard:
            self.sim.world.note("heard", driver.name, event.executor)
        elif kind is scheduling.WorkerChanged:
            self.sim.world.note("worker", driver.name, event.worker, event.state)
            if event.state == "dead":
                record.full_disks.discard(event.worker)
        record.full_disks.intersection_update(driver.core.pool.excluded())
        for effect in effects:
            self._effect(driver, record, event, effect, fresh=fresh)
        record.gangs.decided(event, effects)

    def _reported(self, record: DriverRecord, event: scheduling.Reported) -> None:
        for report in event.reports:
            attempt = record.attempts.get(report.task)
            if attempt is None:
                self.violate(f"a report of task {report.task}, which was never launched")
                return
            if attempt.executor != event.executor:
                self.violate(f"task {report.task} of {attempt.executor} reported by {event.executor}")
            if report.outcome == "ok" and report.name and report.name not in self.sim.renamed:
                self.violate(f"a report names {report.name}, which was never renamed into place")
            record.running.get(event.executor, set()).discard(report.task)
            attempt.over = True
            if report.outcome == "raised":
                record.raises[attempt.key] = record.raises.get(attempt.key, 0) + 1
            elif report.outcome == "node_fault":
                record.disk_faults.setdefault(attempt.key, []).append(attempt.worker)
                record.full_disks.add(attempt.worker)
                record.rests[(attempt.job, *attempt.key, attempt.worker)] = self.sim.world.now + NODE_REST_S
            elif report.outcome == "fetch_failed" and report.fetch is not None:
                shuffle = report.fetch.shuffle
                record.fetch_failures[shuffle] = record.fetch_failures.get(shuffle, 0) + 1

    def _lost(self, record: DriverRecord, executor: str) -> None:
        record.live.pop(executor, None)
        record.gone.add(executor)
        for task in record.running.pop(executor, ()):
            attempt = record.attempts[task]
            attempt.over = True
            record.losses[attempt.key] = record.losses.get(attempt.key, 0) + 1

    def _give_up(self, record: DriverRecord, executor: str) -> None:
        """The scheduler takes an executor that it has ended for lost at once."""
        for task in record.running.pop(executor, ()):
            attempt = record.attempts[task]
            attempt.over = True
            record.losses[attempt.key] = record.losses.get(attempt.key, 0) + 1

    def _effect(self, driver: SimDriver, record: DriverRecord, event: Any, effect: Any, *, fresh: bool) -> None:
        kind = type(effect)
        if kind is scheduling.Launch:
            self._launched(driver, record, effect)
        elif kind is scheduling.TakeResult:
            self._accepted(driver, record, event, effect, fresh=fresh)
        elif kind is scheduling.CountAccumulated:
            if not fresh:
                self.violate(f"{driver.name}: counted what {event.executor} reports, which is gone")
        elif kind is scheduling.AnswerCommit:
            self._answered(driver, record, effect)
        elif kind is scheduling.JobEnded:
            self.sim.world.note("job", driver.name, effect.job, effect.outcome, effect.error, effect.text)
            driver.job_may_have_ended()
        elif kind is scheduling.KillExecutor:
            self._give_up(record, effect.executor)
            self.sim.world.note("driver kills", effect.executor, effect.reason)

    def _launched(self, driver: SimDriver, record: DriverRecord, launch: scheduling.Launch) -> None:
        slots = record.live.get(launch.executor)
        if slots is None:
            self.violate(f"{driver.name}: launched on {launch.executor}, which is not here")
            return
        running = record.running.setdefault(launch.executor, set())
        now, worker = self.sim.world.now, record.homes[launch.executor]
        for attempt in launch.attempts:
            if attempt.task in record.attempts:
                self.violate(f"{driver.name}: attempt id {attempt.task} is used twice")
            key = (launch.stage, attempt.partition)
            record.attempts[attempt.task] = _Attempt(launch.executor, worker, launch.job, key)
            if worker in record.full_disks and self._has_others(driver):
                self.violate(f"{driver.name}: task {key} goes to {worker}, whose disk is full, and others are there")
            if now < record.rests.get((launch.job, *key, worker), 0.0):
                self.violate(f"{driver.name}: task {key} is back at {worker}, whose disk failed it just now")
            running.add(attempt.task)
            self.sim.world.note(
                "launch", launch.executor, "stage", launch.stage, "part", attempt.partition, attempt.task
            )
        if len(running) > slots * WINDOW_MOST:
            self.violate(f"{driver.name}: {len(running)} tasks at {launch.executor} with {slots} slots")

    def _accepted(
        self, driver: SimDriver, record: DriverRecord, event: Any, taken: scheduling.TakeResult, *, fresh: bool
    ) -> None:
        key = (taken.job, taken.partition)
        if key in record.results:
            self.violate(f"{driver.name}: a second result of job {taken.job}, partition {taken.partition}")
        record.results.add(key)
        if not fresh:
            self.violate(f"{driver.name}: a result of {event.executor}, which is gone, was accepted")

    def _answered(self, driver: SimDriver, record: DriverRecord, answer: scheduling.AnswerCommit) -> None:
        attempt = record.attempts.get(answer.task)
        if not answer.allowed or attempt is None:
            return
        key = (attempt.job, attempt.key[1])
        before = record.may_commit.get(key)
        if before is not None and before != answer.task and not record.attempts[before].over:
            self.violate(f"{driver.name}: two attempts of {key} may commit")
        if key in record.results:
            self.violate(f"{driver.name}: an attempt of {key} may commit after its result was accepted")
        record.may_commit[key] = answer.task

    def saved(self, driver: SimDriver, job: int, partition: int, task: int, value: int) -> None:
        """An attempt renames its output into place."""
        record = self.record(driver)
        if record.may_commit.get((job, partition)) != task:
            attempt = record.attempts.get(task)
            if attempt is not None and not attempt.over:
                self.violate(f"{driver.name}: task {task} renamed its output without leave")
        record.saved[job, partition] = value

    def counted(self, driver: SimDriver, unit: str) -> None:
        record = self.record(driver)
        record.counted[unit] = record.counted.get(unit, 0) + 1
        if record.counted[unit] > 1:
            self.violate(f"{driver.name}: accumulator updates of {unit} were counted twice")

    # ── ends of jobs ─────────────────────────────────────────────────────────────────────────────────────────────

    def succeeded(self, driver: SimDriver, work: programs.JobWork) -> None:
        wanted = programs.expected(driver.program)[work.job]
        got = driver.values.get(work.job)
        if got != wanted:
            self.violate(f"{driver.name}: job {work.job} gave {got}, right is {wanted}")
        stage = next(stage for stage in driver.program.stages if stage.stage == work.stages[-1])
        if stage.save:
            saved = {part: value for (job, part), value in self.record(driver).saved.items() if job == work.job}
            if any(saved.get(part, value) != value for part, value in wanted.items()):
                self.violate(f"{driver.name}: job {work.job} saved {saved}, right is {wanted}")

    def failed(self, driver: SimDriver, work: programs.JobWork, job: RunningJob) -> None:
        """A job may fail only for a cause that it really had."""
        ended = job.ended
        assert ended is not None
        record, program = self.record(driver), driver.program
        key = (ended.stage, ended.partition)
        if ended.report is not None and ended.report.outcome == "raised":
            if record.raises.get(key, 0) >= program.max_failures:
                return
        elif ended.report is not None and ended.report.outcome == "node_fault":
            if self._had_no_disk(driver, record.disk_faults.get(key, []), program.max_losses):
                return
        elif (
            ended.error == "JobFailed" and record.hangs.get(key, 0) + record.raises.get(key, 0) >= program.max_failures
        ):
            return
        elif ended.error == "WorkerLost" and record.losses.get(key, 0) >= program.max_losses:
            return
        self.violate(
            f"{driver.name}: job {work.job} {ended.outcome}: {ended.error} {ended.text!r} at (stage, partition) {key}: "
            f"{record.raises.get(key, 0)} raises of {program.max_failures} and {record.losses.get(key, 0)} losses; "
            f"fetch failures {record.fetch_failures}; outcome of the report: {ended.report and ended.report.outcome}"
        )

    def unreadable(self, driver: SimDriver, work: programs.JobWork, workers: Iterable[str]) -> None:
        """Results could not be read, again and again: only when nobody whom the driver hears is in reach."""
        homes = {executor.worker for executor in driver.executors() if executor.silent_since < 0}
        for worker in sorted(homes.union(workers)):
            if self._is_readable(driver, worker):
                self.violate(f"{driver.name}: results of job {work.job} are lost again and again, {worker} is in reach")

    def _is_readable(self, driver: SimDriver, worker: str) -> bool:
        owner = driver.engine.owner(worker)
        server = None if owner is None else self.sim.block_servers.get(owner.endpoint)
        if server is None or not server.alive or server.paused:
            return False
        return self.sim.network.reachable(server.host, driver.host) and not self.sim.disk(server.host).full

    def _has_others(self, driver: SimDriver) -> bool:
        """Whether executors, silent ones too, are where nothing is known to be wrong."""
        excluded = driver.core.pool.excluded()
        return any(executor.worker not in excluded and not executor.draining for executor in driver.executors())

    def _had_no_disk(self, driver: SimDriver, faults: list[str], most: int) -> bool:
        """A task found disks at fault too often, and was everywhere where executors are."""
        tried = set(faults)
        untried = [e.name for e in driver.executors() if e.worker not in tried and not e.draining]
        return len(faults) >= most and (len(tried) >= most or not untried)

    def program_over(self, driver: SimDriver) -> None:
        """Each update counted once, every table of the scheduler empty."""
        record = self.record(driver)
        succeeded = [job for job in driver.program.jobs if driver.outcomes[job.job].outcome == "succeeded"]
        if len(succeeded) == len(driver.program.jobs):
            missing = set(programs.expected_counts(driver.program)) - set(record.counted)
            if missing:
                self.violate(f"{driver.name}: accumulator updates of {sorted(missing)} were not counted")
        self.sim.check_statistics(driver)

    # ── the master ───────────────────────────────────────────────────────────────────────────────────────────────

    def granted(self, master: SimMaster, peer: str, launch: messages.LaunchExecutors) -> None:
        now, limits = self.sim.world.now, self.sim.plan.master_settings.liveness
        silence = now - master.heard.get(peer, -1e9)
        overslept = now - master.continued_at < 2 * limits.check_every_s
        if silence > limits.late_after_s + (HEARD_SLACK_S if overslept else SLACK_S):
            self.violate(f"a grant on a worker that was silent for {silence:.1f} s")
        if master.unheard and now - master.started_at < limits.late_after_s * 0.9:
            self.violate(f"a grant while {sorted(master.unheard)} have not been heard after the restart")
        ledger = master.core.ledger
        worker = ledger.workers.of_peer(peer)
        if worker is None:
            self.violate("a grant to a session that is no worker's")
            return
        taken = sum(entry.cores for entry in ledger.executors.on_worker(worker.worker))
        if taken > worker.slots:
            self.violate(f"worker {worker.worker} has {worker.slots} slots and {taken} are taken")

    def after_master(self, master: SimMaster) -> None:
        """Who is found by a session is also found by its id."""
        workers, applications = master.core.ledger.workers, master.core.ledger.applications
        for worker in workers._by_peer.values():
            if workers.get(worker.worker) is not worker:
                self.violate(f"worker {worker.worker} is in the index of sessions only")
        for application in applications._by_peer.values():
            if applications.get(application.application) is not application:
                self.violate(f"application {application.application} is in the index of sessions only")

    def after_worker(self, worker: SimWorker) -> None:
        if len(worker.children) > 2 * self.sim.plan.slots:
            self.violate(f"{worker.name} runs {len(worker.children)} executors")

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────

    def leftovers(self) -> str:
        """What is still there when nothing should be; "" when all is clean."""
        sim = self.sim
        master = sim.master
        if master is None or not master.alive:
            return "the master is down"
        ledger = master.core.ledger
        if len(ledger.executors):
            return f"the master holds executors {[entry.executor for entry in ledger.executors]}"
        if len(ledger.applications):
            return f"the master holds applications {[entry.application for entry in ledger.applications]}"
        if master.core.recovering:
            return "the master is still recovering"
        running = [name for name, process in sim.world.processes.items() if isinstance(process, SimExecutor)]
        if running:
            return f"executors run: {running}"
        for worker in sim.workers:
            if worker.alive and (worker.children or worker.core.running() or worker.core.applications()):
                return f"{worker.name} holds {worker.core.running()} of {worker.core.applications()}"
            directories = sim.disk(worker.host).directories
            if directories:
                return f"the disk of {worker.host} has {sorted(directories)}"
        return ""
