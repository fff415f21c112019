"""What is missing on the way to Spark is said at once, with what to type."""

from __future__ import annotations

import importlib.util

import pytest

from simspark import SparkContext
from simspark.publib.errors import ClusterError, NoMaster
from simspark.spark_engine import door

pytestmark = pytest.mark.unit


@pytest.fixture
def pyspark_is_there(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)


@pytest.fixture
def java_is_there(monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))


def test_without_pyspark_the_error_has_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError) as caught:
        SparkContext("spark://127.0.0.1:7077")
    assert str(caught.value) == (
        "A master of Apache Spark needs PySpark, which is not installed here. Install it: "
        'pip install "simspark[spark]" · or run on simspark: SparkContext("local[2]")'
    )


@pytest.mark.usefixtures("pyspark_is_there")
def test_without_java_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError) as caught:
        SparkContext("yarn")
    assert str(caught.value) == (
        "Apache Spark needs Java 17 or newer, and there is no java on the PATH and no JAVA_HOME. Install it: apt-get "
        "install openjdk-17-jre-headless · or: brew install openjdk@17 · then set JAVA_HOME where java is not on the "
        "PATH. (SS200)"
    )


@pytest.mark.usefixtures("pyspark_is_there")
def test_a_wrong_java_home_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ClusterError, match=f"JAVA_HOME={tmp_path} has no bin/java"):
        door.check("yarn")


@pytest.mark.usefixtures("pyspark_is_there")
def test_java_that_spark_submit_started_is_not_looked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    door.check("")


@pytest.mark.usefixtures("pyspark_is_there", "java_is_there")
def test_a_master_that_does_not_answer_is_named_at_once(monkeypatch):
    tried = []

    def refuse(address, timeout):
        tried.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr("socket.create_connection", refuse)
    with pytest.raises(NoMaster) as caught:
        door.check("spark://a:1,[::1]:2,c")
    assert str(caught.value) == (
        "No Spark master at spark://a:1,[::1]:2,c (connection refused). Correct the address, or start one with Spark's "
        'sbin/start-master.sh · or run on simspark: SparkContext("local[2]") (SS201)'
    )
    assert tried == [("a", 1), ("::1", 2), ("c", 7077)]


@pytest.mark.usefixtures("pyspark_is_there", "java_is_there")
def test_one_master_of_several_is_enough(monkeypatch):
    class Answer:
        def close(self):
            pass

    def second(address, timeout):
        if address[0] == "a":
            raise TimeoutError
        return Answer()

    monkeypatch.setattr("socket.create_connection", second)
    door.check("spark://a:1,b:2")


def test_on_spark_a_flame_graph_is_said_not_to_come_and_where_sparks_own_profiler_is():
    with pytest.warns(UserWarning, match=r'Spark has a profiler of its own: conf.set\("spark.python.profile", True\)'):
        door.warn_unsampled("100")
    for off in (None, "", "0"):
        door.warn_unsampled(off)
