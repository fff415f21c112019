from __future__ import annotations

import pytest

from simspark.driver.conf import SETTINGS, DriverSettings, SparkConf, driver_settings, unknown_settings
from simspark.publib.errors import ConfigError

pytestmark = pytest.mark.unit



def test_defaults_parse_and_fill_every_field() -> None:
    settings = driver_settings(SparkConf(False))
    assert {setting.field for setting in SETTINGS} | {"executor_environment"} == set(DriverSettings._fields)
    assert settings.max_result_bytes == 1 << 30
    assert settings.locality_wait_s == pytest.approx(0.3)
    assert settings.max_failures == 0


def test_sizes_times_flags_and_labels_are_read() -> None:
    settings = driver_settings(
        SparkConf(False)
        .set("spark.driver.maxResultSize", "512m")
        .set("spark.locality.wait", "3s")
        .set("spark.speculation", True)
        .set("spark.simspark.labels", "zone=a,disk=ssd")
        .setExecutorEnv("A", "1")
    )
    assert settings.max_result_bytes == 512 << 20
    assert settings.locality_wait_s == 3.0
    assert settings.speculation is True
    assert settings.labels == {"zone": "a", "disk": "ssd"}
    assert settings.executor_environment == {"A": "1"}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("spark.driver.maxResultSize", "much", 'must be a size such as "512m"'),
        ("spark.locality.wait", "soon", "must be a time"),
        ("spark.speculation", "maybe", "must be true or false"),
        ("spark.task.maxFailures", "-1", "whole number"),
        ("spark.executor.cores", "0", "at least 1"),
        ("spark.simspark.placement", "wide", "must be spread or pack"),
        ("spark.speculation.quantile", "1.5", "at most 1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(key: str, value: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        driver_settings(SparkConf(False).set(key, value))
    assert key in str(caught.value)


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="not one executor fits"):
        driver_settings(SparkConf(False).set("spark.cores.max", "1").set("spark.executor.cores", "2"))


def test_unknown_setting_is_kept_and_spoken_of_once_with_what_was_meant() -> None:
    mine = SparkConf(False).set("spark.task.maxFailure", "2").set("spark.sql.x", "9").set("my.key", "x")
    assert unknown_settings(mine) == [
        "The setting spark.task.maxFailure is unknown and has no effect. Did you mean spark.task.maxFailures?"
    ]
    assert unknown_settings(mine) == []
    assert mine.get("spark.task.maxFailure") == "2"


def test_environment_gives_defaults_that_code_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMSPARK_MASTER", "local[7]")
    assert SparkConf().get("spark.master") == "local[7]"
    assert SparkConf().setMaster("local[1]").get("spark.master") == "local[1]"
    assert SparkConf(loadDefaults=False).get("spark.master") is None


def test_copies_are_independent() -> None:
    mine = SparkConf(False).setMaster("local")
    other = mine.copy().setMaster("local[2]")
    assert (mine.get("spark.master"), other.get("spark.master")) == ("local", "local[2]")


def test_none_is_no_value() -> None:
    with pytest.raises(ConfigError, match="spark.master is None"):
        SparkConf(False).set("spark.master", None)


def test_sparks_switch_of_the_progress_line_is_known() -> None:
    conf = SparkConf(False).set("spark.ui.showConsoleProgress", False)
    assert driver_settings(conf).progress == "off"
    assert driver_settings(conf.set("spark.simspark.progress", "plain")).progress == "plain"
    assert driver_settings(SparkConf(False).set("spark.ui.showConsoleProgress", True)).progress == "auto"
