"""Sources behind a shuffle: what all map tasks wrote for one reduce partition, in the order of the map partitions.

That order, and first-seen order of keys within it, is what makes a retried task give the same rows in the same
order, however the fetches raced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Any

from simspark.publib.lineage.aggregation import Aggregator, rows_of_batch
from simspark.publib.lineage.join_tables import Columns, Tables, Values, columns_of, in_columns
from simspark.publib.lineage.shared import result_iterables
from simspark.publib.lineage.sorting import Ordering
from simspark.publib.lineage.sources import CachedSource, Part, rows_of_part
from simspark.publib.lineage.task import SegmentRef, Source, TaskRun
from simspark.publib.named_tuple import NamedTuple


class ShuffleRead(NamedTuple):
    """One reduce partition of a shuffle. Split: its index, an int.

    With an aggregator, rows are merged per key: ``combined`` says that the map side wrote combiners. With an
    ordering they come sorted.
    """

    shuffle: int
    aggregator: Aggregator | None = None
    ordering: Ordering | None = None
    combined: bool = True

    def rows(self, split: int, task: TaskRun) -> Iterator[Any]:
        """The rows of the partition. Raises FetchFailed naming the map output that could not be had."""
        batches = self._batches(split, task)
        if self.aggregator is not None and self.combined:
            rows = iter(self.aggregator.merge_batches(batches, task))
        else:
            rows = chain.from_iterable(map(rows_of_batch, batches))
            if self.aggregator is not None:
                rows = iter(self.aggregator.combine_values(rows, task))
        if self.ordering is not None:
            rows = iter(self.ordering.sort(rows, task))
        return rows

    def columns(self, split: int, task: TaskRun) -> Iterator[Columns] | None:
        """The keys and the values of the same rows, a batch at a time; None where they are to be merged or sorted."""
        if self.aggregator is not None or self.ordering is not None:
            return None
        batches = self._batches(split, task)
        return (batch if type(batch) is tuple else columns_of(batch) for batch in batches)

    def _batches(self, split: int, task: TaskRun) -> Iterator[Any]:
        """Lists of rows, and pairs as a list of keys and one of values; see sinks."""
        outputs = task.data.map_outputs(self.shuffle)
        refs = [SegmentRef(file, split, self.shuffle, index) for index, file in enumerate(outputs)]
        return task.data.read(refs)


class CoGroupRead(NamedTuple):
    """The values of each key in several parents. Split: one (index, split) for each parent.

    A parent is any source of (key, value) rows: a plain ShuffleRead, or one that is partitioned alike. Rows are
    (key, one ResultIterable for each parent), keys in first-seen order, the first parent's first.
    """

    parents: tuple[Source, ...]

    def rows(self, split: Sequence[Part], task: TaskRun) -> Iterator[Any]:
        """The groups of one partition."""
        return chain.from_iterable(map(_group_rows, _tables(self.parents, split, task).grouped()))


def _group_rows(groups: tuple[Sequence[Any], list[list[Values]]]) -> Iterator[Any]:
    keys, columns = groups
    return zip(keys, zip(*map(result_iterables, columns), strict=True), strict=True)


class JoinRead(NamedTuple):
    """Two parents joined by key. Split: ((index, split), (index, split)).

    ``how`` is "inner", "left", "right" or "full". Rows are (key, (left value, right value)): keys in first-seen
    order, the left parent's first; for each key every left value with every right value; None for a side that has
    none, where ``how`` keeps such keys.
    """

    left: Source
    right: Source
    how: str = "inner"

    def rows(self, split: Sequence[Part], task: TaskRun) -> Iterator[Any]:
        """The joined rows of one partition."""
        return chain.from_iterable(self._parts(split, task))

    def _parts(self, split: Sequence[Part], task: TaskRun) -> Iterator[Iterator[Any]]:
        if type(self.left) is not CachedSource:
            return _tables((self.left, self.right), split, task).joined(self.how)
        from simspark.publib.lineage.streamed_joins import may_stream, streamed

        left = rows_of_part(self.left, split[0], task)
        if may_stream(left, self.left, self.how):
            return streamed(left, _columns_of_part(self.right, split[1], task), self.how, task)
        right = map(_columns_of_part, (self.right,), split[1:], (task,))
        return Tables(chain((in_columns(left, task),), right), (False, False), task).joined(self.how)


class SubtractRead(NamedTuple):
    """The rows of the left parent whose key the right one does not have, by key in first-seen order.

    Split: ((index, split), (index, split)).
    """

    left: Source
    right: Source

    def rows(self, split: Sequence[Part], task: TaskRun) -> Iterator[Any]:
        """The rows that are left of one partition."""
        return chain.from_iterable(_tables((self.left, self.right), split, task, (False, True)).left_only())


class IntersectRead(NamedTuple):
    """(key, None) for each key that both parents have, in the left one's first-seen order.

    Split: ((index, split), (index, split)).
    """

    left: Source
    right: Source

    def rows(self, split: Sequence[Part], task: TaskRun) -> Iterator[Any]:
        """The keys of one partition."""
        return zip(_tables((self.left, self.right), split, task, (True, True)).in_both(), repeat(None))


def _tables(parents: Sequence[Source], split: Sequence[Part], task: TaskRun,
            only_keys: Sequence[bool] | None = None) -> Tables:
    columns = map(_columns_of_part, parents, split, repeat(task))
    return Tables(columns, only_keys or [False] * len(parents), task)


def _columns_of_part(source: Source, part: Part, task: TaskRun) -> Iterator[Columns]:
    columns = source.columns(part[1], task) if type(source) is ShuffleRead else None
    return in_columns(rows_of_part(source, part, task), task) if columns is None else columns
