from __future__ import annotations

import threading

import pytest

from simspark.driver.closures import pickle_program
from simspark.publib.errors import NotSerializable
from simspark.publib.lineage.program import Program, Steps
from simspark.publib.lineage.sinks import Collect, ResultSink
from simspark.publib.lineage.sources import RangeSource
from simspark.publib.lineage.steps import Map
from simspark.publib.wire import payload

pytestmark = pytest.mark.unit

LOCK_AT_THE_TOP = threading.Lock()


class Model:
    def __init__(self) -> None:
        self.weights = [1, 2]
        self.guard = {"inner": threading.Lock()}

    def predict(self, row: int) -> int:
        return row


def program(function: object) -> Program:
    return Program(Steps(RangeSource(), [Map(function, "map", "app.py:9")]), ResultSink(Collect()))


def refusal(function: object) -> str:
    with pytest.raises(NotSerializable) as caught:
        pickle_program(program(function))
    assert len(str(caught.value).splitlines()) <= 4
    return str(caught.value)


def test_functions_made_in_functions_travel_with_what_they_hold() -> None:
    offset = 5
    arrived = payload.load(pickle_program(program(lambda x: x + offset)))
    assert arrived.source.steps[0].function(1) == 6


def test_variable_that_cannot_travel_is_named() -> None:
    lock = threading.Lock()
    text = refusal(lambda row: (row, lock))
    line = test_variable_that_cannot_travel_is_named.__code__.co_firstlineno + 2
    assert text.startswith(f"Cannot send the lambda at test_closures.py:{line}: its variable 'lock' is a _thread.lock.")
    assert "Create it inside the function" in text


def test_attribute_below_a_variable_is_named() -> None:
    model = Model()
    text = refusal(lambda row: model.predict(row))
    assert "its variable 'model' → its attribute 'guard' → its value for 'inner' is a _thread.lock" in text


def test_bound_method_names_its_object() -> None:
    text = refusal(Model().predict)
    assert "its attribute 'guard'" in text
    assert "is a _thread.lock" in text


def test_function_below_a_function_is_followed() -> None:
    lock = threading.Lock()

    def inner(row: int) -> object:
        return lock

    text = refusal(lambda row: inner(row))
    assert "its variable 'inner' → its variable 'lock' is a _thread.lock" in text


def test_global_and_default_are_named() -> None:
    assert "its variable 'lock' is a _thread.lock" in refusal(eval("lambda row: lock", {"lock": threading.Lock()}))
    assert "a default of its arguments is a _thread.lock" in refusal(lambda row, lock=threading.Lock(): lock)


def test_generator_and_file_are_named() -> None:
    numbers = (number for number in range(3))
    assert "its variable 'numbers' is a generator" in refusal(lambda row: next(numbers))


def test_nesting_too_deep_is_said() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert "nested too deeply" in refusal(lambda row: deep)


def test_what_cannot_be_imported_names_no_driver_module() -> None:
    assert b"simspark.driver" not in pickle_program(program(lambda x: x))
