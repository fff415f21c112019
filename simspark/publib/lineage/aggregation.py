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

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from simspark.publib.lineage.budget import Share
from simspark.publib.lineage.folding import (
    GroupingLoops,
    Groups,
    absorber,
    append_value,
    as_list,
    columns_absorber,
    extend_list,
    identity,
    keep_left,
)
from simspark.publib.lineage.spill import (
    SAMPLES,
    BucketRuns,
    Watch,
    estimate_groups,
    estimate_list,
    estimate_lists,
    windows,
)
from simspark.publib.lineage.steps import FLAT, Filter, Step, StepRows, fused_after, note_end, one_by_one
from simspark.publib.lineage.task import TaskRun
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.optimizations import uses

Batch = tuple[Sequence[Any], Sequence[Any]] | Sequence[Any]

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
        steps: Sequence[Step] = ()
        after_rows = fused_after(task)
        if self.merge_value is keep_left:
            after_rows = -1  # C does it
        if type(rows) is StepRows and after_rows >= 0:
            rows, steps = rows.split()
        flat = rows if type(rows) is StepRows and after_rows >= 0 and rows.running is None else None
        combiner = _Combiner(steps, self.create, self.merge_value, self.merge_combiners, task, flat=flat is not None)
        if flat is not None:
            _take_flat(combiner, flat, after_rows)
        else:
            combiner.take_all(_with_loop(combiner, rows, after_rows) if after_rows >= 0 else rows)
        return combiner.result()

    def is_one_loop(self, steps: Sequence[Step]) -> bool:
        """Whether row-by-row steps of which one makes several rows of one are done in the loop that combines them."""
        flat = [number for number, step in enumerate(steps) if isinstance(step, FLAT)]
        if not flat or self.merge_value is keep_left:
            return False
        last = _loops_of(steps[flat[-1] + 1 :], self.create, self.merge_value)
        return not (last and last.is_c) and _loops_of(steps, self.create, self.merge_value) is not None

    def merge_batches(self, batches: Iterator[Batch], task: TaskRun) -> Combined:
        """(key, combiner) for batches of (key, combiner) of several partitions; combiners are taken, not copied.

        A batch is a list of keys and one of combiners, in a tuple, or a list of rows.
        """
        combiner = _Combiner((), identity, self.merge_combiners, self.merge_combiners, task)
        loop_after = fused_after(task) if combiner.may_need_loop else -1
        seen, watch = 0, combiner.watch()
        for batch in batches:
            if seen >= loop_after >= 0:
                loop_after = -1
                combiner.make_loop()
            combiner.take_batch(batch)
            rows = rows_in(batch)
            seen += rows
            watch.took(rows)
        watch.end()
        return combiner.result()


class Combined(Iterable[tuple[Any, Any]]):
    """Every key with its group, in first-seen order, to be read once.

    ``held`` if all of them are in memory; ``kinds`` are the types of their keys then.
    """

    __slots__ = ("_rows", "held", "kinds")

    def __init__(self, rows: Iterator[tuple[Any, Any]], held: Groups | None = None,
                 kinds: Collection[type] = ()) -> None:
        self._rows = rows
        self.held = held
        self.kinds = kinds

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self._rows


def reducing(function: Callable[[Any, Any], Any], label: str = "reduceByKey", site: str = "") -> Aggregator:
    """Values of a key reduced by one function."""
    return Aggregator(identity, function, function, label, site)


def grouping(label: str = "groupByKey", site: str = "") -> Aggregator:
    """Values of a key in a list, in the order of the rows."""
    return Aggregator(as_list, append_value, extend_list, label, site)


