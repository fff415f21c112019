from __future__ import annotations

import os
from itertools import islice

import pytest

from simspark.publib.blocks.segments import SegmentWriter
from simspark.publib.errors import FetchFailed
from simspark.publib.lineage.spill import estimate_list
from simspark.publib.lineage.storage_level import StorageLevel
from simspark.publib.lineage.task import TaskRun
from simspark.worker.executor.memory import SAMPLE_ROWS, ExecutorCache

MEMORY = StorageLevel.MEMORY_ONLY.code
BOTH = StorageLevel.MEMORY_AND_DISK.code
DISK = StorageLevel.DISK_ONLY.code
ROWS = list(range(1000, 1100))
BATCH = 10
SIZE = sum(estimate_list(list(islice(iter(ROWS), at, at + BATCH)), SAMPLE_ROWS) for at in range(0, len(ROWS), BATCH))


class Place:
    """An environment that is one directory."""

    own_name = "w1"

    def __init__(self, directory, limit_bytes):
        self.directory = str(directory)
        self.limit_bytes = limit_bytes
        self.known = {}

    def storage_bytes(self):
        return self.limit_bytes

    def local_directory(self, owner):
        return self.directory

    def cached(self, rdd, partition):
        return self.known.get((rdd, partition))

    def forget_cached(self, rdd, partition):
        self.known.pop((rdd, partition), None)


class Data:
    def __init__(self, directory):
        self.directory = directory

    def create(self, name):
        return SegmentWriter(os.path.join(self.directory, name))

    def end(self):
        pass


class Stand:
    def __init__(self, directory, limit_bytes):
        self.dropped = []
        self.place = Place(directory, limit_bytes)
        self.cache = ExecutorCache(
            self.place, lambda blocks: self.dropped.extend(blocks), lambda task: Data(self.place.directory)
        )

    def task(self, task_id=1):
        return TaskRun(job_id=0, stage_id=0, stage_attempt=0, partition=0, attempt=0, task_id=task_id,
                       data=Data(self.place.directory), cache=self.cache, batch_rows=BATCH)  # fmt: skip

    def keep(self, rdd, level, rows=ROWS, task=None, partition=0):
        return list(self.cache.keep(rdd, partition, iter(rows), level, task or self.task()))


@pytest.fixture
def stand(tmp_path):
    return lambda limit_bytes=2 * SIZE + 10: Stand(tmp_path, limit_bytes)


def test_what_is_kept_in_memory_is_had_again_and_reported_without_a_file(stand):
    here = stand()
    task = here.task()
    assert here.keep(1, MEMORY, task=task) == ROWS
    assert list(here.cache.get(1, 0)) == ROWS
    assert [block[:3] for block in task.cached_blocks] == [(1, 0, "")]
    assert here.cache.get(2, 0) is None


def test_the_least_recently_used_partition_goes_first_and_the_driver_is_told(stand):
    here = stand()
    here.keep(1, MEMORY)
    here.keep(2, MEMORY)
    here.cache.get(1, 0)
    here.keep(3, MEMORY)
    assert here.dropped == [(2, 0)]
    assert here.cache.get(2, 0) is None
    assert list(here.cache.get(1, 0)) == ROWS
    assert here.cache.used_bytes <= here.place.limit_bytes


def test_a_partition_that_may_go_to_disk_is_spilled_not_dropped(stand):
    here = stand()
    here.keep(1, BOTH)
    here.keep(2, MEMORY)
    here.keep(3, MEMORY)
    assert here.dropped == []
    assert list(here.cache.get(1, 0)) == ROWS


