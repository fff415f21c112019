"""The sketch's error is what its theory says, over the whole range, and its hash sees values as keys do."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from math import sqrt

import pytest

from simspark.publib.lineage.hyperloglog import DEVIATION, HyperLogLog, precision_for, value_hash


def sketch_of(values: object, precision: int) -> HyperLogLog:
    sketch = HyperLogLog(precision)
    sketch.add_all(values)  # type: ignore[arg-type]
    return sketch


@pytest.mark.parametrize(
    ("deviation", "precision"), [(10, 4), (0.3, 4), (0.26, 4), (0.05, 9), (0.01, 14), (0.000017, 32)]
)
def test_precision_is_the_least_that_is_good_enough(deviation: float, precision: int) -> None:
    assert precision_for(deviation) == precision
    assert DEVIATION / sqrt(2**precision) <= max(deviation, 0.26)


@pytest.mark.parametrize("precision", [6, 9])
@pytest.mark.parametrize("number", [50, 500, 2000])
def test_errors_are_as_small_as_the_theory_says(precision: int, number: int) -> None:
    trials = 40
    errors = [
        sketch_of(range(trial * number, (trial + 1) * number), precision).estimate() / number - 1
        for trial in range(trials)
    ]
    bound = DEVIATION / sqrt(2**precision)
    assert sqrt(sum(error * error for error in errors) / trials) < 1.3 * bound
    assert abs(sum(errors) / trials) < bound / 2  # no bias: the mean of 40 has a sixth of the deviation


@pytest.mark.parametrize("precision", [4, 9, 14, 20])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_very_few_are_counted_exactly(precision: int, number: int) -> None:
    assert sketch_of(list(range(number)) * 3, precision).estimate() == number


def test_order_and_repetition_change_nothing() -> None:
    once, often = sketch_of(range(300), 8), sketch_of([*range(299, -1, -1), *range(100)], 8)
    assert once.registers == often.registers


@pytest.mark.parametrize("precision", [8, 18])
@pytest.mark.parametrize("sizes", [(0, 40), (40, 0), (500, 30), (30, 500), (4000, 5000)])
def test_merged_sketches_are_the_sketch_of_all(precision: int, sizes: tuple[int, int]) -> None:
    left, right = sketch_of(range(sizes[0]), precision), sketch_of(range(20, 20 + sizes[1]), precision)
    union = sketch_of([*range(sizes[0]), *range(20, 20 + sizes[1])], precision)
    merged = left.merge(pickle.loads(pickle.dumps(right)))
    assert merged is left
    assert merged.estimate() == union.estimate()


def test_few_of_many_registers_take_little() -> None:
    assert len(pickle.dumps(sketch_of(range(100), 32))) < 10_000
    assert sketch_of(range(10_000), 18).registers is not None


def test_equal_values_hash_alike_and_others_apart() -> None:
    assert value_hash(1) == value_hash(1.0) == value_hash(True)  # noqa: FBT003
    assert value_hash(0) == value_hash(-0.0) == value_hash(False)  # noqa: FBT003
    assert value_hash((1, (2.0, None))) == value_hash((1.0, (2, None)))
    assert value_hash(float("nan")) == value_hash(float("nan"))
    apart = [None, 0, "", b"", float("nan"), -1, -2, (), (None,), ((),), (0, 1), (1, 0), frozenset(), *range(1, 300)]
    assert len(set(map(value_hash, apart))) == len(apart)


def test_tuples_of_neighbouring_numbers_do_not_collide() -> None:
    pairs = {value_hash((left, right)) for left in range(100) for right in range(1 << 20, (1 << 20) + 100)}
    assert len(pairs) == 10_000


def test_hashes_are_the_same_in_every_executor() -> None:
    code = "from simspark.publib.lineage.hyperloglog import value_hash; print(value_hash(('a', None, 2.5)))"
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    printed = {
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout
        for _ in range(2)
    }
    assert len(printed) == 1


def test_what_cannot_be_a_key_is_refused() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        sketch_of([[1]], 4)
    with pytest.raises(TypeError, match="cannot be a key"):
        sketch_of([(1, object())], 4)
