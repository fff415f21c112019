from __future__ import annotations

import json
import os

import pytest

from simspark.cli import daemons, master, output, simspark, worker
from simspark.publib.daemon import Place, ReadyInfo, StartFailed
from simspark.publib.errors import AccessRefused, ConfigError, NoMaster

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith(("SIMSPARK_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(group, *words):
    """Run a command as a program; returns its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [group.name, *words])
        with pytest.raises(SystemExit) as ended:
            output.run(group)
    return ended.value.code


@pytest.mark.parametrize("group", [master.group, worker.group, simspark.group])
def test_help_fits_on_a_screen_and_starts_with_examples(group, capsys):
    assert run(group, "--help") == 0
    text = capsys.readouterr().out
    assert len(text.splitlines()) <= 40
    assert text.index(group.get_short_help_str()[:10]) < text.index("simspark") < text.index("Options:")


@pytest.mark.parametrize("group", [master.group, worker.group])
def test_every_verb_has_help_of_a_screen(group, capsys):
    for verb in ("start", "stop", "restart", "status"):
        assert run(group, verb, "--help") == 0
        assert len(capsys.readouterr().out.splitlines()) <= 40


def test_unknown_verb_is_a_usage_error_with_a_suggestion(capsys):
    assert run(master.group, "stat") == 2
    assert "No such command 'stat'. Did you mean start?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("group", "text"), [(master.group, "No master running.\n"), (worker.group, "No worker running.\n")]
)
def test_what_does_not_run_says_so(group, text, capsys):
    assert run(group, "status") == 3
    assert run(group, "stop") == 0
    assert capsys.readouterr().out == text * 2


def test_status_for_programs_when_down(capsys):
    assert run(master.group, "status", "--json") == 3
    assert json.loads(capsys.readouterr().out) == {"running": False}


def test_a_bad_flag_is_a_usage_error_that_names_it(capsys):
    assert run(master.group, "start", "--port", "many") == 2
    expected = "master.port = 'many' (from --port) is not a port from 0 to 65535; 0 takes a free one. Example: 7077"
    assert capsys.readouterr().err == expected + " (SS101)\n"


def test_a_bad_file_is_a_usage_error_that_names_it(home, capsys):
    (home / "simspark.toml").write_text("[master]\nprot = 1\n")
    assert run(simspark.group, "config", "show") == 2
    assert capsys.readouterr().err == (
        "Unknown setting 'master.prot' in ./simspark.toml:2. Did you mean master.port? (SS101)\n"
    )


def test_config_shows_where_each_value_came_from(home, monkeypatch, capsys):
    (home / "simspark.toml").write_text("[worker]\ncores = 3\n")
    monkeypatch.setenv("SIMSPARK_MASTER_PORT", "7171")
    assert run(simspark.group, "config", "show", "--json") == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["worker.cores"]["value"], rows["worker.cores"]["source"]) == ("3", "./simspark.toml:2")
    assert (rows["master.port"]["value"], rows["master.port"]["source"]) == ("7171", "SIMSPARK_MASTER_PORT")
    assert rows["log.format"]["source"] == "default"


def test_a_program_that_is_not_there_is_a_usage_error(capsys):
    assert run(simspark.group, "submit", "none.py") == 2
    assert "No such program: none.py" in capsys.readouterr().err


def test_a_token_is_the_only_thing_on_standard_output(home, capsys):
    assert run(simspark.group, "keys", "issue", "--role", "worker", "--name", "w") == 0
    said = capsys.readouterr()
    assert len(said.out.split()) == 1
    assert "SIMSPARK_TOKEN" in said.err
    assert said.out.strip() not in said.err


def test_version(capsys):
    assert run(simspark.group, "version") == 0
    assert capsys.readouterr().out.startswith("simspark 0.")


def place(home):
    return Place("master", str(home / "s"), str(home / "s" / "logs"))


def test_a_master_on_loopback_says_that_others_cannot_join(home):
    info = ReadyInfo("simspark://127.0.0.1:7077", 41822)
    assert master.welcome(info, 0.42, place(home), daemons.choose({})) == [
        "Master up in 0.4 s (pid 41822)",
        "  address     simspark://127.0.0.1:7077",
        "  logs        ~/s/logs/master.log",
        "",
        "Worker here:                   simspark-worker start simspark://127.0.0.1:7077",
        "Other machines cannot join:    start with --host 0.0.0.0",
        'From Python on this machine:   sc = SparkContext("simspark://127.0.0.1:7077")',
        "Stop:                          simspark-master stop",
    ]


def test_a_master_for_others_says_how_they_join_and_shows_no_token(home):
    info = ReadyInfo("simspark://192.168.1.7:7077", 1)
    chosen = daemons.choose({"paths__state": str(home / "s")})
    lines = master.welcome(info, 0.4, place(home), chosen)
    assert (
        lines[4]
        == f"Worker here:                   simspark-worker start simspark://192.168.1.7:7077 --state-dir {home}/s"
    )
    assert lines[5].startswith("Worker on another machine:     simspark keys issue --role worker ")
    assert lines[7] == f"Stop:                          simspark-master stop --state-dir {home}/s"


def test_a_worker_that_joined_says_what_it_offers():
    info = ReadyInfo("simspark://h:7077", 5, "w3", 4, 8 << 30)
    assert worker.joined(info) == "Worker w3 joined simspark://h:7077 (4 cores, 8.0 GiB)"


@pytest.mark.parametrize(
    ("kind", "code"), [(NoMaster, 1), (AccessRefused, 4), (ConfigError, 2)], ids=lambda value: str(value)
)
def test_known_reasons_of_a_failed_start_are_one_text_and_a_code(kind, code, capsys):
    failed = StartFailed(kind.__name__, "Because.", "/l/master.log", ("log line",))
    assert daemons.tell_failed("Master", failed) == code
    assert capsys.readouterr().err == f"Because. ({kind.code})\n"


def test_unknown_reasons_come_with_the_end_of_the_log(capsys):
    failed = StartFailed("ZeroDivisionError", "one over nothing", "/l/master.log", ("first", "second"))
    assert daemons.tell_failed("Master", failed) == 1
    expected = "Master did not start. one over nothing\n  first\n  second\nLog: /l/master.log\n"
    assert capsys.readouterr().err == expected


def test_no_master_says_where_to_start_one():
    here = daemons.no_master_text("simspark://127.0.0.1:7077", "tcp://…: nobody listens there (connection refused)")
    assert here == (
        "No simspark master at simspark://127.0.0.1:7077 (connection refused).\nStart one: simspark-master start"
    )
    there = daemons.no_master_text("simspark://h:1", "tcp://h:1: the name cannot be resolved (tried for 1.5 s)")
    assert there == (
        "No simspark master at simspark://h:1 (the name cannot be resolved).\n"
        "Start one there: simspark-master start --port 1"
    )


def test_a_stop_says_whom_it_concerns():
    def tables(workers, applications):
        return {
            "workers": [{"worker": f"w{number}", "connected": number} for number in range(workers)],
            "applications": [{"application": f"app-{number}", "connected": True} for number in range(applications)],
        }

    assert master.whom_a_stop_concerns(tables(0, 0)) == master.whom_a_stop_concerns(tables(1, 0)) == ""
    rest = " and wait for a master at the same address."
    assert master.whom_a_stop_concerns(tables(2, 2)) == "Worker w1 and applications app-0, app-1 go on" + rest
    assert master.whom_a_stop_concerns(tables(8, 0)) == "Workers w1, w2, w3, w4, w5, … go on" + rest
    assert master.whom_a_stop_concerns(tables(0, 1)).startswith("Application app-0 goes on and waits for a master")


def test_a_command_line_with_all_settings_can_be_copied():
    flags = {"worker__master": "simspark://h:1", "worker__labels": ("zone=a", "disk=big one"), "worker__name": "x"}
    chosen = daemons.choose(flags)
    assert chosen.again("worker", "stop") == "simspark-worker stop --name x"
    assert chosen.again("worker", "restart", with_flags=True) == (
        "simspark-worker restart simspark://h:1 --label zone=a --label 'disk=big one' --name x"
    )


@pytest.mark.parametrize(
    ("time_s", "text"), [(0.04, "0.0 s"), (12, "12 s"), (300, "5 min"), (7200, "2 h"), (86_400 * 3, "3 d")]
)
def test_durations(time_s, text):
    assert output.duration(time_s) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(5, "5 B"), (2048, "2 KiB"), (5 << 20, "5 MiB"), (3 << 29, "1.5 GiB")]
)
def test_sizes(size_bytes, text):
    assert output.size(size_bytes) == text


def test_tables_put_numbers_right():
    rows = [{"a": "x", "n": 5}, {"a": "long", "n": 10}]
    assert output.table({"a": "A", "n": "N"}, rows) == ["A      N", "x      5", "long  10"]
