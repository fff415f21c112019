"""Sources, steps and sinks put together: what a task does with its rows."""

from __future__ import annotations

import operator
import os
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simspark.publib.blocks.segments import write_rows
from simspark.publib.errors import FetchFailed
from simspark.publib.lineage import sinks
from simspark.publib.lineage.aggregation import grouping, reducing
from simspark.publib.lineage.partitioner import FunctionPartitioner, HashPartitioner, Partitioner, RangePartitioner
from simspark.publib.lineage.program import Program, Steps, run_program
from simspark.publib.lineage.shuffle_read import CoGroupRead, JoinRead, ShuffleRead
from simspark.publib.lineage.sinks import ResultSink, ShuffleWrite
from simspark.publib.lineage.sorting import Ordering
from simspark.publib.lineage.sources import (
    CachedSource,
    CoalescedSource,
    RangeSource,
    SliceSource,
    UnionSource,
    ZipSource,
)
from simspark.publib.lineage.steps import (
    Filter,
    FlatMap,
    FlatMapValues,
    Glom,
    KeyBy,
    Map,
    MapPartitions,
    MapPartitionsWithIndex,
    MapValues,
)
from simspark.publib.lineage.storage_level import StorageLevel
from simspark.publib.lineage.task import FileRef, SegmentRef
from simspark.publib.lineage.task_context import TaskContext
from tests.unit.publib.planes import DictCache, FilesPlane, task_on

COLLECT = ResultSink(sinks.Collect())


def collected(source: Any, split: Any, plane: FilesPlane, partition: int = 0, **task: Any) -> list[Any]:
    result = run_program(Program(source, COLLECT), split, task_on(plane, partition, **task))
    return result.value  # type: ignore[union-attr]


def shuffled(plane: FilesPlane, write: ShuffleWrite, parts: list[list[Any]], read: Any = None,
             budget_bytes: int = 1 << 40) -> list[list[Any]]:
    """Every reduce partition's rows after a shuffle of these map partitions."""
    refs = []
    for number, rows in enumerate(parts):
        task = task_on(plane, number, task_id=number, budget_bytes=budget_bytes)
        done = run_program(Program(SliceSource(), write), rows, task)
        assert sum(done.sizes) <= os.path.getsize(os.path.join(plane.directory, done.name))  # type: ignore[union-attr]
        refs.append(FileRef("w", done.name))  # type: ignore[union-attr]
    plane.outputs[write.shuffle] = refs
    source = read or ShuffleRead(write.shuffle, write.aggregator, write.ordering)
    return [collected(source, number, plane, number, budget_bytes=budget_bytes)
            for number in range(write.num_partitions)]


@pytest.fixture
def plane(tmp_path: Path) -> FilesPlane:
    return FilesPlane(str(tmp_path))


def test_each_step_does_to_rows_what_it_says(plane: FilesPlane) -> None:
    def after(step: Any, rows: list[Any]) -> list[Any]:
        assert (step.label and step.site) == "app.py:3"
        return collected(Steps(SliceSource(), [step]), rows, plane, partition=5)

    site = "app.py:3"
    assert after(Map(str, site=site), [1, 2]) == ["1", "2"]
    assert after(FlatMap(str.split, site=site), ["a b", "", "c"]) == ["a", "b", "c"]
    assert after(Filter(bool, site=site), [0, 1, 2]) == [1, 2]
    assert after(KeyBy(len, site=site), ["a", "bb"]) == [(1, "a"), (2, "bb")]
    assert after(MapValues(str, site=site), [("a", 1)]) == [("a", "1")]
    assert after(FlatMapValues(range, site=site), [("a", 2), ("b", 0)]) == [("a", 0), ("a", 1)]
    assert after(MapPartitions(lambda rows: [sum(rows)], site=site), [1, 2]) == [3]
    assert after(MapPartitionsWithIndex(lambda i, rows: [(i, *rows)], site=site), [1]) == [(5, 1)]
    assert after(Glom(site=site), [1, 2]) == [[1, 2]]
    assert after(Glom(site=site), []) == [[]]


def test_a_partition_function_must_return_rows(plane: FilesPlane) -> None:
    with pytest.raises(TypeError, match="mapPartitions at a.py:1 returned NoneType"):
        collected(Steps(SliceSource(), [MapPartitions(lambda rows: None, site="a.py:1")]), [1], plane)  # type: ignore[arg-type,return-value]


