
"""Steps: what happens to the rows of a partition between source and sink.

A step is a small picklable value; ``apply`` gives an iterator over an iterator. Steps that work row by row are
built of C-level iterators, so that a row costs no Python frame but the user's own.

Such iterators have one trap: if the user's function raises StopIteration, they take it for the end of the rows, and
the rest would be lost without a word. So each run of row-wise steps notes when its input ends, and when its output
ends before that, it is an error: two C-level chains per run instead of a guard around each call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

from simspark.publib.lineage.task import TaskRun
from simspark.publib.named_tuple import NamedTuple


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
        return _iterated(self.function(rows), self.label, self.site)


class MapPartitionsWithIndex(NamedTuple):
    """The partition's iterator becomes function(index of the partition, iterator)."""

    function: Callable[[int, Iterator[Any]], Iterable[Any]]
    label: str = "mapPartitionsWithIndex"
    site: str = ""
    row_wise: bool = False

    def apply(self, rows: Iterator[Any], partition: int, task: TaskRun) -> Iterator[Any]:
        """The rows after this step."""
        return _iterated(self.function(partition, rows), self.label, self.site)


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


def apply_steps(steps: Sequence[Step], rows: Iterator[Any], partition: int, task: TaskRun) -> Iterator[Any]:
    """The rows after all steps, in order."""
    start = 0
    while start < len(steps):
        stop = start + 1
        if steps[start].row_wise:
            while stop < len(steps) and steps[stop].row_wise:
                stop += 1
        rows = _apply_run(steps[start:stop], rows, partition, task)
        start = stop
    return rows


def _apply_run(run: Sequence[Step], rows: Iterator[Any], partition: int, task: TaskRun) -> Iterator[Any]:
    if not run[0].row_wise:
        return run[0].apply(rows, partition, task)
    ended: list[bool] = []
    rows = chain(rows, _note_end(ended))
    for step in run:
        rows = step.apply(rows, partition, task)
    return chain(rows, _require_end(ended, run))


def _note_end(ended: list[bool]) -> Iterator[Any]:
    ended.append(True)
    yield from ()


def _require_end(ended: list[bool], run: Sequence[Step]) -> Iterator[Any]:
    if not ended:
        names = " or ".join(f"{step.label}{at_site(step.site)}" for step in run)
        raise RuntimeError(f"StopIteration was raised by the function of {names}: rows would have been lost")
    yield from ()
