from __future__ import annotations

import gc
import os
import threading
from array import array
from collections import Counter, defaultdict, deque
from functools import partial

import pytest

from simspark.driver.closures import pickle_program
from simspark.driver.files import DriverFiles
from simspark.driver.large_values import KEPT_BLOCKS, LargeValues
from simspark.publib.blocks.app_directory import AppDirectory
from simspark.publib.blocks.segments import SegmentFile, decode_inline
from simspark.publib.lineage.program import Program, Steps
from simspark.publib.lineage.shared import BROADCAST_VALUES, Broadcast
from simspark.publib.lineage.sinks import Collect, ResultSink
from simspark.publib.lineage.sources import RangeSource
from simspark.publib.lineage.steps import Map
from simspark.publib.wire import payload

pytestmark = pytest.mark.unit

LEAST = 10_000


class Driver:
    """LargeValues on a directory, whose blocks this process reads as an executor would."""

    def __init__(self, directory):
        self.directory = directory
        self.forgotten = []
        self.reads = []
        self._numbers = iter(range(1000))
        files = DriverFiles(AppDirectory(str(directory), ""))
        self.large = LargeValues(self._numbers.__next__, files, self._forget, LEAST)
        BROADCAST_VALUES.install(self._read)

    def _forget(self, kind, number):
        self.forgotten.append((kind, number))

    def _read(self, broadcast, pieces):
        self.reads.append(broadcast)
        return decode_inline(SegmentFile(str(self.directory / f"broadcast-{broadcast}")).whole())

    def split(self, *functions):
        return self.large.split(program(*functions))

    def blocks(self):
        return len(os.listdir(self.directory))


@pytest.fixture
def driver(tmp_path):
    yield Driver(tmp_path)
    BROADCAST_VALUES.install(None)


def program(*functions):
    return Program(Steps(RangeSource(), [Map(each, "map", "app.py:9") for each in functions]), ResultSink(Collect()))


def arrived(data):
    """The functions as one attempt has them."""
    return [step.function for step in payload.load(data).source.steps]


class Model:
    __slots__ = ("__dict__", "__secret")

    def __init__(self, weights, secret=None):
        self.weights = weights
        self.__secret = secret

    def predict(self, row):
        return self.weights[row]

    def secret(self):
        return self.__secret


NUMBERS = list(range(LEAST))


@pytest.mark.parametrize("value", [
    b"x" * LEAST, "x" * LEAST, bytearray(LEAST), NUMBERS, tuple(NUMBERS), set(NUMBERS), frozenset(NUMBERS),
    dict.fromkeys(NUMBERS, "x"), deque(NUMBERS), Counter(NUMBERS), defaultdict(list, {1: NUMBERS}),
    array("d", [0.5] * LEAST), [{"x": (number, [number])} for number in range(1000)],
], ids=lambda value: type(value).__name__)  # fmt: skip
def test_a_large_value_of_plain_data_leaves_the_program_and_comes_back_equal(driver, value):
    data = driver.split(lambda row: value)
    assert len(data) < 3000
    assert driver.blocks() == 1
    (function,) = arrived(data)
    assert function(0) == value
    assert type(function(0)) is type(value)


def test_numpy_arrays_leave_it_and_may_be_written_to_by_each_attempt(driver):
    numpy = pytest.importorskip("numpy")
    value = numpy.arange(LEAST).reshape(100, 100)
    data = driver.split(lambda row: value)
    assert driver.blocks() == 1
    for _ in range(2):
        (function,) = arrived(data)
        assert function(0)[0, 1] == 1
        function(0)[0, 1] = 99
    objects = numpy.array([Model(1)] * LEAST, dtype=object)
    assert driver.split(lambda row: objects) is None


def large(letter="x"):
    return letter * LEAST


def test_values_are_found_wherever_functions_hold_them(driver):
    held = [large(letter) for letter in "abcdefgh"]
    model = Model(held[1], held[2])

    def inner(row, default=held[3], *, named=held[4]):
        return len(default) + len(named)

    def outer(row):
        return inner(row) + len(outer.note)

    outer.note = held[5]
    functions = [lambda row: held[0], model.predict, lambda row: model.secret(), outer,
                 partial(lambda text, row: text, held[6]), partial(lambda row, text: text, text=held[7])]
    data = driver.split(*functions)
    assert driver.blocks() == 8
    assert len(data) < 6000
    first, predict, secret, again, *partials = arrived(data)
    assert (first(0), predict(0), secret(0), again(0)) == (held[0], "b", held[2], 3 * LEAST)
    assert [each(0) for each in partials] == held[6:]


