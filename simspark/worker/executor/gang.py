"""A task's place in its gang: how it waits for the others, and hears what they say.

The driver is where they meet. A short text travels with the ask and the answer; a long one is a file of this machine,
which the others read as they read any block, so that no message grows with what users say. What one answer carries is
kept under its limit by the number of tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simspark.publib.errors import BarrierError
from simspark.publib.lineage.task import FileRef, SegmentRef
from simspark.publib.wire.messages import BarrierAnswer, BarrierAsk, LaunchTasks, Said
from simspark.worker.executor.blocks import TaskData
from simspark.worker.executor.interrupts import TaskCancelled

ANSWER_BYTES = 512 << 10
INLINE_MOST_BYTES = 64 << 10


class Place:
    """See publib.lineage.task.Gang. ``ask`` sends the driver a question and waits: None when nobody waits for us."""

    def __init__(self, task: int, launch: LaunchTasks, data: TaskData, own_name: str,
                 ask: Callable[[BarrierAsk], Any]) -> None:
        self.addresses = launch.addresses
        self._task = task
        self._prefix = f"gather-{launch.stage}-{launch.stage_attempt}-"
        self._data = data
        self._own_name = own_name
        self._ask = ask
        self._meetings = 0

    def meet(self, kind: str, text: str) -> list[str]:
        """Wait for all others, and return what each has said, by partition (nothing at a barrier)."""
        said = self._say(text, self._meetings + 1)
        self._meetings += 1
        answer = self._ask(BarrierAsk(self._task, self._meetings, kind, said))
        if not isinstance(answer, BarrierAnswer):
            raise TaskCancelled
        if answer.error:
            raise BarrierError(answer.error)
        return [self._hear(each) for each in answer.said]

    def _say(self, text: str, meeting: int) -> Said:
        size = len(text.encode())
        if size <= min(INLINE_MOST_BYTES, ANSWER_BYTES // len(self.addresses)):
            return Said(text, "", "")
        name = f"{self._prefix}{self._task}-{meeting}"
        file = self._data.create(name)
        file.append(0, [text])
        file.commit()
        return Said("", self._own_name, name)

    def _hear(self, said: Said) -> str:
        if not said.name:
            return said.text
        batches = self._data.read([SegmentRef(FileRef(said.owner, said.name), 0)])
        text: str = next(batches)[0]
        return text
