"""The tasks of one stage attempt: which are pending, running and done.

Pending tasks are index ranges: 100,000 of them cost nothing. An object exists for an attempt that is in flight, and
for a task that had trouble: failures, losses, moves. A task is known by its index; ``partitions`` gives its partition.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from simspark.driver.executor_pool import Executor, Running
from simspark.driver.scheduling import StageSpec
from simspark.driver.states import TASK_MOVES, TaskState, check_move
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.wire.messages import TaskReport

ALONE = 2
"""A task that lost its executor so often runs with nothing beside it, so that the next loss is certainly its own."""


class Trouble:
    """What went wrong with one task so far.

    Begun after a first attempt. ``suspicion``: 0 none, 1 it was in the flight of an executor that died, so it waits
    in no window, 2 alone. Before ``rest_until`` it goes nowhere where it failed, whatever else there is.
    """

    __slots__ = ("attempts", "avoid_executors", "avoid_until", "avoid_workers", "failures", "losses", "moves",
                 "rest_until", "suspicion")

    def __init__(self) -> None:
        self.attempts = 1
        self.failures = 0
        self.losses = 0
        self.moves = 0
        self.suspicion = 0
        self.avoid_executors: tuple[str, ...] = ()
        self.avoid_workers: tuple[str, ...] = ()
        self.avoid_until = 0.0
        self.rest_until = 0.0

    def avoid(self, executor: Executor, until: float) -> None:
        """Try elsewhere, if there is an elsewhere before then."""
        if executor.name not in self.avoid_executors:
            self.avoid_executors += (executor.name,)
        if executor.worker not in self.avoid_workers:
            self.avoid_workers += (executor.worker,)
        self.avoid_until = until

    def avoids(self, executor: Executor) -> bool:
        """Whether it failed there."""
        return executor.name in self.avoid_executors or executor.worker in self.avoid_workers


class PendingTasks:
    """Tasks that wait for an executor: those that come back, those that prefer places, and ranges of all others.

    ``returned`` are those that were given back, oldest first; ``choosy`` those that wait for an executor at a place
    that they prefer. Both are for others to read.
    """

    __slots__ = ("_at_place", "_plain", "_plain_size", "choosy", "returned")

    def __init__(self, indices: Iterable[int]) -> None:
        self._plain: deque[range] = deque((indices,) if isinstance(indices, range) and indices else _ranges(indices))
        self._plain_size = sum(map(len, self._plain))
        self.choosy: dict[int, None] = {}
        self._at_place: dict[str, deque[int]] = {}
        self.returned: dict[int, None] = {}

    def __len__(self) -> int:
        return self._plain_size + len(self.choosy) + len(self.returned)

    def give_back(self, index: int) -> None:
        """A task waits again."""
        self.returned[index] = None

    def discard(self, index: int) -> None:
        """A task that was given back needs no attempt any more."""
        self.returned.pop(index, None)

    @property
    def in_line(self) -> int:
        """How many would take the next slot, wherever it is."""
        return self._plain_size + len(self.returned)

    def prefer(self, places_of: Callable[[int], tuple[str, ...]]) -> None:
        """Ask anew where the tasks that have not been tried would like to run."""
        plain: list[int] = []
        indices = sorted([*self.choosy, *(index for part in self._plain for index in part)])
        self.choosy = {}
        self._at_place = {}
        for index in indices:
            places = places_of(index)
            if not places:
                plain.append(index)
                continue
            self.choosy[index] = None
            for place in places:
                self._at_place.setdefault(place, deque()).append(index)
        self._plain = deque(_ranges(plain))
        self._plain_size = len(plain)

    def take_local(self, executor: Executor, most: int) -> list[int]:
        """Tasks that would like to run there."""
        taken: list[int] = []
        for place in executor.places:
            queue = self._at_place.get(place)
            while queue and len(taken) < most:
                index = queue.popleft()
                if index in self.choosy:
                    del self.choosy[index]
                    taken.append(index)
        return taken

    def take_plain(self, most: int) -> list[int]:
        """Tasks that run anywhere."""
        taken: list[int] = []
        while self._plain and len(taken) < most:
            first = self._plain[0]
            part = first[: most - len(taken)]
            taken.extend(part)
            rest = first[len(part) :]
            if rest:
                self._plain[0] = rest
            else:
                self._plain.popleft()
        self._plain_size -= len(taken)
        return taken

    def take_choosy(self, most: int) -> list[int]:
        """Tasks that would rather run elsewhere."""
        taken = [index for index, _ in zip(self.choosy, range(most), strict=False)]
        for index in taken:
            del self.choosy[index]
        return taken


def _ranges(indices: Iterable[int]) -> Iterator[range]:
    """Ascending indices as few ranges."""
    start = stop = -1
    for index in indices:
        if index == stop:
            stop += 1
            continue
        if start >= 0:
            yield range(start, stop)
        start, stop = index, index + 1
    if start >= 0:
        yield range(start, stop)


class Held(NamedTuple):
    """A finished task of a gang, which counts when all are."""

    worker: str
    report: TaskReport


class Limits(NamedTuple):
    """How often one task may go wrong before its job fails."""

    failures: int
    losses: int


class TaskSet:
    """One stage attempt of one job (or of several that read the same shuffle; ``job`` then leads).

    ``order`` is its place in the line: (job, stage). ``paused``: outputs that it reads are missing.
    """

    def __init__(self, spec: StageSpec, job: int, partitions: Sequence[int], missing: Iterable[int], *,
                 attempt: int, limits: Limits, pool: str, now: float) -> None:
        self.spec = spec
        self.job = job
        self.order = (job, spec.stage)
        self.pool = pool
        self.partitions = partitions
        self.attempt = attempt
        self.restarts = 0
        self.limits = limits
        self.created_at = now
        self.ready_at = now
        self.paused = False
        self.closed = False
        self.pending = PendingTasks(missing)
        self.remaining = len(self.pending)
        self.in_flight = 0
        self.running: dict[int, list[Running]] = {}
        self.troubles: dict[int, Trouble] = {}
        self.leaves: dict[int, int] = {}
        self.held: dict[int, Held] = {}
        self.pool_version = -1
        self.mean_s = -1.0
        self.window = 0
        self.durations_s: list[float] = []
        self._states = bytearray([TaskState.DONE]) * len(partitions)
        for part in self.pending._plain:
            self._states[part.start : part.stop] = bytes(len(part))

    @property
    def done(self) -> int:
        """How many tasks are done, those before this attempt included."""
        return len(self.partitions) - self.remaining

    def is_done(self, index: int) -> bool:
        """Whether the task's result was accepted."""
        return self._states[index] == TaskState.DONE

    def is_running(self, index: int) -> bool:
        """Whether an attempt of the task is wanted and in flight."""
        return index in self.running

    def trouble(self, index: int) -> Trouble:
        """The task's record of troubles, begun when it has none."""
        known = self.troubles.get(index)
        if known is None:
            known = self.troubles[index] = Trouble()
        return known

    def launch(self, index: int, task: int, executor: Executor) -> Running:
        """An attempt of a task that was taken from the pending ones is sent to an executor."""
        self._move(index, TaskState.RUNNING)
        trouble = self.troubles.get(index)
        attempt = suspicion = 0
        if trouble is not None:
            attempt, suspicion = trouble.attempts, trouble.suspicion
            trouble.attempts += 1
        if self.spec.gang:
            attempt, suspicion = self.restarts, 0
        running = Running(task, index, attempt, self, executor, suspicion)
        self.running.setdefault(index, []).append(running)
        self.in_flight += 1
        return running

    def leave(self, running: Running) -> None:
        """An attempt ended, or nobody wants it any more."""
        attempts = self.running.get(running.index)
        if attempts is None or running not in attempts:
            return
        attempts.remove(running)
        self.in_flight -= 1
        if not attempts:
            del self.running[running.index]
        if self.leaves.get(running.index) == running.task:
            del self.leaves[running.index]

    def finish(self, index: int) -> list[Running]:
        """The task's result is accepted; returns its other attempts, which nobody wants any more."""
        self._move(index, TaskState.DONE)
        self.remaining -= 1
        self.pending.discard(index)
        others = list(self.running.get(index, ()))
        for running in others:
            self.leave(running)
        return others

    def put_back(self, index: int) -> None:
        """The task needs another attempt, unless one is in flight or a result was accepted."""
        if self.is_done(index):
            return
        attempts = self.running.get(index)
        if attempts is not None:
            if all(running.moved for running in attempts):
                self.pending.give_back(index)
            return
        self.trouble(index)
        self._move(index, TaskState.PENDING)
        self.pending.give_back(index)

    def copy(self, index: int) -> None:
        """The task shall have another attempt beside the one in flight."""
        self.trouble(index)
        self.pending.give_back(index)

    def reopen(self, index: int) -> None:
        """The output of a finished task was lost."""
        self._move(index, TaskState.PENDING)
        self.remaining += 1
        self.pending.give_back(index)
        self.trouble(index)

    def restart(self) -> list[Running]:
        """A gang begins anew, as the next stage attempt; returns its attempts, which nobody wants any more."""
        others = [running for attempts in self.running.values() for running in attempts]
        for running in others:
            self.leave(running)
        for index in range(len(self.partitions)):
            if self._states[index] == TaskState.DONE:
                self.reopen(index)
            elif self._states[index] == TaskState.RUNNING:
                self._move(index, TaskState.PENDING)
                self.pending.give_back(index)
        self.held = {}
        self.leaves = {}
        self.attempt += 1
        self.restarts += 1
        return others

    def measure(self, count: int, seconds: float) -> None:
        """So many tasks took so long together."""
        mean = seconds / count
        self.mean_s = mean if self.mean_s < 0 else (self.mean_s + mean) / 2

    def _move(self, index: int, state: TaskState) -> None:
        old = self._states[index]
        if (old, state) not in TASK_MOVES:
            check_move(TASK_MOVES, old, state, f"task {index} of stage {self.spec.stage}")
        self._states[index] = state
