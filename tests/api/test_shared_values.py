"""Accumulators, broadcasts and groups as programs use them."""

from __future__ import annotations

import gc
import operator
import os
import pickle
import threading
from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest

from simspark import AccumulatorParam
from simspark.publib.errors import NotSerializable
from simspark.publib.lineage.shared import ResultIterable

from .conftest import HereContext


class Vector(AccumulatorParam[list[float]]):
    """Lists that add up element by element."""

    def zero(self, value: list[float]) -> list[float]:
        return [0.0] * len(value)

    def addInPlace(self, value1: list[float], value2: list[float]) -> list[float]:
        for place, term in enumerate(value2):
            value1[place] += term
        return value1


def test_accumulators_of_own_types_start_from_their_zero(sc: Any) -> None:
    total = sc.accumulator([1.0, 2.0, 3.0], Vector())
    sc.parallelize([1, 2, 3], 2).foreach(lambda x: total.add([x, 0.0, x]))
    assert total.value == [7.0, 2.0, 9.0]


def test_plus_equals_adds_in_tasks_and_in_the_driver(sc: Any) -> None:
    total = sc.accumulator(0)

    def add(x: int) -> None:
        nonlocal total
        total += x

    sc.parallelize([1, 2, 3], 2).foreach(add)
    total += 10
    assert total.value == 16
    assert str(total) == "16"
    assert repr(total) == f"Accumulator<id={total.aid}, value=16>"
    total.value = 0
    assert total.value == 0


def test_numbers_of_all_kinds_accumulate(sc: Any) -> None:
    whole, real, complex_ = sc.accumulator(1), sc.accumulator(0.5), sc.accumulator(1j)

    def add(x: int) -> None:
        whole.add(x)
        real.add(x / 2)
        complex_.add(x * 1j)

    sc.parallelize([1, 2], 2).foreach(add)
    assert (whole.value, real.value, complex_.value) == (4, 2.0, 4j)


@pytest.mark.parametrize("value", ["a", [1], None])
def test_other_values_need_a_param(here: HereContext, value: Any) -> None:
    with pytest.raises(TypeError) as caught:
        here.accumulator(value)
    assert str(caught.value) == (
        f"No default accumulator param for type {type(value)}: pass accum_param, an AccumulatorParam"
    )


def test_tasks_cannot_read_nor_set_an_accumulator(sc: Any) -> None:
    total = sc.accumulator(0)
    with pytest.raises(RuntimeError, match=r"Accumulator\.value cannot be accessed inside tasks"):
        sc.parallelize([1], 1).map(lambda _: total.value).collect()

    def set_it(_: int) -> None:
        total.value = 5

    with pytest.raises(RuntimeError, match=r"Accumulator\.value cannot be accessed inside tasks"):
        sc.parallelize([1], 1).foreach(set_it)
    assert total.value == 0


def test_params_say_that_they_must_be_written() -> None:
    param: AccumulatorParam[int] = AccumulatorParam()
    for call in (lambda: param.zero(0), lambda: param.addInPlace(0, 0)):
        with pytest.raises(NotImplementedError):
            call()


def test_a_value_that_cannot_be_pickled_cannot_be_broadcast(sc: Any) -> None:
    if isinstance(sc, HereContext):
        pytest.skip("it keeps no broadcasts")
    with pytest.raises(pickle.PicklingError, match=r"^Could not serialize broadcast: TypeError: cannot pickle"):
        sc.broadcast(threading.Lock())
    with pytest.raises(NotSerializable, match="_thread.lock"):
        sc.broadcast({"lock": threading.Lock()})
    assert sc.broadcast([1]).value == [1]


def test_a_closure_that_cannot_be_pickled_is_a_pickling_error_too(here: HereContext) -> None:
    lock = threading.Lock()
    with pytest.raises(pickle.PicklingError, match="its variable 'lock'"):
        here.parallelize([1]).map(lambda x: (x, lock)).collect()


def test_groups_are_iterables_with_a_length_that_can_be_read_again_and_travel(sc: Any) -> None:
    (key, group), = sc.parallelize([("a", 1), ("a", 2)], 2).groupByKey(1).collect()
    assert key == "a"
    assert isinstance(group, ResultIterable)
    assert isinstance(group, Iterable)
    assert issubclass(ResultIterable, Iterable)
    assert (len(group), list(group), list(group)) == (2, [1, 2], [1, 2])
    assert (group.data, group.index, group.maxindex) == ([1, 2], 0, 2)
    assert list(pickle.loads(pickle.dumps(group))) == [1, 2]


def copies_held(_: int) -> int:
    from simspark.publib.lineage.shared import BROADCAST_VALUES

    return len(BROADCAST_VALUES._values)


def value_at(table: Any, index: int) -> Any:
    return table.value[index]


def test_a_broadcast_is_forgotten_when_no_rdd_refers_to_it_any_more(here: HereContext) -> None:
    table = here.broadcast([1])
    gone = ("destroyed", table.id)
    rdd = here.parallelize([0]).map(partial(value_at, table))
    del table
    gc.collect()
    assert gone not in here.forgotten
    del rdd
    gc.collect()
    assert gone in here.forgotten


def test_broadcasts_that_are_gone_leave_neither_file_nor_copy(real_sc: Any) -> None:
    for number in range(5):
        table = real_sc.broadcast(bytes(1000 + number))
        assert real_sc.parallelize([0], 1).map(lambda _: len(table.value)).sum() == 1000 + number  # noqa: B023 - run at once
    directory = real_sc._application.directory.path
    there = [name for name in os.listdir(directory) if name.startswith("broadcast-")]
    assert len(there) <= 2
    assert real_sc.parallelize([0], 1).map(copies_held).first() <= 2


def forget_what_is_gone(sc: Any) -> None:
    gc.collect()
    sc.broadcast(0)
    sc.parallelize([1]).count()


def test_a_shuffle_that_is_made_anew_still_has_the_broadcast_of_its_program(real_sc: Any) -> None:
    table = real_sc.broadcast(5)
    totals = real_sc.parallelize([(1, 1)], 1).map(lambda pair: (pair[0], table.value)).reduceByKey(operator.add)
    assert totals.collect() == [(1, 5)]
    table = real_sc.broadcast(5)
    totals.cleanShuffleDependencies(blocking=True)
    forget_what_is_gone(real_sc)
    assert totals.collect() == [(1, 5)]


def test_broadcasts_live_as_long_as_the_rows_or_the_broadcast_that_they_are_in(real_sc: Any) -> None:
    rows = real_sc.parallelize([real_sc.broadcast(5)], 1)
    outer = real_sc.broadcast([real_sc.broadcast(6)])
    outer.value.clear()
    forget_what_is_gone(real_sc)
    assert rows.map(lambda inner: inner.value + outer.value[0].value).collect() == [11]
