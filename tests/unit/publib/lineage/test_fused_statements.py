"""Functions of several statements, and with list comprehensions, in a loop: all is as if they had been called."""

from __future__ import annotations

import operator
import sys
import warnings
import weakref
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simspark.publib.lineage import fusion, sinks
from simspark.publib.lineage.aggregation import grouping, reducing
from simspark.publib.lineage.expressions import read
from simspark.publib.lineage.steps import Filter, FlatMap, KeyBy, Map, MapValues, Step, apply_steps
from tests.unit.publib.lineage.test_fusion import seen, task

pytestmark = pytest.mark.skipif(sys.gettrace() is not None, reason="what is traced is not built in")

THREE = 3
OF_TEN = tuple(range(10))
ROWS: list[list[Any]] = [OF_TEN, [(1, 2), (3, (4, 5)), ((6, 7), 8), (9,)], ["ab", "", "c d e"], [([1, 2], 3)] * 2,
                         [None, 1.5, {"a": 1}]]



def assert_same(steps: list[Step], data: Any) -> None:
    """It is built in, and gives and raises what it did; each time of rows of its own, which functions may change."""
    assert fusion.loops(steps)
    assert repr(seen(steps, deepcopy(data), True)) == repr(seen(steps, deepcopy(data), False))


STATEMENTS = """
y = x; return y | y = x + 1; return y * y | y = [x]; y += [1]; return y
x = x + 1; x = x * 2; return 10 // (x - 6) | a, b = x; return b, a | a, (b, c) = x; return a + b * c
(a, b), c = x; return c | a, b = x, 3; a, b = b, a; return a | a, b, c = x, 1, 2; return c, a, b
a, *b = x; return b, a | *a, b = x; return a | a = x; a += x; return a
y = x; y -= 1; z = y; y //= z - 4; return z, y | len(x); return x | y = 1 if x else THREE; return y < x <= 9
y = x and THREE; z = not y; return f'{y}{z!r}' | k, v = x; k = v; return k + 1 | x, y = x; return y, x
y = x.append; y(3); return x | y = max(x, key=len); return y | y = 7; return y | y = None; return x is y
y = [z for z in x]; return y | y = [z + 1 for z in x if z if z != 3]; return y, x
n = len(x); return [n // z for z in x] | y, z = x; return [(w, z) for w in y] | return [y for y, z in x]
x = [x]; return [[y, x] for y in x] | return [THREE for _ in x]
y = x; return [y for x in y if x is not None if not x if x is None] | return [(y, THREE) for y in x if y and x]
""".replace("\n", " | ").strip(" |").split(" | ")  # fmt: skip


