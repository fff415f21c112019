from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from simspark.publib.daemon import Place, find, read_state
from simspark.publib.pid_file import PidFile

pytestmark = pytest.mark.cluster
SCRIPT = os.path.join(os.path.dirname(__file__), "tiny_daemon.py")
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(SCRIPT)))


@pytest.fixture
def tiny(tmp_path):
    state = str(tmp_path / "state")

    def call(verb, how="well"):
        env = {**os.environ, "PYTHONPATH": ROOT}
        done = subprocess.run(
            [sys.executable, SCRIPT, state, verb, how], env=env, capture_output=True, text=True, timeout=60, check=True
        )
        return json.loads(done.stdout.splitlines()[-1])

    yield call
    call("stop", "deaf")


@pytest.fixture
def place(tmp_path):
    return Place("tiny", str(tmp_path / "state"), str(tmp_path / "state" / "logs"))


def test_start_returns_when_the_daemon_answers_and_stop_when_it_has_ended(tiny, place):
    kind, (info,) = tiny("start")
    assert (kind, info[0]) == ("Started", "simspark://here:1")
    process = find(place)
    assert process.pid == info[1]
    assert read_state(place).url == "simspark://here:1"
    assert tiny("stop") == ["Stopped", [list(process), False]]
    assert find(place) is None
    assert os.listdir(place.state_dir) == ["logs"]


def test_a_daemon_leads_no_session_stands_at_the_root_and_has_no_terminal(tiny, place):
    pid = tiny("start")[1][0][1]
    assert os.getsid(pid) not in (pid, os.getsid(0))
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert {os.readlink(f"/proc/{pid}/fd/{stream}") for stream in (0, 1, 2)} == {"/dev/null"}
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        assert "Umask:\t0077\n" in status.read()


def test_a_second_start_does_nothing_and_says_who_runs(tiny):
    pid = tiny("start")[1][0][1]
    kind, (process, info) = tiny("start")
    assert kind == "AlreadyRunning"
    assert process[0] == info[1] == pid


def test_stopping_nothing_says_so(tiny):
    assert tiny("stop") == ["NotRunning", [0]]


def test_a_crashed_daemon_is_noticed_and_its_files_are_removed(tiny, place):
    tiny("start")
    process = find(place)
    process.send(signal.SIGKILL)
    assert process.wait(60)
    assert find(place) is None
    assert tiny("stop") == ["NotRunning", [process.pid]]
    assert os.listdir(place.state_dir) == ["logs"]
    assert tiny("start")[0] == "Started"


def test_a_daemon_that_ignores_the_request_is_killed(tiny, place):
    tiny("start", "deaf")
    kind, (_, killed) = tiny("stop", "deaf")
    assert (kind, killed) == ("Stopped", True)
    assert find(place) is None


@pytest.mark.parametrize(
    ("how", "error", "text"),
    [
        ("refuse", "PortTaken", "Port 7077 is used by postgres (pid 913)."),
        ("break", "ZeroDivisionError", "ZeroDivisionError: one over nothing"),
        ("die", "InternalError", "It ended without a word."),
        ("mute", "PeerTimeout", "It did not answer within 1 s."),
    ],
)
def test_a_failed_start_names_the_reason_and_leaves_nothing(tiny, place, how, error, text):
    kind, (name, said, log_path, tail) = tiny("start", how)
    assert (kind, name, said) == ("StartFailed", error, text)
    assert log_path == place.log_path
    assert len(tail) <= 5
    assert find(place) is None
    if how == "break":
        assert tail[-1] == "ZeroDivisionError: one over nothing"


def test_in_the_foreground_it_answers_and_ends_on_request(place):
    env = {**os.environ, "PYTHONPATH": ROOT}
    command = [sys.executable, SCRIPT, place.state_dir, "foreground", "well"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "simspark://here:1\n"
        assert PidFile(place.pid_path).holder().pid == child.pid
        child.terminate()
        assert child.wait(60) == 0
    assert os.listdir(place.state_dir) == ["logs"]
