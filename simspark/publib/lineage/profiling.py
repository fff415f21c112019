"""A stage's program with a profiler around each of its tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simspark.publib.errors import UserError
from simspark.publib.lineage.program import Program
from simspark.publib.lineage.task import MapDone, ResultValue, Sink, Source, TaskRun
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.profilers import Profiler


class DeferredSource(NamedTuple):
    """A source that does nothing, not even call a function on an iterator, before its first row is asked for."""

    source: Source

    def rows(self, split: Any, task: TaskRun) -> Iterator[Any]:
        """The rows of the inner source."""
        yield from self.source.rows(split, task)


class ProfiledSink(NamedTuple):
    """A sink that runs, and with it everything that its rows are made by, in ``profiler.profile``."""

    sink: Sink
    profiler: Profiler

    def run(self, rows: Iterator[Any], task: TaskRun) -> MapDone | ResultValue:
        """What the inner sink says, whatever the profiler makes of it. Raises UserError when it calls nothing."""
        said: list[MapDone | ResultValue] = []
        self.profiler.profile(lambda: said.append(self.sink.run(rows, task)))
        if not said:
            raise UserError(
                f"{type(self.profiler).__name__}.profile did not call the function that it was given. Let it return "
                "func(*args, **kwargs). (SS100)"
            )
        return said[0]


def profiled(program: Program, profiler: Profiler) -> Program:
    """The same program, profiled."""
    return Program(DeferredSource(program.source), ProfiledSink(program.sink, profiler))