def test_a_partition_larger_than_the_budget_passes_through_uncached(stand):
    here = stand(SIZE // 2)
    task = here.task()
    assert here.keep(1, MEMORY, task=task) == ROWS
    assert task.cached_blocks == []
    assert here.cache.get(1, 0) is None
    assert here.cache.used_bytes == 0


def test_a_partition_larger_than_the_budget_goes_to_a_file_where_allowed(stand):
    here = stand(SIZE // 2)
    task = here.task(7)
    assert here.keep(1, BOTH, task=task) == ROWS
    assert task.cached_blocks[0][:3] == (1, 0, "cache-1-0-7")
    assert list(here.cache.get(1, 0)) == ROWS


def test_disk_only_rows_come_back_from_their_file_and_can_be_dropped(stand):
    here = stand()
    assert here.keep(1, DISK) == ROWS
    assert here.cache.used_bytes == 0
    assert list(here.cache.get(1, 0)) == ROWS
    here.cache.drop([1])
    assert here.cache.get(1, 0) is None


def test_an_empty_partition_is_cached_too(stand):
    here = stand()
    for rdd, level in ((1, MEMORY), (2, DISK)):
        assert here.keep(rdd, level, rows=[]) == []
        assert list(here.cache.get(rdd, 0)) == []


def test_a_cached_file_that_vanished_is_computed_again(stand, tmp_path):
    here = stand()
    here.keep(1, DISK)
    os.unlink(tmp_path / "cache-1-0-1")
    assert here.cache.get(1, 0) is None


def test_a_cached_file_that_is_damaged_fails_the_attempt_and_is_not_used_again(stand, tmp_path):
    here = stand()
    here.keep(1, DISK)
    path = tmp_path / "cache-1-0-1"
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    with pytest.raises(FetchFailed):
        list(here.cache.get(1, 0))
    assert here.cache.get(1, 0) is None


def test_keeping_twice_counts_once(stand):
    here = stand()
    here.keep(1, MEMORY)
    here.keep(1, MEMORY)
    assert here.cache.used_bytes == pytest.approx(SIZE, rel=0.3)


def test_the_partitions_of_an_rdd_that_came_first_stay_when_it_is_larger_than_the_budget(stand):
    here = stand()
    task = here.task()
    for partition in range(4):
        assert here.keep(1, MEMORY, task=task, partition=partition) == ROWS
    assert [bool(here.cache.get(1, partition)) for partition in range(4)] == [True, True, False, False]
    assert [block[:2] for block in task.cached_blocks] == [(1, 0), (1, 1)]
    assert here.dropped == []
    assert here.cache.used_bytes == 2 * SIZE
    here.keep(2, MEMORY)
    assert here.dropped == [(1, 0)]


def test_a_partition_that_is_being_read_is_not_evicted_under_the_reader(stand):
    here = stand()
    here.keep(1, MEMORY)
    here.keep(2, MEMORY)
    reader = iter(here.cache.get(1, 0))
    here.cache.get(2, 0)
    next(reader)
    here.keep(3, MEMORY)
    assert here.dropped == [(2, 0)]
    assert list(reader) == ROWS[1:]
    here.keep(4, MEMORY)
    assert here.dropped == [(2, 0), (1, 0)]


def test_when_all_are_being_read_a_new_one_passes_through(stand):
    here = stand()
    here.keep(1, MEMORY)
    here.keep(2, MEMORY)
    readers = [iter(here.cache.get(rdd, 0)) for rdd in (1, 2)]
    assert here.keep(3, MEMORY) == ROWS
    assert here.cache.get(3, 0) is None
    assert here.dropped == []
    assert [list(reader) for reader in readers] == [ROWS, ROWS]


def test_two_tasks_that_cache_at_once_share_what_room_there_is(stand):
    here = stand(2 * SIZE - 10)
    kept = {}

    def rows_that_are_kept_while_others_are():
        yield from ROWS[:50]
        kept[2] = here.keep(2, MEMORY)
        yield from ROWS[50:]

    kept[1] = here.keep(1, MEMORY, rows_that_are_kept_while_others_are())
    assert kept == {1: ROWS, 2: ROWS}
    assert here.dropped == [(2, 0)]
    assert list(here.cache.get(1, 0)) == ROWS
    assert here.cache.used_bytes == SIZE


def test_room_is_made_before_a_partition_is_held_and_not_after(stand):
    here = stand(SIZE + 10)
    here.keep(1, MEMORY)
    used = []

    def rows():
        for row in ROWS:
            used.append(here.cache.used_bytes)
            yield row

    here.keep(2, MEMORY, rows())
    assert max(used) <= here.place.limit_bytes
    assert here.dropped == [(1, 0)]


def test_rows_that_fail_half_way_leave_nothing_counted(stand):
    here = stand()

    def rows():
        yield from ROWS[:50]
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        here.keep(1, MEMORY, rows())
    assert here.cache.used_bytes == 0
    assert here.cache.get(1, 0) is None


def test_of_a_partition_without_room_what_was_taken_is_let_go_as_it_is_read(stand):
    here = stand(SIZE // 2)
    alive = []

    class Row:
        def __init__(self):
            alive.append(self)

        def __del__(self):
            ended.append(1)

    ended = []

    def rows():
        for _ in range(200):
            yield Row()
            alive.clear()

    left = iter(here.cache.keep(1, 0, rows(), MEMORY, here.task()))
    taken = len(list(islice(left, 150)))
    assert taken == 150
    assert len(ended) >= 140
    assert len(list(left)) == 50
