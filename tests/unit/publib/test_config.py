from __future__ import annotations

import pytest

from simspark.publib import config
from simspark.publib.errors import ConfigError
from simspark.publib.settings import SETTINGS, parse_labels, parse_size, parse_time

pytestmark = pytest.mark.unit


@pytest.fixture
def around(tmp_path):
    """Surroundings made of a directory; files named in it are read."""

    def make(*files, **variables):
        shown = tuple((str(tmp_path / name), name) for name in files)
        environment = {"HOME": str(tmp_path), **variables}
        return config.surroundings(environment)._replace(files=shown)

    return make


def write(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512m", 512 << 20), ("2g", 2 << 30), ("1.5gb", 3 << 29), ("64k", 64 << 10), ("1024", 1024),
        ("7GiB", 7 << 30), ("3b", 3),
    ],
)  # fmt: skip
def test_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "time_s"), [("250ms", 0.25), ("30s", 30), ("5m", 300), ("2h", 7200), ("3", 3)]
)
def test_times_are_read(text, time_s):
    assert parse_time(text) == time_s


@pytest.mark.parametrize("text", ["", "m", "-1s", "12 parsecs", "nan", "inf", "1 2s"])
def test_what_is_no_time_and_no_size_is_refused(text):
    with pytest.raises(ValueError):
        parse_time(text)
    with pytest.raises(ValueError):
        parse_size(text)


def test_labels_are_read():
    assert parse_labels("zone=a, disk=ssd,") == {"zone": "a", "disk": "ssd"}
    with pytest.raises(ValueError):
        parse_labels("zone")


def test_defaults_and_examples_of_the_registry_are_valid():
    for setting in SETTINGS.values():
        setting.kind.parse(setting.default)
        setting.kind.parse(setting.example)


def test_nearest_source_wins(around, tmp_path):
    write(tmp_path, "near.toml", "[master]\nport = 3\n")
    write(tmp_path, "far.toml", "[master]\nport = 2\n[log]\nformat = 'json'\n")
    files = ("near.toml", "far.toml")

    def port(code=None, flags=None, names=files, **variables):
        settings = config.load(code, flags, around(*names, **variables))
        return settings["master.port"], settings.source("master.port")

    assert port(names=()) == (7077, "default")
    assert port(names=("far.toml",)) == (2, "far.toml:2")
    assert port() == (3, "near.toml:2")
    assert port(SIMSPARK_MASTER_PORT="4") == (4, "SIMSPARK_MASTER_PORT")
    assert port(flags={"master.port": "5"}, SIMSPARK_MASTER_PORT="4") == (5, "--port")
    assert port(code={"master.port": 6}, flags={"master.port": "5"}) == (6, "code")
    assert config.load(around=around(*files))["log.format"] == "json"


def test_unknown_key_in_a_file_names_line_and_suggestion(around, tmp_path):
    write(tmp_path, "simspark.toml", "# mine\n[master]\nhost = 'a'\nprot = 7077\n")
    with pytest.raises(ConfigError) as caught:
        config.load(around=around("simspark.toml"))
    expected = "Unknown setting 'master.prot' in simspark.toml:4. Did you mean master.port?"
    assert str(caught.value) == expected


def test_key_outside_a_table_is_named(around, tmp_path):
    write(tmp_path, "simspark.toml", "port = 7077\n")
    with pytest.raises(ConfigError, match=r"Unknown setting 'port' in simspark.toml:1\."):
        config.load(around=around("simspark.toml"))


def test_unknown_variable_is_named_with_a_suggestion(around):
    with pytest.raises(ConfigError) as caught:
        config.load(around=around(SIMSPARK_MASTER_PROT="1"))
    expected = "Unknown setting SIMSPARK_MASTER_PROT in the environment. Did you mean SIMSPARK_MASTER_PORT?"
    assert str(caught.value) == expected


def test_variables_of_other_parts_are_left_alone(around):
    config.load(around=around(SIMSPARK_MASTER="simspark://h:1", SIMSPARK_PROGRESS="off", SIMSPARK_TOKEN="t"))


def test_malformed_value_names_source_form_and_example(around):
    with pytest.raises(ConfigError) as caught:
        config.load(around=around(SIMSPARK_WORKER_MEMORY="lots"))
    assert str(caught.value) == (
        'worker.memory = \'lots\' (from SIMSPARK_WORKER_MEMORY) '
        'is not a size such as "512m" or "2g". Example: 8g'
    )


def test_broken_file_is_named(around, tmp_path):
    write(tmp_path, "simspark.toml", "[master\n")
    with pytest.raises(ConfigError, match="Cannot read simspark.toml: .*line 1"):
        config.load(around=around("simspark.toml"))


def test_one_variable_moves_a_whole_cluster(around, tmp_path):
    master = config.load(around=around(SIMSPARK_PATHS_STATE=str(tmp_path / "s"))).master()
    assert master.state_dir == str(tmp_path / "s")
    assert master.keys_dir == str(tmp_path / "s" / "keys")
    assert master.log_dir == str(tmp_path / "s" / "logs")


def test_workers_of_two_clusters_share_no_directory(around, tmp_path):
    here = config.load({"paths.state": str(tmp_path / "a")}, around=around()).worker()
    there = config.load({"paths.state": str(tmp_path / "b")}, around=around()).worker()
    assert here.work_dir != there.work_dir


def test_two_instances_share_no_directory(around):
    first = config.load({"worker.name": "one"}, around=around()).worker()
    second = config.load({"worker.name": "two"}, around=around()).worker()
    assert first.work_dir != second.work_dir


def test_names_that_leave_the_directory_are_refused(around):
    with pytest.raises(ConfigError, match="at most 40 letters"):
        config.load({"worker.name": "../x"}, around=around())


def test_relations_are_checked(around):
    settings = config.load({"master.late_after": "1500ms"}, around=around())
    with pytest.raises(ConfigError, match="must be at least twice master.heartbeat_interval"):
        settings.master()


def test_labels_may_be_a_table(around, tmp_path):
    write(tmp_path, "simspark.toml", "[worker.labels]\nzone = 'a'\n")
    assert config.load(around=around("simspark.toml")).worker().labels == {"zone": "a"}


def test_cores_and_memory_are_counted_when_not_said(around):
    worker = config.load(around=around()).worker()
    assert worker.cores >= 1
    assert worker.memory_bytes > 0


def test_token_is_never_shown(around, tmp_path):
    write(tmp_path, "token", "sesame\n")
    said = config.load(around=around(SIMSPARK_TOKEN="open")).worker()
    assert said.token.reveal() == "open"
    assert "open" not in f"{said} {said.token} {said.token!r}"
    filed = config.load({"worker.token_file": str(tmp_path / "token")}, around=around()).access()
    assert filed.token.reveal() == "sesame"


def test_fast_profile_is_valid(around, tmp_path):
    config.load({**config.FAST, **config.private(str(tmp_path))}, around=around()).master()


def test_both_daemons_are_told_what_a_test_arms(around):
    settings = config.load(around=around(SIMSPARK_FAILPOINTS="p1=kill"))
    assert settings.master().failpoints == settings.worker().failpoints == "p1=kill"
    assert config.load(around=around()).master().failpoints == ""
