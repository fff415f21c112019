"""Programs under a budget that forces every spill really take each way in which rows are spilled."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from simspark.publib.blocks.segments import SegmentWriter
from simspark.publib.lineage import sorting
from simspark.worker.executor.memory import ExecutorCache
from tests.api.conftest import HereContext

from .comparing import Here
from .programs import FOR_US, examples, programs

TINY = {"memory_budget_bytes": 256, "batch_rows": 2}
CACHE_BYTES = 10_000
# Where a spill file is begun, by the function that decided to.
WAYS = {
    "_Combiner.spill", "_Combiner.result", "BucketRuns.spill_first", "Tables._spill", "SortedRows._spill",
    "SortedRows._add_run", "_Buckets._spill", "Replay.__init__.<locals>.spill", "BucketRuns.merged",
    "ExecutorCache._let_go", "ExecutorCache._keep_in_file",
}  # fmt: skip
EACH = [  # where random programs seldom or never come
    "r0 = sc.range(3, 200, 2, 3)", "r1 = r0.map(lambda x: (x * 7919 % 40, str(x)))",
    "print(r1.sortByKey(False, 3).glom().collect())", "print(r1.sortBy(lambda kv: kv[1], True, 2).glom().collect())",
    "print(r1.repartitionAndSortWithinPartitions(2, lambda k: k % 2).glom().collect())",
    "print(r1.groupByKey(2).mapValues(list).glom().collect())", "print(r1.partitionBy(3).glom().collect())",
    "print(r0.map(lambda x: (x % 9, x)).reduceByKey(lambda a, b: a + b, 2).glom().collect())",
    "as_list = lambda c: [c] if isinstance(c, int) else c",
    "grown = r0.map(lambda x: (x % 9, x)).combineByKey(int, lambda c, v: as_list(c) + [v], lambda a, b: [a, b], 1)",
    "print(grown.mapValues(len).collect())",
    "print(r1.join(r1, 2).map(lambda kv: (kv[1][0], kv[0])).sortByKey(numPartitions=2).glom().collect())",
    "print(r1.cogroup(r1.filter(lambda kv: kv[0] < 9), 2).mapValues(lambda vw: [list(v) for v in vw]).collect())",
    "print(r0.cartesian(sc.parallelize(range(9), 2)).glom().collect())",
    "r2 = r1.mapValues(lambda v: v * 9).persist(StorageLevel.MEMORY_AND_DISK)", "print(r2.count())",
    "r3 = r0.map(lambda x: (x, str(x) * 9)).persist(StorageLevel.MEMORY_AND_DISK)", "print(r3.glom().collect())",
    "print(r2.glom().collect())", "print(r3.join(r2, 2).glom().collect())", "print(r2.union(r3).count())",
    "r4 = r0.map(lambda x: -x).cache()", "print(r4.sum())", "print(r2.zip(r4).collect())", "print(r4.collect())",
]


class SmallCacheHere(HereContext):
    """The engine of this process with an executor's cache, of little room."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self.cache: Any = ExecutorCache(_Place(directory), lambda blocks: None, lambda task: _Writes(directory))


class _Place:
    own_name = "here"

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def storage_bytes(self) -> int:
        return CACHE_BYTES

    def local_directory(self, owner: str) -> str:
        return self._directory

    def cached(self, rdd: int, partition: int) -> None:
        return None

    def forget_cached(self, rdd: int, partition: int) -> None:
        return None


class _Writes:
    def __init__(self, directory: str) -> None:
        self._directory = directory

    def create(self, name: str) -> SegmentWriter:
        return SegmentWriter(os.path.join(self._directory, name))

    def end(self) -> None:
        return None


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each way was taken: the functions of ours that were running when a file was begun."""
    counts: Counter[str] = Counter()
    begin = SegmentWriter.__init__

    def counted(writer: SegmentWriter, path: str) -> None:
        frame = sys._getframe(1)
        while frame.f_back is not None:
            if "simspark" in frame.f_code.co_filename:
                counts[frame.f_code.co_qualname] += 1
            frame = frame.f_back
        begin(writer, path)

    monkeypatch.setattr(SegmentWriter, "__init__", counted)
    return counts


def test_programs_that_spill_take_each_way_and_show_what_the_oracle_shows(
        tmp_path: Path, taken: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.differential.comparing.HereContext", SmallCacheHere)
    monkeypatch.setattr(sorting, "FAN_IN", 3)
    Here(tmp_path).compare(EACH, TINY)
    assert {way: taken[way] for way in WAYS if not taken[way]} == {}


def test_random_programs_take_the_usual_ways(tmp_path: Path, taken: Counter[str]) -> None:
    here = Here(tmp_path)
    for number in range(30):
        examples(number, 2)(given(programs(FOR_US))(lambda lines: here.compare(lines, TINY)))()
    seldom = {"BucketRuns.spill_first", "ExecutorCache._let_go", "ExecutorCache._keep_in_file",
              "Replay.__init__.<locals>.spill"}
    assert {way: taken[way] for way in WAYS - seldom if taken[way] < 10} == {}
