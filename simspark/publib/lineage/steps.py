
"""Steps: what happens to the rows of a partition between source and sink.

A step is a small picklable value; ``apply`` gives an iterator over an iterator. Steps that work row by row are
built of C-level iterators, so that a row costs no Python frame but the user's own.

Such iterators have one trap: if the user's function raises StopIteration, they take it for the end of the rows, and
the rest would be lost without a word. So each run of row-wise steps notes when its input ends, and when its output
ends before that, it is an error: two C-level chains per run instead of a guard around each call.

Runs of row-by-row steps come as StepRows. Who iterates over them gets such iterators for the first rows, and then, if
there are more, loops with the users' functions in them; who folds rows may take the steps and do all in one loop. See
fusion.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from itertools import chain, groupby
from types import CodeType
from typing import Any, Final, Protocol

from simspark.publib.lineage.task import TaskRun
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.optimizations import uses

FUSION = "spark.simspark.fusion"
AFTER_ROWS = "spark.simspark.fusion.afterRows"
DEFAULT_AFTER_ROWS = 4000  # about as many as pass step by step in the time that it takes to make a loop
_MONITORING_TOOLS = 6
LOOP = "simspark's loop"
"""The qualified name of code that has users' functions built in, whose file and lines it has; see fused_loop."""


class Step(Protocol):
    """One operation on the rows of a partition. ``row_wise`` if it reads its input exactly to the end."""

    @property
    def function(self) -> Any:
        """The user's function, so that a traceback can be matched to the step."""

    @property
    def label(self) -> str:
        """The operation, as the user called it."""

    @property
    def site(self) -> str:
        """Where the user called it: file:line."""

    @property
    def row_wise(self) -> bool:
        """Whether its iterator would take the function's StopIteration for the end of the rows."""

    def apply(self, rows: Iterator[Any], partition: int, task: TaskRun) -> Iterator[Any]:
        """The rows after this step."""
        ...


class Map(NamedTuple):
    """Each row becomes function(row)."""

    function: Callable[[Any], Any]
    label: str = "map"
    site: str = ""
    row_wise: bool = True

    def apply(self, rows: Iterator[Any], partition: int, task: TaskRun) -> Iterator[Any]:
        """The rows after this step."""
        return map(self.function, rows)


class FlatMap(NamedTuple):
    """Each row becomes the elements of function(row)."""

    function: Callable[[Any], Iterable[Any]]
    label: str = "flatMap"
    site: str = ""
    row_wise: bool = True

    def apply(self, rows: Iterator[Any], partition: int, task: TaskRun) -> Iterator[Any]:
        """The rows after this step."""
        return chain.from_iterable(map(self.function, rows))


class Filter(NamedTuple):
    """Only rows for which function(row) is true."""

    function: Callable[[Any], Any]
    label: str = "filter"
    site: str = ""
    row_wise: bool = True

    def apply(self, rows: Iterator[Any], partition: int, task: TaskRun) -> Iterator[Any]:
        """The rows after this step."""
        return filter(self.function, rows)


class KeyBy(NamedTuple):
    """Each row becomes (function(row), row)."""

    function: Callable[[Any], Any]
    label: str = "keyBy"
    site: str = ""
    row_wise: bool = False

    def apply(self, rows: Iterator[Any], partition: int, task: TaskRun) -> Iterator[Any]:
        """The rows after this step."""
        function = self.function
        return ((function(row), row) for row in rows)


class MapValues(NamedTuple):
    """Each (key, value) becomes (key, function(value))."""

    function: Callable[[Any], Any]
    label: str = "mapValues"
    site: str = ""
    row_wise: bool = False

    def apply(self, rows: Iterator[Any], partition: int, task: TaskRun) -> Iterator[Any]:
        """The rows after this step."""
        function = self.function
        return ((row[0], function(row[1])) for row in rows)


