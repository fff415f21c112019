"""A run of steps as one loop: what it gives, what it raises and what it does on the way are those of the steps."""

from __future__ import annotations

import operator
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simspark.publib.lineage import fusion, operations, sinks
from simspark.publib.lineage.aggregation import Aggregator, grouping, reducing, rows_of_batch
from simspark.publib.lineage.expressions import read
from simspark.publib.lineage.line_table import encode_positions
from simspark.publib.lineage.loop_block import read_code
from simspark.publib.lineage.program import Program, Steps
from simspark.publib.lineage.row_functions import first, second
from simspark.publib.lineage.sources import SliceSource
from simspark.publib.lineage.steps import (
    AFTER_ROWS,
    FUSION,
    LOOP,
    Filter,
    FlatMap,
    FlatMapValues,
    KeyBy,
    Map,
    MapPartitions,
    MapValues,
    Step,
    apply_steps,
)
from simspark.publib.lineage.task import TaskRun
from simspark.worker.executor import failures
from tests.unit.publib.planes import FilesPlane, task_on

pytestmark = pytest.mark.skipif(sys.gettrace() is not None, reason="what is traced is not built in")

THREE = 3
rows, groups, keys, values = 2, 3, 5, 7
OF_TEN = list(range(10))


def task(fused: bool = True, after: int = 0) -> Any:
    properties = {FUSION: str(fused).lower(), AFTER_ROWS: str(after)}
    return TaskRun(job_id=0, stage_id=0, stage_attempt=0, partition=0, attempt=0, task_id=0, data=None,  # type: ignore[arg-type]
                   cache=None, properties=properties)  # type: ignore[arg-type]


def seen(steps: list[Step], data: Any, fused: bool) -> tuple[list[Any], Any]:
    """The rows that come, and what is told of the error that ends them."""
    came = []
    try:
        for row in apply_steps(steps, iter(data), 0, task(fused)):
            came.append(row)  # noqa: PERF402 (those before the error count)
    except Exception as error:
        told = failures.describe(error, Program(Steps(SliceSource(), steps), None))  # type: ignore[arg-type]
        return came, told._replace(traceback="")
    return came, None


def assert_same(steps: list[Step], data: Any, *, built_in: bool = True) -> None:
    assert bool(fusion.loops(steps)) is built_in
    assert repr(seen(steps, data, True)) == repr(seen(steps, data, False))


def broken(x: Any) -> Any:
    for _ in ():
        """It is not read."""
    if x == 7:
        raise KeyError("seven")
    return x


def short(x: Any) -> Any:
    """A function with a name and a text."""
    return x + 1


