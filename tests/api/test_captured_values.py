"""Large values in closures: the same answers as small ones, whatever tasks do to them."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

LARGE = 400_000


class Table:
    def __init__(self, rows: dict[int, int]) -> None:
        self.rows = rows

    def look_up(self, key: int) -> int:
        return self.rows[key]


def test_large_captured_values_are_what_they_were(sc: Any) -> None:
    text, numbers = "ab" * LARGE, list(range(LARGE))
    table = Table({number: -number for number in numbers})
    rows = sc.parallelize([1, 2, 3], 3)
    assert rows.map(lambda x: (x, len(text), numbers[-x])).collect() == [(x, 2 * LARGE, LARGE - x) for x in (1, 2, 3)]
    assert rows.map(table.look_up).sum() == -6
    assert rows.map(partial(lambda every, x: every[x], numbers)).collect() == [1, 2, 3]


def test_tasks_that_change_a_captured_list_do_not_see_each_other(sc: Any) -> None:
    numbers = list(range(LARGE))

    def grow(x: int) -> int:
        numbers.append(x)
        return len(numbers)

    assert sc.parallelize(range(8), 4).map(grow).collect() == [LARGE + 1, LARGE + 2] * 4
    assert len(numbers) == LARGE


def test_a_value_changed_between_jobs_is_the_new_one_in_the_next(sc: Any) -> None:
    numbers = list(range(LARGE))
    rows = sc.parallelize([0], 1).map(lambda x: numbers[x])
    found = []
    for value in (5, 6, 5):
        numbers[0] = value
        found += rows.collect()
    assert found == [5, 6, 5]


def test_large_values_in_both_sides_of_a_shuffle_and_in_its_zero_are_right(sc: Any) -> None:
    weights = {number: 1 for number in range(LARGE)}
    pairs = sc.parallelize(range(1000), 4).map(lambda x: (x % 3, weights[x]))
    counted = pairs.reduceByKey(lambda a, b: a + b * weights[0]).mapValues(lambda n: n * weights[1])
    assert dict(counted.collect()) == Counter(x % 3 for x in range(1000))
    zero = list(range(LARGE))
    added = sc.parallelize([[1], [2]], 2).aggregate(zero, lambda a, b: [len(a) + b[0]], lambda a, b: [len(a), *b])
    assert added == [2, LARGE + 2]


def test_numpy_arrays_are_written_to_by_each_task_alone(sc: Any) -> None:
    import pytest

    numpy = pytest.importorskip("numpy")
    array = numpy.zeros(LARGE)

    def touch(x: int) -> float:
        array[0] += x
        return float(array[0])

    assert sc.parallelize([1, 2, 3], 3).map(touch).collect() == [1.0, 2.0, 3.0]
    assert array[0] == 0
