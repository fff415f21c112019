"""Folding the values of each key: on the map side before a shuffle, on the reduce side after it.

Groups come out in the order in which their keys were first seen. All NaN floats are one key, as None is; 1, 1.0 and
True are one key, the first that was seen. (The groups of different NaN objects are merged, in the order in which the
objects were first seen: rows with NaN keys are the one case where values of a key may change places.)

Memory is bounded by the task's budget in one of two ways. Where groups are of fixed size (numbers, tuples of them,
arrays) the groups that are in memory stay there and go on taking values, and rows whose key found no room are
spilled and folded later: so every value is added in the order of the rows, and not even the rounding of a float
depends on whether something was spilled (NaN keys excepted: those groups are merged). Should such groups outgrow
twice the budget all the same, they are put before the spilled rows of their keys. Where groups may grow (lists,
sets, strings) they are spilled themselves, and merged with ``merge_combiners``, which must then be associative, as
everywhere in Spark.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import add
from typing import Any

from simspark.publib.lineage.budget import Share
from simspark.publib.lineage.spill import (
    SAMPLES,
    BucketRuns,
    estimate_groups,
    estimate_list,
    estimate_lists,
    windows,
)
from simspark.publib.lineage.steps import Step, StepRows, fused_after, note_end, one_by_one
from simspark.publib.lineage.task import TaskRun
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.optimizations import uses

Groups = dict[Any, Any]
Absorb = Callable[[Groups, Iterable[tuple[Any, Any]]], None]


class Aggregator(NamedTuple):
    """How the values of a key become one.

    ``create(value)``, then ``merge_value(combiner, value)``, and across partitions
    ``merge_combiners(combiner, combiner)``.
    """

    create: Callable[[Any], Any]
    merge_value: Callable[[Any, Any], Any]
    merge_combiners: Callable[[Any, Any], Any]
    label: str = "combineByKey"
    site: str = ""

    @property
    def function(self) -> Callable[[Any, Any], Any]:
        """The user's function."""
        return self.merge_value

    def combine_values(self, rows: Iterator[tuple[Any, Any]], task: TaskRun) -> Combined:
        """(key, combiner) for (key, value) rows."""
        return _combine(rows, self.create, self.merge_value, self.merge_combiners, task)

    def merge_combined(self, rows: Iterator[tuple[Any, Any]], task: TaskRun) -> Combined:
        """(key, combiner) for rows that are (key, combiner) of several partitions; combiners are taken, not copied."""
        return _combine(rows, identity, self.merge_combiners, self.merge_combiners, task)


class Combined(Iterable[tuple[Any, Any]]):
    """Every key with its group, in first-seen order, to be read once; ``held`` if all of them are in memory."""

    __slots__ = ("_rows", "held")

    def __init__(self, rows: Iterator[tuple[Any, Any]], held: Groups | None = None) -> None:
        self._rows = rows
        self.held = held

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self._rows


def identity(value: Any) -> Any:
    """The value itself."""
    return value


def as_list(value: Any) -> list[Any]:
    """A new list of one value."""
    return [value]


def append_value(values: list[Any], value: Any) -> list[Any]:
    """The list with one more value."""
    values.append(value)
    return values


def keep_left(left: Any, right: Any) -> Any:  # noqa: ARG001 (the right one is what is dropped)
    """The first of two that are the same: what ``distinct`` does with its rows, which are keys without values."""
    return left


def extend_list(values: list[Any], more: list[Any]) -> list[Any]:
    """The list with more values."""
    values.extend(more)
    return values


def reducing(function: Callable[[Any, Any], Any], label: str = "reduceByKey", site: str = "") -> Aggregator:
    """Values of a key reduced by one function."""
    return Aggregator(identity, function, function, label, site)


def grouping(label: str = "groupByKey", site: str = "") -> Aggregator:
    """Values of a key in a list, in the order of the rows."""
    return Aggregator(as_list, append_value, extend_list, label, site)


