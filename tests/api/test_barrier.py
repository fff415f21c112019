"""Barrier stages: all tasks at once, which wait for each other and hear each other; and what cannot be one."""

from __future__ import annotations

import pickle
from decimal import Decimal
from typing import Any

import pytest

from simspark import BarrierError, BarrierTaskContext, BarrierTaskInfo, RDDBarrier, TaskContext, UserError
from tests.api.conftest import HereContext

LONG = 1 << 20


def say(index: int, rows: Any) -> Any:
    context = BarrierTaskContext.get()
    return [(context.allGather(f"{index}:{sum(rows)}"), context.allGather())]


def test_map_partitions_in_a_barrier_stage_gives_what_it_gives_elsewhere(sc: HereContext) -> None:
    rdd = sc.parallelize(range(8), 2)
    barrier = rdd.barrier()
    assert isinstance(barrier, RDDBarrier)
    assert barrier.rdd is rdd
    assert barrier.mapPartitions(lambda rows: [sum(rows)]).collect() == [6, 22]
    assert barrier.mapPartitionsWithIndex(lambda index, rows: [(index, sum(rows))]).collect() == [(0, 6), (1, 22)]


def test_everybody_hears_what_all_said_by_partition(sc: HereContext) -> None:
    heard = sc.parallelize(range(4), 2).barrier().mapPartitionsWithIndex(say).collect()
    assert heard == [(["0:1", "1:5"], ["", ""])] * 2


def test_texts_of_any_length_and_script_are_heard(sc: HereContext) -> None:
    def gather(index: int, _rows: Any) -> Any:
        context = BarrierTaskContext.get()
        heard = context.allGather("ü☃" * (LONG * index) + "end")
        again = context.allGather(str(index))
        return [[(len(text), text[:2], text[-4:]) for text in heard], again]

    first, again, *_ = sc.range(2, numSlices=2).barrier().mapPartitionsWithIndex(gather).collect()
    assert first == [(3, "en", "end"), (2 * LONG + 3, "ü☃", "☃end")]
    assert again == ["0", "1"]


def test_a_barrier_stage_reads_and_writes_shuffles(sc: HereContext) -> None:
    def count(rows: Any) -> Any:
        context = BarrierTaskContext.get()
        mine = sorted((key, len(list(values))) for key, values in rows)
        everybody = sum(map(int, context.allGather(str(len(mine)))))
        return [(key % 2, (size, everybody)) for key, size in mine]

    groups = sc.parallelize([(x % 5, x) for x in range(20)], 3).groupByKey(2)
    counted = groups.barrier().mapPartitions(count).groupByKey(2).mapValues(list).collectAsMap()
    assert counted == {0: [(4, 5)] * 3, 1: [(4, 5)] * 2}


def test_later_steps_are_in_the_barrier_stage_until_the_next_shuffle(sc: HereContext) -> None:
    def meets(_row: Any) -> str:
        return type(TaskContext.get()).__name__

    barrier = sc.range(2, numSlices=2).barrier().mapPartitions(lambda rows: rows)
    assert barrier.map(meets).collect() == ["BarrierTaskContext"] * 2
    assert barrier.repartition(2).map(meets).collect() == ["TaskContext"] * 2


def test_task_infos_have_an_address_for_each_partition(sc: HereContext) -> None:
    def addresses(_rows: Any) -> Any:
        infos = BarrierTaskContext.get().getTaskInfos()
        assert all(isinstance(info, BarrierTaskInfo) for info in infos)
        return [[info.address for info in infos]]

    first, second = sc.range(2, numSlices=2).barrier().mapPartitions(addresses).collect()
    assert first == second
    assert len(first) == 2
    for address in first:
        host, _, port = address.rpartition(":")
        assert host
        assert port.isdigit()


def test_the_context_of_a_barrier_task_is_a_task_context(sc: HereContext) -> None:
    def look(_rows: Any) -> Any:
        context = BarrierTaskContext.get()
        assert TaskContext.get() is context
        assert BarrierTaskContext() is context
        return [(isinstance(context, TaskContext), context.partitionId(), context.attemptNumber(), context.cpus(),
                 context.cpuAmount(), context.resources(), context.getLocalProperty("no such"))]  # fmt: skip

    found = sc.range(2, numSlices=2).barrier().mapPartitions(look).collect()
    assert found == [(True, part, 0, 1, Decimal(1), {}, None) for part in range(2)]


@pytest.mark.parametrize("call", ["barrier", "allGather"])
def test_a_failing_task_fails_the_others_that_wait(sc: HereContext, call: str) -> None:
    def fail(rows: Any) -> Any:
        context = BarrierTaskContext.get()
        if context.partitionId() == 1:
            raise ValueError("no way")
        getattr(context, call)()
        return rows

    with pytest.raises((ValueError, BarrierError), match=r"no way|cannot end"):
        sc.range(2, numSlices=2).barrier().mapPartitions(fail).collect()
    assert sc.range(2).sum() == 1, "the context goes on"


def test_a_task_that_leaves_while_others_wait_is_named(sc: HereContext) -> None:
    def leave(rows: Any) -> Any:
        context = BarrierTaskContext.get()
        if context.partitionId() == 0:
            context.barrier()
        return rows

    with pytest.raises(BarrierError, match="cannot end: partition 1 ended without it"):
        sc.range(2, numSlices=2).barrier().mapPartitions(leave).collect()


