from __future__ import annotations

import operator
import sys
import types
from collections import Counter
from types import FrameType

import cloudpickle
import pytest

from simspark.driver.closures import PROTOCOL, pickle_program
from simspark.publib.lineage import row_functions, sinks
from simspark.publib.lineage.program import Program, Steps
from simspark.publib.lineage.sinks import Count, ResultSink
from simspark.publib.lineage.sources import CachedSource, RangeSource
from simspark.publib.lineage.steps import Map
from simspark.publib.wire import payload

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("nothing_goes_by_value")]


def dumps(program: object, protocol: int) -> bytes:
    """As programs are pickled, plain or not."""
    assert protocol == PROTOCOL
    return pickle_program(program)


def at_the_top(row: int) -> int:
    return row + 1


def counting() -> Program:
    return Program(Steps(RangeSource(), [Map(row_functions.paired_with_none, "map", "a.py:1")]), Count())


OFFSET = 3
VALUES = [
    counting(),
    Program(Steps(RangeSource(), [Map(lambda row: row + OFFSET, "map", "a.py:1")]), sinks.Reduce(operator.add)),
    (at_the_top, Count, int, len, Counter, type("Made", (), {"x": 1})(), lambda: at_the_top),
]


@pytest.mark.parametrize("value", VALUES, ids=["a count", "a lambda", "all sorts"])
def test_the_bytes_are_those_of_cloudpickle(value: object) -> None:
    for _ in range(2):
        assert dumps(value, PROTOCOL) == cloudpickle.dumps(value, PROTOCOL)


def test_a_module_that_the_user_has_pickled_by_value_is_our_own_no_more() -> None:
    dumps(counting(), PROTOCOL)
    cloudpickle.register_pickle_by_value(row_functions)
    try:
        function = payload.load(dumps(counting(), PROTOCOL)).source.steps[0].function
    finally:
        cloudpickle.unregister_pickle_by_value(row_functions)
    assert function is not row_functions.paired_with_none
    assert payload.load(dumps(counting(), PROTOCOL)).source.steps[0].function is row_functions.paired_with_none


def test_a_function_of_a_module_that_is_made_anew_travels_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("made_today")
    monkeypatch.setitem(sys.modules, "made_today", module)
    for number in range(2):
        exec(f"def f(): return {number}", vars(module))  # noqa: S102
        assert payload.load(dumps(vars(module)["f"], PROTOCOL))() == number
    was = vars(module)["f"]
    exec("def f(): return 2", vars(module))  # noqa: S102
    assert payload.load(dumps(was, PROTOCOL))() == 1


class Slotted:
    __slots__ = ("held",)
    __module__ = "simspark.made.up"

    def __init__(self, held: int) -> None:
        self.held = held


class Listed(list[int]):
    __module__ = "simspark.made.up"


class Attributed:
    __module__ = "simspark.made.up"

    def __init__(self, held: int) -> None:
        self.held = held


@pytest.mark.parametrize(("one", "other"), [
    (ResultSink(Count(), "count", "a.py:1"), ResultSink(Count(), "count", "a.py:2")),
    (ResultSink(Count(), "count", "a.py:1"), ResultSink(sinks.Sum(), "count", "a.py:1")),
    (ResultSink(sinks.Take(1), "take", ""), ResultSink(sinks.Take(True), "take", "")),
    (ResultSink(sinks.Take(1), "take", ""), ResultSink(sinks.Take(1.0), "take", "")),  # type: ignore[arg-type]
    (ResultSink(sinks.Take(0.0), "", ""), ResultSink(sinks.Take(-0.0), "", "")),  # type: ignore[arg-type]
    (CachedSource(1, 2, RangeSource()), CachedSource(1, 3, RangeSource())),
    (CachedSource(1, 2, RangeSource()), (1, 2, RangeSource())),
    (Slotted(1), Slotted(2)),
    (Listed([1]), Listed([2])),
    (Attributed(1), Attributed(2)),
])  # fmt: skip
def test_programs_that_differ_in_anything_have_bytes_of_their_own(
    one: object, other: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("simspark.made.up")
    vars(module).update(Slotted=Slotted, Listed=Listed, Attributed=Attributed)
    monkeypatch.setitem(sys.modules, "simspark.made.up", module)
    for value in (one, other, one):
        assert dumps(value, PROTOCOL) == cloudpickle.dumps(value, PROTOCOL)
    assert dumps(one, PROTOCOL) != dumps(other, PROTOCOL)


def test_a_program_without_anything_of_the_user_s_is_pickled_once_and_others_each_time() -> None:
    def count() -> Program:
        return Program(CachedSource(7, 18, RangeSource()), ResultSink(Count(), "count", "once.py:1"))

    assert dumps(count(), PROTOCOL) is dumps(count(), PROTOCOL)
    holds: list[int] = []
    program = Program(RangeSource(), sinks.Reduce(holds.append))  # type: ignore[arg-type]
    before = dumps(program, PROTOCOL)
    holds.append(1)
    assert dumps(program, PROTOCOL) != before


def test_a_program_of_our_own_parts_is_not_looked_at_by_cloudpickle_again() -> None:
    dumps(counting(), PROTOCOL)
    entered: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            entered[frame.f_code.co_filename.rpartition("/")[2]] += 1

    sys.setprofile(count)
    try:
        dumps(counting(), PROTOCOL)
    finally:
        sys.setprofile(None)
    assert entered["cloudpickle.py"] <= 4  # the pickler's own beginning and end