def is_addition(function: Any) -> bool:
    """Whether a function does ``a + b`` and nothing else: operator.add, or a function with that very code."""
    if function is add:
        return True
    code = getattr(function, "__code__", None)
    return (code is not None and function.__defaults__ is None and code.co_argcount == 2
            and not code.co_kwonlyargcount and code.co_flags == _plus.__code__.co_flags
            and code.co_code == _plus.__code__.co_code)


def _plus(a: Any, b: Any) -> Any:
    return a + b


def fold_nans(groups: Groups, merge_combiners: Callable[[Any, Any], Any]) -> Any:
    """Make all NaN floats one key, the first, and return it; None if there is none."""
    if float not in set(map(type, groups)):
        return None
    nans = [key for key in groups if type(key) is float and key != key]  # noqa: PLR0124 - NaN
    for other in nans[1:]:
        groups[nans[0]] = merge_combiners(groups[nans[0]], groups.pop(other))
    return nans[0] if nans else None


class _Begun(NamedTuple):
    """A group among spilled values: what the values before them came to."""

    group: Any


class _Combiner:
    """The groups of one task, and what of them was spilled."""

    def __init__(self, steps: Sequence[Step], create: Callable[[Any], Any], merge: Callable[[Any, Any], Any],
                 merge_combiners: Callable[[Any, Any], Any], task: TaskRun) -> None:
        self._steps = steps
        self._create = create
        self._loop: Absorb | None = None
        self._budget_bytes = task.memory_budget_bytes
        self._share = Share(task.budget)
        self._merge = merge
        self._merge_combiners = merge_combiners
        self._lists = merge in {append_value, extend_list}
        self._absorb = _absorber(create, merge)
        self._groups: Groups = defaultdict(list) if merge is append_value else {}
        self._runs = BucketRuns(task, identity, merge_combiners)
        self._homeless = BucketRuns(task, lambda content: content.group if type(content) is _Begun
                                    else create(content), merge)
        self._pending: list[tuple[Any, Any]] = []
        self._full = False
        self._nan: Any = None

    def take(self, window: Iterable[tuple[Any, Any]]) -> None:
        """Fold some rows in; where there are steps to be done, those that become of them."""
        if self._loop is not None and not self._full:
            self._loop(self._groups, window)
            return
        if self._steps:
            window = one_by_one(self._steps, iter(window))
        if not self._full:
            self._absorb(self._groups, window)
            return
        groups, merge, nan, pending = self._groups, self._merge, self._nan, self._pending
        for key, value in window:
            known = nan if nan is not None and key != key else key  # noqa: PLR0124 - NaN
            if known in groups:
                groups[known] = merge(groups[known], value)
            else:
                pending.append((key, value))

    def make_loop(self) -> None:
        """From now on, all that happens to a row until it is in its group is one loop, where that does the same."""
        from simspark.publib.lineage.fusion import grouping_loop, listing_loop

        if not self._lists:
            create = None if self._create is identity else self._create
            self._loop = grouping_loop(self._steps, create, self._merge)
        elif self._merge is append_value:
            self._loop = listing_loop(self._steps)

    def held_bytes(self, seen: int) -> int:
        """What counts against the budget: the groups, or rows without a place four times and the groups half."""
        if self._full:
            groups = estimate_groups(self._groups)
            others = self._share.count(groups) - groups
            return max(4 * estimate_list(self._pending) + others, groups // 2)
        if not self._lists:
            return self._share.count(estimate_groups(self._groups))
        each_is_one = self._merge is append_value and not self._steps
        count = seen if each_is_one else sum(map(len, self._groups.values()))
        return self._share.count(estimate_lists(self._groups, count))

    def spill(self) -> None:
        """Make room."""
        if self._full:
            self._homeless.spill(self._pending)
            self._pending.clear()
            if estimate_groups(self._groups) > 2 * self._budget_bytes:
                self._homeless.spill_first(self._groups, _Begun)
                self._groups.clear()
            return
        self._nan = fold_nans(self._groups, self._merge_combiners)
        if not self._runs and not self._lists and _fixed_size(self._groups):
            self._full = True
            return
        self._runs.spill(self._groups.items())
        self._groups.clear()

    def result(self) -> Combined:
        """Every key with its group, in first-seen order."""
        if self._runs:
            self._runs.spill(self._groups.items())
            self._groups.clear()
            self._share.count(self._budget_bytes // 2)
            return Combined(self._share.until_read(self._runs.merged()))
        if self._pending or self._homeless:
            self._homeless.spill(self._pending)
            self._pending.clear()
            return Combined(self._share.until_read(chain(self._groups.items(), self._homeless.merged())))
        fold_nans(self._groups, self._merge_combiners)
        return Combined(self._share.until_read(iter(self._groups.items())), self._groups)


def _combine(rows: Iterator[tuple[Any, Any]], create: Callable[[Any], Any], merge: Callable[[Any, Any], Any],
             merge_combiners: Callable[[Any, Any], Any], task: TaskRun) -> Combined:
    steps: Sequence[Step] = ()
    after_rows = fused_after(task)
    if merge is keep_left:
        after_rows = -1  # C does it
    if type(rows) is StepRows and after_rows >= 0:
        rows, steps = rows.split()
    combiner = _Combiner(steps, create, merge, merge_combiners, task)
    if after_rows >= 0:
        rows = _with_loop(combiner, rows, after_rows)
    for window in windows(rows, task.memory_budget_bytes, combiner.held_bytes, combiner.spill):
        combiner.take(window)
    return combiner.result()


def _with_loop(combiner: _Combiner, rows: Iterator[Any], after_rows: int) -> Iterator[Any]:
    """The same rows; if there are more than so many, the combiner makes its loop then."""
    ended: list[bool] = []
    noted = chain(rows, note_end(ended))

    def make_loop() -> Iterator[Any]:
        if not ended:
            combiner.make_loop()
        yield from ()

    return chain(islice(noted, after_rows), make_loop(), noted)


def _fixed_size(groups: Groups) -> bool:
    step = -(-len(groups) // SAMPLES) or 1
    return all(map(_is_fixed, islice(groups.values(), 0, None, step)))


def _is_fixed(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_fixed, value))
    return isinstance(value, (int, float, complex)) or value is None or hasattr(value, "dtype")


def _absorber(create: Callable[[Any], Any], merge: Callable[[Any, Any], Any]) -> Absorb:
    if merge is append_value and uses("lists"):
        return _absorb_into_lists
    if merge is extend_list and uses("lists"):
        return _absorb_lists
    if create is identity and merge is keep_left and uses("first-values"):
        return _absorb_first
    if create is identity:
        return _absorb_sums(merge) if is_addition(merge) and uses("sums") else _absorb_reduced(merge)
    return _absorb_created(create, merge)


def _absorb_into_lists(groups: Groups, rows: Iterable[tuple[Any, Any]]) -> None:
    for key, value in rows:
        groups[key].append(value)


def _absorb_lists(groups: Groups, rows: Iterable[tuple[Any, Any]]) -> None:
    for key, values in rows:
        if key in groups:
            groups[key].extend(values)
        else:
            groups[key] = values


def _absorb_first(groups: Groups, rows: Iterable[tuple[Any, Any]]) -> None:
    groups.update(rows)  # keys stay as they were first seen, and values are all None


def _absorb_sums(function: Callable[[Any, Any], Any]) -> Absorb:
    def absorb(groups: Groups, rows: Iterable[tuple[Any, Any]]) -> None:
        for key, value in rows:
            if key in groups:
                try:
                    groups[key] = groups[key] + value
                except Exception:
                    function(groups[key], value)  # raises again, from the user's own line
                    raise
            else:
                groups[key] = value

    return absorb


def _absorb_reduced(function: Callable[[Any, Any], Any]) -> Absorb:
    def absorb(groups: Groups, rows: Iterable[tuple[Any, Any]]) -> None:
        for key, value in rows:
            groups[key] = function(groups[key], value) if key in groups else value

    return absorb


def _absorb_created(create: Callable[[Any], Any], merge: Callable[[Any, Any], Any]) -> Absorb:
    def absorb(groups: Groups, rows: Iterable[tuple[Any, Any]]) -> None:
        for key, value in rows:
            groups[key] = merge(groups[key], value) if key in groups else create(value)

    return absorb
