from __future__ import annotations

import threading
from functools import partial

import pytest

from simspark.driver.closures import pickle_program
from simspark.publib.errors import NotSerializable, UserError
from simspark.publib.lineage.program import Program, Steps
from simspark.publib.lineage.shared import Broadcast
from simspark.publib.lineage.sinks import Collect, ResultSink
from simspark.publib.lineage.sources import RangeSource
from simspark.publib.lineage.steps import Map
from simspark.publib.wire import payload

pytestmark = pytest.mark.unit

LOCK_AT_THE_TOP = threading.Lock()


class Model:
    def __init__(self) -> None:
        self.weights = [1, 2]
        self.guard: dict[str, object] = {"inner": threading.Lock()}

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
    assert "the default of its argument 'lock' is a _thread.lock" in refusal(lambda row, lock=threading.Lock(): lock)
    assert "the default of its argument 'named' is a" in refusal(lambda row, *, named=threading.Lock(): named)
    nested = refusal(lambda row, inner=lambda row, lock=threading.Lock(): lock: inner)
    assert "the default of its argument 'inner' → the default of its argument 'lock' is a _thread.lock" in nested


def test_generator_and_file_are_named() -> None:
    numbers = (number for number in range(3))
    assert "its variable 'numbers' is a generator" in refusal(lambda row: next(numbers))
    with open(__file__, "rb") as file:
        assert "its variable 'file' is a _io.BufferedReader" in refusal(lambda row: file.read())


def test_an_attribute_of_an_object_in_a_list_is_reached_however_deep() -> None:
    model = Model()
    model.guard = {"inner": {"deeper": [1, (2, {"x": Model()})]}}
    everything = [1, {"models": [model]}]
    assert (
        "its variable 'everything' → its element 1 → its value for 'models' → its element 0 → its attribute 'guard' → "
        "its value for 'inner' → its value for 'deeper' → its element 1 → its element 1 → its value for 'x' → its "
        "attribute 'guard' → its value for 'inner' is a _thread.lock"
    ) in refusal(lambda row: everything)


class Slotted:
    __slots__ = ("__lock", "rows")

    def __init__(self) -> None:
        self.rows = [1]
        self.__lock = threading.Lock()


def test_a_private_slot_is_named_as_it_is_written() -> None:
    slotted = Slotted()
    assert "its variable 'slotted' → its attribute '__lock' is a _thread.lock" in refusal(lambda row: slotted)


def test_a_global_of_a_function_of_the_script_is_named_through_its_callers() -> None:
    names: dict[str, object] = {"__name__": "__main__", "SOCKET": threading.Lock()}
    exec("def send(x): return SOCKET if x else send(x - 1)\ndef call(x): return send(x)", names)
    assert "Cannot send call() at <string>:2: its variable 'send' → its variable 'SOCKET' is" in refusal(names["call"])


def test_a_class_that_travels_by_value_is_looked_into() -> None:
    lock = threading.Lock()

    class Local:
        shared = 1

        def method(self, row: int) -> object:
            return lock

    text = refusal(Local().method)
    assert "its object (a Local) → its class → its method 'method' → its variable 'lock' is a _thread.lock" in text


def test_an_object_that_is_called_is_named_as_the_function() -> None:
    class Called:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def __call__(self, row: int) -> int:
            return row

    text = refusal(Called())
    assert text.startswith("Cannot send a ")
    assert "Called: its attribute 'lock' is a _thread.lock" in text


def test_what_the_values_own_code_raises_is_told() -> None:
    class Refuses:
        def __reduce__(self) -> str:
            raise ValueError("not me")

    refuses = Refuses()
    assert "Refuses. Pickling it raises ValueError: not me. Create it" in refusal(lambda row: refuses)


def test_arguments_of_partials_are_named() -> None:
    named, placed = partial(lambda row, lock: 1, lock=LOCK_AT_THE_TOP), partial(lambda lock, row: 1, LOCK_AT_THE_TOP)
    assert "partial(<lambda>, ...): its argument 'lock' is a _thread.lock" in refusal(named)
    assert "partial(<lambda>, ...): one of its arguments is a _thread.lock" in refusal(placed)


def test_a_destroyed_broadcast_says_whose_variable_it_is() -> None:
    class Owner:
        def destroy_broadcast(self, broadcast_id: int, blocking: bool) -> None:
            pass

    gone: Broadcast[int] = Broadcast(3, 1, 1, Owner())  # type: ignore[arg-type]
    gone.destroy()
    with pytest.raises(UserError, match="broadcast 3 was destroyed") as caught:
        pickle_program(program(lambda row: gone))
    (note,) = caught.value.__notes__
    assert note.startswith("in the lambda at test_closures.py:")
    assert note.endswith(": its variable 'gone'")


def test_recursive_functions_travel() -> None:
    def factorial(row: int) -> int:
        return row * factorial(row - 1) if row else 1

    assert payload.load(pickle_program(program(factorial))).source.steps[0].function(5) == 120


def test_nesting_too_deep_is_said() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert "nested too deeply" in refusal(lambda row: deep)


def test_what_cannot_be_imported_names_no_driver_module() -> None:
    assert b"simspark.driver" not in pickle_program(program(lambda x: x))
