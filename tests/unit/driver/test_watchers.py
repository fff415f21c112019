"""Who follows the event stream: the terminal at once where there is something to see, all else many together."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simspark.driver import watchers
from simspark.driver.conf import SparkConf, driver_settings
from simspark.driver.watchers import TICK, WAITING, Watchers
from simspark.publib import events
from simspark.publib.event_log import read_event_log

pytestmark = pytest.mark.unit


class Hand:
    """A clock that the test moves. The epoch was 1,000 s before."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.time + 1000


class Timers:
    """What of a loop its watchers use."""

    def __init__(self, clock: Hand) -> None:
        self.clock = clock
        self.calls: dict[str, tuple[float, Callable[[], None]]] = {}
        self.set = 0

    def call_at(self, name: str, when: float, call: Callable[[], None]) -> None:
        self.set += 1
        self.calls[name] = when, call

    def has_timer(self, name: str) -> bool:
        return name in self.calls

    def wait_until(self, moment: float) -> None:
        while due := sorted((when, name) for name, (when, _) in self.calls.items() if when <= moment):
            when, name = due[0]
            self.clock.time = max(self.clock.time, when)
            self.calls.pop(name)[1]()
        self.clock.time = moment


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Followed:
    """Watchers with a clock, a terminal and a log."""

    def __init__(self, directory: Path, terminal: io.StringIO, waits: str = "") -> None:
        self.clock = Hand()
        self.timers = Timers(self.clock)
        self.terminal = terminal
        conf = SparkConf().set("spark.master", "local[1]").set("spark.app.name", "a")
        settings = driver_settings(conf)._replace(event_log=True, event_log_dir=str(directory), progress="auto")
        self.watchers = Watchers(self.timers, self.clock, settings, "app", lambda: waits)
        self.path = str(directory / "app.jsonl")

    def start(self, job: int) -> None:
        self.watchers.handle([events.JobStarted(job, "count", "a.py:1", "", ((job, "map", "a.py:1", 2),))])
        self.watchers.handle([events.StageStarted(job, job, 0, "map", "a.py:1", 2)])
        self.watchers.handle([events.TasksStarted(job, job, 0, "e", (events.TaskStart(0, 0, 0),))])

    def end(self, job: int) -> None:
        end = events.TaskEnd(0, 0, 0, "ok", True, "", {})
        self.watchers.handle([events.TasksEnded(job, job, 0, "e", (end,))])
        self.watchers.handle([events.StageEnded(job, job, 0, "succeeded")])
        self.watchers.handle([events.JobEnded(job, "succeeded", "")])

    def logged(self) -> list[tuple[float, type]]:
        self.watchers.close()
        return [(moment, type(event)) for moment, event in read_event_log(self.path)]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    monkeypatch.setattr(watchers.sys, "stderr", made)
    monkeypatch.setattr(watchers, "terminal_is_plain", lambda: False)
    return made


@pytest.fixture
def followed(tmp_path: Path, terminal: Terminal) -> Iterator[Followed]:
    made = Followed(tmp_path, terminal)
    yield made
    made.watchers.close()


def test_short_jobs_are_followed_many_together_and_the_log_has_each_event_with_its_moment(followed: Followed):
    moments = []
    for job in range(40):
        followed.clock.time += 0.001
        moments += [followed.clock.wall()] * 6
        followed.start(job)
        followed.end(job)
    logged = followed.logged()
    assert [moment for moment, _ in logged] == pytest.approx(moments, abs=1e-5)
    assert [kind for _, kind in logged] == 40 * [
        events.JobStarted, events.StageStarted, events.TasksStarted,
        events.TasksEnded, events.StageEnded, events.JobEnded,
    ]  # fmt: skip


def test_what_nobody_could_see_of_short_jobs_is_never_drawn_nor_folded(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
):
    folded: list[object] = []
    monkeypatch.setattr(followed.watchers._progress, "handle", lambda event, at: folded.append(event))
    for job in range(40):
        followed.clock.time += 0.001
        followed.start(job)
        followed.end(job)
    assert folded == []
    assert followed.terminal.getvalue() == ""


def test_short_jobs_one_after_another_set_two_timers(followed: Followed):
    for job in range(40):
        followed.start(job)
        followed.end(job)
    assert followed.timers.set == 2
    assert set(followed.timers.calls) == {TICK, WAITING}


def test_a_job_of_half_a_second_is_drawn_and_wiped_at_its_end(followed: Followed):
    followed.start(0)
    followed.timers.wait_until(100.49)
    assert followed.terminal.getvalue() == ""
    followed.timers.wait_until(100.5)
    assert "0/2 (1 running)" in followed.terminal.getvalue()
    followed.end(0)
    assert followed.terminal.getvalue().endswith("\r\x1b[J")


def test_a_job_of_two_seconds_leaves_its_line_when_it_ends(followed: Followed):
    followed.start(0)
    followed.timers.wait_until(103.0)
    followed.end(0)
    assert followed.terminal.getvalue().endswith("job 0 done in 3.0 s: 1 stage, 1 task\n")


def test_a_short_job_that_comes_during_a_long_one_changes_nothing_of_it(followed: Followed):
    followed.start(0)
    followed.timers.wait_until(101.0)
    followed.start(1)
    followed.end(1)
    followed.timers.wait_until(103.0)
    followed.end(0)
    assert "job 0 done in 3.0 s" in followed.terminal.getvalue()
    assert "job 1" not in followed.terminal.getvalue()


def test_a_line_that_a_task_prints_is_shown_at_once_and_logged_after_what_came_before(followed: Followed):
    followed.start(0)
    followed.watchers.handle([events.LogLine("w/0", -1, "stdout", "here\n")])
    assert followed.terminal.getvalue() == "[executor 0] here\n"
    followed.end(0)
    assert [kind for _, kind in followed.logged()][2:5] == [events.TasksStarted, events.LogLine, events.TasksEnded]


def test_a_job_says_what_it_waits_for_two_seconds_after_it_began(
    tmp_path: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(watchers.sys, "stderr", terminal)  # pytest has taken it back since the fixture
    followed = Followed(tmp_path, terminal, waits="no executors yet")
    followed.start(0)
    followed.end(0)
    followed.timers.wait_until(101.5)
    followed.start(1)
    followed.timers.wait_until(103.4)
    assert "no executors" not in terminal.getvalue()
    followed.timers.wait_until(103.5)
    assert "no executors yet\n" in terminal.getvalue()
    followed.watchers.close()
