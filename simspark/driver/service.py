"""The driver's loop thread: the shell around the scheduler core.

Any thread may post to it and one thread decides. What executors, the backend and the program say becomes an event of
the core; its effects are performed in their order. An event that arises while effects are performed waits its turn,
so the core is never entered twice.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from simspark.driver import scheduling
from simspark.driver.backend import Backend, exit_text
from simspark.driver.core import SchedulerCore
from simspark.driver.dispatch import Dispatcher
from simspark.driver.job import Accepted, AccumulatedUpdates, JobTable, RunningJob
from simspark.driver.scheduling import Effect, Event
from simspark.publib import events, machine
from simspark.publib.clock import Clock
from simspark.publib.service import Loop, OneAtATime
from simspark.publib.wire import messages
from simspark.publib.wire.messages import ExecutorExit, ExecutorSettings, Owner, SharedFile
from simspark.publib.wire.nonce import executor_nonce

if TYPE_CHECKING:
    from simspark.publib.wire.transport import Listener
    from simspark.publib.wire.unix import UnixListener

STOP_S = 5.0
ANSWER_S = 1.0
DRIVER = "driver"


class Engine:
    """Runs jobs on the executors of a backend. ``submit``, ``cancel``, ``post`` and ``stop`` are for any thread."""

    def __init__(self, clock: Clock, core: SchedulerCore, backend: Backend, updates: AccumulatedUpdates,
                 settings: Callable[[str], ExecutorSettings], nonce_secret: bytes,
                 remove_file: Callable[[str], None]) -> None:
        self.loop = Loop(clock, self._crashed)
        self.core = core
        self.jobs = JobTable()
        self.sinks: list[Callable[[list[Any]], None]] = []
        self.take_samples: Callable[[str, messages.TaskSamples], None] = lambda *_: None
        self._clock = clock
        self._backend = backend
        self._updates = updates
        self._settings = settings
        self._nonce_secret = nonce_secret
        self._remove_file = remove_file
        self._listeners: dict[str, Listener | UnixListener] = {}
        self._dispatcher = Dispatcher(self._send, core.outputs)
        self._expected: dict[str, tuple[str, str]] = {}
        self._executor_of: dict[str, str] = {}
        self._early: dict[str, tuple[str, messages.ExecutorHello]] = {}
        self._take = OneAtATime(self._decide)
        self._forgotten: deque[tuple[str, int]] = deque()
        self._hash_probe: int | None = None
        self._crash: BaseException | None = None
        self._is_started = False
        self._thread = threading.Thread(target=self.loop.run, name="simspark-driver", daemon=True)

    # ── for any thread ───────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start the loop; the listener and the backend have been attached."""
        self._is_started = True
        self._thread.start()

    def listen(self, listener: Listener | UnixListener, first: Callable[[Any], bool] | None = None) -> None:
        """Hear executors on this listener, too; ``first`` takes what is not theirs. Before ``start``."""
        self._listeners[listener.PEERS] = listener

        if first is None:
            self.loop.add(listener, self.handle_peer)
            return

        def handle(event: Any) -> None:
            if not first(event):
                self.handle_peer(event)

        self.loop.add(listener, handle)

    def submit(self, job: RunningJob) -> None:
        """Run a job; its waiter learns the end, also when the engine is over."""
        self.loop.post(lambda: self._submit(job))
        if self.loop.is_over or not self._is_started:
            job.finish(self._ended_with_engine(job.spec.job))

    def cancel(self, job: int, reason: str) -> None:
        """Cancel a job, if it still runs."""
        self.post(scheduling.CancelJob(job, reason))

    def cancel_all(self, which: Callable[[Mapping[str, str]], bool], reason: str) -> None:
        """Cancel the jobs whose properties ``which`` picks, also those that were submitted just now."""
        self.loop.post(lambda: self._cancel_all(which, reason))

    def withdraw(self, job: int, reason: str) -> None:
        """Nobody wants a job or its results any more: cancel it, or remove what it has left in files."""
        self.cancel(job, reason)
        self.remove_files((f"result-{job}-",))

    def post(self, event: Event) -> None:
        """Let the core have an event."""
        self.loop.post(lambda: self.step(event))

    def forget(self, kind: str, number: int) -> None:
        """Something is not needed any more: see ``_drop_forgotten`` for the kinds. For finalizers, too."""
        self._forgotten.append((kind, number))

    def clean_shuffles(self, shuffles: Sequence[int], blocking: bool) -> None:
        """The outputs of these are not needed for now; ``blocking`` waits until the core knows."""
        self._forgotten.extend(("outputs", shuffle) for shuffle in shuffles)
        self.drop_forgotten()
        if blocking:
            self._wait_for_loop()

    def _wait_for_loop(self) -> None:
        done: SimpleQueue[None] = SimpleQueue()
        self.loop.post(lambda: done.put(None))
        try:
            done.get(timeout=ANSWER_S)
        except Empty:
            return

    def drop_forgotten(self) -> None:
        """Let go now of what is not needed, not at the next job."""
        if self._forgotten:
            self.loop.post(self._drop_forgotten)

    def share(self, file: SharedFile) -> None:
        """Let all executors have a file of the driver's before the tasks of jobs that are submitted after this."""
        self.loop.post(lambda: self._dispatcher.share(file))

    def remove_files(self, prefixes: tuple[str, ...]) -> None:
        """Remove files on every worker."""
        self.loop.post(lambda: self._backend.remove_files("", prefixes))

    def stop(self) -> None:
        """End all jobs, give the executors back, end the thread."""
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self.loop.post(self._stop)
            self._thread.join(STOP_S)
        self.jobs.end_all(self._ended_with_engine)
        self._backend.stop()

    def waiting_text(self) -> str:
        """What the jobs wait for, for people. Any thread; "" when the loop does not answer."""
        if threading.current_thread() is self._thread:
            return self.core.waiting_text()
        answer: SimpleQueue[str] = SimpleQueue()
        self.loop.post(lambda: answer.put(self.core.waiting_text()))
        try:
            return answer.get(timeout=ANSWER_S)
        except Empty:
            return ""

    # ── what happens, in the loop ────────────────────────────────────────────────────────────────────────────────

    def step(self, event: Event) -> None:
        """Let the core decide about an event and perform what it wants."""
        self._take(event)

    def _decide(self, event: Event) -> None:
        told: list[Any] = []
        for effect in self.core.handle(self._clock.now(), event):
            if type(effect) in events.EVENTS:
                told.append(effect)
                continue
            if told and type(effect) is scheduling.JobEnded:  # who waits for the job may ask at once what was told
                self._tell_sinks(told)
                told = []
            self._perform(effect)
        if told:
            self._tell_sinks(told)

    def _tell_sinks(self, told: list[Any]) -> None:
        for sink in self.sinks:
            sink(told)

    def expect(self, executor: str, worker: str, host: str) -> None:
        """See ExecutorNews."""
        self._expected[executor] = (worker, host)

    def gone(self, ended: ExecutorExit) -> None:
        """See ExecutorNews."""
        self._leave(ended.executor, exit_text(ended))

    def stopped(self, executor: str, is_stopped: bool) -> None:
        """See ExecutorNews."""
        self.step(scheduling.ExecutorSilent(executor) if is_stopped else scheduling.ExecutorHeard(executor))

    def doubted(self, worker: str, is_doubted: bool) -> None:
        """See ExecutorNews."""
        for executor, (home, _) in list(self._expected.items()):
            peer = self._dispatcher.peer(executor)
            if home == worker and peer is not None:
                self._listener_of(peer).doubt(peer, is_doubted)

    def worker_changed(self, worker: str, state: str, cause: str) -> None:
        """See ExecutorNews."""
        if state == "dead":
            for executor in [name for name, (home, _) in self._expected.items() if home == worker]:
                self._leave(executor, cause)
        self.step(scheduling.WorkerChanged(worker, state, cause))

    def queue_changed(self, text: str, unmet: bool) -> None:
        """See ExecutorNews."""
        self.step(scheduling.QueueChanged(text, unmet))

    def give_back(self, count: int) -> None:
        """See ExecutorNews."""
        self.step(scheduling.GiveBackAsked(count))

    def printed(self, executor: str, text: str) -> None:
        """See ExecutorNews."""
        self._tell_sinks([events.LogLine(executor, -1, "stdout", text)])

    def add_owner(self, owner: Owner) -> None:
        """Somebody keeps files of the application. Its executors that were here before it are let in."""
        self._dispatcher.add_owner(owner)
        for executor in list(self._early):
            if self._expected[executor][0] == owner.owner:
                self._let_in(executor)

    def owner(self, owner: str) -> Owner | None:
        """Where an owner's files are. Any thread: one look-up."""
        return self._dispatcher.owner(owner)

    def executors(self) -> tuple[str, ...]:
        """The executors that are here or on their way."""
        return tuple(self._expected)

    def handle_peer(self, event: Any) -> None:
        """What the listener says of executors."""
        match event:
            case machine.Received(peer, message):
                executor = self._executor_of.get(peer)
                if executor is not None:
                    self._handle_message(executor, message)
            case machine.PeerJoined(peer, _, _, messages.ExecutorHello() as hello):
                self._handle_hello(peer, event.role, hello)
            case machine.PeerSilent(peer) if peer in self._executor_of:
                self.step(scheduling.ExecutorSilent(self._executor_of[peer]))
            case machine.PeerReturned(peer) if peer in self._executor_of:
                self.step(scheduling.ExecutorHeard(self._executor_of[peer]))
            case machine.PeerLost(peer, reason) if peer in self._executor_of:
                self._leave(self._executor_of[peer], f"lost its connection ({reason})")
            case machine.PeerLost(peer, _):
                self._early = {executor: early for executor, early in self._early.items() if early[0] != peer}
            case machine.PeerJoined(peer):
                self._refuse(peer, "protocol", "only executors are expected here")

    # ── the parts of it ──────────────────────────────────────────────────────────────────────────────────────────

    def _handle_hello(self, peer: str, role: str, hello: messages.ExecutorHello) -> None:
        expected = self._expected.get(hello.executor)
        if role and not role.startswith("executor"):
            return self._refuse(peer, "access_refused", "the key is not an executor's")
        if expected is None or hello.nonce != executor_nonce(self._nonce_secret, hello.executor):
            return self._refuse(peer, "access_refused", "no such executor is expected")
        if self._hash_probe not in (None, hello.hash_probe):
            return self._refuse(peer, "hash", "the executor hashes text otherwise: PYTHONHASHSEED must be 0")
        if self._dispatcher.peer(hello.executor) is not None or hello.executor in self._early:
            return self._refuse(peer, "access_refused", "this executor is here already")
        self._hash_probe = hello.hash_probe
        self._early[hello.executor] = peer, hello
        if self.owner(expected[0]) is not None:
            self._let_in(hello.executor)
        return None

    def _let_in(self, executor: str) -> None:
        """Accept an executor. Not before its worker has said where its files will be: others may soon want them."""
        peer, hello = self._early.pop(executor)
        self._listener_of(peer).accept(peer)
        worker, host = self._expected[executor]
        self._executor_of[peer] = executor
        self._send(peer, self._settings(worker))
        self._dispatcher.join(executor, peer)
        self._backend.joined(executor)
        self.step(scheduling.ExecutorJoined(executor, worker, host, hello.slots))

    def _handle_message(self, executor: str, message: Any) -> None:
        match message:
            case messages.TaskReports(reports):
                self._take(scheduling.Reported(executor, reports))
            case messages.CommitAsk(task):
                self.step(scheduling.CommitAsked(executor, task))
            case messages.BarrierAsk():
                self.step(scheduling.BarrierAsked(executor, *message))
            case messages.BlocksDropped(blocks):
                self.step(scheduling.BlocksDropped(executor, blocks))
            case messages.ProgramMissing(digest, _):
                self._dispatcher.program_missing(executor, digest)
            case messages.TaskSamples():
                self.take_samples(executor, message)

    def _leave(self, executor: str, cause: str) -> None:
        if self._expected.pop(executor, None) is None:
            return
        peer = self._dispatcher.peer(executor)
        self._dispatcher.leave(executor)
        self._early.pop(executor, None)
        if peer is not None:
            self._executor_of.pop(peer, None)
            self._listener_of(peer).close_peer(peer)
        self.step(scheduling.ExecutorLost(executor, cause))

    def _submit(self, job: RunningJob) -> None:
        if self._forgotten:
            self._drop_forgotten()
        self.jobs.add(job)
        self._dispatcher.add_job(job)
        self._take(scheduling.SubmitJob(job.spec))

    def _cancel_all(self, which: Callable[[Mapping[str, str]], bool], reason: str) -> None:
        for job in self.jobs.running():
            if which(job.properties):
                self.step(scheduling.CancelJob(job.spec.job, reason))

    def _perform(self, effect: Effect) -> None:
        match effect:
            case scheduling.Launch():
                job = self.jobs.get(effect.job)
                addresses = tuple(map(self._address, effect.gang))
                self._dispatcher.launch(effect, {} if job is None else job.properties, addresses)
            case scheduling.TakeResult(job_id, partition, worker, report):
                self.jobs.take(job_id, partition, Accepted(worker, report))
            case scheduling.CountAccumulated(accumulated):
                self._updates.put(accumulated)
            case scheduling.JobEnded():
                self._end_job(effect)
            case scheduling.AnswerCommit(executor, task, allowed):
                self._tell(executor, messages.CommitAnswer(task, allowed))
            case scheduling.AnswerBarrier(executor, task, meeting, said, error):
                self._tell(executor, messages.BarrierAnswer(task, meeting, said, error))
            case scheduling.Cancel(executor, tasks, reason):
                self._tell(executor, messages.CancelTasks(tasks, reason))
            case machine.SetTimer(name, when):
                self.loop.call_at(name, when, lambda: self.step(machine.TimerFired(name)))
            case machine.CancelTimer(name):
                self.loop.cancel(name)
            case scheduling.WantExecutors(total):
                self._backend.want(total)
            case scheduling.KillExecutor(executor, reason):
                self._backend.end((executor,), reason)
            case scheduling.ReleaseExecutor(executor):
                self._release(executor)
            case scheduling.DropFiles():
                self._drop(effect)

    def _address(self, executor: str) -> str:
        """Where an executor's data is served: its machine, and the port of the block server there, or 0."""
        worker, host = self._expected.get(executor, ("", ""))
        owner = self._dispatcher.owner(worker)
        _, colon, port = ("" if owner is None else owner.endpoint).rpartition(":")
        return f"{host}:{port if colon and port.isdigit() else 0}"

    def _end_job(self, ended: scheduling.JobEnded) -> None:
        job = self.jobs.end(ended)
        if job is not None:
            self._dispatcher.end_job(job)

    def _release(self, executor: str) -> None:
        self._tell(executor, messages.Shutdown("released"))
        self._backend.end((executor,), "")

    def _drop(self, effect: scheduling.DropFiles) -> None:
        self._backend.remove_files(effect.worker, effect.prefixes)
        if effect.rdds or effect.shuffles:
            for peer in self._dispatcher.peers():
                self._send(peer, messages.DropBlocks(effect.rdds, effect.shuffles, ()))

    def _drop_forgotten(self) -> None:
        """Nothing of the program refers to these any more; finalizers said so, which may not do more than say."""
        while self._forgotten:
            kind, number = self._forgotten.popleft()
            match kind:
                case "shuffle":
                    self.step(scheduling.ForgetShuffle(number))
                case "outputs":
                    self.step(scheduling.CleanShuffle(number))
                case "cached":
                    self.step(scheduling.Unpersist(number))
                case "data":
                    self._remove_file(f"data-{number}")
                case "broadcast":
                    self._drop_broadcast(number)
                case "destroyed":
                    self._drop_broadcast(number)
                    self._backend.remove_files("", (f"broadcast-{number}",))

    def _drop_broadcast(self, broadcast: int) -> None:
        for peer in self._dispatcher.peers():
            self._send(peer, messages.DropBlocks((), (), (broadcast,)))

    def _tell(self, executor: str, message: Any) -> None:
        peer = self._dispatcher.peer(executor)
        if peer is not None:
            self._send(peer, message)

    def _send(self, peer: str, message: Any) -> None:
        self._listener_of(peer).send(peer, message)

    def _refuse(self, peer: str, code: str, text: str) -> None:
        self._listener_of(peer).refuse(peer, code, text)

    def _listener_of(self, peer: str) -> Listener | UnixListener:
        return self._listeners[peer[0]]

    def _stop(self) -> None:
        for peer in self._dispatcher.peers():
            self._send(peer, messages.Shutdown("the application is over"))
        self._backend.finish()
        self.loop.stop()

    def _ended_with_engine(self, job: int) -> scheduling.JobEnded:
        if self._crash is None:
            return scheduling.JobEnded(job, "cancelled", text="the context was stopped")
        text = f"the driver's loop failed: {type(self._crash).__name__}: {self._crash}"
        return scheduling.JobEnded(job, "failed", "InternalError", text)

    def _crashed(self, crash: BaseException) -> None:
        self._crash = crash
        self.jobs.end_all(self._ended_with_engine)

