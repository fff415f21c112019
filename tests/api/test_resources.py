"""Tasks that take several cores, and profiles that say what RDDs need: kept to the letter or refused by name."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from simspark import NotEnoughResources, SparkConf, SparkContext, TaskContext, UserError
from simspark.driver.conf import driver_settings
from simspark.driver.needs import Offer, fitted
from simspark.driver.scheduling import StageSpec
from simspark.publib.errors import ConfigError
from simspark.resource import (
    ExecutorResourceRequests,
    ResourceProfile,
    ResourceProfileBuilder,
    TaskResourceRequests,
)
from tests.api.conftest import HereContext

OFFER = Offer("simspark://m:7077", "1", 4, 0, 1 << 30, merges_profiles=False)
STAGE = StageSpec(3, -1, 8, (), name="map", site="app.py:9")


def task_profile(cpus: float) -> ResourceProfile:
    return ResourceProfileBuilder().require(TaskResourceRequests().cpus(cpus)).build


def executor_profile(requests: ExecutorResourceRequests) -> ResourceProfile:
    return ResourceProfileBuilder().require(requests).build


def test_a_profile_is_made_of_requests() -> None:
    wanted = ExecutorResourceRequests().cores(2).memory("2g").memoryOverhead("512m").pysparkMemory("1024k")
    wanted = wanted.offheapMemory("1t").resource("gpu", 1, "find.sh", "acme")
    builder = ResourceProfileBuilder().require(wanted).require(TaskResourceRequests().cpus(2).resource("gpu", 0.5))
    profile = builder.build
    assert {name: request.amount for name, request in profile.executorResources.items()} == {
        "cores": 2, "memory": 2048, "memoryOverhead": 512, "pyspark.memory": 1, "offHeap": 1 << 20, "gpu": 1,
    }  # fmt: skip
    gpu = profile.executorResources["gpu"]
    assert (gpu.resourceName, gpu.discoveryScript, gpu.vendor) == ("gpu", "find.sh", "acme")
    assert {name: request.amount for name, request in profile.taskResources.items()} == {"cpus": 2.0, "gpu": 0.5}
    builder.clearTaskResourceRequests()
    builder.clearExecutorResourceRequests()
    assert (builder.taskResources, builder.executorResources) == ({}, {})
    assert profile.taskResources, "a profile does not change with its builder"
    assert builder.build.id != profile.id


@pytest.mark.parametrize("text", ["2x", "", "12", "g"])
def test_a_size_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid format|could not convert"):
        ExecutorResourceRequests().memory(text)


@pytest.mark.parametrize("cpus", [0, -1, 1e-10, float("nan"), 3e9])
def test_an_amount_of_cores_that_cannot_be_is_refused(cpus: float) -> None:
    with pytest.raises(ValueError, match="must be at least 1e-9 and at most 2147483647"):
        task_profile(cpus)


def test_a_profile_belongs_to_the_very_rdd(sc: HereContext) -> None:
    profile = task_profile(1)
    rdd = sc.parallelize(range(4), 2)
    assert rdd.getResourceProfile() is None
    assert rdd.withResources(profile) is rdd
    assert rdd.getResourceProfile() is profile
    assert rdd.map(str).getResourceProfile() is None
    assert rdd.map(lambda x: x + TaskContext.get().cpus()).collect() == [1, 2, 3, 4]  # type: ignore[union-attr]


def test_a_task_takes_whole_slots() -> None:
    assert [fitted(STAGE, (task_profile(amount),), OFFER)[-2:] for amount in (1, 0.5, 1.5, 4)] == [
        (1, "1"), (1, "0.5"), (2, "1.5"), (4, "4")
    ]  # fmt: skip
    assert fitted(STAGE, (), OFFER._replace(task_cpus="2")).cpus == 2
    assert fitted(STAGE, (task_profile(3),), OFFER._replace(task_cpus="2")).cpus == 3


PROFILE = "The resource profile of stage 3 (map at app.py:9)"
M = "simspark://m:7077"
REFUSED = {
    f"Stage 3 (map at app.py:9) needs 5 cpus for each task, an executor of {M} has 4. Set spark.executor.cores=5.":
        task_profile(5),
    f"{PROFILE} asks for executors with 6 cores, those of {M} have 4. Set spark.executor.cores=6.":
        executor_profile(ExecutorResourceRequests().cores(6)),
    f"{PROFILE} asks for executors with 2048 MiB, those of {M} have 1024 MiB. Set spark.executor.memory=2048m.":
        executor_profile(ExecutorResourceRequests().memory("1g").memoryOverhead("1g")),
    f"{PROFILE} asks for 2 gpu, which no worker offers: simspark schedules cores and memory.":
        executor_profile(ExecutorResourceRequests().resource("gpu", 2)),
    f"{PROFILE} asks for 0.5 fpga, which no worker offers: simspark schedules cores and memory.":
        ResourceProfileBuilder().require(TaskResourceRequests().resource("fpga", 0.5)).build,
}  # fmt: skip


@pytest.mark.parametrize("text", list(REFUSED))
def test_what_executors_do_not_have_is_refused_with_the_arithmetic(text: str) -> None:
    with pytest.raises(NotEnoughResources) as caught:
        fitted(STAGE, (REFUSED[text],), OFFER)
    assert str(caught.value) == text + " (SS204)"


def test_executors_that_have_more_than_a_profile_asks_for_will_do() -> None:
    profile = executor_profile(ExecutorResourceRequests().cores(2).memory("512m"))
    assert fitted(STAGE, (profile,), OFFER) == STAGE


def test_two_profiles_in_one_stage_are_refused_or_merged() -> None:
    profiles = (task_profile(2), task_profile(3))
    with pytest.raises(UserError) as caught:
        fitted(STAGE, profiles, OFFER)
    assert str(caught.value) == (
        "Stage 3 (map at app.py:9) has RDDs with 2 resource profiles. Give them one, or set "
        "spark.scheduler.resource.profileMergeConflicts=true: the most of each counts. (SS100)"
    )
    assert fitted(STAGE, profiles, OFFER._replace(merges_profiles=True)).cpus == 3


def test_a_gang_of_wide_tasks_needs_all_their_slots() -> None:
    gang = STAGE._replace(gang=True, partitions=3)
    with pytest.raises(NotEnoughResources, match="needs 6 slots at once, simspark://m:7077 has 4. Use"):
        fitted(gang, (task_profile(2),), OFFER._replace(most_slots=4))
    assert fitted(gang._replace(partitions=2), (task_profile(2),), OFFER._replace(most_slots=4)).cpus == 2


@pytest.mark.parametrize("text", ["0", "-1", "two", "nan"])
def test_a_wrong_number_of_cores_for_tasks_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="spark.task.cpus is .*, but must be a number of cores, above 0"):
        driver_settings(SparkConf(False).set("spark.task.cpus", text))


def test_more_cores_for_a_task_than_there_are_is_told() -> None:
    with pytest.raises(ConfigError, match=r"spark.task.cpus is 3, and local\[2\] has 2 cores: not one task fits"):
        SparkContext("local[2]", conf=SparkConf().set("spark.task.cpus", 3))


def test_tasks_of_two_cores_share_four_between_two(tmp_path: Path) -> None:
    def together(index: int, rows: Any) -> Any:
        mine = tmp_path / f"{index}"
        mine.touch()
        running = []
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
            running.append(len(list(tmp_path.iterdir())))
            time.sleep(0.01)
        mine.unlink()
        context = TaskContext.get()
        assert context is not None
        return [(max(running), context.cpus(), context.cpuAmount())]

    with SparkContext("local[4]", conf=SparkConf().set("spark.task.cpus", 2)) as sc:
        assert sc.defaultParallelism == 4
        found = sc.range(6, numSlices=6).mapPartitionsWithIndex(together).collect()
        assert max(most for most, _, _ in found) <= 2
        assert {(cpus, amount) for _, cpus, amount in found} == {(2, Decimal(2))}
        assert sc.resources == {}
        with pytest.raises(NotEnoughResources, match=r"needs 3 cpus for each task, an executor of local\[4\] has 2"):
            sc.range(2).withResources(task_profile(3)).collect()


def test_a_profile_widens_the_tasks_of_its_stage_only() -> None:
    conf = SparkConf().set("spark.executor.cores", 2).set("spark.cores.max", 2)
    with SparkContext("local-cluster[1,2,512]", conf=conf) as sc:
        rows = sc.parallelize([(x % 3, x) for x in range(12)], 4).withResources(task_profile(2))
        wide = rows.map(lambda kv: (kv[0], TaskContext.get().cpus()))  # type: ignore[union-attr]
        counted = wide.reduceByKey(max).map(lambda kv: (*kv, TaskContext.get().cpus()))  # type: ignore[union-attr]
        assert sorted(counted.collect()) == [(0, 2, 1), (1, 2, 1), (2, 2, 1)]
