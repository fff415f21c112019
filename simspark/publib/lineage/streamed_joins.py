"""Joins whose left side is read as it is and held by nobody: a cached partition with each of its keys once.

That keys come once is known from what a partition is made of: a shuffle has merged the values of each key, and all
steps behind it keep keys. Then the rows of the join come in the order of the cached rows, as they would from a table
of them, and what is looked for in the other side's table need not be put into one. So an iteration over cached links
pays for what has changed alone.

The cached rows are in a list, so reading them later than the other side's changes nothing that can be seen. Where the
other side's table outgrows the task's budget, both sides get tables after all, which are spilled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, product, repeat
from typing import Any

from simspark.publib.lineage.budget import Share
from simspark.publib.lineage.join_tables import (
    Columns,
    Table,
    Tables,
    chunks,
    columns_of,
    in_columns,
    paired,
    values_if_none,
)
from simspark.publib.lineage.program import Steps
from simspark.publib.lineage.sources import CachedSource
from simspark.publib.lineage.spill import Run, Watch
from simspark.publib.lineage.steps import Filter, MapValues
from simspark.publib.lineage.task import Source, TaskRun
from simspark.publib.optimizations import uses

STREAMED = frozenset(("inner", "left"))
_LISTED: type = type(iter([]))


def may_stream(rows: Iterator[Any], source: CachedSource, how: str) -> bool:
    """Whether the rows of a join's left source may be read as they are."""
    return type(rows) is _LISTED and how in STREAMED and uses("streamed-joins") and _keys_come_once(source.inner)


def _keys_come_once(source: Source) -> bool:
    from simspark.publib.lineage.shuffle_read import CoGroupRead, ShuffleRead

    while True:
        if type(source) is CachedSource:
            source = source.inner
        elif type(source) is Steps and _keep_keys(source):
            source = source.source
        else:
            return type(source) is CoGroupRead or (type(source) is ShuffleRead and source.aggregator is not None)


def _keep_keys(source: Steps) -> bool:
    return all(isinstance(step, (MapValues, Filter)) for step in source.steps)


def streamed(left: Iterator[Any], right: Iterator[Columns], how: str, task: TaskRun) -> Iterator[Iterator[Any]]:
    """The joined rows, in parts; see JoinRead."""
    share, table = Share(task.budget), Table(False)
    is_full: list[bool] = []
    watch = Watch(task.memory_budget_bytes, lambda _: share.count(table.held_bytes()), lambda: is_full.append(True))
    for keys, values in right:
        table.add(keys, values)
        watch.took(len(keys))
        if is_full:
            break
    else:
        watch.end()
    if is_full:
        share.count(0)
        both = iter((in_columns(left, task), chain(_set_aside(table, task), right)))
        return Tables(both, (False, False), task).joined(how)
    return share.until_read(_probed(map(columns_of, chunks(left)), table, how))


def _set_aside(table: Table, task: TaskRun) -> Iterator[Columns]:
    """The rows of a table, which is empty from now on, from a scratch file."""
    run = Run(task).write([table.rows()])
    table.clear()
    return map(columns_of, run.batches())


def _probed(left: Iterable[Columns], table: Table, how: str) -> Iterator[Iterator[Any]]:
    nan = table.fold_nans()
    if table.unique:
        yield from paired(left, table.groups, how)
        return
    default = values_if_none(how)
    for keys, values in left:
        known = keys if nan is None else [nan if type(key) is float and key != key else key for key in keys]  # noqa: PLR0124
        pairs = map(product, zip(values), table.values_of(known, default))
        yield chain.from_iterable(map(zip, map(repeat, keys), pairs))
