"""Actions that go on while the program does: futures, how they are cancelled, and how they end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from simspark import JobCancelled, NotSerializable, SparkContext
from simspark.publib.lineage.task_context import TaskContext

from .gates import Gate, our_threads, wait_until


def held(sc: Any, gate: Gate, partitions: int = 2) -> Any:
    """An RDD of the numbers of its partitions, each of which waits at the gate."""
    key = gate.key

    def wait(number: int) -> int:
        key.wait()
        return number

    return sc.parallelize(range(partitions), partitions).map(wait)


def test_futures_give_what_the_actions_give(sc: Any) -> None:
    rdd = sc.parallelize(range(100), 10)
    assert rdd.collectAsync().result() == rdd.collect()
    assert rdd.countAsync().result() == 100
    for num in (-1, 0, 1, 11, 99, 100, 1000):
        assert rdd.takeAsync(num).result() == rdd.take(num), num
    assert sc.emptyRDD().collectAsync().result() == []
    assert sc.emptyRDD().takeAsync(3).result() == []


def test_effects_of_tasks_are_there_when_the_future_is_done(sc: Any) -> None:
    rows, parts = sc.accumulator(0), sc.accumulator(0)
    rdd = sc.parallelize(range(10), 3)
    assert rdd.foreachAsync(rows.add).result() is None
    assert rdd.foreachPartitionAsync(lambda part: parts.add(len(list(part)))).result() is None
    assert (rows.value, parts.value) == (45, 10)


def test_a_take_looks_at_more_and_more_partitions(sc: Any) -> None:
    future = sc.parallelize(range(100), 10).filter(lambda x: x >= 95).takeAsync(2)
    assert future.result() == [95, 96]
    assert len(future.jobIds) == 3
    assert sc.parallelize(range(100), 10).takeAsync(0).jobIds == []


def test_actions_run_at_the_same_time(real_sc: Any, gate: Gate) -> None:
    futures = [held(real_sc, gate, 1).collectAsync() for _ in range(2)]
    gate.wait_begun(2)
    assert [future.done() for future in futures] == [False, False]
    assert "under way" in repr(futures[0])
    with pytest.raises(TimeoutError, match="collectAsync is not done after 0 s"):
        futures[0].result(timeout=0)
    with pytest.raises(TimeoutError):
        futures[0].exception(timeout=0)
    gate.open(2)
    assert [future.result(60) for future in futures] == [[0], [0]]
    assert futures[0].exception() is None
    assert not futures[0].cancelled()
    assert len({*futures[0].jobIds, *futures[1].jobIds}) == 2


def test_a_cancelled_action_frees_its_executors_and_says_so(real_sc: Any, gate: Gate) -> None:
    future = held(real_sc, gate).countAsync()
    gate.wait_begun(2)
    assert future.cancel()
    with pytest.raises(JobCancelled, match=r"Job \d+ was cancelled: its future was cancelled. \(SS302\)"):
        future.result(60)
    assert future.done() and future.cancelled()
    assert isinstance(future.exception(), JobCancelled)
    assert not future.cancel()
    assert real_sc.parallelize(range(4), 2).sum() == 6


def test_a_take_that_is_cancelled_runs_no_further_job(real_sc: Any, gate: Gate) -> None:
    future = held(real_sc, gate, 8).filter(lambda _: False).takeAsync(1)
    gate.wait_begun(1)
    gate.open(1)
    gate.wait_begun(2)
    assert future.cancel("enough")
    with pytest.raises(JobCancelled, match="enough"):
        future.result(60)
    assert len(future.jobIds) == 2


def failing(number: int) -> int:
    return 10 // (number - 3)


def described(act: Callable[[], Any]) -> tuple[type[BaseException], str, list[str], list[str]]:
    with pytest.raises(ZeroDivisionError) as raised:
        act()
    error = raised.value
    notes = [note.partition(":")[2] if note.startswith("task") else note for note in error.__notes__]
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    return type(error), str(error), notes, frames


def test_a_user_s_error_is_the_one_of_the_action(real_sc: Any) -> None:
    rdd = real_sc.parallelize(range(6), 2).map(failing)
    kind, text, notes, frames = described(rdd.count)
    future = rdd.countAsync()
    asked = described(future.result)
    assert asked[:3] == (kind, text, notes)
    assert frames[-1] == asked[3][-1] == "failing"
    assert len(asked[3]) == len(frames), asked[3]
    assert described(future.result)[3] == asked[3]
    assert isinstance(future.exception(), ZeroDivisionError)
    assert not future.cancelled()


def test_what_cannot_travel_is_refused_at_the_call(sc: Any) -> None:
    lock = threading.Lock()
    with pytest.raises(NotSerializable, match="lock"):
        sc.parallelize([1]).map(lambda x: (x, lock)).collectAsync()


def test_what_changes_after_the_call_does_not_reach_it(real_sc: Any, gate: Gate) -> None:
    key = gate.key
    factor = 10

    def scaled(number: int) -> int:
        key.wait()
        return number * factor

    future = real_sc.parallelize(range(3), 3).map(scaled).takeAsync(3)
    factor = 1000
    gate.open(3)
    assert future.result(60) == [0, 10, 20]


def test_the_caller_s_properties_are_those_of_the_jobs(real_sc: Any) -> None:
    def seen(_: int) -> tuple[str | None, str | None]:
        context = TaskContext.get()
        assert context is not None
        return context.getLocalProperty("colour"), context.getLocalProperty("spark.job.tags")

    real_sc.setLocalProperty("colour", "blue")
    real_sc.setJobGroup("evening", "sums")
    real_sc.addJobTag("slow")
    future = real_sc.parallelize(range(2), 2).map(seen).collectAsync()
    real_sc.setLocalProperty("colour", "red")
    real_sc.clearJobTags()
    assert future.result() == [("blue", "slow")] * 2
    assert real_sc.statusTracker().getJobIdsForGroup("evening") == future.jobIds


@pytest.mark.parametrize("cancel", [
    lambda sc: sc.cancelJobGroup("evening"), lambda sc: sc.cancelJobsWithTag("slow"), lambda sc: sc.cancelAllJobs(),
], ids=["group", "tag", "all"])  # fmt: skip
def test_a_group_or_tag_is_cancelled_with_its_futures(
    real_sc: Any, gate: Gate, cancel: Callable[[Any], None]
) -> None:
    real_sc.setJobGroup("evening", "sums")
    real_sc.addJobTag("slow")
    future = held(real_sc, gate).collectAsync()
    gate.wait_begun(2)
    cancel(real_sc)
    with pytest.raises(JobCancelled, match="cancelled"):
        future.result(60)
    assert future.cancelled()
    assert real_sc.parallelize(range(4), 2).sum() == 6


def test_callbacks_are_called_once_and_their_errors_are_logged(
    sc: Any, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[Any] = []
    future = sc.range(5).countAsync()
    future.result()
    future.add_done_callback(lambda done: called.append(done.result()))
    assert called == [5]
    with caplog.at_level(logging.ERROR, "simspark"):
        future.add_done_callback(lambda done: 1 // 0)
    assert [record.name for record in caplog.records] == ["simspark"]


def test_a_callback_is_called_at_the_end(real_sc: Any, gate: Gate) -> None:
    ended = threading.Event()
    results: list[Any] = []
    future = held(real_sc, gate).collectAsync()
    future.add_done_callback(lambda done: (results.append(done.result()), ended.set()))
    assert results == []
    gate.open(2)
    assert ended.wait(60)
    assert results == [[0, 1]]


def test_coroutines_wait_for_futures(sc: Any) -> None:
    async def both() -> list[Any]:
        return await asyncio.gather(sc.range(3).countAsync(), sc.range(4).collectAsync())

    async def fail() -> Any:
        return await sc.parallelize([3]).map(failing).countAsync()

    assert asyncio.run(both()) == [3, [0, 1, 2, 3]]
    with pytest.raises(ZeroDivisionError):
        asyncio.run(fail())


def test_a_coroutine_that_is_cancelled_cancels_the_action(real_sc: Any, gate: Gate) -> None:
    async def wait(future: Any) -> Any:
        return await future

    async def give_up(future: Any) -> None:
        waiting = asyncio.create_task(wait(future))
        await asyncio.to_thread(gate.wait_begun, 2)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    future = held(real_sc, gate).collectAsync()
    asyncio.run(give_up(future))
    with pytest.raises(JobCancelled):
        future.result(60)


def test_a_coroutine_whose_patience_ends_cancels_the_action(real_sc: Any, gate: Gate) -> None:
    async def wait() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(future, 0.01)

    future = held(real_sc, gate).collectAsync()
    asyncio.run(wait())
    assert isinstance(future.exception(60), JobCancelled)


def test_a_future_that_nobody_asks_prints_nothing(
    real_sc: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    ended = threading.Event()
    real_sc.parallelize([3]).map(failing).countAsync().add_done_callback(lambda _: ended.set())
    assert ended.wait(60)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_stop_ends_what_goes_on_and_leaves_no_thread(gate: Gate) -> None:
    sc = SparkContext("local[2]", "stopped")
    futures = [held(sc, gate, 1).collectAsync(), held(sc, gate, 4).takeAsync(4)]
    gate.wait_begun(2)
    sc.stop()
    for future in futures:
        with pytest.raises(JobCancelled, match="the context was stopped"):
            future.result(60)
    assert our_threads() == []


def test_stop_waits_for_callbacks(gate: Gate) -> None:
    sc = SparkContext("local[2]", "stopped")
    stopping, called = threading.Event(), threading.Event()

    def call(_: Any) -> None:
        assert stopping.wait(60)
        called.set()

    held(sc, gate, 1).collectAsync().add_done_callback(call)
    gate.wait_begun(1)
    activities = sc._application.activities
    end, activities.end = activities.end, lambda timeout_s: (stopping.set(), end(timeout_s))[1]
    sc.stop()
    assert called.is_set()


def test_a_callback_may_stop_the_context(gate: Gate) -> None:
    sc = SparkContext("local[2]", "stopped")
    stopped = threading.Event()
    held(sc, gate, 1).countAsync().add_done_callback(lambda _: (sc.stop(), stopped.set()))
    gate.open(1)
    assert stopped.wait(60)
    wait_until(lambda: our_threads() == [], "the end of the future's thread")


def stack(thread: int) -> list[str]:
    return [frame.name for frame in traceback.extract_stack(sys._current_frames()[thread])]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as in a terminal: who runs the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_while_waiting_cancels_that_action_and_no_other(
    real_sc: Any, gate: Gate, second_gate: Gate
) -> None:
    other, future = (held(real_sc, each, 1).collectAsync() for each in (gate, second_gate))
    gate.wait_begun(1)
    second_gate.wait_begun(1)

    main = threading.get_ident()

    def interrupt() -> None:
        wait_until(lambda: "_wait" in stack(main), "result() to wait")
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt, match=rf"job {future.jobIds[0]} cancelled: 0 of 1 tasks were done"):
        future.result()
    assert future.cancelled()
    assert not other.done()
    gate.open(1)
    assert other.result(60) == [0]
    assert real_sc.parallelize(range(4), 2).sum() == 6
