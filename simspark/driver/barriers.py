"""Where the tasks of a gang meet: their calls of barrier() and allGather().

The tasks of a stage attempt have one meeting at a time, numbered from 1. It ends when all have come, in the same way:
then each is told what everybody said. It breaks, and all who came are told why, when tasks come in different ways,
when one ends without coming, or when the time is up; after that the attempt has no other meetings, and its tasks,
which raise what they are told, bring the gang down. A gang that begins anew forgets the meetings of the attempt before.

An ask from an attempt that nobody wants, for a meeting that is not the present one, or of somebody who has come
already, changes nothing: it is old, or was sent twice.
"""

from __future__ import annotations

from simspark.driver.executor_pool import ExecutorPool, Running
from simspark.driver.scheduling import AnswerBarrier, BarrierAsked, DropFiles, SchedulerSettings
from simspark.driver.task_set import TaskSet
from simspark.driver.turn import Turn
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.wire.messages import Said

BARRIER = "barrier"
OVERSLEPT_S = 1.0
NAMES_MOST = 8


class _Came(NamedTuple):
    running: Running
    kind: str
    said: Said


class _Meetings:
    """Those of one stage attempt: the present one, and why there are no more."""

    __slots__ = ("attempt", "broken", "came", "has_files", "number", "since")

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt
        self.number = 1
        self.since = 0.0
        self.came: dict[int, _Came] = {}
        self.broken = ""
        self.has_files = False


class Barriers:
    """The meetings of all gangs that run."""

    def __init__(self, settings: SchedulerSettings, turn: Turn, pool: ExecutorPool) -> None:
        self._timeout_s = settings.barrier_timeout_s
        self._turn = turn
        self._pool = pool
        self.gangs: dict[TaskSet, _Meetings] = {}

    def __len__(self) -> int:
        return len(self.gangs)

    def ask(self, asked: BarrierAsked) -> None:
        """A task of a gang has come to a meeting."""
        executor = self._pool.get(asked.executor)
        running = None if executor is None else executor.flight.get(asked.task)
        if running is None or running.is_cancelled:
            return
        tasks = running.tasks
        meetings = self._meetings(tasks)
        if meetings.broken:
            self._answer(running, asked.meeting, (), meetings.broken)
            return
        if asked.meeting != meetings.number or running.index in meetings.came:
            return
        if not meetings.came:
            meetings.since = self._turn.now
            self._turn.arm(BARRIER, self._turn.now + self._timeout_s)
        running.waits = True
        meetings.came[running.index] = _Came(running, asked.kind, asked.said)
        meetings.has_files = meetings.has_files or bool(asked.said.name)
        self._settle(tasks, meetings)

    def ring(self, late_s: float) -> None:
        """The timer rang. When it rang late, asks may still wait to be read: nobody is judged before."""
        if late_s > OVERSLEPT_S:
            self._turn.arm(BARRIER, self._turn.now + OVERSLEPT_S)
            return
        for tasks, meetings in list(self.gangs.items()):
            if not meetings.came:
                continue
            if self._turn.now >= meetings.since + self._timeout_s:
                waited = f"after {self._timeout_s:g} s {len(meetings.came)} of {len(tasks.partitions)} tasks had come"
                self._break(tasks, meetings, f"{waited}, not {_partitions(_missing(tasks, meetings))}")
            else:
                self._turn.arm(BARRIER, meetings.since + self._timeout_s)

    def review(self) -> None:
        """Notice gangs that are over or begin anew, and tasks that ended without coming. At the end of a turn."""
        for tasks, meetings in list(self.gangs.items()):
            if tasks.closed or tasks.attempt != meetings.attempt:
                del self.gangs[tasks]
                if meetings.has_files:
                    self._turn.add(DropFiles("", (f"gather-{tasks.spec.stage}-{meetings.attempt}-",)))
            elif meetings.came and tasks.held:
                self._settle(tasks, meetings)

    def _meetings(self, tasks: TaskSet) -> _Meetings:
        meetings = self.gangs.get(tasks)
        if meetings is None or meetings.attempt != tasks.attempt:
            meetings = self.gangs[tasks] = _Meetings(tasks.attempt)
        return meetings

    def _settle(self, tasks: TaskSet, meetings: _Meetings) -> None:
        """End or break the meeting if it is time."""
        came = meetings.came
        gone = [index for index in tasks.held if index not in came]
        kinds = {came[index].kind: None for index in sorted(came)}
        if gone:
            self._break(tasks, meetings, f"{_partitions([tasks.partitions[index] for index in gone])} ended without it")
        elif len(kinds) > 1:
            self._break(tasks, meetings, f"some tasks called {' and others '.join(f'{kind}()' for kind in kinds)}")
        elif len(came) == len(tasks.partitions):
            ordered = [came[index] for index in sorted(came, key=tasks.partitions.__getitem__)]
            said = tuple(each.said for each in ordered) if "allGather" in kinds else ()
            for each in ordered:
                self._answer(each.running, meetings.number, said, "")
            meetings.number += 1
            meetings.came = {}

    def _break(self, tasks: TaskSet, meetings: _Meetings, why: str) -> None:
        waiting = _partitions([tasks.partitions[index] for index in sorted(meetings.came)])
        kind = next(iter(meetings.came.values())).kind
        meetings.broken = (
            f"call {meetings.number} of {kind}() in stage {tasks.spec.stage} cannot end: {why}; {waiting} came. Each "
            "task of a barrier stage must make the same calls of barrier() and allGather(), in the same order. (SS107)"
        )
        for came in meetings.came.values():
            self._answer(came.running, meetings.number, (), meetings.broken)
        meetings.came = {}

    def _answer(self, running: Running, meeting: int, said: tuple[Said, ...], error: str) -> None:
        running.waits = False
        running.started_at = self._turn.now
        self._turn.add(AnswerBarrier(running.executor.name, running.task, meeting, said, error))


def _missing(tasks: TaskSet, meetings: _Meetings) -> list[int]:
    return [partition for index, partition in enumerate(tasks.partitions) if index not in meetings.came]


def _partitions(partitions: list[int]) -> str:
    named = ", ".join(map(str, sorted(partitions)[:NAMES_MOST]))
    more = f" and {len(partitions) - NAMES_MOST} more" if len(partitions) > NAMES_MOST else ""
    return f"partition{'s' if len(partitions) > 1 else ''} {named}{more}"