def fold_nans(groups: Groups, merge_combiners: Callable[[Any, Any], Any], kinds: Collection[type]) -> Any:
    """Make all NaN floats one key, the first, and return it; None if there is none. ``kinds``: of the keys."""
    if float not in kinds:
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
                 merge_combiners: Callable[[Any, Any], Any], task: TaskRun, *, flat: bool = False) -> None:
        self._steps = steps
        self._each_is_one = not flat and not any(isinstance(step, Filter) for step in steps)
        self._create = create
        self._loops: GroupingLoops | None = None
        self._budget_bytes = task.memory_budget_bytes
        self._share = Share(task.budget)
        self._merge = merge
        self._merge_combiners = merge_combiners
        self._lists = merge in {append_value, extend_list}
        self._listed: int | None = 0 if merge is extend_list else None
        self._absorb = absorber(create, merge)
        self._absorb_columns = columns_absorber(merge)
        self._kinds: set[type] | None = None
        self._all_are_new = uses("new-keys")
        self._groups: Groups = defaultdict(list) if merge is append_value else {}
        self._runs = BucketRuns(task, identity, merge_combiners)
        self._homeless = BucketRuns(task, lambda content: content.group if type(content) is _Begun
                                    else create(content), merge)
        self._pending: list[tuple[Any, Any]] = []
        self._full = False
        self._nan: Any = None

    def watch(self) -> Watch:
        """What looks at the groups while rows are folded in."""
        return Watch(self._budget_bytes, self.held_bytes, self.spill)

    def take_all(self, rows: Iterator[Any]) -> None:
        """Fold all of these rows in."""
        for size, window in windows(rows, self.watch()):
            self.take(window, size)

    def take_flat(self, before: Sequence[Step], rows: Iterator[Any], ended: list[bool]) -> None:
        """Fold in what some steps make of these rows, several of one: in one loop with all else, where that can be.

        It ends with the rows or, behind one of them, where groups are not to grow any more.
        """
        self.make_loop()
        if self._loops is not None and self._loops.is_c:
            return
        loops = _loops_of((*before, *self._steps), self._create, self._merge)
        watch = self.watch()
        while loops is not None and not ended and not self._full:
            watch.took(loops.fold_flat(self._groups, rows, watch.window))
        watch.end()

    def take(self, window: Iterable[tuple[Any, Any]], size: int = 0) -> None:
        """Fold some rows in, at most ``size``; where there are steps to be done, those that become of them."""
        if self._loops is not None and not self._full:
            self._loops.fold(self._groups, window, size)
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

    @property
    def may_need_loop(self) -> bool:
        """Whether there is a call for each row that a loop would be without."""
        return self._absorb_columns is None and self._merge is not keep_left

    def take_batch(self, batch: Batch) -> None:
        """Fold rows in that come in a batch. While no key is one that was there, C does it."""
        if type(batch) is not tuple or self._full:
            self._all_are_new, self._kinds, self._listed = False, None, None
            self.take(rows_of_batch(batch))
            return
        keys, values = batch
        if self._listed is not None:
            self._listed += sum(map(len, values))
        groups, before = self._groups, len(self._groups)
        if self._all_are_new:
            deque(map(groups.setdefault, keys, values), maxlen=0)
            if len(groups) - before < len(keys):
                self._all_are_new = False
                self.take(_but_first(islice(groups, before, None), keys, values))
        elif self._absorb_columns is not None:
            self._absorb_columns(groups, keys, values)
        else:
            self.take(zip(keys, values, strict=True))
        if len(groups) > before and (self._kinds is not None or not before):
            self._kinds = set(map(type, keys)).union(self._kinds or ())

    def make_loop(self) -> None:
        """From now on, all that happens to a row until it is in its group is one loop, where that does the same."""
        self._loops = self._loops or _loops_of(self._steps, self._create, self._merge)

    def held_bytes(self, seen: int) -> int:
        """What counts against the budget: the groups, or rows without a place four times and the groups half."""
        if self._full:
            groups = estimate_groups(self._groups)
            others = self._share.count(groups) - groups
            return max(4 * estimate_list(self._pending) + others, groups // 2)
        if not self._lists:
            return self._share.count(estimate_groups(self._groups))
        listed = seen if self._merge is append_value and self._each_is_one else self._listed
        if listed is None:
            listed = sum(map(len, self._groups.values()))
        return self._share.count(estimate_lists(self._groups, listed))

    def spill(self) -> None:
        """Make room."""
        if self._full:
            self._homeless.spill(self._pending)
            self._pending.clear()
            if estimate_groups(self._groups) > 2 * self._budget_bytes:
                self._homeless.spill_first(self._groups, _Begun)
                self._groups.clear()
            return
        self._fold_nans()
        if not self._runs and not self._lists and _fixed_size(self._groups):
            self._full = True
            return
        self._runs.spill(self._groups.items())
        self._groups.clear()
        self._listed = None if self._listed is None else 0

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
        kinds = self._fold_nans()
        return Combined(self._share.until_read(iter(self._groups.items())), self._groups, kinds)

    def _fold_nans(self) -> Collection[type]:
        """Make all NaN floats one key; the types of the keys."""
        kinds = set(map(type, self._groups)) if self._kinds is None else self._kinds
        self._nan = fold_nans(self._groups, self._merge_combiners, kinds)
        return kinds


def _loops_of(steps: Sequence[Step], create: Callable[[Any], Any],
              merge: Callable[[Any, Any], Any]) -> GroupingLoops | None:
    """Loops that do all with a row until it is in its group, or None."""
    from simspark.publib.lineage.fusion import grouping_loop, listing_loop

    if merge not in {append_value, extend_list}:
        first = None if create is identity else create
        return GroupingLoops.of(lambda few_are_new: grouping_loop(steps, first, merge, few_are_new))
    return GroupingLoops.of(lambda _: listing_loop(steps)) if merge is append_value else None


def _take_flat(combiner: _Combiner, rows: StepRows, after_rows: int) -> None:
    """Fold in rows of which several come from one: of the first it is seen where they come from."""
    from simspark.publib.lineage.fusion import in_loops

    ended: list[bool] = []
    noted = chain(rows.rows, note_end(ended))
    looped: list[bool] = []
    first = one_by_one(rows.steps, _first(noted, after_rows, looped))
    combiner.take_all(_with_loop(combiner, first, after_rows, looped))
    if not ended:
        combiner.take_flat(rows.steps, noted, ended)
    if not ended:
        combiner.take_all(in_loops(rows.steps, noted, 0))


def _first(rows: Iterator[Any], limit: int, enough: list[bool]) -> Iterator[Any]:
    """At most so many rows, and none after it is noted that these are enough."""
    for row in islice(rows, limit):
        yield row
        if enough:
            return


def _with_loop(combiner: _Combiner, rows: Iterator[Any], after_rows: int,
               looped: list[bool] | None = None) -> Iterator[Any]:
    """The same rows; if there are more than so many, the combiner makes its loop then, and that is noted."""
    ended: list[bool] = []
    noted = chain(rows, note_end(ended))

    def make_loop() -> Iterator[Any]:
        if not ended:
            combiner.make_loop()
            if looped is not None:
                looped.append(True)
        yield from ()

    return chain(islice(noted, after_rows), make_loop(), noted)


def rows_of_batch(batch: Any) -> Iterable[Any]:
    """The rows of a batch."""
    return zip(*batch, strict=True) if type(batch) is tuple else batch


def rows_in(batch: Batch) -> int:
    """How many rows a batch has."""
    return len(batch[0] if type(batch) is tuple else batch)


def _but_first(new: Iterable[Any], keys: Sequence[Any], values: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Rows of a batch but the first of each new key, which is there."""
    new = set(new)
    for row in zip(keys, values, strict=True):
        if row[0] in new:
            new.remove(row[0])
        else:
            yield row


def _fixed_size(groups: Groups) -> bool:
    step = -(-len(groups) // SAMPLES) or 1
    return all(map(_is_fixed, islice(groups.values(), 0, None, step)))


def _is_fixed(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_fixed, value))
    return isinstance(value, (int, float, complex)) or value is None or hasattr(value, "dtype")
