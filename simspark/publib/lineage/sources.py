
"""Sources without a shuffle: where a partition's rows come from.

Each source documents its *split*, the small value that says which part of it a task reads. Sources that read
partitions of other RDDs have splits that carry (index, split) pairs: ``index`` is the partition's number in that
RDD, which steps with an index and caches need, and is not the task's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Any, cast

from simspark.publib.errors import FetchFailed
from simspark.publib.lineage.task import SegmentRef, Source, TaskRun
from simspark.publib.named_tuple import NamedTuple

Part = tuple[int, Any]


class _TaskAt:
    """The same attempt, seen by the source of partition ``partition`` of another RDD."""

    def __init__(self, task: TaskRun, partition: int) -> None:
        self._task = task
        self.partition = partition

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)


def rows_of_part(source: Source, part: Part, task: TaskRun) -> Iterator[Any]:
    """The rows of one partition of a parent: ``part`` is its index there and its split."""
    index, split = part
    if index != task.partition:
        task = cast("TaskRun", _TaskAt(task, index))
    return source.rows(split, task)


class SliceSource:
    """A collection of the driver. Split: a SegmentRef into its data file, or the list of rows itself."""

    __slots__ = ()

    def rows(self, split: SegmentRef | list[Any], task: TaskRun) -> Iterator[Any]:
        """The rows of one slice."""
        if isinstance(split, SegmentRef):
            return chain.from_iterable(task.data.read([split]))
        return iter(split)


class RangeSource:
    """Numbers. Split: (start, stop, step)."""

    __slots__ = ()

    def rows(self, split: tuple[int, int, int], task: TaskRun) -> Iterator[Any]:
        """The numbers of one slice."""
        return iter(range(*split))


class UnionSource(NamedTuple):
    """The partitions of several parents one after another. Split: (branch, index, split)."""

    branches: tuple[Source, ...]

    def rows(self, split: tuple[int, int, Any], task: TaskRun) -> Iterator[Any]:
        """The rows of one partition of one branch."""
        branch, index, inner = split
        return rows_of_part(self.branches[branch], (index, inner), task)


class CoalescedSource(NamedTuple):
    """Several partitions of one parent read as one. Split: a sequence of (index, split)."""

    inner: Source

    def rows(self, split: Sequence[Part], task: TaskRun) -> Iterator[Any]:
        """The rows of these partitions, one after another; each is opened when the one before has ended."""
        return chain.from_iterable(rows_of_part(self.inner, part, task) for part in split)


class ZipSource(NamedTuple):
    """Pairs of the rows of two parents. Split: ((index, split), (index, split))."""

    left: Source
    right: Source

    def rows(self, split: tuple[Part, Part], task: TaskRun) -> Iterator[Any]:
        """(left row, right row). Raises ValueError if one partition has more rows than the other."""
        ended: list[bool] = []
        left = chain(rows_of_part(self.left, split[0], task), _note_end(ended))
        right = rows_of_part(self.right, split[1], task)
        return chain(zip(left, right, strict=False), _require_both_ended(ended, right))


def _note_end(ended: list[bool]) -> Iterator[Any]:
    ended.append(True)
    yield from ()


def _require_both_ended(left_ended: list[bool], right: Iterator[Any]) -> Iterator[Any]:
    if not left_ended or any(True for _ in right):
        raise ValueError("Can only zip RDDs with same number of elements in each partition")
    yield from ()


class CartesianSource(NamedTuple):
    """All pairs of the rows of two parents. Split: ((index, split), (index, split))."""

    left: Source
    right: Source

    def rows(self, split: tuple[Part, Part], task: TaskRun) -> Iterator[Any]:
        """(left row, right row), for each left row all right rows; these are kept or spilled, not recomputed."""
        from simspark.publib.lineage.spill import Replay

        right = Replay(rows_of_part(self.right, split[1], task), task).rows
        pairs = map(zip, map(repeat, rows_of_part(self.left, split[0], task)), repeat(right))
        return chain.from_iterable(pairs)


class KeptSource(NamedTuple):
    """Rows that a local checkpoint kept in files of workers. Split: a SegmentRef."""

    rdd_id: int

    def rows(self, split: SegmentRef, task: TaskRun) -> Iterator[Any]:
        """The rows of one partition. Raises FetchFailed: nothing can make them again."""
        partition = task.partition
        try:
            for batch in task.data.read([split]):
                yield from batch
        except FetchFailed as error:
            raise FetchFailed(*split.file, -1, -1, (
                f"{error.reason}; partition {partition} of RDD {self.rdd_id} was checkpointed locally, and its lineage "
                "is forgotten: use checkpoint() where workers may end"
            )) from error  # fmt: skip


class CachedSource(NamedTuple):
    """A persisted RDD: its cached partition, or else the inner source's rows, kept. Split: the inner one's."""

    rdd_id: int
    level: int
    inner: Source

    def rows(self, split: Any, task: TaskRun) -> Iterator[Any]:
        """The rows of the task's partition."""
        found = task.cache.get(self.rdd_id, task.partition)
        if found is None:
            found = task.cache.keep(self.rdd_id, task.partition, self.inner.rows(split, task), self.level, task)
        return iter(found)
