"""Naming, watching and cancelling jobs; properties of threads and of the process."""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from simspark import (
    ContextStopped,
    InheritableThread,
    JobCancelled,
    SparkConf,
    SparkContext,
    SparkExecutorInfo,
    inheritable_thread_target,
)
from simspark.publib.lineage.sinks import Count
from simspark.publib.lineage.task_context import TaskContext

from .gates import Gate


def held(sc: Any, gate: Gate, partitions: int = 2) -> Any:
    key = gate.key
    return sc.parallelize(range(partitions), partitions).map(lambda number: (key.wait(), number)[1])


def outcome(act: Any) -> Any:
    try:
        return act()
    except JobCancelled as error:
        return str(error)


# ── properties and tags ──────────────────────────────────────────────────────────────────────────────────────────


def test_tags_are_a_set_of_the_thread(sc: Any) -> None:
    for tag in ("slow", "import", "slow"):
        sc.addJobTag(tag)
    assert sc.getJobTags() == {"slow", "import"}
    assert sc.getLocalProperty("spark.job.tags") == "import,slow"
    sc.removeJobTag("slow")
    sc.removeJobTag("never added")
    assert sc.getJobTags() == {"import"}
    sc.clearJobTags()
    assert sc.getJobTags() == set()
    assert sc.getLocalProperty("spark.job.tags") is None