def test_global_variables_of_functions_that_travel_by_value_are_found(driver):
    function = eval("lambda row: TABLE[row]", {"TABLE": NUMBERS})
    data = driver.split(function)
    assert driver.blocks() == 1
    assert arrived(data)[0](7) == 7


def test_nothing_is_taken_from_a_program_without_large_values(driver):
    small = "x" * (LEAST - 1)
    many = [Model(index) for index in range(1000)]
    assert driver.split(lambda row: (small, many)) is None
    assert driver.blocks() == 0


def test_what_a_task_changes_is_gone_with_its_attempt(driver):
    numbers = list(range(LEAST))

    def change(row):
        numbers.append(row)
        return len(numbers)

    data = driver.split(change)
    for _ in range(2):
        assert arrived(data)[0](0) == LEAST + 1
    assert len(numbers) == LEAST


def test_bytes_and_text_are_one_object_for_all_attempts_of_a_process(driver):
    text = large()
    data = driver.split(lambda row: text)
    assert arrived(data)[0](0) is arrived(data)[0](0)
    assert driver.reads == [0]


def test_a_value_held_twice_is_one_object_in_the_attempt_too(driver):
    numbers = list(NUMBERS)
    first, second = arrived(driver.split(lambda row: numbers, lambda row: numbers))
    assert first(0) is second(0)
    assert driver.blocks() == 1


def test_equal_values_that_are_two_stay_two(driver):
    one, other = list(NUMBERS), list(NUMBERS)
    first, second = arrived(driver.split(lambda row: one, lambda row: other))
    assert first(0) == second(0)
    assert first(0) is not second(0)
    assert driver.blocks() == 1


def test_a_collection_that_shares_a_list_with_the_rest_stays_in_the_program(driver):
    rows = [[number] for number in range(LEAST)]
    first = rows[0]
    data = driver.split(lambda row: rows, lambda row: first)
    assert data is None
    text = large()
    data = driver.split(lambda row: rows, lambda row: first, lambda row: text)
    all_rows, one, other = arrived(data)
    assert all_rows(0)[0] is one(0)
    assert other(0) == text
    assert driver.blocks() == 1


def test_of_two_collections_that_share_a_list_one_stays_in_the_program_with_what_it_shares(driver):
    inner = [1]
    one, other = [*NUMBERS, inner], [*NUMBERS, "other", inner]
    functions = arrived(driver.split(lambda row: one, lambda row: other) or pickle_program(
        program(lambda row: one, lambda row: other)))
    assert functions[0](0)[-1] is functions[1](0)[-1]


def test_collections_with_functions_or_objects_of_classes_stay_but_large_data_in_them_does_not(driver):
    table = {"function": lambda row: row, "model": Model(NUMBERS), "text": large()}
    data = driver.split(lambda row: table)
    assert driver.blocks() == 2
    arrived_table = arrived(data)[0](0)
    assert arrived_table["function"](3) == 3
    assert arrived_table["model"].weights == NUMBERS
    assert arrived_table["text"] == large()


def test_broadcasts_are_not_looked_into(driver):
    broadcast = Broadcast(7, 1, large(), None)
    assert driver.split(lambda row: broadcast.value) is None


def test_the_same_content_is_written_once_and_a_changed_one_again(driver):
    numbers = list(NUMBERS)
    first = driver.split(lambda row: numbers)
    second = driver.split(lambda row: sum(numbers))
    assert driver.blocks() == 1
    numbers[0] = -1
    third = driver.split(lambda row: numbers)
    assert driver.blocks() == 2
    assert [arrived(data)[0](0) for data in (first, second)] == [NUMBERS, sum(NUMBERS)]
    assert arrived(third)[0](0)[0] == -1


def test_a_block_goes_when_no_program_needs_it_and_others_were_used_since(driver):
    text = large("a")
    held = driver.split(lambda row: text)
    for number in range(KEPT_BLOCKS + 1):
        driver.split(partial(len, large(chr(1000 + number))))
    gc.collect()
    assert driver.forgotten == [("destroyed", 1)]
    del held
    gc.collect()
    assert driver.forgotten == [("destroyed", 1), ("destroyed", 0)]


def test_odd_objects_do_not_stop_the_search(driver):
    class Odd:
        __slots__ = ("text",)

        @property
        def __dict__(self):
            raise RuntimeError("no")

        def __reduce__(self):
            return str, ("odd",)

    odd, text, lock = Odd(), large(), threading.Lock
    cyclic = [text]
    cyclic.append(cyclic)
    function = arrived(driver.split(lambda row: (odd, text, lock, cyclic)))[0]
    assert function(0)[:2] == ("odd", text)
    assert function(0)[3][1] is function(0)[3]