class Odd:
    """Has opinions on being compared, asked for its truth and iterated."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __repr__(self) -> str:
        return f"Odd({self.n})"

    def __gt__(self, other: Any) -> Any:
        return self if self.n != 3 else NotImplemented

    def __bool__(self) -> bool:
        if self.n == 5:
            raise ValueError("neither")
        return self.n % 2 == 1

    def __add__(self, other: Any) -> Any:
        return Odd(self.n + other)

    def __getitem__(self, index: int) -> Any:
        if index > self.n:
            raise IndexError(index)
        return self.n


EXPRESSIONS = """
x | x + 1 | -x | +x | ~x | not x | x * x - 2 | x ** 2 // 3 | x << 1 | 2 & 3 ^ x | x @ x | x / 2 % 3
(x, 1) | (x, x) | [x, 1] | {x, 1} | {x: 1} | {'a': x, 'b': 2} | [1, 2, 3] | [1, 2, 3, x] | () | [] | {}
x[0] | x[1:] | x[:2] | x[::2] | x[1:2] | x['a'] | x[...] | x[0][1] | (x[1], x[0]) | (x, (1, x))
x.split() | x.split(',')[0] | int(x) | str(x).upper() | len(x) > 3 | x.a.b(x).c | x.f(1, b=2)
x % 2 == 0 | x != THREE | x in OF_TEN | x not in (1, 2) | x in {1, 2} | x is None | x is not None
x if x else THREE | (x, 1 if x > 2 else 0) | (x if x else THREE) + 1 | len(OF_TEN if x else OF_TEN[1:])
int(x if x else THREE) | x if x > 1 and x < 3 else THREE | x if x > 1 or x < 3 else 0 | x if not x else 0
x if x else THREE if OF_TEN else 0 | None if x is None else x | 1 if x is not None else 2 | x if x is None else x + 1
0 <= x < 5 | 0 <= x < THREE <= 9 | (0 <= x < 5, x) | 0 < x <= THREE and x | int(0 < x < 3)
x > 1 and x < 5 | x > 1 or x < 5 | x > 1 and x < 5 or x == 9 | (x > 1 or x < 5) and x == 9
x > 1 and (x < 5 or x == 9) | x and THREE and x | x or THREE or x | not x and x | x and not x | not (x and THREE)
f'{x:>3} {x!r}' | f'{x}' | f'{x:{THREE}}' | f'a{x}b{THREE}' | '%s-%s' % (x, THREE)
max(x, key=len) | sorted(x, key=len, reverse=True)[:3] | print(*x) | int(*x) | None | True | 1.5 | -0.0 | 'text'
""".replace("\n", " | ").strip(" |").split(" | ")  # fmt: skip


def expression(source: str) -> Callable[[Any], Any]:
    made: Callable[[Any], Any] = eval(f"lambda x: {source}", globals())
    return made


@pytest.mark.parametrize("source", EXPRESSIONS)
def test_an_expression_is_read_from_its_code(source: str) -> None:
    assert read(expression(source).__code__) is not None


@pytest.mark.parametrize("source", EXPRESSIONS)
def test_an_expression_in_a_loop_gives_and_raises_what_it_did(source: str) -> None:
    function = expression(source)
    for rows in (OF_TEN, [(1, 2), (3,)], ["a b", "", "12", 4], [None, {"a": 1}], [1.5, -0.0, "x"], map(Odd, OF_TEN)):
        data = list(rows)
        assert_same([Map(function)], data)
        assert_same([Filter(function), Map(lambda x: [x])], data)
        assert_same([Map(lambda x: (x, x)), MapValues(function), Map(lambda kv: kv[1])], data)
        assert_same([KeyBy(function)], data)


NOT_READ = [
    lambda x: {y for y in x},  # noqa: C416
    lambda x: (lambda y: x),
    lambda x: [lambda: y for y in x],
    lambda x: (y := x) + y,
    lambda *x: x,
    lambda x, *, y=1: x + y,
    lambda x: locals(),
    lambda x: sys._getframe(),
    lambda x: eval("x"),
    lambda x: (yield x),
    broken,
    len,
    Odd,
    partial(operator.add, 1),
]


@pytest.mark.parametrize("function", NOT_READ)
def test_what_is_more_than_an_expression_is_called(function: Any) -> None:
    assert fusion.row_loop([Map(function)]) is None
    assert getattr(function, "__code__", None) is None or read(function.__code__) is None


@pytest.mark.parametrize("name", ["_FIRST", "_LAST"])
def test_on_a_version_that_is_not_known_functions_are_called(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, name, (4, 0) if name == "_FIRST" else (3, 10))
    read_code.cache_clear()
    for step in (Map(lambda x: x + 1), Filter(lambda x: x), FlatMap(lambda x: [y for y in (x, 1)])):
        assert read(step.function.__code__) is None
        assert_same([step, Map(lambda x: [x])], OF_TEN, built_in=False)
    read_code.cache_clear()


def test_a_call_of_what_the_module_imported_is_read() -> None:
    assert read((lambda x: sys.intern(x)).__code__) is not None
    assert read((lambda x: operator.add(x, operator.mul(x, 2)) + x.real).__code__) is not None
    assert read((lambda x: os.path.join(x, "a")).__code__) is not None
    assert_same([Map(lambda x: operator.add(x, 1)), Map(lambda x: os.path.join(x, "a"))], ["a", 1])


def test_a_function_of_one_return_is_built_in_with_its_text_and_name() -> None:
    assert_same([Map(short)], [1, 2, "a"])
    assert seen([Map(short)], ["a"], True)[1].frames[-1].function == "short"


# ── chains ───────────────────────────────────────────────────────────────────────────────────────────────────────

CHAINS: list[list[Step]] = [
    [Map(lambda x: x * 2 + 1), Filter(lambda x: x % 3 == 0), Map(lambda x: x - 1)],
    [Map(lambda x: (x % 3, x)), MapValues(lambda v: 10 // (v - 4)), Map(lambda kv: (kv[1], kv[0]))],
    [Map(lambda x: (x % 3, x)), Map(second), Map(lambda x: x + 1)],
    [Map(lambda x: (x % 3, x, x)), Map(operator.itemgetter(2)), Map(lambda x: x + 1)],
    [Map(lambda x: (x, x + 1)), Map(operator.itemgetter(-1, 0)), Map(lambda x: x[0])],
    [Map(lambda x: (x,)), Map(second), Map(lambda x: x)],
    [Map(lambda x: (x, 1)), Filter(lambda kv: kv[0] > 3), Map(first), Map(lambda x: x)],
    [Map(lambda x: (x, 1)), Map(lambda kv: kv[0] + kv[2])],
    [Map(lambda x: (x, 1)), Map(lambda kv: kv[True])],
    [Map(lambda x: (x, 1)), Map(lambda kv: (kv, kv[0]))],
    [Map(lambda x: (x, 1)), KeyBy(lambda kv: kv[0] * 2), MapValues(lambda kv: kv[1])],
    [FlatMap(lambda x: range(x)), Filter(lambda x: x & 1), Map(lambda x: x * x)],
    [FlatMap(lambda x: (x, x)), FlatMap(lambda x: [x] * (x % 3)), Map(lambda x: 1 // (x - 8))],
    [Map(lambda x: x), FlatMap(lambda x: x)],
    [Map(lambda x: (x, range(x % 3))), FlatMapValues(lambda v: v), Map(lambda kv: kv[0] + kv[1])],
    [Map(lambda x: x), FlatMapValues(lambda v: v)],
    [Map(str), Map(lambda s: s + "!"), FlatMap(list), Map(broken)],
    [Map(lambda x: x + 1), Map(broken), Map(lambda x: x)],
    [Map(lambda x: x), MapValues(broken)],
    [Map(lambda x: broken(x))],
    [Filter(broken), Map(lambda x: x)],
    [Map(lambda x: Odd(x)), Filter(lambda odd: odd > 1), Map(lambda odd: odd + 1)],
    [Map(lambda x: Odd(x)), Filter(lambda odd: odd), Map(lambda odd: odd[2])],
    [Map(lambda x: Odd(x)), Filter(lambda odd: odd > 1 and odd)],
    [Filter(lambda x: x if x < 8 else Odd(5))],
    [Map(lambda x, y=2: x * y), Map(lambda x, y=[1]: y * x)],
    [Map(lambda x: no_such_name)],  # type: ignore[name-defined]  # noqa: F821
    [Map(lambda x:
         10 //
         (x - 5))],
    [Map(lambda x: x.missing), Map(lambda x: x)],
]  # fmt: skip


@pytest.mark.parametrize("steps", CHAINS)
def test_a_chain_in_a_loop_gives_and_raises_what_the_steps_do(steps: list[Step]) -> None:
    assert_same(steps, OF_TEN)
    assert_same(steps, [(1, 2), (2,), (), "ab"])
    assert_same(steps, [])


@pytest.mark.parametrize("few_are_new", [False, True])
@pytest.mark.parametrize("steps", CHAINS)
def test_reductions_and_groups_are_the_same_as_step_by_step(steps: list[Step], few_are_new: bool,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    loop_for = fusion.grouping_loop
    monkeypatch.setattr(fusion, "grouping_loop", lambda *what: loop_for(*what[:3], few_are_new))

    def ends(task: TaskRun) -> list[Any]:
        def of(use: Callable[[Any], Any], more: list[Step]) -> Any:
            try:
                return use(apply_steps([*steps, *more], iter(OF_TEN), 0, task))
            except Exception as error:
                frames = [frame.function for frame in failures.describe(error).frames]
                frames = [name for name in frames if name not in {"of", "<lambda>"}]
                return type(error), str(error), frames, error.__context__

        def windowed(rows: Any) -> list[Any]:
            return [row for window in sinks._Windows(rows, task) for row in rows_of_batch(window)]

        keyed: list[Step] = [Map(lambda x: (repr(x)[:1], x))]
        fails = lambda v: [v][v != 0]
        always = [Aggregator(fails, operator.sub, operator.add), Aggregator(lambda v: v, lambda c, v: fails(c), max),
                  *map(reducing, [lambda a, b: (a, b), lambda a, b: a, max, operator.add]), grouping(),
                  Aggregator(lambda v: [v], lambda c, v: [*c, v], operator.add)]
        return [
            of(partial(sinks.Reduce(lambda a, b: (a, b)), 0), []), of(partial(sinks.Reduce(operator.add), 0), []),
            of(partial(sinks.Fold([], lambda a, b: [*a, b]), 0), []), of(partial(sinks.Count(), 0), []),
            of(windowed, keyed), of(windowed, []), of(windowed, [KeyBy(lambda x: x)]),
            *(of(lambda rows, by=by: list(by.combine_values(rows, task)), keyed) for by in always),
            *(of(lambda rows, by=by: list(by.combine_values(rows, task)), []) for by in always),
        ]  # fmt: skip

    assert repr(ends(task())) == repr(ends(task(fused=False)))


_ATOMS = st.sampled_from(["x", "x", "x", "1", "2", "THREE", "x[0]", "x[1]", "OF_TEN", "'a'", "None", "(x, x)"])


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    symbols = st.sampled_from(["+", "-", "*", "%", "//", "<", "==", ">", "and", "or", "in", "is"])
    return st.one_of(
        st.builds("({} {} {})".format, inner, symbols, inner),
        st.builds("({} < {} <= {})".format, inner, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("({}, {})".format, inner, inner),
        st.builds("({}({}))".format, st.sampled_from(["not ", "-", "str", "len", "bool", "abs"]), inner),
        st.builds("f'{{{}!r}}'".format, st.sampled_from(["x", "(x, 1)", "THREE"])),
        st.builds("{}[{}]".format, inner, st.sampled_from(["0", "1", "-1", ":1"])),
    )


SOURCES = st.recursive(_ATOMS, _larger, max_leaves=8)
KINDS = st.sampled_from([Map, Map, Filter, MapValues, KeyBy, FlatMap, FlatMapValues])


@given(st.lists(st.tuples(KINDS, SOURCES), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_random_chains_give_and_raise_what_the_steps_do(chain: list[tuple[Any, str]]) -> None:
    steps = [kind(expression(source)) for kind, source in chain]
    for row in (0, 3, (1, 2), ("a", (1, 2)), ((0, 1), [3]), "ab", None):
        assert repr(seen(steps, [row, row], True)) == repr(seen(steps, [row, row], False))


# ── on the way ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_row_passes_all_steps_before_the_next_is_asked_for() -> None:
    def told(fused: bool) -> list[Any]:
        log: list[Any] = []

        def source() -> Iterator[int]:
            for number in range(4):
                log.append(("source", number))
                yield number

        def note(what: str, x: Any) -> Any:
            log.append((what, x))
            return x

        steps = [Map(lambda x: note("map", x)), Filter(lambda x: note("filter", x) != 1),
                 FlatMap(lambda x: [note("flat", x), x]), Map(lambda x: (note("last", x), x))]
        for row in apply_steps(steps, source(), 0, task(fused)):
            log.append(("row", row))
            if len(log) > 15:
                break
        return log

    assert told(True) == told(False)
    assert len(told(True)) > 15


def test_no_more_rows_are_computed_than_are_taken() -> None:
    asked = []
    rows = apply_steps([Map(lambda x: asked.append(x) or x)], iter(range(1000)), 0, task())  # type: ignore[func-returns-value]
    assert sinks.Take(3)(0, rows) == [0, 1, 2]
    assert asked == [0, 1, 2]


def test_a_captured_name_is_looked_up_when_the_function_runs() -> None:
    def rows(fused: bool) -> list[Any]:
        factor = 1

        def grow(x: int) -> int:
            nonlocal factor
            factor += 1
            return x

        steps = [Map(lambda x: grow(x) * 1), Map(lambda x: x * factor)]
        return list(apply_steps(steps, iter(OF_TEN), 0, task(fused)))

    assert rows(True) == rows(False) == [x * (x + 2) for x in OF_TEN]


def test_a_captured_name_without_a_value_is_the_same_error() -> None:
    def chain() -> list[Step]:
        there = [Map(lambda x: gone + x)]  # noqa: F821 (it is deleted below)
        gone = 1
        del gone
        return there

    assert_same(chain(), OF_TEN)
    assert "'gone'" in seen(chain(), OF_TEN, True)[1].text


def test_names_of_the_module_are_not_taken_for_what_a_loop_has() -> None:
    named: list[Step] = [Map(lambda x: (x % groups, x * rows + keys - values))]
    data, wanted = list(range(9)), [(x % 3, x * 2 - 2) for x in range(9)]
    assert list(apply_steps(named, iter(data), 0, task())) == wanted
    assert list(chain.from_iterable(map(rows_of_batch, sinks._Windows(
        apply_steps(named, iter(data), 0, task()), task())))) == wanted
    grown = grouping().combine_values(apply_steps(named, iter(data), 0, task()), task())
    assert [(key, list(group)) for key, group in grown] == [
        (at, [value for key, value in wanted if key == at]) for at in range(3)]


def test_functions_of_one_code_with_different_captures_do_not_mix() -> None:
    def adding(n: int) -> Any:
        return lambda x: x + n

    def defaulted(n: int) -> Any:
        return lambda x, n=n: x + n

    for make in (adding, defaulted):
        for n in (1, 10):
            rows = apply_steps([Map(make(n)), Map(make(5))], iter([0]), 0, task())
            assert list(rows) == [n + 5]


def test_functions_of_another_module_keep_its_names() -> None:
    other: dict[str, Any] = {"THREE": 30, "__builtins__": __builtins__}
    theirs = eval("lambda x: x + THREE", other)
    assert_same([Map(theirs), Map(lambda x: x + THREE)], OF_TEN)
    assert list(apply_steps([Map(lambda x: x + THREE), Map(theirs)], iter([0]), 0, task())) == [33]


def test_a_stop_iteration_is_the_error_that_it_was() -> None:
    def stop(x: Any) -> Any:
        raise StopIteration(x)

    class Stops:
        def __bool__(self) -> bool:
            raise StopIteration

        def __iter__(self) -> Iterator[Any]:
            raise StopIteration

        def __getitem__(self, index: int) -> Any:
            raise StopIteration

    for steps in (
        [Map(lambda x: stop(x), site="a.py:1"), Filter(lambda x: x)],
        [Map(stop), Filter(lambda x: x, site="a.py:2")],
        [Map(lambda x: x), KeyBy(lambda x: stop(x)), Map(lambda x: x)],
        [Map(lambda x: x), MapValues(lambda x: x), Map(lambda x: x)],
        [Filter(lambda x: next(iter(()))), FlatMap(lambda x: x)],
        [Map(lambda x: Stops()), Filter(lambda x: x)],
        [Map(lambda x: Stops()), FlatMap(lambda x: x)],
        [Map(lambda x: Stops()), MapValues(lambda x: x)],
        [KeyBy(lambda x: x), Map(lambda x: Stops()), Map(first)],
    ):
        assert_same(steps, OF_TEN)  # type: ignore[arg-type]
    with pytest.raises(StopIteration):
        sinks.Reduce(lambda a, b: stop(a))(0, apply_steps([Map(lambda x: x)], iter(OF_TEN), 0, task()))


def test_a_user_who_goes_on_after_an_error_gets_the_rows_behind_it() -> None:
    def resumed(rows: Iterator[Any]) -> Iterator[Any]:
        while True:
            try:
                yield next(rows)
            except ZeroDivisionError:
                yield "error"
            except StopIteration:
                return

    for steps, after_error in (
        ([Map(lambda x: 6 // (x - 2))], [6, 3]),
        ([KeyBy(lambda x: 6 // (x - 2))], [(6, 3), (3, 4)]),
        ([Map(lambda x: (x, x - 2)), MapValues(lambda x: 6 // x), Map(lambda kv: kv[1])], [6, 3]),
        ([Map(lambda x: x), FlatMap(lambda x: [x - 2]), Map(lambda x: 6 // x)], [6, 3]),
        ([Map(lambda x: (x, x)), FlatMapValues(lambda x: [6 // (x - 2)])], [(3, 6), (4, 3)]),
    ):
        for fused in (True, False):
            chain = [*steps, MapPartitions(resumed), Map(lambda x: [x])]
            rows = list(apply_steps(chain, iter(range(5)), 0, task(fused)))
            assert rows[2:] == [["error"], *([x] for x in after_error)]


def test_where_calls_are_watched_they_are_made() -> None:
    watched = []
    function = lambda x: x  # noqa: E731
    rows = apply_steps([Map(function)], iter([1, 2]), 0, task())
    sys.setprofile(lambda frame, event, _: watched.append(frame.f_code) if event == "call" else None)
    try:
        list(rows)
    finally:
        sys.setprofile(None)
    assert watched.count(function.__code__) == 2


def test_the_setting_turns_it_off() -> None:
    def caller(x: Any) -> str:
        return sys._getframe(1).f_code.co_qualname

    for fused in (True, False):
        (name,) = apply_steps([Map(lambda x: caller(x))], iter([1]), 0, task(fused))
        assert (name == LOOP) is fused


def test_only_what_is_long_enough_gets_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(fusion, "row_loop", lambda steps: made.append(steps))
    three, four, many = [1, 2, 3], [1, 2, 3, 4], "1234567"
    for rows, loops in [(iter(three), 0), (iter(four), 1), ((x for x in three), 0), (map(int, many), 1)]:
        made.clear()
        data = list(apply_steps([Map(lambda x: x + 1)], rows, 0, task(after=4)))
        assert data == [x + 2 for x in range(len(data))]
        assert len(made) == loops


def test_an_iterator_that_has_ended_is_not_asked_again() -> None:
    class Restarts:
        calls = 0

        def __iter__(self) -> Any:
            return self

        def __next__(self) -> int:
            self.calls += 1
            if self.calls % 3 == 0:
                raise StopIteration
            return self.calls

    assert list(apply_steps([Map(lambda x: x)], Restarts(), 0, task(after=4))) == [1, 2]  # type: ignore[arg-type]


def test_a_warning_is_given_at_the_line_of_the_function_that_warns() -> None:
    steps = [Map(lambda x: x + 1), Map(lambda x: warnings.warn(f"row {x}", stacklevel=1))]
    line = sys._getframe().f_lineno - 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        list(apply_steps(steps, iter([1]), 0, task()))
    assert [(each.filename, each.lineno) for each in caught] == [(__file__, line)]


def test_the_element_and_the_step_of_an_error_are_named() -> None:
    steps = [Map(lambda x: (x, x), site="a.py:1"), MapValues(lambda v: 1 // (v - 4), "mapValues", "a.py:2")]
    told = seen(steps, OF_TEN, True)[1]  # type: ignore[arg-type]
    assert told.notes == ("while processing element: 4", "in mapValues at a.py:2")


def test_groups_that_spill_are_the_same(tmp_path: Any) -> None:
    def groups(fused: str, by: Any) -> Any:
        task = task_on(FilesPlane(str(tmp_path)), budget_bytes=2000)
        task.properties = {FUSION: fused, AFTER_ROWS: "0"}
        steps = [FlatMap(lambda x: [x, x + 1]), Filter(lambda x: x % 5 != 0), Map(lambda x: (x % 101, x / 3))]
        return list(by.combine_values(apply_steps(steps, iter(range(3000)), 0, task), task))

    for by in (reducing(lambda a, b: a + b), grouping(), Aggregator(lambda v: [v], lambda c, v: [*c, v], operator.add)):
        assert groups("true", by) == groups("false", by)


def test_very_long_chains_are_left_as_they_are() -> None:
    assert fusion.row_loop([Map(lambda x: x + 1)] * 100) is None
    assert_same([FlatMap(lambda x: [x])] * 12, [1], built_in=False)


def test_a_table_of_positions_reads_as_it_was_written() -> None:
    source = "def f(x):\n    return (x +\n        1000) if x else [\n x]\n" + "\n" * 300 + "def g(): f(1)\n"
    code = compile(source, "f", "exec")
    for each in [code, *(each for each in code.co_consts if hasattr(each, "co_code"))]:
        positions = list(each.co_positions())
        changed = each.replace(co_linetable=encode_positions(positions, each.co_firstlineno))
        assert list(changed.co_positions()) == positions


def test_a_filter_without_a_function_keeps_what_is_true() -> None:
    assert_same([Map(lambda x: x), Filter(None)], OF_TEN, built_in=False)  # type: ignore[arg-type]