class FlatMapValues(NamedTuple):
    """Each (key, value) becomes (key, element) for the elements of function(value)."""

    function: Callable[[Any], Iterable[Any]]
    label: str = "flatMapValues"
    site: str = ""
    row_wise: bool = False

    def apply(self, rows: Iterator[Any], partition: int, task: TaskRun) -> Iterator[Any]:
        """The rows after this step."""
        function = self.function
        return ((row[0], element) for row in rows for element in function(row[1]))


class MapPartitions(NamedTuple):
    """The partition's iterator becomes function(iterator)."""

    function: Callable[[Iterator[Any]], Iterable[Any]]
    label: str = "mapPartitions"
    site: str = ""
    row_wise: bool = False

    def apply(self, rows: Iterator[Any], partition: int, task: TaskRun) -> Iterator[Any]:
        """The rows after this step."""
        return _iterated(self.function(iter(rows)), self.label, self.site)


class MapPartitionsWithIndex(NamedTuple):
    """The partition's iterator becomes function(index of the partition, iterator)."""

    function: Callable[[int, Iterator[Any]], Iterable[Any]]
    label: str = "mapPartitionsWithIndex"
    site: str = ""
    row_wise: bool = False

    def apply(self, rows: Iterator[Any], partition: int, task: TaskRun) -> Iterator[Any]:
        """The rows after this step."""
        return _iterated(self.function(partition, iter(rows)), self.label, self.site)


class Glom(NamedTuple):
    """The whole partition becomes one row, a list."""

    function: None = None
    label: str = "glom"
    site: str = ""
    row_wise: bool = False

    def apply(self, rows: Iterator[Any], partition: int, task: TaskRun) -> Iterator[Any]:
        """The rows after this step."""
        return (list(part) for part in (rows,))


def _iterated(result: Any, label: str, site: str) -> Iterator[Any]:
    try:
        return iter(result)
    except TypeError:
        raise TypeError(f"the function of {label}{at_site(site)} returned {type(result).__name__}, not an iterable "
                        "of rows") from None


def at_site(site: str) -> str:
    """`` at file:line`` for messages, or nothing."""
    return f" at {site}" if site else ""


class StepRows(Iterator[Any]):
    """The rows after row-by-row steps."""

    __slots__ = ("rows", "running", "steps", "task")

    def __init__(self, steps: Sequence[Step], rows: Iterator[Any], task: TaskRun | None) -> None:
        self.steps: Final = steps
        self.rows: Final = rows
        self.task: Final = task
        self.running: Iterator[Any] | None = None

    @classmethod
    def of(cls, rows: Iterator[Any], steps: Sequence[Step], task: TaskRun | None) -> StepRows:
        """Some rows after some steps; steps of steps are one run."""
        if type(rows) is StepRows and rows.running is None:
            return cls((*rows.steps, *steps), rows.rows, rows.task)
        return cls(steps, rows, task)

    def __iter__(self) -> Iterator[Any]:  # noqa: PYI034 (what is made of C-level iterators, not itself)
        if self.running is None:
            after_rows = fused_after(self.task)
            if after_rows < 0:
                self.running = one_by_one(self.steps, self.rows)
            else:
                from simspark.publib.lineage.fusion import in_loops

                self.running = in_loops(self.steps, self.rows, after_rows)
        return self.running

    def __next__(self) -> Any:
        return next(iter(self))

    def split(self) -> tuple[Iterator[Any], tuple[Step, ...]]:
        """Rows, and the steps to be done with them, none of which makes more rows of one."""
        if self.running is not None:
            return self.running, ()
        last = len(self.steps)
        while last and not isinstance(self.steps[last - 1], FLAT):
            last -= 1
        rows = StepRows(self.steps[:last], self.rows, self.task) if last else self.rows
        return rows, tuple(self.steps[last:])


