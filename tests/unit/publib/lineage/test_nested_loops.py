"""Steps that make several rows of one, in one loop with what folds them: nobody sees the difference."""

from __future__ import annotations

import operator
import sys
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simspark.publib.lineage import fusion
from simspark.publib.lineage.aggregation import Aggregator, append_value, grouping, reducing
from simspark.publib.lineage.program import Program, Steps
from simspark.publib.lineage.sources import SliceSource
from simspark.publib.lineage.steps import (
    AFTER_ROWS,
    FUSION,
    Filter,
    FlatMap,
    FlatMapValues,
    Map,
    MapValues,
    Step,
    apply_steps,
)
from simspark.worker.executor import failures
from tests.unit.publib.lineage.test_fused_statements import Thing, function, in_comprehension
from tests.unit.publib.lineage.test_fusion import task
from tests.unit.publib.planes import FilesPlane, task_on

pytestmark = pytest.mark.skipif(sys.gettrace() is not None, reason="what is traced is not built in")

THREE = 3
OF_TEN = tuple(range(10))
KEYED: Step = Map(lambda x: (repr(x)[:2], x))
WAYS = [reducing(operator.add), reducing(lambda a, b: (a, b)), grouping(),
        Aggregator(lambda v: [v], lambda c, v: [*c, v], operator.add)]


def told(steps: list[Step], data: Any, way: Aggregator, fused: bool, after: int = 0) -> Any:
    """The groups of the rows, or what is told of the error that ends them."""
    try:
        return list(way.combine_values(apply_steps(steps, iter(data), 0, task(fused, after)), task(fused, after)))
    except Exception as error:
        program = Program(Steps(SliceSource(), steps), None)  # type: ignore[arg-type]
        failure = failures.describe(error, program)._replace(traceback="", pickled=b"")
        return failure._replace(frames=tuple(frame for frame in failure.frames if frame.function != "told"))


def nests(steps: list[Step]) -> bool:
    return fusion.grouping_loop(steps, None, operator.add) is not None


def assert_same(steps: list[Step], data: Any, *, nested: bool = True) -> None:
    assert nests(steps) is nested
    for way, after in zip(WAYS, (0, 0, 2, 0), strict=True):
        fused = told(steps, deepcopy(data), way, True, after)
        assert repr(fused) == repr(told(steps, deepcopy(data), way, False))


NESTED = """
return [x, 1] | return (x, x) | return () | return [] | return (1, 2) | return [x] if x else () | return [*x]
return [y for y in x] | return [(y, 1) for y in x] | return [(y, x) for y in x]
return [(y, (z, y)) for y in x] | y = len(x); return [(z, y) for z in x] | y, z = x; return [(w, z) for w in y]
return [1 for _ in x] | return [y for _ in x] | return [y for y in x if y]
return [(y, z) for y in x if y != 2 if y is not None] | return [(x, y) for x in x if not x]
return [y + 1 for y in x] | return [(y * 2, z) for y in x] | return [(len(x), y) for y in x]
return [(y, -y) for y in x] | return [(1 // y, 1) for y in x if y != 3] | return [(y, z) for y, z in x]
return [y for y, _ in x] | return [[y, y] for y in x] | y = (x, 1); return [(y, z) for z in OF_TEN]
x = [x]; return [y for y in x] | return [(y, THREE) for y in x]
y = iter(x); return [(z, y is None) for z in y] | return [(w, z) for w in x.split()]
return [(w.upper(), 1) for w in x.split()]
""".replace("\n", " | ").strip(" |").split(" | ")  # fmt: skip
DATA: list[list[Any]] = [[(1, 2), (2, 0, 3), [4, 5], {6: 7}], [[(1, 2), (3, 4)]] * 3, ["ab", "c d", ""], [[1, 2], 3],
                         [range(4), (None, 1), set("a")], [([1, 2], 5), (3, 4)], [{}, 0]]  # fmt: skip


