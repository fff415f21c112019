from __future__ import annotations

import gc
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from simspark.driver.rdd.core import RDD
from simspark.driver.stages import CompiledJob, compile_job
from simspark.publib.lineage.program import Steps
from simspark.publib.lineage.sinks import Collect, ResultSink
from simspark.publib.lineage.sources import CachedSource, UnionSource
from simspark.publib.wire import payload

from ...api.conftest import HereContext

pytestmark = pytest.mark.unit

SINK = ResultSink(Collect())


@pytest.fixture
def sc(tmp_path: Any) -> Iterator[HereContext]:
    return HereContext(str(tmp_path))


def compiled(rdd: RDD[Any], numbers: Iterator[int] = itertools.count(1000)) -> CompiledJob:
    return compile_job(rdd._node, SINK, next_stage=numbers.__next__)


def program(job: CompiledJob, index: int = -1) -> Any:
    return payload.load(job.programs[job.stages[index].stage]())


def test_narrow_lineage_is_one_stage_of_merged_steps(sc: HereContext) -> None:
    job = compiled(sc.range(10, numSlices=3).map(str).filter(bool).map(len))
    assert [(spec.partitions, spec.parents, spec.shuffle) for spec in job.stages] == [(3, (), -1)]
    source = program(job).source
    assert isinstance(source, Steps)
    assert [step.label for step in source.steps] == ["map", "filter", "map"]
    assert job.splits[job.stages[0].stage](1) == (3, 6, 1)


def test_shuffles_cut_stages_parents_first(sc: HereContext) -> None:
    pairs = sc.range(10, numSlices=3).map(lambda x: (x % 2, x))
    job = compiled(pairs.reduceByKey(max, 4).map(lambda kv: (kv[1], kv[0])).groupByKey(2))
    first, second, last = job.stages
    assert (first.parents, second.parents, last.parents) == ((), (first.shuffle,), (second.shuffle,))
    assert (first.partitions, second.partitions, last.partitions) == (3, 4, 2)
    assert last.shuffle == -1


def test_a_shuffle_keeps_its_stage_and_is_pickled_once_for_all_jobs(sc: HereContext) -> None:
    counted = sc.range(10).map(lambda x: (x % 2, x)).reduceByKey(max)
    one, two = compiled(counted), compiled(counted.mapValues(str))
    stage = one.stages[0].stage
    assert two.stages[0] == one.stages[0]
    assert two.programs[stage]() is one.programs[stage]()


def test_a_shuffle_is_pickled_again_when_what_it_reads_is_cached_now(sc: HereContext) -> None:
    pairs = sc.range(10).map(lambda x: (x % 2, x))
    counted = pairs.reduceByKey(max)
    job = compiled(counted)
    before = program(job, 0).source
    pairs.cache()
    after = program(compiled(counted), 0).source
    assert isinstance(before, Steps)
    assert isinstance(after, CachedSource)


def test_one_shuffle_used_twice_is_one_stage(sc: HereContext) -> None:
    counted = sc.range(10).map(lambda x: (x % 2, x)).reduceByKey(max)
    assert len(compiled(counted.union(counted)).stages) == 2
    assert len(compiled(counted.join(counted)).stages) == 2


def test_alike_partitioned_parents_meet_without_a_shuffle(sc: HereContext) -> None:
    left = sc.range(10).map(lambda x: (x, x)).partitionBy(3)
    right = sc.range(5).map(lambda x: (x, -x)).partitionBy(3)
    assert len(compiled(left.join(right)).stages) == 3
    assert len(compiled(left.join(right.mapValues(str)).reduceByKey(max)).stages) == 3
    assert len(compiled(left.join(right.map(lambda kv: kv))).stages) == 4 + 1


def test_cached_nodes_are_named_nearest_first_where_partitions_match(sc: HereContext) -> None:
    low = sc.range(10).map(str).cache()
    high = low.map(len).cache()
    assert compiled(high.map(str)).stages[0].rdds == (high.id(), low.id())
    assert compiled(high.coalesce(1)).stages[0].rdds == ()
    assert isinstance(program(compiled(high)).source, CachedSource)


def test_ten_thousand_steps_are_one_flat_program(sc: HereContext) -> None:
    rdd = sc.range(3, numSlices=1)
    for _ in range(10_000):
        rdd = rdd.map(abs)
    source = program(compiled(rdd)).source
    assert len(source.steps) == 10_000
    del rdd
    gc.collect()


def test_unions_of_unions_are_one_flat_union(sc: HereContext) -> None:
    one = sc.range(2, numSlices=2)
    rdd = one
    for _ in range(3_000):
        rdd = rdd.union(one)
    job = compiled(rdd)
    source = program(job).source
    assert isinstance(source, UnionSource)
    assert len(source.branches) == 1
    assert job.stages[0].partitions == 6002
    assert job.splits[job.stages[0].stage](5001) == (0, 1, (1, 2, 1))


def test_a_thousand_shuffles_in_a_row_compile(sc: HereContext) -> None:
    rdd = sc.range(3, numSlices=1).map(lambda x: (x, x))
    for width in range(1000):
        rdd = rdd.partitionBy(1 + width % 2)
    job = compiled(rdd)
    assert len(job.stages) == 1001
    assert job.stages[-1].parents == (job.stages[-2].shuffle,)


def test_operations_name_the_functions_of_each_stage(sc: HereContext) -> None:
    def parse(x: int) -> tuple[int, int]:
        return (x, 1)

    def add(a: int, b: int) -> int:
        return a + b

    job = compiled(sc.range(3).map(parse).reduceByKey(add))
    first, last = (job.operations[spec.stage] for spec in job.stages)
    assert [(each.label, each.function) for each in first] == [("map", parse), ("reduceByKey", add)]
    assert [(each.label, each.function) for each in last][0] == ("reduceByKey", add)
    assert first[0].site.startswith("test_stages.py:")


def test_lineage_that_is_gone_lets_its_shuffle_and_data_go(sc: HereContext) -> None:
    rdd = sc.parallelize([1, 2]).map(lambda x: (x, x)).cache().reduceByKey(max)
    assert sc.forgotten == []
    del rdd
    gc.collect()
    assert sorted(kind for kind, _ in sc.forgotten) == ["cached", "data", "shuffle"]


def test_no_program_names_the_driver(sc: HereContext) -> None:
    pairs = sc.range(10, numSlices=2).map(lambda x: (x % 3, x))
    for rdd in (
        pairs.groupByKey(), pairs.join(pairs), pairs.cogroup(pairs), pairs.sortByKey(numPartitions=2), pairs.distinct(),
        pairs.repartition(3), pairs.subtractByKey(pairs), pairs.keys().intersection(pairs.values()),
        pairs.sample(True, 2.0),
        pairs.aggregateByKey(0, max, max), pairs.zipWithIndex(), pairs.zipWithUniqueId(), pairs.zip(pairs),
        pairs.cartesian(pairs),
        pairs.foldByKey(0, max), pairs.groupBy(len), pairs.flatMapValues(range), pairs.glom(), pairs.union(pairs),
        pairs.randomSplit([1, 2])[0], pairs.sortBy(len, numPartitions=1),
    ):  # fmt: skip
        job = compiled(rdd)
        for spec in job.stages:
            assert b"simspark.driver" not in job.programs[spec.stage]()
