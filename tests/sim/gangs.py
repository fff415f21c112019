"""What must hold of gangs: all tasks start together, and none goes on from a meeting to which another has not come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simspark.driver import scheduling
from tests.sim import programs


class GangRecord:
    """The gangs of one driver. ``violate`` is called with what is wrong."""

    def __init__(self, program: programs.Program, violate: Callable[[str], None]) -> None:
        self._sizes = {work.stage: work.partitions for work in program.stages if work.gang}
        self._violate = violate
        self._tasks: dict[tuple[int, int, int], list[int]] = {}
        self._gang_of: dict[int, tuple[int, int, int]] = {}
        self._asked: dict[int, int] = {}
        self.meetings = 0

    def decided(self, event: Any, effects: list[Any]) -> None:
        """Look at one turn of the core."""
        if not self._sizes:
            return
        if type(event) is scheduling.BarrierAsked:
            self._asked[event.task] = max(self._asked.get(event.task, 0), event.meeting)
        for effect in effects:
            if type(effect) is scheduling.Launch and effect.stage in self._sizes:
                self._launched(effect)
        for effect in effects:
            if type(effect) is scheduling.Launch and effect.stage in self._sizes:
                self._check_size((effect.job, effect.stage, effect.stage_attempt), effect)
            elif type(effect) is scheduling.AnswerBarrier and not effect.error:
                self._answered(effect)

    def _launched(self, launch: scheduling.Launch) -> None:
        gang = (launch.job, launch.stage, launch.stage_attempt)
        for attempt in launch.attempts:
            self._tasks.setdefault(gang, []).append(attempt.task)
            self._gang_of[attempt.task] = gang

    def _check_size(self, gang: tuple[int, int, int], launch: scheduling.Launch) -> None:
        size = self._sizes[launch.stage]
        if len(self._tasks[gang]) != size or len(launch.gang) != size:
            self._violate(f"gang {gang} has {size} tasks and starts with {len(self._tasks[gang])} of them")

    def _answered(self, answer: scheduling.AnswerBarrier) -> None:
        self.meetings += 1
        gang = self._gang_of[answer.task]
        late = [task for task in self._tasks[gang] if self._asked.get(task, 0) < answer.meeting]
        if late:
            self._violate(f"task {answer.task} of {gang} goes on from {answer.meeting}, to which {late} did not come")
