"""Programs as their users start them: on a Spark cluster that the environment names, unchanged."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.spark, pytest.mark.timeout(300)]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TEXT = "the cat sat on the mat\nthe dog sat on the cat\n"

STOPPED = """
from simspark import BasicProfiler, MarshalSerializer, SparkConf, SparkContext
with SparkContext(appName="first") as sc:
    rdd = sc.range(3)
    print(sc.appName, rdd.sum())
for call in (rdd.collect, lambda: sc.parallelize([1])):
    try:
        call()
    except RuntimeError as error:
        print(type(error).__name__, error)
with SparkContext("local[1]") as sc:
    print(type(sc) is SparkContext, sc.range(3).sum())
conf = SparkConf().set("spark.python.profile", "true")
with SparkContext(appName="third", batchSize=2, serializer=MarshalSerializer(), conf=conf,
                  profiler_cls=BasicProfiler) as sc:
    print(type(sc) is SparkContext, isinstance(sc, SparkContext), sc.serializer, sc.range(3).sum())
    sc.show_profiles()
"""

FAILS = """
from simspark import SparkContext
def parse(text):
    return int(text)
with SparkContext() as sc:
    sc.setLogLevel("OFF")
    sc.parallelize(["1", "x"], 2).map(parse).collect()
"""

WITH_MODULES = """
import beside
from simspark import SparkContext
with SparkContext() as sc:
    print(sc.range(3).map(beside.doubled).collect())
    import package.late
    print(sc.range(3).map(package.late.tripled).collect())
"""

SUBMITTED = """
from simspark import SparkContext
with SparkContext() as sc:
    print(sc.master, sc.appName, sc.range(4).map(lambda x: x * 2).sum())
"""

SESSION = """
from simspark import SparkContext, RDD
from simspark.sql import SparkSession
session = SparkSession.builder.appName("with a session").config("spark.sql.shuffle.partitions", 3).getOrCreate()
print(type(session).__module__.partition(".")[0], session.sparkContext is SparkContext.getOrCreate())
print(session.sparkContext.appName, session.conf.get("spark.sql.shuffle.partitions"))
print(session.createDataFrame(session.sparkContext.parallelize([(1, "a")]), ["n", "s"]).collect())
print(session.read.text(__file__).rdd.map(lambda row: row.value).filter(lambda line: "=" in line).count() > 0)
print(SparkSession.builder.getOrCreate() is session)
session.stop()
"""


@pytest.fixture
def program(tmp_path):
    def write(text):
        path = tmp_path / "program.py"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("arguments", [
    ["wordcount.py", "WORDS", "--top", "3"],
    ["inverted_index.py", "WORDS", "--word", "cat"],
    ["pagerank.py", "--pages", "30"],
    ["pi.py", "20000"],
], ids=lambda arguments: arguments[0])  # fmt: skip
def test_an_example_prints_the_same_on_simspark_and_on_spark(arguments, run_program, spark_master, words):
    command = [EXAMPLES / arguments[0], *(str(words) if word == "WORDS" else word for word in arguments[1:])]
    here, there = (run_program(master, *command) for master in ("local[2]", spark_master))
    assert (here.returncode, there.returncode) == (0, 0), there.stderr
    assert without_times(there.stdout) == without_times(here.stdout) != ""


def without_times(text):
    return re.sub(r"\d+\.\d+ s", "", text)


def test_contexts_of_both_engines_follow_one_another(run_program, program):
    done = run_program("spark+local[2]", program(STOPPED))
    assert done.returncode == 0, done.stderr
    stopped = (
        "ContextStopped This SparkContext was stopped. Make a new one, and its RDDs anew; keep actions inside `with`. "
        "(SS103)"
    )
    lines = done.stdout.splitlines()
    on_spark = "False True BatchedSerializer(MarshalSerializer(), 2) 3"
    assert lines[:5] == ["first 3", stopped, stopped, "True 3", on_spark]
    assert any(line.startswith("Profile of RDD<id=") for line in lines)


def test_modules_beside_the_script_reach_sparks_workers(run_program, program, spark_master, tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "late.py").write_text("def tripled(number):\n    return 3 * number\n")
    (tmp_path / "beside.py").write_text("def doubled(number):\n    return 2 * number\n")
    done = run_program(spark_master, program(WITH_MODULES), PYTHONPATH=str(EXAMPLES.parent))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[0, 2, 4]", "[0, 3, 6]"]


def test_a_failing_program_ends_with_its_own_error_and_no_stack_of_java(run_program, program):
    path = program(FAILS)
    done = run_program("spark+local[2]", path)
    assert done.returncode == 1
    shown = done.stderr[done.stderr.index("Traceback") :].splitlines()
    assert shown[-2] == "ValueError: invalid literal for int() with base 10: 'x'"
    assert f'  File "{path}", line 4, in parse' in shown
    assert len(shown) < 12 and "java" not in done.stderr[done.stderr.index("Traceback") :]


def test_a_session_is_pysparks_own_on_the_programs_context(run_program, program):
    done = run_program("spark+local[2]", program(SESSION))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["pyspark True", "with a session 3", "[Row(n=1, s='a')]", "True", "True"]


@pytest.mark.parametrize("example", ["wordcount.py", "sort.py"])
def test_an_example_of_pysparks_own_prints_the_same_on_both(example, run_program, program, tmp_path):
    import pyspark

    text = (Path(pyspark.__file__).parent / "examples/src/main/python" / example).read_text(encoding="utf-8")
    path = program(re.sub(r"^(from|import) pyspark\b", r"\1 simspark", text, flags=re.MULTILINE))
    data = tmp_path / "data.txt"
    data.write_text("7 1 13\n2 11 7\n")
    here, there = (run_program(master, path, data) for master in ("local[2]", "spark+local[2]"))
    assert (here.returncode, there.returncode) == (0, 0), there.stderr
    assert sorted(there.stdout.splitlines()) == sorted(here.stdout.splitlines()) != []


def test_spark_submit_runs_a_program_that_names_no_master(run_program, program, spark_master, tmp_path):
    import pyspark

    path = program(SUBMITTED)
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    code = f"import os; os.execv({str(submit)!r}, ['spark-submit', '--master', {spark_master!r}, {str(path)!r}])"
    done = run_program("", "-c", code, PYSPARK_DRIVER_PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{spark_master} program.py 12"]


def test_a_master_that_is_not_there_is_told_at_once(run_program, program):
    path = program("from simspark import SparkContext\nSparkContext()\n")
    done = run_program("spark://127.0.0.1:1", path)
    assert done.returncode == 1
    assert "NoMaster: No Spark master at spark://127.0.0.1:1 (connection refused)." in done.stderr
    assert len(done.stderr.splitlines()) < 12


def test_java_that_does_not_start_is_told(run_program, program, tmp_path):
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho this is no Java >&2\nexit 1\n")
    java.chmod(0o755)
    done = run_program("spark+local[1]", program("from simspark import SparkContext\nSparkContext()\n"),
                       JAVA_HOME=str(tmp_path / "jdk"))
    assert done.returncode == 1
    assert "Java did not start Spark; what it said is above." in done.stderr.splitlines()[-1]
    assert os.path.exists(java)