def test_rows_are_computed_one_by_one_and_only_as_many_as_are_taken(plane: FilesPlane) -> None:
    seen: list[int] = []
    steps = [Map(lambda n: seen.append(n) or n), Filter(lambda n: n % 2), FlatMap(lambda n: [n, n])]
    take = Program(Steps(RangeSource(), steps), ResultSink(sinks.Take(3)))
    assert run_program(take, (0, 100, 1), task_on(plane)).value == [1, 1, 3]  # type: ignore[union-attr]
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize("at", [0, 3, 9])
@pytest.mark.parametrize("step", [Map, FlatMap, Filter, KeyBy])
def test_a_stopiteration_of_the_user_never_loses_rows(plane: FilesPlane, step: Any, at: int) -> None:
    def function(row: int) -> list[int]:
        if row == at:
            raise StopIteration
        return [row]

    source = Steps(SliceSource(), [Map(int), step(function, site="app.py:9"), Map(repr)])
    with pytest.raises(RuntimeError, match="StopIteration"):
        collected(source, list(range(10)), plane)
    with pytest.raises(RuntimeError, match="StopIteration"):
        sinks.Foreach(function)(0, iter(range(10)))


def test_a_partition_function_may_stop_early(plane: FilesPlane) -> None:
    source = Steps(SliceSource(), [Map(int), MapPartitions(lambda rows: [next(rows)]), Map(str)])
    assert collected(source, [1, 2, 3], plane) == ["1"]


def test_steps_of_steps_merge_and_programs_travel(plane: FilesPlane) -> None:
    source = Steps(Steps(RangeSource(), [Map(abs)]), [Map(str)])
    assert isinstance(source.source, RangeSource) and len(source.steps) == 2
    program = pickle.loads(pickle.dumps(Program(source, ResultSink(sinks.Sum()))))
    with pytest.raises(TypeError):
        run_program(program, (0, 2, 1), task_on(plane))
    assert collected(pickle.loads(pickle.dumps(source)), (-1, 2, 1), plane) == ["1", "0", "1"]


def test_sources_of_several_partitions_keep_each_ones_index(plane: FilesPlane) -> None:
    cache = DictCache()
    inner = CachedSource(7, StorageLevel.MEMORY_ONLY.code, Steps(SliceSource(), [
        MapPartitionsWithIndex(lambda index, rows: ((index, row) for row in rows))]))
    union = UnionSource((RangeSource(), inner))
    assert collected(union, (1, 2, ["a"]), plane, partition=9, cache=cache) == [(2, "a")]
    assert cache.kept == {(7, 2): [(2, "a")]}
    assert collected(CoalescedSource(inner), [(3, ["b"]), (2, ["other"])], plane, cache=cache) == [(3, "b"), (2, "a")]
    assert collected(ZipSource(inner, RangeSource()), ((4, ["c"]), (0, (5, 6, 1))), plane) == [((4, "c"), 5)]
    with pytest.raises(ValueError, match="zip"):
        collected(ZipSource(RangeSource(), RangeSource()), ((0, (0, 2, 1)), (0, (0, 3, 1))), plane)


def test_a_slice_is_read_from_the_drivers_file(plane: FilesPlane) -> None:
    file = plane.create("data-1")
    write_rows(file, 0, iter(range(3)), 1000)
    write_rows(file, 1, iter("ab"), 1000)
    file.commit()
    assert collected(SliceSource(), SegmentRef(FileRef("driver", "data-1"), 1), plane) == ["a", "b"]


pairs = st.lists(st.tuples(st.one_of(st.integers(-9, 9), st.none(), st.text(max_size=2)), st.integers()), max_size=60)
tmp_plane = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)


@tmp_plane
@given(parts=st.lists(pairs, max_size=3), count=st.integers(1, 5))
def test_a_plain_shuffle_places_every_row_and_keeps_order(plane: FilesPlane, parts: list[Any], count: int) -> None:
    partitioner = HashPartitioner(count)
    write = ShuffleWrite(1, partitioner, count)
    expected = [[row for part in parts for row in part if partitioner(row[0]) == number] for number in range(count)]
    assert shuffled(plane, write, parts) == shuffled(plane, write, parts, budget_bytes=500) == expected


