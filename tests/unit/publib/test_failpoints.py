from __future__ import annotations

import errno
import os
import signal

import pytest

from simspark.publib import failpoints
from simspark.publib.errors import ConfigError
from simspark.publib.failpoints import Failpoint


@pytest.fixture(autouse=True)
def disarmed():
    yield
    failpoints.arm("")


def test_nothing_is_armed_until_somebody_arms_it():
    assert failpoints.armed is None
    assert failpoints.hit("p3") is False


def test_the_text_names_phases_actions_and_options():
    text = "p4=kill, nth=2, role=executor, once=/run/claim; p8=delay,seconds=0.5;"
    assert failpoints.parse(text) == (
        Failpoint("p4", "kill", 2, 0.1, "executor", "/run/claim"),
        Failpoint("p8", "delay", 1, 0.5),
    )


@pytest.mark.parametrize("text", ["p11=kill", "p1=explode", "p1", "p1=kill,nth=x", "p1=kill,often=3"])
def test_a_malformed_text_is_refused(text):
    with pytest.raises(ConfigError, match="failpoint"):
        failpoints.parse(text)


def test_it_strikes_at_the_nth_visit_and_once():
    failpoints.arm("p4=enospc,nth=2")
    failpoints.hit("p4")
    failpoints.hit("p5")
    with pytest.raises(OSError) as caught:
        failpoints.hit("p4")
    assert caught.value.errno == errno.ENOSPC
    failpoints.hit("p4")


def test_raise_is_an_error_that_no_code_expects():
    failpoints.arm("p3=raise")
    with pytest.raises(failpoints.FailpointHit):
        failpoints.hit("p3")


def test_a_role_limits_it_to_processes_that_are_called_so():
    failpoints.arm("p1=raise,role=worker", role="executor")
    assert failpoints.armed is None
    failpoints.arm("p1=raise,role=worker", role="worker")
    assert failpoints.armed is not None


def test_only_one_process_of_all_is_struck_when_it_says_once(tmp_path):
    for struck in (True, False):
        failpoints.arm(f"p5=corrupt,once={tmp_path / 'claim'}")
        assert failpoints.hit("p5") is struck


def test_corrupt_flips_one_bit():
    data = bytes(range(9))
    spoiled = failpoints.spoil(data)
    assert len(spoiled) == len(data) and sum(a != b for a, b in zip(data, spoiled, strict=True)) == 1
    assert failpoints.spoil(b"") == b""


@pytest.mark.parametrize(("action", "number"), [("kill", signal.SIGKILL), ("stop", signal.SIGSTOP)])
def test_kill_and_stop_signal_the_process_itself(action, number, monkeypatch):
    sent = []
    monkeypatch.setattr(os, "kill", lambda process, signal_: sent.append((process, signal_)))
    failpoints.arm(f"p2={action}")
    failpoints.hit("p2")
    assert sent == [(os.getpid(), number)]


def test_delay_waits_at_every_visit_from_the_nth(monkeypatch):
    waits = []
    monkeypatch.setattr(failpoints.threading.Event, "wait", lambda _event, seconds: waits.append(seconds))
    failpoints.arm("p8=delay,seconds=0.5,nth=2")
    for _ in range(3):
        failpoints.hit("p8")
    assert waits == [0.5, 0.5]


def test_a_claim_says_which_process_was_struck(tmp_path):
    failpoints.arm(f"journal=corrupt,once={tmp_path / 'claim'}")
    assert failpoints.hit("journal")
    assert [path.name for path in tmp_path.iterdir()] == ["claim"]
    assert (tmp_path / "claim").read_text() == str(os.getpid())
