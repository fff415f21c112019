"""Functions that do one thing or another, return early, or raise, in a loop: all is as if they had been called."""

from __future__ import annotations

import sys
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simspark.publib.lineage import fusion
from simspark.publib.lineage.expressions import read
from simspark.publib.lineage.steps import Filter, FlatMap, FlatMapValues, KeyBy, Map, MapValues, Step
from tests.unit.publib.lineage.test_fused_statements import DATA, KINDS, NAMES, ROWS, VALUES, assert_same, folds
from tests.unit.publib.lineage.test_fusion import THREE, Odd, seen

pytestmark = pytest.mark.skipif(sys.gettrace() is not None, reason="what is traced is not built in")

BRANCHES = {
    "a return in a branch": """
        if x:
            return x
        y = x
        return (y, z)""",
    "a return in each branch": """
        if x == THREE:
            y = x
            return y + y
        else:
            y = len(x)
            return y""",
    "several in a row": """
        if x is None:
            return 0
        if x == 3:
            y = 1
            return y + 5
        if not x:
            y = x
            return y
        x = [x]
        return x""",
    "elif and else that assign": """
        if x == 1:
            a = 1
        elif x == 2:
            a = x + x
        elif x:
            a = y
        else:
            a = z
        return a, x""",
    "what is assigned in one branch only": """
        a = 3
        if x:
            a = x
        return a""",
    "a parameter that changes in a branch": """
        if x:
            x = [x, 1]
        return x + 10 // len(x)""",
    "a parameter that changes in both, and again": """
        if x:
            x = x * 2
        else:
            x = 10
        x = x + 1
        if x > 5:
            x -= 3
        return 10 // (x - 4)""",
    "branches in branches": """
        if x:
            if x == 3:
                a = 3
            else:
                a = y
        else:
            a = z
        b = a
        c = b
        return a, b, c, x""",
    "branches in both, with more behind": """
        a = b = 0
        if x and y:
            a = 1
            if x == 4 or y is None:
                b = 10 // (x - 4)
            a += 1
        else:
            if not x:
                a = 5
            b = 3
        c = (a, b)
        return c, a, b, x, y""",
    "a return in a branch of a branch": """
        if x:
            if x == 3:
                y = 0
                return y
            a = y
            return (a, a)
        a = z
        return a, z""",
    "the rest behind an else that returns": """
        if x:
            a = x
        else:
            return None
        b = a
        return b * 2 + THREE""",
    "raise": """
        if x == 4:
            raise KeyError(x)
        return x""",
    "raise from, in a branch": """
        if x == 4:
            a = ValueError(x, y)
            raise a from KeyError(y)
        elif x == 5:
            return y
        y = x
        return [y]""",
    "a statement in a branch": """
        if isinstance(x, list):
            x.append(3)
        return x""",
    "pairs everywhere": """
        if x == 4:
            y = 10 // (x - 4)
            return y, x
        if x:
            return x, 1
        y = (x, x)
        return y, 2""",
    "pairs here and there": """
        if x:
            y = x
            return y, x
        y = x
        return y""",
    "a pair taken apart in a branch": """
        if y:
            a, b = x
        else:
            b = a = 1
        a, b = b, a
        return b, a""",
    "tests of several": """
        if x and y and not z or x == 2:
            a = 1
        elif (x is None or x == 3) and z:
            a = 2
        else:
            a = 3
        b = a
        return b, 1 < a < 3""",
    "expressions with conditions beside it": """
        a = x if y else z
        if a and (a if y else z) != 3:
            b = [a if x else y, a or y, a and y]
        else:
            b = y or x
        c = b
        return c if a else (b, c)""",
    "comprehensions in it": """
        if not isinstance(x, (list, tuple)):
            y = [z for z in y if z] if isinstance(y, tuple) else [y]
            return y
        a = [(w, y) for w in x if w is not None]
        if len(a) > 2:
            a = [z for z in a]
        return a""",
    "lists everywhere": """
        if not isinstance(x, (list, tuple)):
            x = (x,)
            return [x, y]
        a = x[1:]
        return [(w, z) for w in a]""",
    "no value": """
        if x:
            y = x
            return
        return y""",
}
DATA_OF_BRANCHES: list[list[Any]] = [*ROWS, [0, 1, 2, 3, 4, 5, None, "", "ab"], [(0, 3), (4, 4), [1, 2, 3], (), (1,)]]


