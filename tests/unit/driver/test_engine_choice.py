"""Which engine runs a program, by where its master is named; nothing of Spark is needed to know."""

from __future__ import annotations

import importlib.util

import pytest

from simspark import SparkConf, SparkContext
from simspark.driver.engine_choice import _spark_url
from simspark.driver.master_url import spark_master
from simspark.publib.errors import ConfigError
from simspark.spark_engine import door

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _no_spark_here(monkeypatch):
    for name in ("PYSPARK_GATEWAY_PORT", "SIMSPARK_MASTER"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("url", ["spark://h:7077", "spark://a:1,b:2", "yarn", "yarn-client", "k8s://https://h:443"])
def test_urls_of_spark_are_given_to_spark_as_they_are(url):
    assert spark_master(url) == url


def test_a_prefix_asks_for_spark_where_simspark_would_run_it():
    assert spark_master("spark+local[2]") == "local[2]"
    assert spark_master("spark+local-cluster[2,1,512]") == "local-cluster[2,1,512]"


@pytest.mark.parametrize("url", ["local", "local[2]", "local-cluster[2,1,512]", "simspark://h:7077", "nonsense", ""])
def test_other_urls_stay_here(url):
    assert spark_master(url) is None


def test_the_argument_counts_before_the_conf_and_the_conf_before_the_environment(monkeypatch):
    monkeypatch.setenv("SIMSPARK_MASTER", "spark://environment:1")
    conf = SparkConf(False).setMaster("yarn")
    assert _spark_url() == "spark://environment:1"
    assert _spark_url(conf=SparkConf(False).setAppName("x")) == "spark://environment:1"
    assert _spark_url(conf=conf) == _spark_url(None, "name", None, None, None, 0, None, conf) == "yarn"
    assert _spark_url("spark://argument:1", conf=conf) == _spark_url(master="spark://argument:1") == "spark://argument:1"
    assert _spark_url("local[2]", conf=conf) is None


def test_spark_submit_has_the_master_unless_the_program_names_one(monkeypatch):
    assert _spark_url() is None
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    assert _spark_url() == ""
    assert _spark_url("local[2]") is None


def test_a_subclass_of_the_context_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(door, "check", lambda _: None)

    class Mine(SparkContext):
        pass

    with pytest.raises(ConfigError, match=r"^Mine is a subclass of SparkContext, and Spark has its own\. Make a "
                                          r"SparkContext, and keep what you add beside it\. \(SS101\)$"):
        Mine("yarn")


def test_a_refusal_shows_one_frame_of_ours(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ImportError) as caught:
        SparkContext("yarn")
    assert [entry.name for entry in caught.traceback][1:] == ["__new__"]
