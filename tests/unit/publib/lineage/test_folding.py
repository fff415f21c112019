"""Values of a key come together in loops that know what functions do; nobody sees a difference."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest

from simspark.publib.lineage.aggregation import Aggregator, grouping, reducing
from simspark.publib.lineage.folding import keep_left
from simspark.publib.lineage.partitioner import HashPartitioner
from simspark.publib.lineage.sinks import ShuffleWrite
from simspark.publib.lineage.spill import SAMPLES, estimate_groups
from simspark.publib.optimizations import do_without
from tests.unit.publib.planes import FilesPlane, task_on

pytestmark = pytest.mark.unit
NAN, OTHER_NAN = float("nan"), float("nan")
ROWS = 20_000


@pytest.fixture
def task(tmp_path: Any) -> Any:
    return task_on(FilesPlane(str(tmp_path)), budget_bytes=1 << 40)


@pytest.fixture(autouse=True)
def all_ways() -> Iterator[None]:
    yield
    do_without(frozenset())


KEYS = {
    "each once": ([1, 2, 3], [4, 5, 6]),
    "the same again": ([1, 2, 3], [3, 2, 1]),
    "some again": ([1, 2, 3], [4, 2, 5, 1, 6]),
    "twice in a batch": ([1, 2, 1], [3, 3, 4, 1, 4]),
    "equal ones of other types": ([1, 0], [True, 1.0, False, 2.0]),
    "not numbers": ([NAN, 1.0, OTHER_NAN], [OTHER_NAN, 1, float("nan"), NAN]),
    "of many kinds": (["a", None, (1, "b")], [None, "a", (1, "b"), b"a"]),
    "more than once new": ([1, 2], [1, 3], [4, 5], [6, 7], [1, 2]),
}
VALUES: dict[str, Callable[[int], Any]] = {
    "ints": lambda n: n,
    "zeros": lambda n: -0.0,
    "texts": str,
    "tuples": lambda n: (n,),
    "lists": lambda n: [n],
    "fractions": lambda n: Fraction(1, n + 1),
}
FUNCTIONS: dict[str, Aggregator] = {
    "operator.add": reducing(operator.add),
    "a + b": reducing(lambda a, b: a + b),
    "not an addition": reducing(lambda a, b: b + a),
    "the first": reducing(keep_left),
}


def batches(keys: tuple[list[Any], ...], value: Callable[[int], Any]) -> list[tuple[list[Any], list[Any]]]:
    numbers = iter(range(1000))
    return [(some, [value(next(numbers)) for _ in some]) for some in keys]


@pytest.mark.parametrize("off", ["new-keys", "sums", "first-values"])
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("by", FUNCTIONS.values(), ids=FUNCTIONS)
def test_batches_come_to_what_their_rows_come_to(task: Any, by: Aggregator, keys: Any, value: Any, off: str) -> None:
    if by.merge_value is keep_left:
        value = lambda n: None  # whose rows have no values
    quick = repr(list(by.merge_batches(iter(batches(keys, value)), task)))
    rows = [row for batch in batches(keys, value) for row in zip(*batch, strict=True)]
    combined = repr(list(by.combine_values(iter(rows), task)))
    do_without(frozenset({off}))
    plain = repr(list(by.merge_batches(iter(batches(keys, value)), task)))
    assert quick == plain == combined == repr(list(by.merge_batches(iter([rows]), task)))


def test_the_only_value_of_a_key_is_that_very_value(task: Any) -> None:
    for value in (-0.0, "x", [1], (), NotImplemented, Fraction(1, 3), None):
        given = [(["known"], [0]), (["known"], [1]), (["new", "known"], [value, 2])]
        assert dict(reducing(operator.add).merge_batches(iter(given), task))["new"] is value
        rows = iter([("known", 1), ("new", value), ("known", 2)])
        assert dict(reducing(operator.add).combine_values(rows, task)) == {"known": 3, "new": value}
    assert math.copysign(1, dict(reducing(operator.add).combine_values(iter([("k", -0.0)]), task))["k"]) == -1


def test_the_only_array_of_a_key_is_that_very_array_and_sums_are_new_ones(task: Any) -> None:
    np = pytest.importorskip("numpy")
    first, second, other = np.ones(2), np.ones(2), np.zeros(3)
    given = iter([(["a"], [first]), (["a"], [second]), (["b", "a"], [other, second])])
    sums = dict(reducing(operator.add).merge_batches(given, task))
    assert sums["b"] is other
    assert sums["a"].tolist() == [3, 3] and first.tolist() == second.tolist() == [1, 1]


def test_lists_that_are_added_are_not_changed(task: Any) -> None:
    first, second = [1], [2]
    assert dict(reducing(operator.add).combine_values(iter([("k", first), ("k", second)]), task)) == {"k": [1, 2]}
    assert first == [1] and second == [2]


class Sore:
    def __add__(self, other: Any) -> Any:
        raise KeyError("sore")


@pytest.mark.parametrize("bad", ["x", Sore()])
def test_a_sum_of_columns_that_fails_shows_the_line_of_the_user(task: Any, bad: Any) -> None:
    plus = lambda a, b: a + b
    given = [(["k", "l"], [bad, 1]), (["k", "l"], [1, 1]), (["m", "l", "k"], [1, 1, 1])]
    with pytest.raises((TypeError, KeyError)) as caught:
        reducing(plus).merge_batches(iter(given), task)
    frames = [entry.frame.code.raw for entry in caught.traceback]
    assert plus.__code__ in frames[-2:]


def instructions(action: Callable[[], object]) -> int:
    """How many of Python's instructions were executed."""
    counted = [0]

    def count(frame: Any, event: str, _: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        counted[0] += event == "opcode"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        action()
    finally:
        sys.settrace(before)
    return counted[0]


@pytest.mark.parametrize("second", [range(ROWS), range(ROWS, 2 * ROWS), range(ROWS // 2, ROWS + ROWS // 2)])
def test_sums_of_several_map_outputs_are_merged_with_a_few_instructions_for_each(task: Any, second: range) -> None:
    keys = [*range(ROWS), *second]
    given = [(keys[start : start + 500], [1.5] * 500) for start in range(0, len(keys), 500)]
    assert instructions(lambda: reducing(operator.add).merge_batches(iter(given), task)) < 2 * len(keys)


def test_lists_of_keys_that_are_new_are_merged_with_a_few_instructions_for_each(task: Any) -> None:
    given = [(list(range(start, start + 500)), [[1]] * 500) for start in range(0, ROWS, 500)]
    assert instructions(lambda: grouping().merge_batches(iter(given), task)) < 2 * ROWS


class Counting(dict[Any, Any]):
    """A dictionary that counts the keys that are read."""

    read = 0

    def __iter__(self) -> Iterator[Any]:
        for key in super().__iter__():
            self.read += 1
            yield key


def test_the_size_of_many_sums_is_known_from_a_few_of_them() -> None:
    groups = Counting((number, float(number)) for number in range(ROWS))
    assert 60 * ROWS < estimate_groups(groups) < 150 * ROWS
    assert groups.read < SAMPLES


def test_the_size_of_groups_that_may_grow_is_known_from_all_over_them() -> None:
    groups = {number: (0.0, "") for number in range(100)}
    groups[50] = (0.0, "x" * 1000)
    assert estimate_groups(groups) > estimate_groups({number: (0.0, "") for number in range(100)}) + 1000


class Placed(HashPartitioner):
    """Notes what it is told of the keys' types."""

    __slots__ = ("told",)

    def assign(self, keys: Any, kinds: Any = ()) -> list[int]:
        self.told = kinds
        return super().assign(keys, kinds)


def test_the_types_of_combined_keys_are_looked_at_once(tmp_path: Any, task: Any) -> None:
    partitioner = Placed(2)
    ShuffleWrite(1, partitioner, 2, reducing(operator.add)).run(iter([(1, 1), ("a", 1)]), task)
    assert partitioner.told == {int, str}
