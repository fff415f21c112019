from __future__ import annotations

import operator
import sys
import types
from collections import Counter
from types import FrameType

import cloudpickle
import pytest

from simspark.driver.closures import PROTOCOL
from simspark.driver.program_pickler import dumps
from simspark.publib.lineage import row_functions, sinks
from simspark.publib.lineage.program import Program, Steps
from simspark.publib.lineage.sources import RangeSource
from simspark.publib.lineage.steps import Map
from simspark.publib.wire import payload

pytestmark = pytest.mark.unit


def at_the_top(row: int) -> int:
    return row + 1


def counting() -> Program:
    return Program(Steps(RangeSource(), [Map(row_functions.paired_with_none, "map", "a.py:1")]), sinks.Count())


OFFSET = 3
VALUES = [
    counting(),
    Program(Steps(RangeSource(), [Map(lambda row: row + OFFSET, "map", "a.py:1")]), sinks.Reduce(operator.add)),
    (at_the_top, sinks.Count, int, len, Counter, type("Made", (), {"x": 1})(), lambda: at_the_top),
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
