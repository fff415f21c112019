"""Batches of small arrays travel as one, and nobody can tell but by the time it takes."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from simspark.publib.blocks import arrays
from simspark.publib.blocks.segments import decode_inline, encode_batch, encode_rows_inline

np = pytest.importorskip("numpy")
pytestmark = pytest.mark.unit
ROWS = 50


def batch(make: Any) -> list[Any]:
    return [make(number) for number in range(ROWS)]


def with_metadata(number: int) -> Any:
    return np.zeros(3, np.dtype("f8", metadata={"unit": "m"})) + number


def read_only(number: int) -> Any:
    array = np.full(3, number)
    array.flags.writeable = False
    return array


class Sub(np.ndarray):  # type: ignore[misc]
    """A type of the user's."""


JOINED = {
    "floats": lambda number: np.full(20, number / 3),
    "longs": lambda number: np.full(3, number, "l"),
    "bools": lambda number: np.array([number % 2 == 0] * 5),
    "complex": lambda number: np.full(2, number * 1j, "F"),
    "tables": lambda number: np.arange(6).reshape(2, 3) + number,
    "every other of a row": lambda number: np.arange(20)[::2] + number,
    "strided": lambda number: (np.arange(40) + number)[::2],
}
LEFT_ALONE = {
    "objects": lambda number: np.array([number, "x"], object),
    "text": lambda number: np.array([f"{number:03}"]),
    "times": lambda number: np.array(["2026-01-01"], "M8[D]") + np.timedelta64(number, "D"),
    "structures": lambda number: np.zeros(2, "i4,f8"),
    "another byte order": lambda number: np.full(3, number, ">f8" if sys.byteorder == "little" else "<f8"),
    "Fortran's order": lambda number: np.asfortranarray(np.zeros((2, 3)) + number),
    "read-only": read_only,
    "a subclass": lambda number: np.full(3, number).view(Sub),
    "without dimensions": np.array,
    "empty": lambda number: np.zeros(0),
    "several shapes": lambda number: np.zeros(1 + number % 2),
    "several types": lambda number: np.zeros(2, "f8" if number else "f4"),
    "an array and a number": lambda number: np.zeros(2) if number else 0,
    "a number and arrays": lambda number: 0 if number == 0 else np.zeros(2),
    "metadata": with_metadata,
    "large": lambda number: np.full(1000, number),
}


def told(array: Any) -> Any:
    """All that a program may ask of an array, and its pickle."""
    if not isinstance(array, np.ndarray):
        return array
    flags = array.flags
    return (type(array), array.dtype.str, array.dtype.char, array.dtype.metadata, array.shape, array.strides,
            flags.writeable, flags.fnc, array.tolist())  # fmt: skip


def same_as_pickled(rows: list[Any], back: list[Any]) -> bool:
    import pickle

    plain = pickle.loads(pickle.dumps(rows, 5))
    return type(back) is list and list(map(told, back)) == list(map(told, plain))


@pytest.mark.parametrize("make", JOINED.values(), ids=JOINED)
def test_small_arrays_of_one_kind_are_one_array_on_the_way(make: Any) -> None:
    rows = batch(make)
    assert type(arrays.in_one(rows)) is arrays.OneArray
    assert same_as_pickled(rows, decode_inline(encode_rows_inline(rows)))


@pytest.mark.parametrize("make", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_what_would_come_back_otherwise_is_left_alone(make: Any) -> None:
    rows = batch(make)
    assert arrays.in_one(rows) is rows
    assert same_as_pickled(rows, decode_inline(encode_rows_inline(rows)))


def test_one_array_that_is_twice_in_a_batch_is_one_again() -> None:
    array = np.zeros(3)
    back = decode_inline(encode_rows_inline([array] * ROWS))
    back[0][0] = 1
    assert back[-1][0] == 1


def test_arrays_that_come_back_have_memory_of_their_own() -> None:
    back = decode_inline(encode_rows_inline(batch(lambda number: np.full(20, number))))
    assert all(array.base is None for array in back)
    back[0][:] = -1
    assert back[1].tolist() == [1] * 20


def test_a_batch_of_arrays_takes_few_bytes_and_few_parts() -> None:
    rows = [np.zeros(20) for _ in range(1000)]
    parts = encode_batch(rows)
    assert sum(map(len, parts)) < 1000 * 160 + 1000
    assert len(parts) < 10


def test_encoding_and_decoding_a_batch_of_arrays_calls_nothing_for_each() -> None:
    rows = [np.zeros(20) for _ in range(1000)]
    encode_rows_inline(rows)
    calls = 0

    def count(frame: Any, event: str, _: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        decode_inline(encode_rows_inline(rows))
    finally:
        sys.setprofile(None)
    assert calls < 100
