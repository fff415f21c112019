# ruff: noqa: D102 - one signature for all, whoever needs which argument; the class says what a call does
"""Functions that RDD methods are made of: they run in tasks, so they live here and not in the driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import reduce
from itertools import count, repeat
from operator import itemgetter
from typing import Any

from simspark.publib.lineage.aggregation import Aggregator
from simspark.publib.lineage.sorting import Ordering
from simspark.publib.lineage.task import TaskRun
from simspark.publib.named_tuple import NamedTuple

first = itemgetter(0)
second = itemgetter(1)


def paired_with_none(rows: Iterator[Any]) -> Iterator[tuple[Any, None]]:
    """Rows as keys without values."""
    return zip(rows, repeat(None))


class EqualsKey(NamedTuple):
    """Whether a row's key is this one."""

    key: Any

    def __call__(self, row: Any) -> bool:
        return bool(row[0] == self.key)


class Placed(NamedTuple):
    """The partition of a key."""

    partitioner: Callable[[Any], int]

    def __call__(self, key: Any) -> int:
        return self.partitioner(key)


class Created(NamedTuple):
    """A key's first combiner: a copy of ``zero`` with the first value in it."""

    zero: Any
    function: Callable[[Any, Any], Any]

    def __call__(self, value: Any) -> Any:
        return self.function(deepcopy(self.zero), value)


class Numbered(NamedTuple):
    """Rows with their number: partition i starts at ``starts[i]`` and counts in ``step``."""

    starts: Sequence[int]
    step: int = 1

    def __call__(self, partition: int, rows: Iterator[Any]) -> Iterator[tuple[Any, int]]:
        return zip(rows, count(self.starts[partition], self.step))


class UniqueIds(NamedTuple):
    """Rows with ids: of n partitions, partition k gives k, n+k, 2n+k and so on."""

    partitions: int

    def __call__(self, partition: int, rows: Iterator[Any]) -> Iterator[tuple[Any, int]]:
        return zip(rows, count(partition, self.partitions))


class Reduced(NamedTuple):
    """A partition's rows as one row, reduced by a function; no rows give none."""

    function: Callable[[Any, Any], Any]

    def __call__(self, rows: Iterator[Any]) -> Iterator[Any]:
        for start in rows:
            yield reduce(self.function, rows, start)


class Folded(NamedTuple):
    """A partition's rows as one row: function(..., row) over them, from a copy of ``zero``."""

    zero: Any
    function: Callable[[Any, Any], Any]

    def __call__(self, rows: Iterator[Any]) -> Iterator[Any]:
        yield reduce(self.function, rows, deepcopy(self.zero))


class KeyedByPartition(NamedTuple):
    """Rows with the remainder of their partition's index as key."""

    partitions: int

    def __call__(self, partition: int, rows: Iterator[Any]) -> Iterator[tuple[int, Any]]:
        return zip(repeat(partition % self.partitions), rows)


class Combine(NamedTuple):
    """A step that folds the values of each key, for rows whose keys are all in their partition already."""

    aggregator: Aggregator
    label: str = "combineByKey"
    site: str = ""
    row_wise: bool = False

    @property
    def function(self) -> Any:
        """The user's function."""
        return self.aggregator.function

    def apply(self, rows: Iterator[Any], partition: int, task: TaskRun) -> Iterator[Any]:
        """(key, combiner) rows."""
        return iter(self.aggregator.combine_values(rows, task))


class Sort(NamedTuple):
    """A step that sorts the rows of a partition by key."""

    ordering: Ordering
    label: str = "sortByKey"
    site: str = ""
    row_wise: bool = False

    @property
    def function(self) -> Any:
        """The user's key function."""
        return self.ordering.function

    def apply(self, rows: Iterator[Any], partition: int, task: TaskRun) -> Iterator[Any]:
        """The rows in order."""
        return iter(self.ordering.sort(rows, task))
