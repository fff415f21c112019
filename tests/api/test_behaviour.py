"""What programs rely on beside the results: when jobs run, what they compute, what stays where, what is said."""

from __future__ import annotations

import os
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest

import simspark
from simspark import StorageLevel
from simspark.driver.rdd.sources import slice_bounds
from simspark.publib.errors import NotSerializable, UserError

from .conftest import HereContext


def test_transformations_run_nothing(here: HereContext) -> None:
    here.parallelize([1, 2]).map(lambda x: 1 // 0).filter(bool).distinct().groupBy(str).coalesce(1)
    assert here.jobs == []


def test_take_looks_at_one_partition_first_and_then_at_more(here: HereContext) -> None:
    rdd = here.parallelize(range(100), 10)
    assert rdd.take(3) == [0, 1, 2]
    assert here.jobs == [("take", [0])]
    here.jobs.clear()
    assert rdd.filter(lambda x: x >= 95).take(2) == [95, 96]
    assert [partitions for _, partitions in here.jobs] == [[0], [1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_lookup_computes_the_key_s_partition_only(here: HereContext) -> None:
    placed = here.parallelize([(number, number) for number in range(20)]).partitionBy(5)
    assert placed.lookup(7) == [7]
    assert here.jobs[-1] == ("lookup", [2])


def test_sort_into_one_partition_runs_no_job(here: HereContext) -> None:
    ordered = here.parallelize([(2, "b"), (1, "a")], 2).sortByKey(numPartitions=1)
    assert here.jobs == []
    assert ordered.collect() == [(1, "a"), (2, "b")]


def test_sort_is_stable_and_balanced_when_only_sampled(here: HereContext) -> None:
    pairs = [((number * 7919) % 5003, number) for number in range(20_000)]
    parts = here.parallelize(pairs, 8).sortByKey(numPartitions=10).glom().collect()
    assert [pair for part in parts for pair in part] == sorted(pairs, key=lambda pair: pair[0])
    assert max(map(len, parts)) < 2 * 20_000 / 10


def test_shuffle_is_done_once_for_many_actions(here: HereContext) -> None:
    counted = here.parallelize([(1, 1), (1, 2)], 2).reduceByKey(lambda a, b: a + b, 1)
    assert counted.collect() == [(1, 3)]
    before = len(here.stages_run)
    assert counted.collect() == [(1, 3)]
    assert len(here.stages_run) == before + 1


def test_cleaned_shuffles_are_done_again_when_needed(here: HereContext) -> None:
    counted = here.parallelize([(1, 1), (1, 2)], 2).reduceByKey(lambda a, b: a + b, 1)
    assert counted.collect() == [(1, 3)]
    counted.map(str).cleanShuffleDependencies(blocking=True)
    before = len(here.stages_run)
    assert counted.collect() == [(1, 3)]
    assert len(here.stages_run) == before + 3


def test_shuffles_below_what_is_persisted_are_not_cleaned(here: HereContext) -> None:
    below = here.parallelize([(1, 1), (2, 2)], 2).reduceByKey(max)
    above = below.map(lambda pair: (pair[1], pair[0])).cache().groupByKey()
    assert above.count() == 2
    assert len(here.files.outputs) == 2
    above.cleanShuffleDependencies()
    assert len(here.files.outputs) == 1
    below.map(str).union(below.map(repr)).cleanShuffleDependencies()
    assert here.files.outputs == {}
    here.emptyRDD().cleanShuffleDependencies()


def test_cached_partitions_are_computed_once(here: HereContext) -> None:
    cached = here.parallelize(range(4), 2).map(str).cache()
    assert cached.map(len).sum() == 4
    assert here.cache.computed == [(cached.id(), 0), (cached.id(), 1)]
    assert cached.collect() == ["0", "1", "2", "3"]
    assert here.cache.computed == [(cached.id(), 0), (cached.id(), 1)]
    cached.unpersist()
    assert ("cached", cached.id()) in here.forgotten


def test_second_storage_level_is_refused(here: HereContext) -> None:
    rdd = here.range(3).persist(StorageLevel.DISK_ONLY)
    assert rdd.persist(StorageLevel.DISK_ONLY).getStorageLevel() == StorageLevel.DISK_ONLY
    with pytest.raises(UserError, match="Cannot change the storage level"):
        rdd.cache()


def test_collections_are_copied_when_they_are_parallelized(sc: Any) -> None:
    rows = [1, 2, 3]
    rdd = sc.parallelize(rows)
    rows.clear()
    assert rdd.collect() == [1, 2, 3]


def test_generators_tuples_and_sets_are_collections(sc: Any) -> None:
    assert sc.parallelize(number for number in range(3)).collect() == [0, 1, 2]
    assert sc.parallelize((1, 2), 2).collect() == [1, 2]
    assert sc.parallelize({5}).collect() == [5]


@pytest.mark.parametrize("size", [0, 1, 7, 1023, 1024, 5000])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_slices_are_all_of_the_collection(size: int, count: int) -> None:
    bounds = slice_bounds(size, count)
    assert len(bounds) == count
    assert bounds[0][0] == 0
    assert bounds[-1][1] == size
    assert all(left[1] == right[0] for left, right in zip(bounds, bounds[1:]))


def test_range_is_never_written_out(here: HereContext) -> None:
    assert here.range(10**12, numSlices=4).map(lambda x: 1).take(1) == [1]
    assert here.parallelize(range(10**12), 4).first() == 0
    assert list(Path(here.files.directory).iterdir()) == []


def test_default_parallelism_decides_shuffles_when_set(here: HereContext) -> None:
    pairs = here.parallelize([(1, 1)], 3)
    assert pairs.reduceByKey(max).getNumPartitions() == 3
    here.parallelism = 7
    assert pairs.reduceByKey(max).getNumPartitions() == 7
    assert pairs.join(pairs).getNumPartitions() == 7


def test_zero_value_is_not_shared_between_tasks_or_keys(sc: Any) -> None:
    pairs = sc.parallelize([("a", 1), ("b", 2), ("a", 3)], 1)

    def add(values: list[int], value: int) -> list[int]:
        values.append(value)
        return values

    folded = pairs.aggregateByKey([], add, lambda a, b: a + b).collect()
    assert sorted(folded) == [("a", [1, 3]), ("b", [2])]
    zero: list[int] = []
    assert sorted(pairs.values().aggregate(zero, add, lambda a, b: a.extend(b) or a)) == [1, 2, 3]
    assert zero == []
    assert pairs.mapValues(lambda value: [value]).values().fold(zero, lambda a, b: a.extend(b) or a) == [1, 2, 3]
    assert zero == []


def test_iterating_locally_runs_one_partition_at_a_time(here: HereContext) -> None:
    rows = here.parallelize(range(6), 3).toLocalIterator()
    assert here.jobs == []
    assert next(rows) == 0
    assert len(here.jobs) == 1
    assert list(rows) == [1, 2, 3, 4, 5]


def test_saved_text_appears_whole_and_never_over_something(sc: Any, tmp_path: Path) -> None:
    target = tmp_path / "out"
    sc.parallelize(["a", "é", 3], 2).saveAsTextFile(str(target))
    assert sorted(path.name for path in target.iterdir()) == ["_SUCCESS", "part-00000", "part-00001"]
    assert sc.textFile(f"file://{target}").collect() == ["a", "é", "3"]
    with pytest.raises(FileExistsError, match="already exists"):
        sc.parallelize(["b"]).saveAsTextFile(str(target))
    assert sc.textFile(str(target)).count() == 3


def test_saved_text_may_be_compressed(sc: Any, tmp_path: Path) -> None:
    target = str(tmp_path / "out")
    sc.parallelize(["a", "b"], 1).saveAsTextFile(target, "org.apache.hadoop.io.compress.GzipCodec")
    assert sc.textFile(target).collect() == ["a", "b"]
    assert (tmp_path / "out" / "part-00000.gz").exists()


def test_missing_file_is_said_at_once(sc: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        sc.textFile(str(tmp_path / "nowhere.txt"))


def test_rdd_inside_a_function_is_refused_by_name(sc: Any) -> None:
    other = sc.parallelize([1])
    with pytest.raises(NotSerializable, match="its variable 'other' is an RDD. RDDs cannot be used inside"):
        sc.parallelize([1]).map(lambda x: other.count()).collect()


def test_context_inside_a_function_is_refused(sc: Any) -> None:
    with pytest.raises(NotSerializable, match="its variable 'sc'"):
        sc.parallelize([1]).map(lambda x: sc.defaultParallelism).collect()


def test_rdd_and_context_cannot_be_pickled(here: HereContext) -> None:
    for value in (here.range(3), here, here.range(3)._node):
        with pytest.raises(NotSerializable):
            pickle.dumps(value)
    with pytest.raises(NotSerializable, match="collect"):
        here.broadcast(here.range(3))


def test_errors_show_one_frame_of_ours(sc: Any) -> None:
    with pytest.raises(ValueError, match="RDD is empty") as caught:
        sc.parallelize([]).first()
    frames = traceback.extract_tb(caught.value.__traceback__)
    package = os.path.dirname(simspark.__file__) + os.sep
    assert [frame.name for frame in frames if frame.filename.startswith(package)] == ["first"]


def test_debug_string_draws_stages(here: HereContext) -> None:
    counted = here.parallelize([1], 2).map(lambda x: (x, 1)).setName("pairs").reduceByKey(max, 3).cache()
    lines = counted.toDebugString().decode().splitlines()  # type: ignore[union-attr]
    assert lines[0].startswith("(3) reduceByKey[2] at test_behaviour.py:")
    assert lines[0].endswith("[Memory Serialized 1x Replicated]")
    assert lines[1].startswith(" +-(2) pairs map[1] at ")
    assert lines[2].startswith(" |   |  parallelize[0] at ")


def test_debug_string_numbers_the_loops_that_steps_become(here: HereContext) -> None:
    words = here.parallelize(["a b"], 2).map(lambda line: line.strip()).flatMap(lambda line: line.split())
    kept = words.map(len).filter(lambda n: n > 1).persist()
    drawn = kept.keyBy(lambda n: n + 1).mapPartitions(iter).map(str).toDebugString()
    assert [line.rpartition("]")[2].strip() for line in drawn.decode().splitlines()] == [  # type: ignore[union-attr]
        "", "", "*(1)", "*(3)", "*(3)", "*(2)", "*(2)", ""]
    here.fuses = False
    assert b"*" not in kept.toDebugString()  # type: ignore[operator]


def test_debug_string_shows_that_steps_are_one_loop_with_what_combines_their_rows(here: HereContext) -> None:
    flat = here.parallelize([[1, 2]], 2).filter(bool).flatMap(lambda xs: [(x, 1) for x in xs]).mapValues(lambda n: -n)
    drawn = flat.reduceByKey(max).toDebugString()
    assert [line.rpartition("]")[2].strip() for line in drawn.decode().splitlines()] == [  # type: ignore[union-attr]
        "", "*(1)", "*(1)", "*(1)", ""]
    assert b"*(2)" in flat.toDebugString()  # type: ignore[operator]


def test_accumulators_count_what_tasks_add(sc: Any) -> None:
    total = sc.accumulator(0)
    sc.parallelize([1, 2, 3], 2).foreach(lambda x: total.add(x))
    assert total.value == 6


def test_ten_thousand_maps_run(here: HereContext) -> None:
    rdd = here.range(3, numSlices=1)
    for _ in range(10_000):
        rdd = rdd.map(abs)
    assert rdd.collect() == [0, 1, 2]


def test_stop_iteration_of_a_function_loses_no_rows(sc: Any) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        sc.parallelize([1, 2, 3], 1).map(lambda x: next(iter([]))).collect()