def fused_after(task: TaskRun | None) -> int:
    """After how many rows loops are wanted; -1: never. Where somebody watches calls they are made."""
    if task is None or task.properties.get(FUSION) == "false" or not uses("fusion"):
        return -1
    if sys.gettrace() is not None or sys.getprofile() is not None:
        return -1
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is not None and any(map(monitoring.get_tool, range(_MONITORING_TOOLS))):
        return -1
    return int(task.properties.get(AFTER_ROWS, DEFAULT_AFTER_ROWS))


def code_of(code: CodeType) -> CodeType:
    """The code that is meant: that of a function that was built into a loop, for what stands for it in a traceback."""
    meant = code.co_consts[-1] if code.co_consts[-2:-1] == (LOOP,) else code
    return meant if isinstance(meant, CodeType) else code


ROW_BY_ROW = (Map, FlatMap, Filter, KeyBy, MapValues, FlatMapValues)
FLAT = (FlatMap, FlatMapValues)


def apply_steps(steps: Sequence[Step], rows: Iterator[Any], partition: int, task: TaskRun) -> Iterator[Any]:
    """The rows after all steps, in order."""
    for row_by_row, run in groupby(steps, lambda step: isinstance(step, ROW_BY_ROW)):
        if row_by_row:
            rows = StepRows.of(rows, tuple(run), task)
        else:
            for step in run:
                rows = step.apply(rows, partition, task)
    return rows


def segments(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    """Row-by-row steps cut behind each that makes several rows of one."""
    start = 0
    for stop, step in enumerate(steps, 1):
        if isinstance(step, FLAT) or stop == len(steps):
            yield steps[start:stop]
            start = stop


def one_by_one(steps: Sequence[Step], rows: Iterator[Any]) -> Iterator[Any]:
    """The rows after row-by-row steps. Who goes on after an error gets the rows behind it."""
    for segment in segments(steps):
        for row_wise, stretch in groupby(segment, lambda step: step.row_wise):
            run = tuple(stretch)
            rows = _row_wise(run, rows) if row_wise else reduce(_resumed, run, rows)
    return rows


def _row_wise(run: Sequence[Step], rows: Iterator[Any]) -> Iterator[Any]:
    return guarded(lambda rows: reduce(_applied, run, rows), rows, run)


def _resumed(rows: Iterator[Any], step: Step) -> Iterator[Any]:
    return resumed(lambda rows: _applied(rows, step), rows)


def _applied(rows: Iterator[Any], step: Step) -> Iterator[Any]:
    no_task: Any = None  # row-by-row steps ask for none
    return step.apply(rows, -1, no_task)


def resumed(generator: Callable[[Iterator[Any]], Iterator[Any]], rows: Iterator[Any]) -> Iterator[Any]:
    """The rows that a generator makes of these; after an error another goes on with the next."""
    ended: list[bool] = []
    noted = chain(rows, note_end(ended))
    return chain.from_iterable(generator(noted) for _ in iter(lambda: bool(ended), True))


def guarded(applied: Callable[[Iterator[Any]], Iterator[Any]], rows: Iterator[Any],
            run: Sequence[Step]) -> Iterator[Any]:
    """The rows that C-level iterators make of these. Raises RuntimeError if they end before these do."""
    ended: list[bool] = []
    return chain(applied(chain(rows, note_end(ended))), _require_end(ended, run))


def note_end(ended: list[bool]) -> Iterator[Any]:
    """No rows; that they were asked for is noted."""
    ended.append(True)
    yield from ()


def _require_end(ended: list[bool], run: Sequence[Step]) -> Iterator[Any]:
    if not ended:
        raise rows_lost(run)
    yield from ()


def rows_lost(run: Sequence[Step]) -> RuntimeError:
    """The error for a StopIteration that came from a function of this run of row-wise steps."""
    names = " or ".join(f"{step.label}{at_site(step.site)}" for step in run)
    return RuntimeError(f"StopIteration was raised by the function of {names}: rows would have been lost")
