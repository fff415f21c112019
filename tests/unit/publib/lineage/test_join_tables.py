"""Tables of joins: bare values while keys are unique, lists from then on, and the same rows in both."""

from __future__ import annotations

import random
from collections import namedtuple
from itertools import chain, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simspark.publib import optimizations
from simspark.publib.lineage.join_tables import Table, columns_of
from simspark.publib.lineage.partitioner import HashPartitioner
from simspark.publib.lineage.shared import ResultIterable
from simspark.publib.lineage.shuffle_read import CoGroupRead, IntersectRead, JoinRead, ShuffleRead, SubtractRead
from simspark.publib.lineage.sinks import ShuffleWrite
from simspark.publib.lineage.sources import SliceSource
from simspark.publib.lineage.task import FileRef
from tests.unit.publib.planes import FilesPlane, task_on

pytestmark = pytest.mark.unit
BOTH = (SliceSource(), SliceSource())
NAN = float("nan")
Named = namedtuple("Named", ["key", "value"])  # noqa: PYI024 - the kind that users have

keys = st.one_of(st.none(), st.integers(-5, 5), st.sampled_from([1, 1.0, True, 0, False]), st.text(max_size=1),
                 st.builds(float, st.just("nan")))
rows = st.lists(st.tuples(keys, st.integers(0, 9)), max_size=40)
unique_rows = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=20, unique_by=lambda row: row[0])


def read(source: Any, left: Any, right: Any, tmp_path: Any = "/nowhere", budget: int = 1 << 30) -> list[Any]:
    return list(source.rows(((0, left), (0, right)), task_on(FilesPlane(str(tmp_path)), budget_bytes=budget)))


def expected(left: list[Any], right: list[Any], how: str) -> list[Any]:
    """Joined rows, in plain Python."""
    groups: dict[Any, tuple[Any, list[Any], list[Any]]] = {}
    for side, (key, value) in chain(((1, row) for row in left), ((2, row) for row in right)):
        name = "nan" if key != key else ("key", key)
        groups.setdefault(name, (key, [], []))[side].append(value)
    none = [None]
    return [
        (key, pair) for key, ours, theirs in groups.values()
        for pair in product(ours or (none if how in {"right", "full"} else []),
                            theirs or (none if how in {"left", "full"} else []))
    ]


@settings(deadline=None)
@pytest.mark.parametrize("how", ["inner", "left", "right", "full"])
@given(left=st.one_of(rows, unique_rows), right=st.one_of(rows, unique_rows))
def test_joins_give_each_left_value_with_each_right_one_in_first_seen_order(how: str, left: Any, right: Any) -> None:
    assert repr(read(JoinRead(*BOTH, how), left, right)) == repr(expected(left, right, how))


@settings(deadline=None)
@given(left=st.one_of(rows, unique_rows), right=st.one_of(rows, unique_rows))
def test_what_one_side_lacks_and_what_both_have(left: Any, right: Any) -> None:
    joined = expected(left, right, "full")
    lacking = [(key, ours) for key, (ours, other) in joined if other is None]
    assert repr(read(SubtractRead(*BOTH), left, right)) == repr(lacking)
    common = {repr(key): (key, None) for key, (ours, other) in joined if None not in {ours, other}}
    assert repr(read(IntersectRead(*BOTH), left, right)) == repr(list(common.values()))


@pytest.mark.parametrize("off", ["", "unique-keys"])
@pytest.mark.parametrize("distinct", [10_000, 700], ids=["unique keys", "some keys twice"])
def test_all_is_the_same_whatever_is_spilled(tmp_path: Any, distinct: int, off: str) -> None:
    dice = random.Random(4)
    left = [(key % distinct, -key) for key in dice.sample(range(1000), 900)]
    right = [(key % distinct, str(key)) for key in dice.sample(range(1000), 900)]
    optimizations.do_without(optimizations.names_in(off))
    try:
        for source in (JoinRead(*BOTH, "full"), SubtractRead(*BOTH), IntersectRead(*BOTH), CoGroupRead(BOTH)):
            shown = {repr(plain(read(source, left, right, tmp_path, budget))) for budget in (2000, 60_000, 1 << 30)}
            assert len(shown) == 1
    finally:
        optimizations.do_without(frozenset())


def plain(found: list[Any]) -> list[Any]:
    return [(key, [list(side) for side in value] if is_group(value) else value) for key, value in found]


def is_group(value: Any) -> bool:
    return isinstance(value, tuple) and isinstance(value[0], ResultIterable)


def test_a_table_makes_lists_only_when_a_key_comes_twice() -> None:
    table = Table(only_keys=False)
    table.add([1, 2], ["a", "b"])
    assert table.unique and table.groups == {1: "a", 2: "b"}
    table.add([3, 1, 3], ["c", "d", "e"])
    assert not table.unique and table.groups == {1: ["a", "d"], 2: ["b"], 3: ["c", "e"]}
    table.clear()
    table.add([1], ["a"])
    assert table.unique
    keys_only = Table(only_keys=True)
    keys_only.add([1, 1, 2], [None, None, None])
    assert keys_only.unique and list(keys_only.groups) == [1, 2]


def test_a_row_that_is_no_pair_fails_as_unpacking_does() -> None:
    for bad, message in (((1,), "not enough values"), ((1, 2, 3), "too many values")):
        with pytest.raises(ValueError, match=message):
            columns_of([bad])


ODD_ROWS = [(1, "a"), [2, "b"], Named(3, "c"), (4, "d", "e"), (5,), "fg", (6, "h")]


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("first_odd", [0, 3, 2000], ids="from row {}".format)
def test_rows_of_any_kind_come_out_of_a_shuffle_as_they_went_in(tmp_path: Any, partitions: int, first_odd: int) -> None:
    given_rows = [*((number, -number) for number in range(first_odd)), *ODD_ROWS, (7, 8)]
    plane = FilesPlane(str(tmp_path))
    write = ShuffleWrite(1, HashPartitioner(partitions), partitions)
    plane.outputs[1] = [FileRef("here", write.run(iter(given_rows), task_on(plane)).name)]
    parts = [list(ShuffleRead(1).rows(number, task_on(plane))) for number in range(partitions)]
    place = HashPartitioner(partitions)
    for number, part in enumerate(parts):
        assert part == [row for row in given_rows if place(row[0]) == number]
        assert [type(row) for row in part] == [type(row) for row in given_rows if place(row[0]) == number]


def test_values_that_rows_share_are_shared_behind_a_shuffle_too(tmp_path: Any) -> None:
    shared = ["one", "list"]
    plane = FilesPlane(str(tmp_path))
    done = ShuffleWrite(1, HashPartitioner(1), 1).run(iter([(1, shared), (2, shared)]), task_on(plane))
    plane.outputs[1] = [FileRef("here", done.name)]
    (_, first), (_, second) = ShuffleRead(1).rows(0, task_on(plane))
    assert first == shared and first is second