def function(source: str, names: dict[str, Any] | None = None) -> Callable[[Any], Any]:
    """A function of these statements, in a module with these names.

    All its own names have values: where one has none CPython may err about the place of the error.
    """
    scope: dict[str, Any] = {}
    body = "\n".join(f"    {statement.strip()}" for statement in source.split("; "))
    names = globals() if names is None else names
    source = f"def made(x, y=THREE, z=(1, 2)):\n    'It is made.'\n{body}\n"
    exec(compile(source, names["__file__"], "exec"), names, scope)
    return scope["made"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("source", STATEMENTS)
def test_statements_are_read_from_their_code(source: str) -> None:
    assert read(function(source).__code__) is not None


@pytest.mark.parametrize("source", STATEMENTS)
def test_statements_in_a_loop_give_and_raise_what_they_did(source: str) -> None:
    made = function(source)
    for data in ROWS:
        assert_same([Map(made)], data)
        assert_same([Filter(made), Map(lambda x: [x])], data)
        assert_same([Map(lambda x: (x, x)), MapValues(made), Map(lambda kv: kv[1])], data)
        assert_same([Map(lambda x: (x, 1)), Map(made), Map(made)], data)
        assert_same([KeyBy(made), Filter(lambda x: x[0]), Map(made)], data)
        assert_same([Map(lambda x: x), FlatMap(made), Map(lambda x: x)], data)


def test_a_name_that_is_assigned_to_twice_at_once_is_as_the_compiler_left_it() -> None:
    made = function("y, y = x, (x, 1); return y")
    assert read(made.__code__) is None
    for fused in (True, False):
        assert seen([Map(made)], [1, 2], fused) == ([made(1), made(2)], None)


def test_a_name_of_the_module_is_none_of_an_other_functions_comprehension() -> None:
    names = {"THREE": 3, "w": 2, "__file__": __file__}
    lists = function("return [w for w in x]", names), function("return [[w, v] for v in x if 6 // w]", names)
    steps = [*map(Map, lists), FlatMap(lambda rows: [row for row in rows])]
    assert_same(steps, [[1, 2], [3]])
    assert seen(steps, [[1]], True) == ([[2, 1]], None)


NAMES = st.sampled_from(["x", "y", "z"])
_ATOMS = st.sampled_from(["x", "x", "y", "z", "1", "THREE", "x[0]", "y[1]", "OF_TEN", "'a'", "None", "(x, y)"])
VALUES = st.recursive(_ATOMS, lambda inner: st.one_of(
    st.builds("({} {} {})".format, inner, st.sampled_from(["+", "*", "//", "<", "and", "or", "is", "in"]), inner),
    st.builds("({} if {} else {})".format, inner, inner, inner),
    st.builds("({}, {})".format, inner, inner),
    st.builds("[{} for {} in {}]".format, inner, st.sampled_from(["x", "w", "(x, w)"]), inner),
    st.builds("[({}, {}) for w in {} if {}]".format, inner, inner, inner, inner),
    st.builds("({}({}))".format, st.sampled_from(["len", "str", "not "]), inner),
), max_leaves=5)  # fmt: skip
_STATEMENTS = st.one_of(
    st.builds("{} = {}".format, NAMES, VALUES),
    st.builds("{} += {}".format, NAMES, VALUES),
    st.builds("{}, {} = {}".format, NAMES, NAMES, VALUES),
    st.builds("{}, ({}, *{}) = {}".format, NAMES, NAMES, NAMES, VALUES),
    st.builds("{}, {} = {}, {}".format, NAMES, NAMES, VALUES, VALUES),
    st.builds("str({})".format, VALUES),
)
_FUNCTIONS = st.builds(lambda statements, value: "; ".join([*statements, f"return {value}"]),
                       st.lists(_STATEMENTS, max_size=3), VALUES)
KINDS = st.sampled_from([Map, Map, Filter, MapValues, KeyBy, FlatMap])
DATA: tuple[Any, ...] = (0, 3, (1, 2), ("a", (1, 2)), ((0, 1), [3]), [(1, 2), (3, 4)], "ab", None)


@given(st.lists(st.tuples(KINDS, _FUNCTIONS), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_random_functions_give_and_raise_what_they_did(chain: list[tuple[Any, str]]) -> None:
    steps = [kind(function(source)) for kind, source in chain]
    for row in DATA:
        wanted = seen(steps, deepcopy([row, row]), False)
        assert repr(seen(steps, deepcopy([row, row]), True)) == repr(wanted)


def unassigned(x: Any) -> Any:
    if x:
        y = x
    return y


def looping(x: Any) -> Any:
    n = 0
    for y in x:
        n += y
    return n


def deleting(x: Any) -> Any:
    y = x
    del y
    return x


def trying(x: Any) -> Any:
    try:
        y = 1 // x
    except ZeroDivisionError:
        y = 0
    return y


def capturing(x: Any) -> Any:
    y = x + 1
    return lambda: y


def looking(x: Any) -> Any:
    y = x
    return [locals() for _ in [y]]


@pytest.mark.parametrize("other", [unassigned, looping, deleting, trying, capturing, looking])
def test_what_is_no_straight_line_is_called(other: Any) -> None:
    assert read(other.__code__) is None
    assert fusion.row_loop([Map(other)]) is None


def in_comprehension(function: str) -> list[str]:
    """The frames of an error in a list comprehension of a function's."""
    return [function, "<listcomp>"] if sys.version_info < (3, 12) else [function]


def lines(x: Any) -> Any:
    """Fails here and there."""
    first = 10 // (x - 1)
    x = x - 2
    second = 10 // x
    return (
        10 // (x - 1),
        [10 // (y - x - 1)
         for y in range(x, 5)],
        first, second,
    )  # fmt: skip


@pytest.mark.parametrize("row", range(6))
def test_an_error_has_the_line_of_its_statement_and_the_element_as_it_was_then(row: int) -> None:
    chain: list[Step] = [Map(lambda x: x), Map(lines, site="a.py:1")]
    assert_same(chain, [row])
    told = seen(chain, [row], True)[1]
    if row in {1, 2, 3}:
        assert told.frames[-1].line == lines.__code__.co_firstlineno + {1: 2, 2: 4, 3: 6}[row]
        assert told.notes[0] == f"while processing element: {row if row == 1 else row - 2}"
    elif row == 4:
        assert [frame.function for frame in told.frames[1:]] == in_comprehension("lines")


def test_a_warning_and_a_traceback_know_the_line_of_a_statement() -> None:
    def warn(x: Any) -> Any:
        y = x
        warnings.warn(f"row {y}", stacklevel=1)
        z = [warnings.warn("more", stacklevel=1) for _ in [y]]  # type: ignore[func-returns-value]
        return z

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        list(apply_steps([Map(warn)], iter([1]), 0, task()))
    start = warn.__code__.co_firstlineno
    assert [(each.filename, each.lineno - start) for each in caught] == [(__file__, 2), (__file__, 3)]


class Thing:
    """May be weakly referenced."""


def test_what_a_function_assigned_is_let_go_when_it_returns() -> None:
    alive: list[Any] = []

    def make(x: Any) -> Any:
        thing = Thing()
        alive.append(weakref.ref(thing))
        return x

    def look(x: Any) -> Any:
        return alive[-1]() is None

    for steps in ([Map(make), Map(look)], [Filter(lambda x: True), MapValues(make), Map(look)],
                  [Map(lambda x: x), Filter(make), Map(look)]):  # fmt: skip
        assert list(apply_steps(steps, iter([(1, 2), (3, 4)]), 0, task())) == [True, True]  # type: ignore[arg-type]
        assert fusion.loops(steps)  # type: ignore[arg-type]


def test_functions_of_one_code_with_different_captures_do_not_mix() -> None:
    def adding(n: int, m: int) -> Any:
        def add(x: Any, more: Any = m) -> Any:
            y = x + n
            more += 1
            return [y + z + n for z in [more]][0]

        return add

    for n in (1, 10):
        rows = list(apply_steps([Map(adding(n, 2)), Map(adding(5, 3))], iter([0, 1]), 0, task()))
        assert rows == [x + 2 * n + 3 + 14 for x in (0, 1)]


def test_a_captured_name_without_a_value_is_the_same_error() -> None:
    def chain() -> list[Step]:
        def use(x: Any) -> Any:
            y = x
            return [y + gone for _ in OF_TEN]  # noqa: F821 (it is deleted below)

        gone = 1
        del gone
        return [Map(use)]

    assert_same(chain(), OF_TEN)
    assert "'gone'" in seen(chain(), OF_TEN, True)[1].text


def test_a_stop_iteration_is_the_error_that_it_was() -> None:
    def stop(x: Any) -> Any:
        y = next(iter(()))
        return y, x

    def stop_inside(x: Any) -> Any:
        y = x
        return [next(iter(())) for _ in [y]]

    for each in (stop, stop_inside):
        for steps in ([Map(each, site="a.py:1"), Filter(lambda x: x)], [KeyBy(each)], [Filter(each), Map(each)]):
            assert_same(steps, OF_TEN)  # type: ignore[arg-type]


def folds(steps: list[Step], data: Any, fused: bool) -> list[Any]:
    """What folding the rows gives or raises, in several ways."""
    def of(use: Callable[[Any], Any]) -> Any:
        try:
            return use(apply_steps(steps, iter(data), 0, run))
        except Exception as error:
            return type(error), str(error)

    def add(a: Any, b: Any) -> Any:
        both = a, b
        a, b = both
        return a + b

    def keep(a: Any, b: Any) -> Any:
        a = (a, b)
        return a

    run = task(fused)
    ways = [*map(reducing, [operator.add, add, keep, lambda a, b: a]), grouping()]
    return [of(partial(sinks.Reduce(keep), 0)), of(partial(sinks.Fold([], keep), 0)),
            *(of(lambda rows, way=way: list(way.combine_values(rows, run))) for way in ways)]


def test_rows_are_not_counted_for_a_function_that_adds_something_else() -> None:
    def twice_the_first(a: int, b: int) -> int:
        a = 2 * a
        return a + b

    for fused in (True, False):
        rows = apply_steps([Map(lambda x: (x, 1))], iter(["a"] * 3), 0, task(fused))
        assert list(reducing(twice_the_first).combine_values(rows, task(fused))) == [("a", 7)]


def test_a_name_of_a_comprehension_hides_no_other() -> None:
    def hides(x: Any) -> Any:
        y = [THREE for THREE in x]
        return y, THREE, [x for x in x], x

    assert_same([Map(hides), Map(lambda x: (x, THREE))], [(1, 2), [7]])


@pytest.mark.parametrize("source", STATEMENTS)
def test_reductions_and_groups_are_the_same(source: str) -> None:
    made = function(source)
    for data in ROWS:
        keyed = Map(lambda x: (repr(x)[:1], x))
        for steps in ([Map(made)], [Map(made), keyed], [keyed, MapValues(made)], [FlatMap(made), keyed]):
            assert repr(folds(steps, deepcopy(data), True)) == repr(folds(steps, deepcopy(data), False))
