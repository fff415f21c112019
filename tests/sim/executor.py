"""A simulated executor: takes tasks from its driver, reads, computes, writes, reports.

It knows what the messages say and nothing of the driver's tables. The phases of a task are calls at later moments, so
that a fault can strike between any two of them. Its computation is that of programs.py; its errors are those of the
world.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simspark.publib import machine
from simspark.publib.wire import messages
from simspark.publib.wire.messages import CachedBlock, Failure, FetchFault, TaskReport
from tests.sim import programs
from tests.sim.network import Dialer
from tests.sim.world import Host, Process

if TYPE_CHECKING:
    from tests.sim.worker import SimWorker

    from tests.sim.simulation import Simulation

FETCH_TIMEOUT_S = 3.0
REFUSED_S = 1.5
CONNECT_TIMEOUT_S = 15.0
RAISED = Failure("ValueError", "builtins", "the user's own", (), (), "", b"")


class _Run:
    """One attempt under way."""

    __slots__ = ("arrived", "cancelled", "fault", "head", "index", "meeting", "over", "refs", "rows", "task",
                 "then", "work")

    def __init__(self, head: messages.LaunchTasks, task: messages.TaskLaunch, work: programs.StageWork) -> None:
        self.head = head
        self.task = task
        self.work = work
        self.over = False
        self.cancelled = False
        self.refs: list[tuple[str, str, int, int]] = []
        self.arrived: list[tuple[int, list[int]]] = []
        self.fault: FetchFault | None = None
        self.rows: list[int] = []
        self.index = 0
        self.meeting = 0
        self.then: Callable[[], None] | None = None


class SimExecutor(Process):
    """One executor process. ``spec`` is what the worker was told."""

    in_arrival_order = False  # a planted bug turns it on
    report_before_rename = False  # another

    def __init__(self, sim: Simulation, host: Host, spec: messages.ExecutorSpec, parent: SimWorker) -> None:
        super().__init__(sim.world, f"executor {spec.executor}#{sim.next_process()}", host)
        self.sim = sim
        self.spec = spec
        self.parent = parent
        self.slots = spec.cores
        self.settings: messages.ExecutorSettings | None = None
        self.owners: dict[str, messages.Owner] = {}
        self.tables: dict[int, messages.MapOutputs] = {}
        self.codes: set[bytes] = set()
        self.without_code: dict[bytes, list[messages.LaunchTasks]] = {}
        self.queue: deque[_Run] = deque()
        self.running: dict[int, _Run] = {}
        self.cached: dict[tuple[int, int], list[int]] = {}
        self.broadcasts: set[int] = set()
        self.session: Dialer | None = None
        self.call_in(0.001, self._begin)

    def _begin(self) -> None:
        hello = messages.ExecutorHello(self.spec.executor, self.spec.nonce, 1, self.slots, 42)
        self.session = Dialer(
            self.sim.network,
            self,
            self.spec.driver_endpoint,
            hello,
            self._handle,
            f"executor:{self.spec.application}",
            self.spec.executor_public,
            CONNECT_TIMEOUT_S,
        )

    def died(self) -> None:
        self.parent.child_died(self)

    def leave(self, status: int) -> None:
        """Exit by itself."""
        self.exit_status = status
        self.kill()

    exit_status = -1

    # ── what the driver says ─────────────────────────────────────────────────────────────────────────────────────

    def _handle(self, event: Any) -> None:
        match event:
            case machine.Received(_, message):
                self._handle_message(message)
            case machine.PeerLost():
                self.leave(0)

    def _handle_message(self, message: Any) -> None:
        match message:
            case messages.LaunchTasks():
                self._take(message)
            case messages.MapOutputs():
                held = self.tables.get(message.shuffle)
                if held is None or message.epoch >= held.epoch:
                    self.tables[message.shuffle] = message
            case messages.Owners(owners):
                self.owners.update({owner.owner: owner for owner in owners})
            case messages.StageProgram(digest, _, _):
                self.codes.add(digest)
                for waiting in self.without_code.pop(digest, []):
                    self._take(waiting)
            case messages.CommitAnswer(task, allowed):
                run = self.running.get(task)
                if run is not None:
                    self._committed(run, allowed)
            case messages.BarrierAnswer(task, meeting, said, error):
                self._met(task, meeting, said, error)
            case messages.CancelTasks(tasks, _):
                self._cancel(tasks)
            case messages.DropBlocks(rdds, shuffles, _):
                self._drop(rdds, shuffles)
            case messages.ExecutorSettings():
                self.settings = message
                self.owners[message.owner.owner] = message.owner
            case messages.Shutdown():
                self.leave(0)

    def _drop(self, rdds: tuple[int, ...], shuffles: tuple[int, ...]) -> None:
        for key in [key for key in self.cached if key[0] in rdds]:
            del self.cached[key]
        for shuffle in shuffles:
            self.tables.pop(shuffle, None)

    def _take(self, launch: messages.LaunchTasks) -> None:
        self.world.phase("p2", self)
        if not self.alive:
            return
        if launch.hash not in self.codes:
            self.without_code.setdefault(launch.hash, []).append(launch)
            self._send(messages.ProgramMissing(launch.hash, tuple(task.task for task in launch.tasks)))
            return
        program, work = self.sim.work_of(launch.hash)
        del program
        self.queue.extend([_Run(launch, task, work) for task in launch.tasks])
        self._fill()

    def _fill(self) -> None:
        while self.queue and len(self.running) < self.slots:
            run = self.queue.popleft()
            self.running[run.task.task] = run
            self.call_in(0.0001, self._start, run)

    def _cancel(self, tasks: tuple[int, ...]) -> None:
        for run in [run for run in self.queue if run.task.task in tasks]:
            self.queue.remove(run)
            self._report(run, "cancelled")
        for task in tasks:
            running = self.running.get(task)
            if running is not None and not running.cancelled:
                running.cancelled = True
                if not self.sim.behaviour_of(self, running.head, running.task).startswith("deaf"):
                    self.call_in(0.002, self._end, running, "cancelled")

    # ── one task ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self, run: _Run) -> None:
        if run.over or run.cancelled:
            return
        work = run.work
        if work.broadcast and work.stage not in self.broadcasts:
            self.world.phase("p9", self)
            owner = self.owners.get("driver")
            assert owner is not None, "the driver's files come with the settings"
            self._fetch(run, ("driver", f"broadcast-{work.stage}", -1, -1), 0, self._have_broadcast)
            return
        self._read(run)

    def _have_broadcast(self, run: _Run, _index: int, _rows: list[int]) -> None:
        self.broadcasts.add(run.work.stage)
        self._read(run)

    def _read(self, run: _Run) -> None:
        work, partition = run.work, run.task.partition
        if work.rdd >= 0 and (work.rdd, partition) in self.cached:
            run.rows = self.cached[work.rdd, partition]
            self._compute(run)
        elif not work.parents:
            run.rows = programs.transform(work, programs.slice_rows(work, partition))
            self._compute(run)
        else:
            self._read_shuffles(run)

    def _read_shuffles(self, run: _Run) -> None:
        for shuffle in run.work.parents:
            table = self.tables.get(shuffle)
            if table is None and run.cancelled:
                return
            if table is None:
                self._crash(f"no table of shuffle {shuffle} came before its task")
                return
            for index, (position, task) in enumerate(table.places):
                run.refs.append((table.owners[position], f"shuffle-{shuffle}-{index}-{task}", shuffle, index))
        for position, ref in enumerate(run.refs):
            if run.over:
                return
            self.world.phase("p8", self)
            if not self.alive or run.over:
                return
            self._fetch(run, ref, position, self._have_segment)

    def _have_segment(self, run: _Run, index: int, rows: list[int]) -> None:
        run.arrived.append((index, rows))
        if len(run.arrived) == len(run.refs):
            parts = run.arrived if self.in_arrival_order else sorted(run.arrived)
            run.rows = programs.transform(run.work, [row for _, part in parts for row in part])
            self._compute(run)

    def _meet(self, run: _Run, kind: str, then: Callable[[], None]) -> None:
        """Wait for the others of the gang."""
        run.meeting += 1
        run.then = then
        said = messages.Said(str(run.task.partition) if kind == "allGather" else "", "", "")
        self._send(messages.BarrierAsk(run.task.task, run.meeting, kind, said))

    def _met(self, task: int, meeting: int, said: tuple[messages.Said, ...], error: str) -> None:
        run = self.running.get(task)
        if run is None or run.over or run.cancelled or run.then is None:
            return
        if error or meeting != run.meeting:
            self._crash(f"task {task} asked for meeting {run.meeting} and was told of {meeting}: {error}")
        if said and [each.text for each in said] != [str(part) for part in range(run.work.partitions)]:
            self._crash(f"task {task} heard {said}")
        then, run.then = run.then, None
        then()

    def _compute(self, run: _Run) -> None:
        if run.work.gang and not run.over:
            self._meet(run, "allGather", lambda: self._compute_now(run))
        else:
            self._compute_now(run)

    def _compute_now(self, run: _Run) -> None:
        if run.over or not self.world.phase("p3", self):
            return
        behaviour = self.sim.behaviour_of(self, run.head, run.task)
        cost = run.work.cost_s * self.sim.slowness(self.host)
        if behaviour == "raise":
            self.call_in(cost, self._end, run, "raised")
        elif behaviour == "die":
            self.call_in(cost, self.leave, 1)
        elif behaviour in ("hang", "deaf hang"):
            self.sim.note_hang(self.spec.application, run.head.stage, run.task.partition)
        else:
            self.call_in(cost * (20 if behaviour == "slow" else 1), self._leave_user_code, run)

    def _leave_user_code(self, run: _Run) -> None:
        if run.work.gang and not run.over:
            self._meet(run, "barrier", lambda: self._computed(run))
        else:
            self._computed(run)

    def _computed(self, run: _Run) -> None:
        """User code has returned: the output is written."""
        if run.over:
            return
        blocks = self._keep(run)
        if blocks is None:
            return
        if run.work.save:
            self._send(messages.CommitAsk(run.task.task))
            return
        self._write(run, blocks)

    def _committed(self, run: _Run, allowed: bool) -> None:
        if run.over:
            return
        if not allowed:
            self._end(run, "cancelled")
            return
        self.sim.saved(self.spec.application, run.head.job, run.task.partition, run.task.task, programs.fold(run.rows))
        self._write(run, ())

    def _keep(self, run: _Run) -> tuple[CachedBlock, ...] | None:
        """The blocks that this task has newly cached; None when the disk refused them."""
        work, partition = run.work, run.task.partition
        if work.rdd < 0 or (work.rdd, partition) in self.cached:
            return ()
        name = ""
        if self.sim.disk_cache(run.head.hash):
            name = f"cache-{work.rdd}-{partition}-{run.task.task}"
            try:
                self.sim.disk(self.host).begin(self._directory(), name)
                self.sim.disk(self.host).commit(self._directory(), name, {0: run.rows})
            except OSError:
                self._end(run, "node_fault")
                return None
        self.cached[work.rdd, partition] = run.rows
        return (CachedBlock(work.rdd, partition, name, 8 * len(run.rows)),)

    def _write(self, run: _Run, blocks: tuple[CachedBlock, ...]) -> None:
        work, task = run.work, run.task
        if work.shuffle >= 0:
            name = f"shuffle-{work.shuffle}-{task.partition}-{task.task}"
            content = programs.segments(work, run.rows)
        elif work.large:
            name = f"result-{run.head.job}-{task.partition}-{task.task}"
            content = {0: [programs.fold(run.rows)]}
        else:
            self._report_done(run, blocks, "", str(programs.fold(run.rows)).encode())
            return
        try:
            self.sim.disk(self.host).begin(self._directory(), name)
        except OSError:
            self._end(run, "node_fault")
            return
        if self.report_before_rename:
            self._report_done(run, blocks, name, b"")
        if self.world.phase("p4", self):
            self.call_in(0.001, self._rename, run, blocks, name, content)

    def _rename(self, run: _Run, blocks: tuple[CachedBlock, ...], name: str, content: dict[int, list[int]]) -> None:
        if run.over and not self.report_before_rename:
            return
        try:
            self.sim.disk(self.host).commit(self._directory(), name, content)
        except OSError:
            self._end(run, "node_fault")
            return
        if self.world.phase("p5", self):
            self.call_in(0.0002, self._report_done, run, blocks, name, b"")

    def _report_done(self, run: _Run, blocks: tuple[CachedBlock, ...], name: str, payload: bytes) -> None:
        work, task = run.work, run.task
        unit = f"s{work.shuffle}.{task.partition}" if work.shuffle >= 0 else f"j{run.head.job}.{task.partition}"
        report = TaskReport(task.task, "ok", payload, name, 64, unit.encode(), blocks, {}, None, None)
        self._finish(run, report)

    # ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _end(self, run: _Run, outcome: str, fetch: FetchFault | None = None) -> None:
        if not run.over:
            self._report(run, outcome, fetch)

    def _report(self, run: _Run, outcome: str, fetch: FetchFault | None = None) -> None:
        failure = RAISED if outcome in ("raised", "node_fault") else None
        self._finish(run, TaskReport(run.task.task, outcome, b"", "", 0, b"", (), {}, failure, fetch))

    def _finish(self, run: _Run, report: TaskReport) -> None:
        if run.over:
            return
        run.over = True
        self.running.pop(run.task.task, None)
        self._send(messages.TaskReports((report,)))
        if self.world.phase("p6", self):
            self._fill()

    def _send(self, message: Any) -> None:
        assert self.session is not None
        self.session.send(message)

    def _crash(self, text: str) -> None:
        self.sim.violate(f"{self.name}: {text}")

    def evict(self) -> None:
        """Memory is short: one cached partition goes."""
        if self.cached and self.session is not None:
            key = next(iter(self.cached))
            del self.cached[key]
            self._send(messages.BlocksDropped((key,)))

    def forget_code(self) -> None:
        self.codes.clear()

    # ── reading files ────────────────────────────────────────────────────────────────────────────────────────────

    def _directory(self) -> str:
        return self.parent.directory(self.spec.application)

    def _fetch(
        self, run: _Run, ref: tuple[str, str, int, int], index: int, then: Callable[[_Run, int, list[int]], None]
    ) -> None:
        owner = self.owners.get(ref[0])
        if owner is None:
            self._fetch_failed(run, ref, "nobody has said where its files are")
            return
        segment = run.task.partition if ref[2] >= 0 else 0
        assert self.settings is not None
        if ref[0] == self.settings.owner.owner:
            self._take_rows(run, ref, index, then, self.sim.read(self.host, self._directory(), ref[1], segment))
            return
        home = self.sim.host_of_directory(owner.directory)
        timeout = self.call_in
        timeout(FETCH_TIMEOUT_S, self._fetch_late, run, ref, index)
        if (self.host.index, home.index) not in self.sim.network.cuts:
            server = self.sim.block_servers.get(owner.endpoint)
            if server is None or not server.alive:
                timeout(REFUSED_S, self._fetch_failed, run, ref, "connection refused")
                return
            delay = self.sim.network.latency(self.host, home)
            server.call_in(delay, self._serve, server, run, ref, index, segment, owner.directory, then)

    def _serve(
        self,
        server: Process,
        run: _Run,
        ref: tuple[str, str, int, int],
        index: int,
        segment: int,
        directory: str,
        then: Callable[[_Run, int, list[int]], None],
    ) -> None:
        """In the block server's process: find the segment and send it."""
        if not self.world.phase("p7", server) or not self.alive:
            return
        answer = self.sim.read(server.host, directory, ref[1], segment)
        if (server.host.index, self.host.index) not in self.sim.network.cuts:
            delay = self.sim.network.latency(server.host, self.host)
            self.call_in(delay, self._take_rows, run, ref, index, then, answer)

    def _take_rows(
        self,
        run: _Run,
        ref: tuple[str, str, int, int],
        index: int,
        then: Callable[[_Run, int, list[int]], None],
        answer: list[int] | str,
    ) -> None:
        if run.over:
            return
        if isinstance(answer, str):
            self._fetch_failed(run, ref, answer)
            return
        run.index |= 1 << index
        then(run, index, answer)

    def _fetch_late(self, run: _Run, ref: tuple[str, str, int, int], index: int) -> None:
        if not run.over and not run.index >> index & 1:
            self._fetch_failed(run, ref, "nobody answered in time")

    def _fetch_failed(self, run: _Run, ref: tuple[str, str, int, int], reason: str) -> None:
        self._end(run, "fetch_failed", FetchFault(ref[0], ref[1], ref[2], ref[3], reason))