def test_tasks_must_meet_in_the_same_way(sc: HereContext) -> None:
    def mix(rows: Any) -> Any:
        context = BarrierTaskContext.get()
        if context.partitionId() == 0:
            context.barrier()
        else:
            context.allGather("here")
        return rows

    with pytest.raises(BarrierError, match=r"some tasks called \w+\(\) and others \w+\(\)"):
        sc.range(2, numSlices=2).barrier().mapPartitions(mix).collect()


def test_only_text_can_be_gathered(sc: HereContext) -> None:
    def gather(_rows: Any) -> Any:
        return [BarrierTaskContext.get().allGather(5)]  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="Argument `message` must be of type `str`"):
        sc.range(2, numSlices=2).barrier().mapPartitions(gather).collect()


def test_outside_a_barrier_stage_there_is_no_barrier_context(sc: HereContext) -> None:
    with pytest.raises(RuntimeError, match=r"\[NOT_IN_BARRIER_STAGE\] It is not in a barrier stage\. \(SS107\)"):
        BarrierTaskContext.get()
    with pytest.raises(RuntimeError, match="NOT_IN_BARRIER_STAGE"):
        sc.range(2, numSlices=2).map(lambda _: BarrierTaskContext.get().partitionId()).collect()
    for call in ("barrier", "allGather", "getTaskInfos"):
        with pytest.raises(RuntimeError, match=rf"Not supported to call `{call}` before initializing"):
            getattr(BarrierTaskContext(), call)()


@pytest.mark.parametrize("action", ["first", "isEmpty", "take"])
def test_an_action_on_a_part_of_a_barrier_stage_is_refused(sc: HereContext, action: str) -> None:
    rdd = sc.parallelize(range(8), 2).barrier().mapPartitions(lambda rows: rows)
    arguments = (3,) if action == "take" else ()
    with pytest.raises(BarrierError) as caught:
        getattr(rdd, action)(*arguments)
    text = str(caught.value)
    assert text.startswith("The action wants 1 of the 2 partitions of mapPartitions at test_barrier.py:")
    assert text.endswith(
        ", which is in a barrier stage: all its tasks run together. Use collect()[0] for first(), collect() for "
        "take(). (SS107)"
    )
    assert rdd.collect()[0] == 0


def test_one_partition_is_all_of_them(sc: HereContext) -> None:
    rdd = sc.parallelize([7, 8], 1).barrier().mapPartitions(lambda rows: rows)
    assert rdd.first() == 7
    assert rdd.take(1) == [7]
    assert not rdd.isEmpty()


def test_other_partitions_within_a_barrier_stage_are_refused(sc: HereContext) -> None:
    rdd = sc.parallelize(range(8), 2).barrier().mapPartitions(lambda rows: rows)
    two = sc.parallelize([1], 1)
    for other in (rdd.coalesce(1), rdd.union(two), two.union(rdd), rdd.cartesian(sc.parallelize([1, 2], 2))):
        with pytest.raises(UserError, match=r"are in one barrier stage and have \d and \d partitions: its tasks run"):
            other.collect()
    assert rdd.coalesce(2).collect() == list(range(8))
    assert sorted(rdd.repartition(1).collect()) == list(range(8))


def test_two_barriers_in_one_stage_are_refused(sc: HereContext) -> None:
    rdd = sc.parallelize(range(8), 2)
    barrier = rdd.barrier().mapPartitions(lambda rows: rows)
    assert barrier.zip(rdd).collect() == [(x, x) for x in range(8)]
    with pytest.raises(BarrierError, match=r"^zip at test_barrier.py:\d+ brings two barrier RDDs into one stage"):
        barrier.zip(rdd.barrier().mapPartitions(lambda rows: rows)).collect()


def test_actions_that_need_all_partitions_work(sc: HereContext) -> None:
    rdd = sc.parallelize(range(8), 2).barrier().mapPartitions(lambda rows: rows)
    assert rdd.count() == 8
    assert rdd.max() == 7
    assert rdd.zipWithIndex().collect() == [(x, x) for x in range(8)]
    assert rdd.sortBy(lambda x: -x).collect() == list(range(7, -1, -1))
    assert rdd.glom().map(len).collect() == [4, 4]
    assert sorted(rdd.map(lambda x: (x % 2, x)).reduceByKey(max).collect()) == [(0, 6), (1, 7)]


def test_a_context_can_be_brought_home_but_not_its_gang(sc: HereContext) -> None:
    context = sc.range(2, numSlices=2).barrier().mapPartitions(lambda _: [BarrierTaskContext.get()]).collect()[1]
    assert isinstance(context, BarrierTaskContext)
    assert context.partitionId() == 1
    with pytest.raises(BarrierError, match="CALL_BEFORE_INITIALIZE"):
        context.barrier()
    assert pickle.loads(pickle.dumps(context)).partitionId() == 1


def test_a_task_context_is_made_of_values() -> None:
    values: dict[str, Any] = {
        "stageId": 1, "partitionId": 2, "attemptNumber": 3, "taskAttemptId": 4, "cpus": 2, "cpuAmount": "1.5",
        "resources": {"gpu": {"name": "gpu", "addresses": ["0"]}}, "localProperties": {"a": "b"},
    }  # fmt: skip
    context = TaskContext.from_json(values)
    assert (context.stageId(), context.partitionId(), context.attemptNumber(), context.taskAttemptId()) == (1, 2, 3, 4)
    assert (context.cpus(), context.cpuAmount()) == (2, Decimal("1.5"))
    assert context.resources()["gpu"].addresses == ["0"]
    assert context.getLocalProperty("a") == "b"
    assert isinstance(BarrierTaskContext.from_json(values), BarrierTaskContext)
    with pytest.raises(TypeError, match="unexpected keyword argument 'rank'"):
        TaskContext(rank=1)
