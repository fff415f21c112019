"""What a stage's tasks run: source, steps, sink. Pickled once per stage, run once per task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from simspark.publib.lineage.shared import swap_task
from simspark.publib.lineage.steps import Step, apply_steps
from simspark.publib.lineage.task import MapDone, ResultValue, Sink, Source, TaskRun
from simspark.publib.named_tuple import NamedTuple


class Program(NamedTuple):
    """A stage's work, the same for each of its tasks; what differs is the split."""

    source: Source
    sink: Sink


class Steps:
    """A source whose rows are another source's rows after some steps. Steps of steps merge into one."""

    __slots__ = ("source", "steps")

    def __init__(self, source: Source, steps: Sequence[Step]) -> None:
        merged = tuple(steps)
        inner = source
        if isinstance(source, Steps):
            inner, merged = source.source, source.steps + merged
        self.source: Source = inner
        self.steps: tuple[Step, ...] = merged

    def rows(self, split: Any, task: TaskRun) -> Iterator[Any]:
        """The rows of the inner source's ``split``, after the steps."""
        return apply_steps(self.steps, self.source.rows(split, task), task.partition, task)


def run_program(program: Program, split: Any, task: TaskRun) -> MapDone | ResultValue:
    """Run one task in this thread and say what came of it. What user functions raise passes through."""
    before = swap_task(task)
    try:
        rows = program.source.rows(split, task)
        try:
            return program.sink.run(rows, task)
        finally:
            close = getattr(rows, "close", None)
            if close is not None:
                close()
    finally:
        swap_task(before)
