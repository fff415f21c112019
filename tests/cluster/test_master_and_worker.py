"""Master and workers as real processes, with a driver that only asks for executors."""

from __future__ import annotations

import os
import signal

import pytest

from simspark.publib.wire import messages
from tests.cluster.conftest import wait_until
from tests.cluster.stub_driver import Daemons, StubDriver

pytestmark = pytest.mark.cluster


@pytest.fixture
def daemons(tmp_path_factory):
    made = Daemons(tmp_path_factory.mktemp("d"))
    made.start_master()
    yield made
    made.close()
    assert made.files() == []


@pytest.fixture
def driver(daemons):
    made = StubDriver(daemons)
    yield made
    made.close()


def is_alive(process):
    try:
        with open(f"/proc/{process}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def running(driver, count):
    wait_until(lambda: len(driver.processes) == count, f"{count} executors")
    return dict(driver.processes)


def test_executors_are_granted_start_and_say_hello(daemons, driver):
    daemons.start_worker("a")
    driver.ask(2)
    processes = running(driver, 2)
    assert all(map(is_alive, processes.values()))
    wait_until(lambda: driver.workers == {"w1"}, "the worker's hello")
    driver.say(messages.FinishApplication())
    wait_until(lambda: not any(map(is_alive, processes.values())), "the end of the executors")
    wait_until(lambda: daemons.status()["counts"] == {"workers": 1, "applications": 0, "executors": 0}, "the end")


def test_a_program_without_workers_waits_and_goes_on_when_one_joins(daemons, driver):
    driver.ask(2)
    wait_until(lambda: any(isinstance(one, messages.QueueState) for one in driver.heard), "the reason")
    daemons.start_worker("a")
    running(driver, 2)


def test_a_killed_executor_is_told_at_once_and_replaced(daemons, driver):
    daemons.start_worker("a")
    driver.ask(2)
    processes = running(driver, 2)
    wait_until(lambda: driver.workers == {"w1"}, "the worker's hello")
    name, process = processes.popitem()
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: name in driver.exited and name in driver.gone, "word of the end")
    assert driver.exited[name].signal == signal.SIGKILL
    wait_until(lambda: len(driver.processes) == 2, "another one")


def test_a_killed_worker_ends_its_executors_and_is_dead_soon(daemons, driver):
    daemons.start_worker("a")
    driver.ask(2)
    processes = running(driver, 2)
    daemons.kill("a")
    wait_until(lambda: not any(map(is_alive, processes.values())), "the end of the executors")
    wait_until(lambda: set(driver.gone) == set(processes), "the master's word")
    assert [state.state for state in driver.states][-2:] == ["late", "dead"]
    daemons.start_worker("a")
    running(driver, 2)
    assert {grant.worker for grant in driver.grants.values()} == {"w1", "w2"}


def test_a_worker_that_was_stopped_too_long_comes_back_as_new(daemons, driver):
    daemons.start_worker("a")
    driver.ask(2)
    processes = running(driver, 2)
    daemons.signal("a", signal.SIGSTOP)
    wait_until(lambda: set(driver.gone) == set(processes), "the worker's death")
    daemons.signal("a", signal.SIGCONT)
    wait_until(lambda: not any(map(is_alive, processes.values())), "the end of the old executors")
    running(driver, 2)
    assert {grant.incarnation for grant in driver.grants.values()} == {1, 2}
    assert {grant.worker for grant in driver.grants.values()} == {"w1"}


@pytest.mark.parametrize("down_s", [0.0, 4.0])
def test_a_killed_master_that_returns_finds_everything_and_nothing_has_stopped(daemons, driver, down_s):
    daemons.start_worker("a")
    driver.ask(2)
    processes = running(driver, 2)
    port = daemons.port
    daemons.kill("master")
    if down_s:
        wait_until(lambda: any("PeerLost" in type(one).__name__ for one in driver.heard), "the loss")
    daemons.start_master(port)
    wait_until(lambda: driver.registrations >= 2, "the driver's return")
    wait_until(lambda: len(daemons.status()["executors"]) == 2, "the executors' return")
    wait_until(lambda: not daemons.status()["recovering"], "the end of the recovery")
    status = daemons.status()
    assert status["epoch"] == 2
    assert [(one["worker"], one["incarnation"], one["state"]) for one in status["workers"]] == [("w1", 2, "alive")]
    assert driver.processes == processes
    assert all(map(is_alive, processes.values()))
    assert driver.gone == {}


def test_beside_an_application_that_holds_all_and_idles_another_gets_its_share(daemons, driver):
    daemons.start_worker("a")
    driver.ask(2)
    running(driver, 2)
    second = StubDriver(daemons)
    try:
        second.ask(2)
        wait_until(lambda: any(isinstance(one, messages.GiveBack) for one in driver.heard), "the request")
        (asked,) = [one for one in driver.heard if isinstance(one, messages.GiveBack)]
        assert asked == messages.GiveBack(1)
        driver.say(messages.ReleaseExecutors((next(iter(driver.processes)),)))
        running(second, 1)
    finally:
        second.close()


def test_what_a_lost_driver_leaves_is_swept(daemons):
    daemons.start_worker("a")
    driver = StubDriver(daemons)
    driver.ask(2)
    processes = running(driver, 2)
    driver.close()
    wait_until(lambda: not any(map(is_alive, processes.values())), "the end of the executors")
    wait_until(lambda: daemons.status()["counts"] == {"workers": 1, "applications": 0, "executors": 0}, "the end")
    wait_until(lambda: [path for path in daemons.files() if "app-" in path] == [], "the files' end")


def test_a_worker_without_a_master_says_so_in_two_seconds(daemons, tmp_path):
    daemons.url = "simspark://127.0.0.1:9"
    said = daemons.start_worker("a")
    assert said["type"] == "NoMaster"
    assert "127.0.0.1:9" in said["error"]


def test_a_second_master_on_the_port_is_an_error(daemons, tmp_path):
    other = Daemons(tmp_path)
    said = other.start("master", "master", **{"master.port": str(daemons.port)})
    other.close()
    assert said["type"] == "PortTaken"
    assert not os.path.exists(os.path.join(str(tmp_path), "state", "master.journal"))


def test_a_work_directory_that_cannot_be_used_is_an_error(daemons, tmp_path):
    (tmp_path / "file").write_text("")
    settings = {"worker.master": daemons.url, "worker.name": "a", "worker.work_dir": str(tmp_path / "file" / "w")}
    said = daemons.start("worker", "a", **settings)
    assert said["type"] == "StorageFault"
    assert str(tmp_path / "file" / "w") in said["error"]