@pytest.mark.parametrize(("tag", "text"), [
    ("", "Spark job tag cannot be an empty string."), ("a,b", "Spark job tag cannot contain ','."),
    (None, "Spark job tag cannot be null."),
])  # fmt: skip
@pytest.mark.parametrize("method", ["addJobTag", "removeJobTag", "cancelJobsWithTag"])
def test_tags_that_cannot_be_are_refused(sc: Any, method: str, tag: Any, text: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 (its text is below)
        getattr(sc, method)(tag)
    assert str(refused.value) == text


def test_properties_are_the_thread_s_own_and_reach_its_tasks(real_sc: Any) -> None:
    def seen(_: int) -> str | None:
        context = TaskContext.get()
        assert context is not None
        return context.getLocalProperty("colour")

    real_sc.setLocalProperty("colour", "blue")
    assert real_sc.parallelize([1], 1).map(seen).collect() == ["blue"]
    others: list[Any] = []
    thread = threading.Thread(target=lambda: others.append(real_sc.getLocalProperty("colour")))
    thread.start()
    thread.join()
    assert others == [None]
    real_sc.setLocalProperty("colour", None)
    assert real_sc.getLocalProperty("colour") is None
    assert real_sc.parallelize([1], 1).map(seen).collect() == [None]


def test_a_group_is_three_properties(sc: Any) -> None:
    sc.setJobGroup("evening", "sums", interruptOnCancel=True)
    assert sc.getLocalProperty("spark.jobGroup.id") == "evening"
    assert sc.getLocalProperty("spark.job.description") == "sums"
    assert sc.getLocalProperty("spark.job.interruptOnCancel") == "true"
    sc.setJobDescription(None)
    assert sc.getLocalProperty("spark.job.description") is None


# ── cancelling ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_the_group_is_cancelled_and_its_next_job_runs(real_sc: Any, gate: Gate, second_gate: Gate) -> None:
    ended: dict[str, Any] = {}

    def run(group: str, at: Gate) -> None:
        real_sc.setJobGroup(group, "")
        ended[group] = outcome(held(real_sc, at, 1).collect)
        ended[f"{group} again"] = outcome(real_sc.range(3).count)

    threads = [threading.Thread(target=run, args=pair) for pair in (("a", gate), ("b", second_gate))]
    for thread in threads:
        thread.start()
    gate.wait_begun(1)
    second_gate.wait_begun(1)
    real_sc.cancelJobGroup("a")
    threads[0].join(60)
    assert "b" not in ended
    second_gate.open(1)
    threads[1].join(60)
    assert "job group a was cancelled" in ended["a"]
    assert (ended["a again"], ended["b"], ended["b again"]) == (3, [0], 3)


def test_a_tag_cancels_the_jobs_that_have_it_among_others(real_sc: Any, gate: Gate) -> None:
    def run(*tags: str) -> Any:
        for tag in tags:
            real_sc.addJobTag(tag)
        return outcome(held(real_sc, gate, 1).collect)

    with ThreadPoolExecutor(2) as pool:
        slow, other = pool.submit(run, "slow", "import"), pool.submit(run, "slower")
        gate.wait_begun(2)
        real_sc.cancelJobsWithTag("slow")
        assert "jobs with the tag slow were cancelled" in slow.result(60)
        assert not other.done()
        real_sc.cancelAllJobs()
        assert "all jobs were cancelled" in other.result(60)


def test_a_job_that_waits_for_its_turn_is_cancelled_too(real_sc: Any, gate: Gate) -> None:
    first = held(real_sc, gate).countAsync()
    gate.wait_begun(2)
    second = real_sc.range(3).countAsync()
    real_sc.cancelAllJobs()
    assert first.exception(60) is not None
    assert second.cancelled() or isinstance(second.exception(60), JobCancelled)


def test_a_job_that_the_scheduler_has_not_heard_of_yet_is_cancelled_too(real_sc: Any) -> None:
    go_on = threading.Event()
    real_sc._application.engine.loop.post(lambda: go_on.wait(60))
    count = real_sc.range(3)._prepare(Count(), "count")
    before = count.start([0, 1])
    real_sc.cancelAllJobs()
    after = count.start([0, 1])
    go_on.set()
    with pytest.raises(JobCancelled, match="all jobs were cancelled"):
        before.wait()
    assert sum(after.wait()) == 3


def test_collecting_with_a_group_leaves_the_thread_s_own(real_sc: Any) -> None:
    real_sc.setJobGroup("mine", "own")
    with pytest.warns(FutureWarning, match="InheritableThread"):
        assert real_sc.range(3).collectWithJobGroup("theirs", "borrowed") == [0, 1, 2]
    assert real_sc.getLocalProperty("spark.jobGroup.id") == "mine"
    assert real_sc.getLocalProperty("spark.job.description") == "own"
    tracker = real_sc.statusTracker()
    assert len(tracker.getJobIdsForGroup("theirs")) == 1
    assert tracker.getJobIdsForGroup("mine") == []


# ── watching ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_running_job_is_seen_with_its_tasks(real_sc: Any, gate: Gate) -> None:
    tracker = real_sc.statusTracker()
    future = held(real_sc, gate, 3).collectAsync()
    gate.wait_begun(2)
    (job,) = future.jobIds
    assert tracker.getActiveJobsIds() == [job]
    (stage,) = tracker.getActiveStageIds()
    info = tracker.getStageInfo(stage)
    assert tracker.getJobInfo(job) == (job, (stage,), "RUNNING")
    assert (info.numTasks, info.numCompletedTasks, info.numFailedTasks) == (3, 0, 0)
    assert info.numActiveTasks >= 2
    assert "test_job_control.py" in info.name
    driver, *executors = tracker.getExecutorInfos()
    assert isinstance(driver, SparkExecutorInfo) and driver.numRunningTasks == 0
    assert sum(executor.numRunningTasks for executor in executors) == info.numActiveTasks
    gate.open(3)
    assert future.result(60) == [0, 1, 2]
    assert tracker.getJobInfo(job).status == "SUCCEEDED"
    assert tracker.getStageInfo(stage)[3:] == (3, 0, 3, 0)


def test_what_an_action_did_is_known_when_it_returns(real_sc: Any) -> None:
    tracker = real_sc.statusTracker()
    for job in range(20):
        if job % 2:
            with pytest.raises(ZeroDivisionError):
                real_sc.range(2).map(lambda number: 1 // number).count()
        else:
            real_sc.range(2).count()
        assert tracker.getJobInfo(job).status == ("FAILED" if job % 2 else "SUCCEEDED")
        assert tracker.getActiveJobsIds() == []


def test_each_job_has_a_result_stage_of_its_own(real_sc: Any) -> None:
    tracker = real_sc.statusTracker()
    counted = real_sc.parallelize([(1, 2)], 2).groupByKey(2)
    assert len(list(counted.toLocalIterator())) == 1
    first, second = (tracker.getJobInfo(job).stageIds for job in tracker.getJobIdsForGroup())
    assert first[0] == second[0]
    assert first[1] != second[1]
    assert tracker.getStageInfo(second[1]).numCompletedTasks == 1


def test_a_stopped_context_tracks_nothing() -> None:
    sc = SparkContext("local[1]", "over")
    sc.stop()
    with pytest.raises(ContextStopped):
        sc.statusTracker()


# ── running functions ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_runs_a_function_on_the_partitions_asked_for(sc: Any) -> None:
    rdd = sc.parallelize(range(6), 3)
    assert sc.runJob(rdd, lambda part: [sum(part)]) == [1, 5, 9]
    assert sc.runJob(rdd, list, [2, 0], allowLocal=True) == [4, 5, 0, 1]
    assert sc.runJob(rdd, list, [1, 1]) == [2, 3, 2, 3]
    assert sc.runJob(rdd, list, []) == []


# ── threads ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_inheritable_thread_has_a_copy_of_what_holds_when_it_starts(real_sc: Any) -> None:
    seen: list[Any] = []

    def look(*arguments: Any, **named: Any) -> None:
        seen.append((real_sc.getLocalProperty("colour"), real_sc.getJobTags(), arguments, named))
        real_sc.setLocalProperty("colour", "red")

    thread = InheritableThread(target=look, args=(1,), kwargs={"x": 2}, name="looks", daemon=True)
    real_sc.setLocalProperty("colour", "blue")
    real_sc.addJobTag("slow")
    thread.start()
    thread.join()
    assert seen == [("blue", {"slow"}, (1,), {"x": 2})]
    assert (thread.name, thread.daemon) == ("looks", True)
    assert real_sc.getLocalProperty("colour") == "blue"


@pytest.mark.parametrize("wrap", [inheritable_thread_target, inheritable_thread_target(None)], ids=["bare", "session"])
def test_a_wrapped_target_has_a_copy_of_what_held_when_it_was_wrapped(real_sc: Any, wrap: Any) -> None:
    real_sc.setLocalProperty("colour", "blue")

    def look(suffix: str) -> Any:
        """Look."""
        return real_sc.getLocalProperty("colour"), suffix

    wrapped = wrap(look)
    real_sc.setLocalProperty("colour", "red")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(wrapped, "!").result() == ("blue", "!")
        assert pool.submit(real_sc.getLocalProperty, "colour").result() is None
    assert wrapped.__doc__ == "Look."


def test_threads_without_a_context_just_run() -> None:
    ran: list[int] = []
    thread = InheritableThread(target=ran.append, args=(1,))
    thread.start()
    thread.join()
    inheritable_thread_target(ran.append)(2)
    assert ran == [1, 2]


# ── the process ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("name", "level"), [("WARN", logging.WARNING), ("fatal", logging.CRITICAL), ("ALL", 1)])
def test_a_log_level_is_the_logger_s(sc: Any, name: str, level: int) -> None:
    logger = logging.getLogger("simspark")
    before = logger.level
    try:
        sc.setLogLevel(name)
        assert logger.level == level
        sc.setLogLevel("OFF")
        assert not logger.isEnabledFor(logging.CRITICAL)
    finally:
        logger.setLevel(before)


def test_an_unknown_log_level_is_refused(sc: Any) -> None:
    text = "Supplied level loud did not match one of: ALL,DEBUG,ERROR,WARN,INFO,OFF,FATAL,TRACE"
    with pytest.raises(ValueError, match=text):
        sc.setLogLevel("loud")


def test_system_properties_are_defaults_of_later_confs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simspark.driver.system_properties._properties", {})
    SparkContext.setSystemProperty("spark.default.parallelism", "7")
    SparkContext.setSystemProperty("colour", "blue")
    assert SparkContext.getSystemProperty("colour") == "blue"
    assert SparkContext.getSystemProperty("unknown") is None
    assert SparkConf().get("spark.default.parallelism") == "7"
    assert not SparkConf().contains("colour")
    assert not SparkConf(loadDefaults=False).contains("spark.default.parallelism")


def test_a_context_says_what_it_is() -> None:
    conf = SparkConf().setMaster("local[2]").setAppName("who").set("spark.default.parallelism", "3")
    with SparkContext.getOrCreate(conf) as sc:
        assert SparkContext.getOrCreate(SparkConf().setAppName("other")) is sc
        settings = dict(sc.getConf().getAll())
        assert (settings["spark.master"], settings["spark.app.name"]) == ("local[2]", "who")
        assert settings["spark.app.id"] == sc.applicationId
        assert settings["spark.app.startTime"] == str(sc.startTime)
        assert sc.defaultParallelism == 3
        assert sc.uiWebUrl is None
        assert sc.sparkUser() == os.environ.get("USER", sc.sparkUser())
        sc.getConf().setAppName("changed")
        assert sc.appName == sc.getConf().get("spark.app.name") == "who"
        conf.set("spark.default.parallelism", "4")
        assert sc.getConf().get("spark.default.parallelism") == "3"
