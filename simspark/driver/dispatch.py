"""What each executor has been told, and the messages that a launch needs.

A program, a map output table, the owners of files and what the program shares travel to an executor once, before the
first task that needs them: one channel keeps the order, so an executor never sees a task before its code. What an
executor was told is forgotten with the executor; a session that breaks and resumes loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from simspark.driver.job import RunningJob, StageCode
from simspark.driver.scheduling import Launch, Outputs, StageSpec
from simspark.publib.wire import messages
from simspark.publib.wire.messages import Owner, SharedFile, TaskLaunch

LAUNCH_BYTES = 512 << 10
SHARED_FILES = 500
INLINE_PROGRAM_BYTES = 256 << 10


class _Told:
    """What one executor knows."""

    __slots__ = ("epochs", "peer", "programs")

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.programs: set[bytes] = set()
        self.epochs: dict[int, int] = {}


class _Stage:
    """The code of a stage, kept while a job names it."""

    __slots__ = ("code", "cpus", "jobs", "parents")

    def __init__(self, code: StageCode, spec: StageSpec) -> None:
        self.code = code
        self.parents = spec.parents
        self.cpus = spec.cpu_amount
        self.jobs: set[int] = set()


class Dispatcher:
    """Turns Launch effects into messages. The loop's alone."""

    def __init__(self, send: Callable[[str, Any], None], outputs: Callable[[int], Outputs]) -> None:
        self._send = send
        self._outputs = outputs
        self._told: dict[str, _Told] = {}
        self._stages: dict[int, _Stage] = {}
        self._owners: dict[str, Owner] = {}
        self._shared: dict[tuple[str, str], SharedFile] = {}

    def add_job(self, job: RunningJob) -> None:
        """Hold the code of the job's stages until it ends."""
        for spec in job.spec.stages:
            stage = self._stages.get(spec.stage)
            if stage is None:
                stage = self._stages[spec.stage] = _Stage(job.codes[spec.stage], spec)
            stage.jobs.add(job.spec.job)

    def end_job(self, job: RunningJob) -> None:
        """Let the code go that no other job names."""
        for spec in job.spec.stages:
            stage = self._stages.get(spec.stage)
            if stage is not None:
                stage.jobs.discard(job.spec.job)
                if not stage.jobs:
                    del self._stages[spec.stage]

    def add_owner(self, owner: Owner) -> None:
        """Tell every executor of somebody new, or anew, who keeps files."""
        if self._owners.get(owner.owner) == owner:
            return
        self._owners[owner.owner] = owner
        for told in self._told.values():
            self._send(told.peer, messages.Owners((owner,)))

    def owner(self, owner: str) -> Owner | None:
        """Who keeps this owner's files."""
        return self._owners.get(owner)

    def share(self, file: SharedFile) -> None:
        """Tell every executor, and those that join later, of a file of the driver's. The newest of a name counts."""
        self._shared[file.kind, file.name] = file
        for told in self._told.values():
            self._send(told.peer, messages.SharedFiles((file,)))

    def join(self, executor: str, peer: str) -> None:
        """An executor was let in and has had its settings."""
        self._told[executor] = _Told(peer)
        if self._owners:
            self._send(peer, messages.Owners(tuple(self._owners.values())))
        shared = tuple(self._shared.values())
        for start in range(0, len(shared), SHARED_FILES):
            self._send(peer, messages.SharedFiles(shared[start : start + SHARED_FILES]))

    def leave(self, executor: str) -> None:
        """An executor is gone."""
        self._told.pop(executor, None)

    def peer(self, executor: str) -> str | None:
        """The session of an executor."""
        told = self._told.get(executor)
        return None if told is None else told.peer

    def peers(self) -> Iterable[str]:
        """The sessions of all executors."""
        return [told.peer for told in self._told.values()]

    def launch(self, launch: Launch, properties: dict[str, str], addresses: tuple[str, ...] = ()) -> None:
        """Send attempts, and first what the executor lacks for them. ``addresses`` are those of a gang."""
        told = self._told.get(launch.executor)
        stage = self._stages.get(launch.stage)
        if told is None or stage is None:
            return
        for shuffle in stage.parents:
            self._tell_outputs(told, shuffle)
        code = stage.code
        if code.hash not in told.programs:
            self._send(told.peer, messages.StageProgram(code.hash, b"" if code.name else code.program, code.name))
            told.programs.add(code.hash)
        for tasks in _batches(launch, code):
            self._send(told.peer, messages.LaunchTasks(launch.job, launch.stage, launch.stage_attempt, code.hash,
                                                       properties, tasks, stage.cpus, addresses))  # fmt: skip

    def program_missing(self, executor: str, digest: bytes) -> None:
        """An executor has let a program go that its next tasks name: send it again."""
        told = self._told.get(executor)
        for stage in self._stages.values():
            code = stage.code
            if told is not None and code.hash == digest:
                self._send(told.peer, messages.StageProgram(digest, b"" if code.name else code.program, code.name))
                return

    def _tell_outputs(self, told: _Told, shuffle: int) -> None:
        table = self._outputs(shuffle)
        if told.epochs.get(shuffle) == table.epoch:
            return
        told.epochs[shuffle] = table.epoch
        owners: dict[str, int] = {}
        places = tuple((owners.setdefault(worker, len(owners)), task) for worker, task in table.places)
        self._send(told.peer, messages.MapOutputs(shuffle, table.epoch, tuple(owners), places))


def _batches(launch: Launch, code: StageCode) -> list[tuple[TaskLaunch, ...]]:
    """Its attempts, as many at a time as one message should hold."""
    batches: list[tuple[TaskLaunch, ...]] = []
    batch: list[TaskLaunch] = []
    size = 0
    for task, partition, attempt in launch.attempts:
        split = code.split(partition)
        if batch and size + len(split) > LAUNCH_BYTES:
            batches.append(tuple(batch))
            batch, size = [], 0
        batch.append(TaskLaunch(task, partition, attempt, split))
        size += len(split) + 32
    if batch:
        batches.append(tuple(batch))
    return batches
