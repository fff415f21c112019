"""The values of each key in several parents, side by side: what joins and cogroups read from.

Each parent's rows go into a table by key. While no key has come twice the table holds the values themselves, which
for most joins is all that is ever needed: no list for each key, nothing that the garbage collector has to follow.
Rows come and go in columns, a list of keys and one of values, about a thousand at a time, so that a row costs no
Python frame of ours.

Keys come out in the order in which they were first seen, the first parent's first. All NaN floats are one key; 1, 1.0
and True are one key, the first that was seen. When the tables outgrow the task's budget they are spilled in runs.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress, filterfalse, islice, product, repeat
from operator import is_not
from typing import Any

from simspark.publib.lineage.aggregation import fold_nans
from simspark.publib.lineage.budget import Share
from simspark.publib.lineage.folding import extend_list
from simspark.publib.lineage.spill import (
    FIRST_WINDOW_ROWS,
    BucketRuns,
    Watch,
    estimate_groups,
    estimate_list,
    estimate_lists,
)
from simspark.publib.lineage.task import TaskRun
from simspark.publib.optimizations import uses

ROWS_AT_ONCE = 1000
_CHUNK_SAMPLES = 4

Columns = tuple[Sequence[Any], Sequence[Any]]
Values = Sequence[Any]

_EMPTY: tuple[Any, ...] = ()
_NONE = (None,)
_MISSING = object()


class Table:
    """The values of each key of one parent: themselves while no key has come twice, from then on in lists.

    With ``only_keys`` it is enough to have one of them.
    """

    __slots__ = ("groups", "only_keys", "unique")

    def __init__(self, only_keys: bool) -> None:
        self.only_keys = only_keys
        self.unique = True
        self.groups: dict[Any, Any] = {}
        self.clear()

    def add(self, keys: Sequence[Any], values: Sequence[Any]) -> None:
        """Take some rows in."""
        groups = self.groups
        if self.unique and self.only_keys:
            groups.update(zip(keys, values, strict=True))
            return
        if self.unique:
            before = len(groups)
            deque(map(groups.setdefault, keys, values), maxlen=0)
            if len(groups) == before + len(keys):
                return
            held = set(islice(groups, before, None))
            self.make_lists()
            groups = self.groups
            for key, value in zip(keys, values, strict=True):
                if key in held:
                    held.remove(key)
                else:
                    groups[key].append(value)
            return
        for key, value in zip(keys, values, strict=True):
            groups[key].append(value)

    def make_lists(self) -> None:
        """Hold lists from now on."""
        if self.unique:
            self.groups = defaultdict(list, {key: [value] for key, value in self.groups.items()})
            self.unique = False

    def clear(self) -> None:
        """Forget all rows."""
        self.unique = True
        self.groups = {}
        if not uses("unique-keys"):
            self.make_lists()

    def rows(self) -> Iterator[tuple[Any, Any]]:
        """The rows, those of a key together."""
        if self.unique:
            return iter(self.groups.items())
        return chain.from_iterable(zip(repeat(key), values) for key, values in self.groups.items())

    def has_nans(self) -> bool:
        """Whether a key is a NaN float."""
        return float in set(map(type, self.groups)) and any(type(key) is float and key != key for key in self.groups)  # noqa: PLR0124

    def fold_nans(self) -> Any:
        """Make all NaN floats one key, the first, and return it; None if there is none."""
        if not self.has_nans():
            return None
        self.make_lists()
        return fold_nans(self.groups, extend_list, {float})

    def held_bytes(self) -> int:
        """About how much memory it takes."""
        if self.unique:
            return estimate_groups(self.groups)
        return estimate_lists(self.groups, sum(map(len, self.groups.values())))

    def values_of(self, keys: Iterable[Any], default: Values) -> list[Values]:
        """The values of each of these keys, or else ``default``."""
        if not self.unique:
            return list(map(self.groups.get, keys, repeat(default)))
        found = map(self.groups.get, keys, repeat(_MISSING))
        return [default if value is _MISSING else [value] for value in found]


class Tables:
    """One table for each parent, or what of them was spilled. ``only_keys`` says it of each parent's values."""

    def __init__(self, parents: Iterable[Iterator[Columns]], only_keys: Sequence[bool], task: TaskRun) -> None:
        self._tables = list(map(Table, only_keys))
        self._runs = BucketRuns(task, _own_lists, _extend_all)
        self._budget_bytes = task.memory_budget_bytes
        self._share = Share(task.budget)
        self._before_bytes = self._held_bytes = 0
        for table, parent in zip(self._tables, parents, strict=True):
            self._fill(table, parent)
        if self._runs:
            self._spill()
            self._share.count(self._budget_bytes // 2)
        else:
            self._fold_nans()

    def _fill(self, table: Table, parent: Iterator[Columns]) -> None:
        """Take one parent's rows."""
        watch = Watch(self._budget_bytes, lambda _: self._counted(table), self._spill)
        for keys, values in parent:
            table.add(keys, values)
            watch.took(len(keys))
        watch.end()
        self._before_bytes = self._held_bytes

    def _counted(self, table: Table) -> int:
        """What all tables hold while this one takes rows."""
        self._held_bytes = self._share.count(self._before_bytes + table.held_bytes())
        return self._held_bytes

    def _spill(self) -> None:
        self._fold_nans()
        self._runs.spill(chain.from_iterable(
            zip(keys, self._lists(keys), strict=True) for keys in chunks(self._keys(True))))
        for table in self._tables:
            table.clear()
        self._before_bytes = self._held_bytes = 0

    def _keys(self, of_all: bool) -> Iterable[Any]:
        """The keys in order, of all tables or of the first."""
        tables = [table.groups for table in (self._tables if of_all else self._tables[:1]) if table.groups]
        return tables[0] if len(tables) == 1 else dict.fromkeys(chain.from_iterable(tables))

    def _lists(self, keys: Iterable[Any]) -> Iterator[tuple[Values, ...]]:
        return zip(*(table.values_of(keys, _EMPTY) for table in self._tables), strict=True)

    def _fold_nans(self) -> None:
        """Make all NaN floats one key in all tables, the first."""
        if not any(table.has_nans() for table in self._tables):
            return
        for table in self._tables:
            table.make_lists()
        nans = [fold_nans(table.groups, extend_list, {float}) for table in self._tables]
        present = [nan for nan in nans if nan is not None]
        for table, nan in zip(self._tables, nans, strict=True):
            if nan is not None and nan is not present[0]:
                table.groups[present[0]] = table.groups.pop(nan)

    def grouped(self) -> Iterator[tuple[Sequence[Any], list[list[Values]]]]:
        """Keys, and for each parent the values of each of them, some keys at a time."""
        if self._runs:
            for groups in chunks(self._runs.merged(), FIRST_WINDOW_ROWS):
                yield [key for key, _ in groups], [[lists[i] for _, lists in groups] for i in range(len(self._tables))]
            self._share.count(0)
            return
        for keys in chunks(self._keys(True)):
            yield keys, [table.values_of(keys, _EMPTY) for table in self._tables]
        self._share.count(0)

    def joined(self, how: str) -> Iterator[Iterator[Any]]:
        """Rows (key, (left value, right value)) of two parents, in parts; ``how`` is as in JoinRead."""
        if self._runs:
            merged = self._share.until_read(self._runs.merged())
            return (zip(repeat(key), product(*_sides(how, *lists))) for key, lists in merged)
        left, right = self._tables
        unique = left.unique and right.unique
        return self._share.until_read(_paired(left.groups, right.groups, how) if unique else self._joined_lists(how))

    def in_both(self) -> Iterator[Any]:
        """The keys that both parents have."""
        if self._runs:
            return (key for key, (left, right) in self._runs.merged() if left and right)
        left, right = self._tables
        return self._share.until_read(filter(right.groups.__contains__, left.groups))

    def left_only(self) -> Iterator[Iterator[Any]]:
        """The rows, in parts, of the first parent whose key the second does not have."""
        if self._runs:
            return (zip(repeat(key), left, strict=False) for key, (left, right) in self._runs.merged() if not right)
        left, right = self._tables
        keys = filterfalse(right.groups.__contains__, left.groups)
        parts: Iterator[Iterator[Any]] = (zip(repeat(key), left.groups[key], strict=False) for key in keys)
        if left.unique:
            parts = (zip(some, map(left.groups.__getitem__, some), strict=True) for some in chunks(keys))
        return self._share.until_read(parts)

    def _joined_lists(self, how: str) -> Iterator[Iterator[Any]]:
        left, right = self._tables
        without_left, without_right = _sides(how, _EMPTY, _EMPTY)
        for keys in chunks(self._keys(how in _KEEPS_RIGHT)):
            pairs = map(product, left.values_of(keys, without_left), right.values_of(keys, without_right))
            yield chain.from_iterable(map(zip, map(repeat, keys), pairs))


_KEEPS_LEFT = frozenset(("left", "full"))
_KEEPS_RIGHT = frozenset(("right", "full"))


def _sides(how: str, left: Values, right: Values) -> tuple[Values, Values]:
    """The values of a key on both sides, with None for a side that has none where such keys are kept."""
    return left or (_NONE if how in _KEEPS_RIGHT else _EMPTY), right or (_NONE if how in _KEEPS_LEFT else _EMPTY)


def _paired(left: dict[Any, Any], right: dict[Any, Any], how: str) -> Iterator[Iterator[Any]]:
    """Joined rows where each key is there once at most on each side."""
    yield from paired(zip(chunks(left), chunks(left.values()), strict=True), right, how)
    if how in _KEEPS_RIGHT:
        for keys in chunks(filterfalse(left.__contains__, right)):
            yield zip(keys, zip(repeat(None), map(right.__getitem__, keys), strict=False), strict=True)


def paired(left: Iterable[Columns], right: dict[Any, Any], how: str) -> Iterator[Iterator[Any]]:
    """The same for the keys of the left side."""
    default = None if how in _KEEPS_LEFT else _MISSING
    for keys, values in left:
        others = list(map(right.get, keys, repeat(default)))
        if default is None:
            yield zip(keys, zip(values, others, strict=True), strict=True)
        else:
            found = list(map(is_not, others, repeat(_MISSING)))
            pairs = zip(compress(values, found), compress(others, found), strict=True)
            yield zip(compress(keys, found), pairs, strict=True)


def values_if_none(how: str) -> Values:
    """The right values of a key that has none there."""
    return _sides(how, _NONE, _EMPTY)[1]


def chunks(rows: Iterable[Any], size: int = ROWS_AT_ONCE) -> Iterator[list[Any]]:
    """The same in lists."""
    rows = iter(rows)
    while chunk := list(islice(rows, size)):
        yield chunk


def in_columns(rows: Iterator[tuple[Any, Any]], task: TaskRun) -> Iterator[Columns]:
    """Rows as keys and values, as many at a time as are a small part of the task's budget."""
    size = FIRST_WINDOW_ROWS
    while chunk := list(islice(rows, size)):
        yield columns_of(chunk)
        fits = task.memory_budget_bytes // 16 * len(chunk) // estimate_list(chunk, _CHUNK_SAMPLES)
        size = max(1, min(ROWS_AT_ONCE, 4 * size, fits))


def columns_of(rows: Sequence[tuple[Any, Any]]) -> Columns:
    """Keys and values of some rows. Raises what unpacking a row into two raises."""
    return [key for key, _ in rows], [value for _, value in rows]


def _own_lists(lists: Sequence[Values]) -> tuple[list[Any], ...]:
    return tuple(map(list, lists))


def _extend_all(lists: tuple[list[Any], ...], more: Sequence[Values]) -> tuple[list[Any], ...]:
    for values, others in zip(lists, more, strict=True):
        values.extend(others)
    return lists
