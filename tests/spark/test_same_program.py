"""The same programs on simspark and on a Spark cluster give the same values and the same errors."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from simspark import RDD, Accumulator, Broadcast, SparkConf, SparkContext, StorageLevel
from simspark.publib.errors import JobCancelled, JobFailed, SparkLacks

pytestmark = [pytest.mark.spark, pytest.mark.timeout(300)]


def beside(name):
    """A file of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(f"{name}_for_spark", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PROGRAMS = beside("programs").PROGRAMS
wait_until = beside("conftest").wait_until


def outcome(program, sc, folder):
    try:
        return program(sc, folder)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def on_simspark(folder):
    with SparkContext("local[2]", "here") as sc:
        return {name: outcome(program, sc, folder) for name, program in PROGRAMS.items()}


@pytest.fixture(scope="module")
def sc(on_simspark, spark_master):
    conf = SparkConf().set("spark.ui.enabled", "false").setAppName("there")
    with SparkContext(spark_master, conf=conf) as context:
        context.setLogLevel("OFF")
        yield context


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_gives_the_same_on_spark(name, sc, on_simspark, folder):
    assert outcome(PROGRAMS[name], sc, folder) == on_simspark[name]


def test_the_programs_run_on_simspark(on_simspark):
    errors = (*(kind.__name__ + ":" for kind in (Exception, *Exception.__subclasses__())), "nothing was raised")
    assert {name: text for name, text in on_simspark.items() if str(text).startswith(errors)} == {}


def test_it_is_spark_that_runs_them(sc, spark_master):
    assert sc.master == spark_master
    assert sc.applicationId.startswith("app-")
    assert sc.version[0].isdigit()


def test_its_objects_are_of_both_libraries(sc):
    import pyspark

    made = [sc.range(3), sc.range(3).map(str), sc.range(2).union(sc.range(2)), sc.range(4).randomSplit([1, 1])[0]]
    assert all(isinstance(rdd, RDD) and isinstance(rdd, pyspark.RDD) for rdd in made)
    assert isinstance(sc, SparkContext) and issubclass(type(sc), pyspark.SparkContext)
    assert isinstance(sc.broadcast(1), Broadcast) and isinstance(sc.accumulator(1), Accumulator)
    assert sc.range(3).map(str).context is sc


def test_its_settings_are_those_of_the_program(sc):
    conf = sc.getConf()
    assert isinstance(conf, SparkConf)
    assert (conf.get("spark.app.name"), conf.get("spark.ui.enabled")) == ("there", "false")
    assert sc.appName == "there"


def test_what_only_simspark_has_is_refused_by_name(sc):
    with pytest.raises(SparkLacks) as caught:
        sc.waiting_text()
    assert str(caught.value) == (
        "SparkContext.waiting_text is simspark's own, and Apache Spark lacks it. This program's master is Spark's: do "
        "without it, or run on simspark://host:port or local[N]. (SS104)"
    )
    with pytest.raises(AttributeError, match="^'RDD' object has no attribute 'nonsense'$"):
        sc.range(1).nonsense


def test_a_failed_task_shows_the_users_frames_and_one_of_ours(sc):
    import traceback

    def parse(text):
        return int(text)

    with pytest.raises(ValueError, match="invalid literal") as caught:
        sc.parallelize(["x"], 1).map(parse).sum()
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names == ["test_a_failed_task_shows_the_users_frames_and_one_of_ours", "sum", "parse"]
    assert caught.value.__notes__[-1].startswith("raised in a task on Apache Spark")


def test_spark_names_an_rdd_by_the_line_of_the_program(sc):
    rdd = sc.parallelize([1], 1).map(str)
    rdd.collect()
    assert re.fullmatch(rf"PythonRDD\[\d+\] at collect at .*{Path(__file__).name}:\d+", repr(rdd))


def test_a_cancelled_future_ends_its_job_on_spark(sc, tmp_path):
    started = tmp_path / "started"

    def wait_for_the_end(_):
        from threading import Event

        started.touch()
        Event().wait(120)

    future = sc.parallelize([1], 1).foreachAsync(wait_for_the_end)
    wait_until(started.exists, "the task's start")
    assert len(future.jobIds) == 1
    assert future.cancel()
    with pytest.raises(JobCancelled):
        future.result(60)
    assert future.cancelled()
    assert sc.statusTracker().getJobInfo(future.jobIds[0]).status == "FAILED"


def test_a_resource_profile_of_simsparks_is_given_to_spark(sc):
    from simspark.resource import ExecutorResourceRequests, ResourceProfileBuilder, TaskResourceRequests

    builder = ResourceProfileBuilder().require(TaskResourceRequests().cpus(2))
    rdd = sc.range(3).map(str).withResources(builder.build)
    assert rdd.getResourceProfile().taskResources["cpus"].amount == 2.0
    assert rdd.collect() == ["0", "1", "2"]
    builder.require(ExecutorResourceRequests().cores(2).memory("512m"))
    with pytest.raises(JobFailed, match="ResourceProfiles are only supported .* with dynamic allocation enabled"):
        sc.range(3).map(str).withResources(builder.build)


def test_a_storage_level_of_simsparks_is_taken_by_dataframes(sc):
    from pyspark.sql import SparkSession

    session = SparkSession.builder.getOrCreate()
    assert session.sparkContext is sc
    frame = session.createDataFrame(sc.parallelize([(1, "a"), (2, "b")], 2), ["n", "s"])
    assert frame.persist(StorageLevel.DISK_ONLY).rdd.map(lambda row: row.n).collect() == [1, 2]
    assert sc.range(2).map(lambda number: (number,)).toDF(["n"]).count() == 2
