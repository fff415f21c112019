"""Where map outputs and cached partitions are."""

from __future__ import annotations

import pytest

from simspark.driver.block_directory import NOWHERE, CachedBlocks, CachedPlace, MapOutputs
from simspark.publib.errors import InternalError


def two_outputs() -> MapOutputs:
    outputs = MapOutputs()
    outputs.open(3, 2)
    outputs.commit(3, 0, "w1", 10)
    outputs.commit(3, 1, "w2", 11)
    return outputs


def test_the_first_output_of_a_partition_stays():
    outputs = two_outputs()
    assert not outputs.commit(3, 0, "w2", 12)
    assert outputs.snapshot(3).places == (("w1", 10), ("w2", 11))


def test_the_epoch_grows_with_every_change_and_only_then():
    outputs = MapOutputs()
    outputs.open(3, 2)
    epochs = [outputs.snapshot(3).epoch]
    for change in (
        lambda: outputs.commit(3, 0, "w1", 10), lambda: outputs.commit(3, 1, "w1", 11),
        lambda: outputs.fail(3, 0, "w1", 10), lambda: outputs.lose_worker("w1"),
    ):  # fmt: skip
        change()
        epochs.append(outputs.snapshot(3).epoch)
    assert epochs == sorted(set(epochs))
    outputs.fail(3, 0, "w1", 99)
    outputs.lose_worker("w1")
    assert outputs.snapshot(3).epoch == epochs[-1]


def test_a_snapshot_costs_nothing_until_the_next_change():
    outputs = two_outputs()
    assert outputs.snapshot(3) is outputs.snapshot(3)


@pytest.mark.parametrize(("worker", "task", "index"), [("w2", 10, 0), ("w1", 11, 0), ("w1", 10, 1), ("w1", 10, 7)])
def test_a_failed_fetch_of_another_output_removes_nothing(worker, task, index):
    outputs = two_outputs()
    assert not outputs.fail(3, index, worker, task)
    assert outputs.is_complete(3)


def test_a_dead_worker_takes_only_its_own():
    outputs = two_outputs()
    assert outputs.lose_worker("w1") == [3]
    assert outputs.snapshot(3).places == (NOWHERE, ("w2", 11))
    assert outputs.missing(3) == [0]
    assert outputs.lose_worker("w1") == []


def test_updates_count_once_for_the_life_of_a_shuffle():
    outputs = two_outputs()
    assert outputs.count_once(3, 0)
    outputs.lose_worker("w1")
    outputs.commit(3, 0, "w2", 20)
    assert not outputs.count_once(3, 0)


def test_an_unknown_shuffle_is_neither_complete_nor_an_error():
    outputs = MapOutputs()
    assert not outputs.is_complete(1)
    assert outputs.snapshot(1).epoch == 0
    assert not outputs.forget(1)


def test_a_shuffle_keeps_its_number_of_partitions():
    outputs = two_outputs()
    outputs.open(3, 2)
    with pytest.raises(InternalError, match="2 map partitions, not 5"):
        outputs.open(3, 5)


MEMORY = CachedPlace("e1", "w1", "")
FILE = CachedPlace("e1", "w1", "cache-7-0-1")


def test_copies_in_memory_die_with_the_executor_and_files_with_the_worker():
    cached = CachedBlocks()
    cached.add(7, 0, MEMORY)
    cached.add(7, 0, FILE)
    cached.lose_executor("e1")
    assert cached.places(7, 0) == (FILE,)
    cached.lose_worker("w1")
    assert cached.places(7, 0) == () and len(cached) == 0


def test_a_copy_is_known_once():
    cached = CachedBlocks()
    assert cached.add(7, 0, MEMORY)
    assert not cached.add(7, 0, MEMORY)
    assert cached.places(7, 0) == (MEMORY,)


def test_an_executor_drops_its_own_copies_only():
    cached = CachedBlocks()
    other = CachedPlace("e2", "w2", "")
    cached.add(7, 0, MEMORY)
    cached.add(7, 0, other)
    cached.drop("e1", 7, 0)
    assert cached.places(7, 0) == (other,)
    assert not cached.is_holder("e1") and cached.is_holder("e2")


def test_an_unreadable_file_is_forgotten():
    cached = CachedBlocks()
    cached.add(7, 0, FILE)
    cached.lose_file("w1", "cache-7-0-2")
    assert cached.places(7, 0) == (FILE,)
    cached.lose_file("w1", FILE.name)
    assert cached.places(7, 0) == ()


def test_removing_twice_is_harmless_and_leaves_every_index_empty():
    cached = CachedBlocks()
    for partition in range(3):
        cached.add(7, partition, MEMORY)
        cached.add(7, partition, FILE._replace(name=f"cache-7-{partition}-1"))
    assert cached.forget(7)
    assert not cached.forget(7)
    cached.lose_executor("e1")
    cached.lose_worker("w1")
    assert (cached._places, cached._with_executor, cached._with_worker) == ({}, {}, {})
