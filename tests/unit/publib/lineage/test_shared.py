"""Broadcasts and accumulators, on both sides."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from simspark.publib.errors import UserError
from simspark.publib.lineage import shared
from simspark.publib.lineage.shared import Accumulator, AccumulatorParam, Broadcast, swap_task
from tests.unit.publib.planes import FilesPlane, task_on


class Owner:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def unpersist_broadcast(self, broadcast_id: int, blocking: bool) -> None:
        self.calls.append(("unpersist", broadcast_id, blocking))

    def destroy_broadcast(self, broadcast_id: int, blocking: bool) -> None:
        self.calls.append(("destroy", broadcast_id, blocking))


class ListParam(AccumulatorParam[list[int]]):
    def zero(self, value: list[int]) -> list[int]:
        return []

    def addInPlace(self, value1: list[int], value2: list[int]) -> list[int]:
        value1.extend(value2)
        return value1


def arrived(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def test_a_broadcast_travels_as_its_number_and_is_read_once_on_the_other_side() -> None:
    here = Broadcast(3, 2, [1, 2], Owner())
    there = arrived(here)
    reads: list[Any] = []
    shared.BROADCAST_VALUES.install(lambda number, pieces: reads.append((number, pieces)) or ["read"])
    try:
        assert (here.value, there.value, arrived(there).value) == ([1, 2], ["read"], ["read"])
        assert reads == [(3, 2)]
        shared.BROADCAST_VALUES.forget(3)
        assert there.value == ["read"] and len(reads) == 2
    finally:
        shared.BROADCAST_VALUES.install(None)
    with pytest.raises(UserError, match="broadcast 3 cannot be read"):
        there.value  # noqa: B018


def test_a_destroyed_broadcast_says_so_whatever_is_asked() -> None:
    owner = Owner()
    broadcast = Broadcast(3, 1, "x", owner)
    there = arrived(broadcast)
    broadcast.unpersist()
    broadcast.destroy(blocking=True)
    assert owner.calls == [("unpersist", 3, False), ("destroy", 3, True)]
    for ask in (lambda: broadcast.value, broadcast.unpersist, broadcast.destroy, lambda: pickle.dumps(broadcast)):
        with pytest.raises(UserError, match="broadcast 3 was destroyed"):
            ask()
    with pytest.raises(RuntimeError, match=r"^Broadcast can only be destroyed in driver\.$"):
        there.destroy()
    with pytest.raises(RuntimeError, match=r"^Broadcast can only be unpersisted in driver\.$"):
        there.unpersist()


def test_tasks_add_to_what_they_bring_home_and_the_driver_to_the_value(tmp_path: Path) -> None:
    total, seen = Accumulator(1, 10, shared.INT_ACCUMULATOR_PARAM), Accumulator(2, [0], ListParam())
    for number in range(2):
        task = task_on(FilesPlane(str(tmp_path)))
        mine, also = arrived((total, seen))
        assert swap_task(task) is None
        mine += 5
        mine.add(1)
        also.add([number])
        with pytest.raises(RuntimeError, match="inside tasks"):
            mine.value  # noqa: B018
        assert swap_task(None) is task
        assert task.accumulated == {1: 6, 2: [number]}
        total.merge(task.accumulated[1])
        seen.merge(task.accumulated[2])
    total += 1
    assert (total.value, seen.value) == (23, [0, 0, 1])
    total.value = 3
    assert str(total) == "3"


def test_adding_without_a_task_is_refused() -> None:
    with pytest.raises(RuntimeError, match="no task"):
        arrived(Accumulator(1, 0, shared.INT_ACCUMULATOR_PARAM)).add(1)


def test_numbers_have_a_param_and_other_types_need_one() -> None:
    assert shared.accumulator_param_for(True).zero(1) == 0
    assert isinstance(shared.accumulator_param_for(1.5).zero(1.5), float)
    with pytest.raises(TypeError, match="AccumulatorParam"):
        shared.accumulator_param_for("text")