@tmp_plane
@given(parts=st.lists(pairs, max_size=3))
def test_combining_shuffles_give_each_key_once_in_first_seen_order(plane: FilesPlane, parts: list[Any]) -> None:
    sums: dict[Any, int] = {}
    lists: dict[Any, list[int]] = {}
    for key, value in (row for part in parts for row in part):
        sums[key] = sums.get(key, 0) + value
        lists.setdefault(key, []).append(value)
    for budget in (1 << 40, 500):
        one = [shuffled(plane, ShuffleWrite(2, HashPartitioner(1), 1, aggregator), parts, budget_bytes=budget)
               for aggregator in (reducing(operator.add), grouping())]
        assert one == [[list(sums.items())], [list(lists.items())]]
        raw = shuffled(plane, ShuffleWrite(3, HashPartitioner(1), 1), parts,
                       ShuffleRead(3, grouping(), combined=False), budget)
        assert raw == [list(lists.items())]


@tmp_plane
@given(parts=st.lists(st.lists(st.tuples(st.integers(-9, 9), st.integers()), max_size=60), max_size=3),
       bounds=st.lists(st.integers(-9, 9), max_size=4).map(sorted), ascending=st.booleans(), spare=st.integers(0, 1),
       function=st.sampled_from([None, operator.neg]))
def test_a_sorting_shuffle_cuts_at_the_bounds_as_the_partitioner_would(
        plane: FilesPlane, parts: list[Any], bounds: list[int], ascending: bool, spare: int, function: Any) -> None:
    partitioner = RangePartitioner(len(bounds) + 1 + spare, bounds, ascending, function)
    write = ShuffleWrite(4, partitioner, partitioner.num_partitions, None, Ordering(function, ascending))
    rows = [row for part in parts for row in part]
    key = lambda row: function(row[0]) if function else row[0]
    expected = [sorted((row for row in rows if partitioner(row[0]) == number), key=key, reverse=not ascending)
                for number in range(partitioner.num_partitions)]
    assert shuffled(plane, write, parts) == shuffled(plane, write, parts, budget_bytes=500) == expected
    assert [row for part in expected for row in part] == sorted(rows, key=key, reverse=not ascending)


def test_joins_and_cogroups_mix_shuffled_and_copartitioned_parents(plane: FilesPlane) -> None:
    shuffled(plane, ShuffleWrite(5, HashPartitioner(1), 1), [[("b", 1), ("a", 2)], [("b", 3)]])
    split = ((0, 0), (0, [("c", 9), ("b", 8), ("b", 7)]))
    both = (ShuffleRead(5), SliceSource())
    assert collected(JoinRead(*both), split, plane) == [("b", (v, w)) for v in (1, 3) for w in (8, 7)]
    groups = collected(CoGroupRead(both), split, plane)
    assert [(k, *(list(each) for each in lists)) for k, lists in groups] == [
        ("b", [1, 3], [8, 7]), ("a", [2], []), ("c", [], [9])]
    assert len(groups[0][1][0]) == 2


def test_large_rows_and_many_partitions_stay_within_the_budget(plane: FilesPlane) -> None:
    rows = [(n, os.urandom(20_000)) for n in range(300)]
    write = ShuffleWrite(6, HashPartitioner(40), 40)
    assert sorted(row for part in shuffled(plane, write, [rows], budget_bytes=1 << 20) for row in part) == rows
    assert len(plane.scratched) > 3
    assert [name for name in os.listdir(plane.directory) if "scratch" in name] == []


def test_a_missing_or_damaged_map_output_names_itself(plane: FilesPlane) -> None:
    shuffled(plane, ShuffleWrite(7, HashPartitioner(1), 1), [[(1, 1)], [(2, 2)]])
    path = os.path.join(plane.directory, plane.outputs[7][1].name)
    Path(path).write_bytes(Path(path).read_bytes()[:-1])
    with pytest.raises(FetchFailed) as caught:
        collected(ShuffleRead(7), 0, plane)
    assert (caught.value.shuffle, caught.value.map_index) == (7, 1)