@pytest.mark.parametrize("few_are_new", [False, True])
@pytest.mark.parametrize("source", NESTED)
def test_groups_of_several_rows_of_one_are_the_same(source: str, few_are_new: bool,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    loop_for = fusion.grouping_loop
    monkeypatch.setattr(fusion, "grouping_loop", lambda *what: loop_for(*what[:3], few_are_new))
    flat = FlatMap(function(source, globals()), site="a.py:1")
    for data in DATA:
        assert_same([flat], data)
        assert_same([flat, KEYED], data)
        assert_same([Filter(lambda x: x != [3]), flat, Filter(lambda x: x != (3, 4)), Map(lambda x: (x, 1))], data)
        assert_same([Map(lambda x: (x, 1)), FlatMap(lambda kv: [kv[0], kv[0]]), flat, KEYED], data)
        assert_same([Map(lambda x: (1, x)), FlatMapValues(flat.function), MapValues(lambda v: v)], data)
        assert_same([FlatMapValues(flat.function)], data)


_ELEMENTS = st.sampled_from(["w", "x", "1", "(w, 1)", "(w, x)", "(y, z)", "(w, (x, w))", "(w + 1, x)", "(w, w * 2)",
                             "[w]", "(len(w), 1)", "(w, THREE)", "w[0]", "(x[0], w)"])
_COMPREHENSIONS = st.builds("[{} for {} in {}{}]".format, _ELEMENTS, st.sampled_from(["w", "w", "w", "(w, v)", "x"]),
                            st.sampled_from(["x", "x", "OF_TEN", "x[1]", "reversed(x)", "(x, y)", "str(x)"]),
                            st.sampled_from(["", "", " if w", " if w != 2", " if x if y", " if 6 // w"]))
_DISPLAYS = st.builds("[{}, {}]".format, *2 * [st.sampled_from(["x", "(x, 1)"])])
_LISTS = st.one_of(_COMPREHENSIONS, _COMPREHENSIONS, _DISPLAYS,
                   st.builds("({} if x else {})".format, _COMPREHENSIONS, _COMPREHENSIONS))
_FLAT = st.builds("{}return {}".format, st.sampled_from(["", "", "y = len(x); ", "y, z = x; ", "x = [x, 2]; "]), _LISTS)


@given(st.lists(st.tuples(st.sampled_from([FlatMap, FlatMap, FlatMapValues]), _FLAT), min_size=1, max_size=2),
       st.sampled_from([Map(lambda x: (x, 1)), Map(lambda kv: (kv[0], kv[1])), MapValues(lambda v: 6 // v), KEYED]))
@settings(max_examples=100, deadline=None)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_random_steps_fold_to_the_same(chain: list[tuple[Any, str]], last: Step) -> None:
    steps: list[Step] = [*(kind(function(source, globals())) for kind, source in chain), last]
    for row in [(1, 2), ((1, 2), (3, 4)), ([0, 1], [2, 3]), "abc", 4, [(1, (2, 3))]]:
        for way in WAYS[1:3]:
            assert repr(told(steps, [row] * 2, way, True)) == repr(told(steps, [row] * 2, way, False))


def test_all_elements_of_a_row_are_made_before_the_first_goes_on() -> None:
    def run(fused: bool, element: str) -> list[Any]:
        log: list[Any] = []

        def note(what: str, x: Any) -> Any:
            log.append((what, x))
            return x

        def numbers(x: int) -> Iterator[int]:
            for y in range(x):
                yield note("source", y)

        def of_values(x: int) -> Any:
            share = note("share", x)
            return [(y, share) for y in numbers(x)]

        def of_calls(x: int) -> Any:
            share = note("share", x)
            return [(note("made", y), share) for y in range(x) if note("asked", y) != 2]

        def of_display(x: int) -> Any:
            return [(note("one", x), 1), (note("two", x), 1)]

        def late(x: int) -> Any:
            some = list(range(x))
            return [(y, some) for y in some]

        flat = {"values": of_values, "calls": of_calls, "display": of_display, "late": late}[element]
        grown = Map(lambda kv: (note("key", kv[0]), kv[1].append(9) if element == "late" else note("value", kv[1])))
        assert nests([FlatMap(flat), grown])
        rows = (note("row", x) for x in range(4))
        list(grouping().combine_values(apply_steps([FlatMap(flat), grown], rows, 0, task(fused)), task(fused)))
        return log

    for element in ("values", "calls", "display", "late"):
        assert run(True, element) == run(False, element)
        assert len(run(True, element)) >= 10


def test_what_the_function_assigned_is_let_go_before_its_elements_go_on() -> None:
    alive: list[Any] = []

    def spread(x: Any) -> Any:
        thing = Thing()
        alive.append(weakref.ref(thing))
        kept = Thing()
        alive.append(weakref.ref(kept))
        return [(y, kept) for y in [x, x]]

    def look(kv: Any) -> Any:
        return kv[0], (alive[-2]() is None, alive[-1]() is kv[1], [each() for each in alive[:-2]])

    steps: list[Step] = [FlatMap(spread), Map(look)]
    assert nests(steps)
    (_, first), (_, second) = grouping().combine_values(apply_steps(steps, iter([1, 2]), 0, task()), task())
    assert first == [(True, True, [])] * 2
    assert second == [(True, True, [None, None])] * 2


def test_an_error_in_an_element_comes_before_one_in_what_follows() -> None:
    flat = FlatMap(lambda x: [(6 // y, 1) for y in x])
    following = Map(lambda kv: 1 // (kv[0] - 3))
    assert_same([flat, following], [(2, 0)])
    assert told([flat, following], [(2, 0)], grouping(), True).frames[-1].function == in_comprehension("<lambda>")[-1]
    assert told([flat, following], [(2, 1)], grouping(), True).notes[0] == "while processing element: (3, 1)"


def test_a_stop_iteration_is_the_error_that_it_was() -> None:
    class Stops:
        def __iter__(self) -> Iterator[Any]:
            raise StopIteration

        def __hash__(self) -> int:
            raise StopIteration

    def stop(x: Any) -> Any:
        y = next(iter(()))
        return [y, x]

    for steps in (
        [Map(lambda x: x, site="a.py:1"), FlatMap(stop, site="a.py:2"), Map(lambda x: x, site="a.py:3")],
        [FlatMap(lambda x: [y for y in Stops()]), Map(lambda x: (x, 1))],  # type: ignore[attr-defined]
        [FlatMap(lambda x: [x]), Map(lambda x: next(iter(()))), Map(lambda x: x)],
        [FlatMap(lambda x: [(1, 2)]), FlatMapValues(stop)],
        [FlatMap(lambda x: [(Stops(), x)])],
    ):
        assert_same(steps, [1, 2])  # type: ignore[arg-type]


NOT_NESTED: list[Any] = [lambda x: x, lambda x: x.split(), lambda x: range(x), lambda x: [x] * 2, lambda x: {x},
                         list, lambda x: (y for y in x), lambda x: [y for y in x] + [x]]  # fmt: skip


@pytest.mark.parametrize("flat", NOT_NESTED)
def test_what_may_be_no_list_is_not_nested(flat: Callable[[Any], Any]) -> None:
    for data in (["ab", "a b"], [2, 3], [(1, 2)]):
        assert_same([FlatMap(flat), KEYED], data, nested=False)


def test_a_loop_with_no_more_room_ends_behind_a_row() -> None:
    rows = iter([[1, 2], [], [3, 1], [4]])
    for make, groups in ((lambda steps: fusion.grouping_loop(steps, None, operator.add), {}),
                         (fusion.listing_loop, defaultdict(list))):
        rows = iter([[1, 2], [], [3, 1], [4]])
        loop = make([FlatMap(lambda x: [(y, 1) for y in x])])
        assert loop(groups, rows, 3) == -1
        assert list(groups) == [1, 2, 3]
        assert next(rows) == [4]
        assert loop(groups, rows, 3) == 3


@pytest.mark.parametrize("elements", [1, 40, 3000])
@pytest.mark.parametrize("by", [*WAYS, reducing(lambda a, b: a + b)])
def test_groups_that_spill_are_the_same(tmp_path: Any, by: Any, elements: int) -> None:
    def groups(fused: str) -> Any:
        task = task_on(FilesPlane(str(tmp_path)), budget_bytes=20_000)
        task.properties = {FUSION: fused, AFTER_ROWS: "5"}
        steps: list[Step] = [FlatMap(lambda x: [(x + y, x / 3) for y in range(elements)]),
                             Filter(lambda x: x[0] % 5 != 0), Map(lambda kv: (kv[0] % 1009, (kv[1],)))]
        return list(by.combine_values(apply_steps(steps, iter(range(9000 // elements + 9)), 0, task), task))

    if by.merge_value is append_value or by.merge_value is not operator.add:
        assert repr(groups("true")) == repr(groups("false"))


def test_what_is_held_is_looked_at_however_many_elements_a_row_has(tmp_path: Any, monkeypatch: Any) -> None:
    looks: list[int] = []

    def look(groups: Any) -> int:
        looks.append(len(groups))
        return 1

    monkeypatch.setattr("simspark.publib.lineage.aggregation.estimate_groups", look)
    task = task_on(FilesPlane(str(tmp_path)), budget_bytes=1 << 20)
    task.properties = {AFTER_ROWS: "0"}
    steps: list[Step] = [FlatMap(lambda x: [(x * 1000 + y, 1) for y in range(1000)])]
    list(reducing(operator.add).combine_values(apply_steps(steps, iter(range(100)), 0, task), task))
    assert all(later <= max(3 * held + 1000, 1000) for held, later in zip(looks, looks[1:], strict=False))
    assert len(looks) >= 5
