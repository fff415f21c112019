"""Functions of which it is known that they return, whatever text they are given: never one that may fail."""

from __future__ import annotations

from operator import itemgetter
from types import FunctionType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simspark.publib.lineage.steps import Filter, FlatMap, KeyBy, Map, MapValues
from simspark.publib.lineage.sure_functions import Pieces, sure_kind

pytestmark = pytest.mark.unit
KEY = 3
NUMBER = 2.5
captured = 4


def capturing(value: Any) -> Any:
    return lambda line: (line[:value], line[value:])


def not_set() -> Any:
    def function(line: str) -> str:
        return line[:later]

    return function
    later = 1


SURE = {
    "slices": (lambda line: (line[:KEY], line[KEY:]), (str, str)),
    "slices at captured places": (capturing(4), (str, str)),
    "slices without a bound": (capturing(None), (str, str)),
    "the line itself": (lambda line: line, str),
    "words": (lambda line: line.split(), Pieces(0)),
    "the first field": (lambda line: (line.split(",")[0], line.split(",")[-1]), (str, str)),
    "parts": (lambda line: line.partition("=")[2], str),
    "cases": (lambda line: (line.strip().lower(), line.startswith("#")), (str, bool)),
    "tests": (lambda line: (line[:1].isdigit(), line.rstrip("x"), line.removeprefix("x")), (bool, str, str)),
    "lengths": (lambda line: (len(line), len(line.split())), (int, int)),
    "constants": (lambda line: ("a", 1, None, True), (str, int, type(None), bool)),
    "sums": (lambda line: line[:2] + "-" + line[2:], str),
}


def kind_of(value: Any) -> Any:
    if isinstance(value, list):
        assert set(map(type, value)) <= {str}
        return list
    return tuple(map(kind_of, value)) if type(value) is tuple else type(value)


@pytest.mark.parametrize(("function", "kind"), SURE.values(), ids=SURE)
@given(line=st.text(st.sampled_from("ab1 ,=#x\u00df\u2028")))
def test_what_is_sure_returns_what_it_is_said_to(function: Any, kind: Any, line: str) -> None:
    assert sure_kind([Map(function)], str) == kind
    found = kind_of(function(line))
    assert found == (list if isinstance(kind, Pieces) else kind)


def with_other_len() -> Any:
    names = {"len": int, "__builtins__": __builtins__}
    return FunctionType((lambda line: len(line)).__code__, names)


UNSURE = {
    "a number that may not be one": lambda line: int(line),
    "a field that may not be there": lambda line: line.split(",")[1],
    "a word that may not be there": lambda line: line.split()[0],
    "a character that may not be there": lambda line: line[0],
    "an empty separator": lambda line: line.split(""),
    "a place that is no number": lambda line: line[:NUMBER],
    "a captured place that is no number": capturing("x"),
    "a captured place that is not there yet": not_set(),
    "a name that is not there": lambda line: line[:nowhere],  # noqa: F821
    "a step of a slice": lambda line: line[::0],
    "another len": with_other_len(),
    "a sum with a number": lambda line: line + 1,
    "a method that is none": lambda line: line.decode(),
    "a method that may not have it": lambda line: line.index("a"),
    "a call": lambda line: print(line),
    "a default": lambda line, at=[]: line,  # noqa: B006
    "a generator": lambda line: (each for each in line),
    "no function of Python's": str.lower,
    "an item": itemgetter(0),
    "an item of a pair": lambda line: (line, line)[2],  # noqa: PLE0643
}


@pytest.mark.parametrize("function", UNSURE.values(), ids=UNSURE)
def test_what_may_fail_or_do_something_else_is_not_sure(function: Any) -> None:
    assert sure_kind([Map(function)], str) is None


def test_only_steps_that_make_one_row_of_each_are_sure() -> None:
    length, itself = (lambda text: len(text)), (lambda row: row)
    assert sure_kind([KeyBy(length), MapValues(length), Map(itself)], str) == (int, int)
    assert sure_kind([MapValues(length)], str) is None
    assert sure_kind([Filter(itself)], str) is None
    assert sure_kind([FlatMap(itself)], str) is None
    assert sure_kind([KeyBy(length), Map(length)], str) is None