def test_a_failing_map_task_leaves_no_file(plane: FilesPlane) -> None:
    def fail(key: Any) -> int:
        raise StopIteration if key == 2 else ValueError

    for key in (1, 2):
        with pytest.raises((ValueError, StopIteration)):
            shuffled(plane, ShuffleWrite(8, FunctionPartitioner(3, fail), 3), [[(key, 1)]])
    assert os.listdir(plane.directory) == []


def test_partitioners_place_and_compare_as_sparks_do() -> None:
    assert HashPartitioner(3) == HashPartitioner(3) != HashPartitioner(4)
    assert HashPartitioner(3, len) != HashPartitioner(3) != FunctionPartitioner(3, len)
    assert FunctionPartitioner(3, len) == FunctionPartitioner(3, len)
    by_range = RangePartitioner(2, [1])
    assert by_range == by_range != RangePartitioner(2, [1])
    assert [HashPartitioner(3)(key) for key in (None, 4, 4.0, True, -1)] == [0, 1, 1, 1, hash(-1) % 3]
    keys: list[Any] = [1, "a", b"b", None, (1, None), 2.5]
    some: list[Partitioner] = [HashPartitioner(5), FunctionPartitioner(5, lambda key: 12),
                               pickle.loads(pickle.dumps(HashPartitioner(5)))]
    for partitioner in some:
        for each in (keys, keys[:3]):
            assert partitioner.assign(each) == [partitioner(key) for key in each]
    assert [RangePartitioner(3, [10, 20])(key) for key in (9, 10, 11, 20, 21)] == [0, 0, 1, 1, 2]
    assert [RangePartitioner(3, [10, 20], False)(key) for key in (9, 10, 11, 20, 21)] == [2, 2, 1, 1, 0]


def test_storage_levels_have_sparks_names_flags_and_texts() -> None:
    assert repr(StorageLevel.MEMORY_AND_DISK_2) == "StorageLevel(True, True, False, False, 2)"
    assert str(StorageLevel.MEMORY_ONLY) == "Memory Serialized 1x Replicated"
    assert str(StorageLevel.MEMORY_AND_DISK_DESER) == "Disk Memory Deserialized 1x Replicated"
    assert StorageLevel.from_code(StorageLevel.OFF_HEAP.code) == StorageLevel.OFF_HEAP != StorageLevel.NONE


def test_what_is_left_of_a_list_is_counted_without_reading_it() -> None:
    rows = iter(["a", "b", "c"])
    next(rows)
    assert sinks.Count()(0, rows) == 2
    assert list(rows) == ["b", "c"]


def test_actions_give_what_they_should(plane: FilesPlane) -> None:
    def value(action: Any, rows: Iterator[Any]) -> Any:
        return action(0, rows)

    assert value(sinks.Count(), iter(range(3, 10, 2))) == value(sinks.Count(), iter("abcd")) == 4
    assert value(sinks.Sum(), iter([1, 2.5])) == 3.5
    assert value(sinks.Reduce(max), iter([1, 3, 2])) == [3] and value(sinks.Reduce(max), iter([])) == []
    assert value(sinks.Fold(10, operator.add), iter([1, 2])) == 13
    assert value(sinks.Take(0), iter([1])) == []
    seen: list[Any] = []
    value(sinks.Foreach(seen.append), iter([1, 2]))
    value(sinks.ForeachPartition(lambda rows: (seen.append(row) for row in rows)), iter([3]))
    assert seen == [1, 2, 3]


def test_a_zero_value_is_not_shared_between_tasks() -> None:
    fold = sinks.Fold([], lambda values, row: values.append(row) or values)
    assert fold(0, iter([1])) == [1]
    assert fold(1, iter([2])) == [2]


def test_user_functions_see_their_task_and_only_in_its_thread(plane: FilesPlane) -> None:
    def look(row: Any) -> Any:
        context = TaskContext.get()
        assert context is not None
        elsewhere: list[Any] = []
        thread = threading.Thread(target=lambda: elsewhere.append(TaskContext.get()))
        thread.start()
        thread.join()
        return context.partitionId(), context.stageId(), context.attemptNumber(), context.taskAttemptId(), elsewhere

    inner = Steps(SliceSource(), [Map(look)])
    assert collected(CoalescedSource(inner), [(4, [0])], plane, partition=6) == [(6, 2, 0, 1, [None])]
    assert TaskContext.get() is None