def function(body: str) -> Callable[[Any], Any]:
    scope: dict[str, Any] = {}
    lines = "\n".join(line[4:] for line in body.splitlines())
    exec(compile(f"def made(x, y=THREE, z=(1, 2)):\n    'It is made.'\n{lines}\n", __file__, "exec"), globals(), scope)
    return scope["made"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", BRANCHES)
def test_branches_are_read_from_their_code(name: str) -> None:
    if name == "comprehensions in it" and sys.version_info[:2] == (3, 12):
        pytest.skip("3.12 inlines a comprehension in one arm of a condition in a way that is not read: it is called")
    assert read(function(BRANCHES[name]).__code__) is not None


@pytest.mark.parametrize("name", BRANCHES)
def test_branches_in_a_loop_give_and_raise_what_they_did(name: str) -> None:
    made = function(BRANCHES[name])
    for data in DATA_OF_BRANCHES:
        for row in data:
            assert_same([Map(lambda x: x), Map(made, site="a.py:1")], [row])
        assert_same([Filter(made), Map(lambda x: [x])], data)
        assert_same([Map(lambda x: (x, x)), MapValues(made), Map(lambda kv: kv[1])], data)
        assert_same([Map(lambda x: (x, 1)), Map(made), Map(made)], data)
        assert_same([KeyBy(made), Filter(lambda x: x[0]), Map(made)], data)
        assert_same([Map(lambda x: x), FlatMap(made), Map(lambda x: x)], data)


@pytest.mark.parametrize("name", BRANCHES)
def test_reductions_and_groups_are_the_same(name: str) -> None:
    made = function(BRANCHES[name])
    for data in DATA_OF_BRANCHES:
        keyed = Map(lambda x: (repr(x)[:1], x))
        for steps in ([Map(made)], [Map(made), keyed], [keyed, MapValues(made)], [FlatMap(made), keyed],
                      [keyed, FlatMapValues(made)], [Map(lambda x: (x, x)), Map(made), keyed]):  # fmt: skip
            assert repr(folds(steps, deepcopy(data), True)) == repr(folds(steps, deepcopy(data), False))


# ── random functions ─────────────────────────────────────────────────────────────────────────────────────────────

_SIMPLE = st.one_of(
    st.builds("{} = {}".format, NAMES, VALUES),
    st.builds("{} += {}".format, NAMES, VALUES),
    st.builds("{}, {} = {}".format, NAMES, NAMES, VALUES),
    st.builds("return {}".format, VALUES),
    st.builds("return {}, {}".format, VALUES, VALUES),
    st.builds("raise KeyError({})".format, VALUES),
    st.builds("str({})".format, VALUES),
)


def _indented(lines: list[str]) -> str:
    return "\n".join("    " + line for each in lines for line in each.split("\n"))


def _if(test: str, body: list[str], orelse: list[str]) -> str:
    return f"if {test}:\n{_indented(body)}" + (f"\nelse:\n{_indented(orelse)}" if orelse else "")


_STATEMENTS = st.recursive(_SIMPLE, lambda inner: st.builds(
    _if, VALUES, st.lists(inner, min_size=1, max_size=3), st.lists(inner, max_size=2)), max_leaves=8)
_FUNCTIONS = st.builds(lambda statements, value: "\n" + _indented([*statements, f"return {value}"]).replace(
    "\n", "\n    ").replace("    ", "        ", 1), st.lists(_STATEMENTS, min_size=1, max_size=3), VALUES)


@given(st.lists(st.tuples(KINDS, _FUNCTIONS), min_size=1, max_size=2))
@settings(max_examples=150, deadline=None)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_random_branches_give_and_raise_what_they_did(chain: list[tuple[Any, str]]) -> None:
    steps = [kind(function(source)) for kind, source in chain]
    for row in DATA:
        wanted = seen(steps, deepcopy([row, row]), False)
        assert repr(seen(steps, deepcopy([row, row]), True)) == repr(wanted)


# ── what is not read ─────────────────────────────────────────────────────────────────────────────────────────────


def unassigned(x: Any) -> Any:
    if x:
        y = x
    return y


def in_one_branch(x: Any) -> Any:
    if x == 1:
        y = x
    elif x == 2:
        z = x
    return y, z


def partly_returning(x: Any) -> Any:
    if x:
        y = x
        if y == 3:
            return y
    y = THREE
    return y, x


@pytest.mark.parametrize("other", [unassigned, in_one_branch, partly_returning])
def test_what_is_not_sure_is_called(other: Any) -> None:
    assert read(other.__code__) is None
    assert fusion.row_loop([Map(other)]) is None
    for row in (0, 1, 2, 3):
        assert repr(seen([Map(other)], [row], True)) == repr(seen([Map(other)], [row], False))


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────


def checked(x: Any) -> Any:
    if x < 3:
        x = x * 10
        if x == 20:
            raise ValueError(x)
    elif x == 4:
        y = 10 // (x - 4)
        return y
    return 10 // (
        x - 10)  # fmt: skip


@pytest.mark.parametrize(("row", "line", "element"), [(2, 4, 20), (4, 6, 4), (1, 8, 10), (10, 8, 10)])
def test_an_error_has_the_line_of_its_branch_and_the_element_as_it_was_then(row: int, line: int, element: int) -> None:
    chain: list[Step] = [Map(lambda x: x), Map(checked, site="a.py:1")]
    assert_same(chain, [row])
    told = seen(chain, [row], True)[1]
    assert (told.frames[-1].function, told.frames[-1].line) == ("checked", checked.__code__.co_firstlineno + line)
    assert told.notes == (f"while processing element: {element}", "in map(checked) at a.py:1")


def test_an_error_in_the_truth_of_a_test_is_the_function_s() -> None:
    def asks(x: Any) -> Any:
        y = x
        if y:
            y = 1
        elif y > 1:
            y = 2
        z = y
        return z, y

    for rows in ([Odd(1)], [Odd(5)], [Odd(2)], [Odd(3)], [Odd(4)]):
        assert_same([Map(asks, site="a.py:1"), Map(lambda x: x)], rows)
    assert seen([Map(asks)], [Odd(5)], True)[1].frames[-2].function == "asks"


def test_a_stop_iteration_is_the_error_that_it_was() -> None:
    def stop(x: Any) -> Any:
        if x == 2:
            y = next(iter(()))
            return y
        if x == 3:
            raise StopIteration(x)
        x = [x]
        return x

    for each in ([Map(stop, site="a.py:1"), Filter(lambda x: x)], [KeyBy(stop)], [Filter(stop), Map(stop)]):
        for row in (1, 2, 3):
            assert_same(each, [row])  # type: ignore[arg-type]
