from __future__ import annotations

import io

import pytest

from simspark.driver.progress import Progress, ProgressLine, progress_mode, stage_line, summary
from simspark.publib import events

pytestmark = pytest.mark.unit


class Hand:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.time


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


STARTED = events.JobStarted(0, "collect", "a.py:9", "", ((0, "map", "wordcount.py:14", 40), (1, "reduceByKey", "", 8)))
STAGE = events.StageStarted(0, 0, 0, "map", "wordcount.py:14", 40)


def started(*partitions: int, attempt: int = 0) -> events.TasksStarted:
    return events.TasksStarted(0, 0, 0, "e1", tuple(events.TaskStart(p, p, attempt) for p in partitions))


def ended(*partitions: int, outcome: str = "ok", accepted: bool = True) -> events.TasksEnded:
    metrics = {"shuffle_write_bytes": 100_000}
    tasks = tuple(events.TaskEnd(p, p, 0, outcome, accepted, "", metrics) for p in partitions)
    return events.TasksEnded(0, 0, 0, "e1", tasks)


def line_on(clock: Hand, mode: str = "auto", columns: int = 100) -> tuple[ProgressLine, Terminal]:
    terminal = Terminal()
    return ProgressLine(clock, terminal, mode, lambda: columns), terminal


def test_stage_line_shows_name_bar_counts_and_time_left() -> None:
    progress = Progress()
    for event in (STARTED, STAGE, started(*range(20)), ended(*range(16))):
        progress.handle(100.0, event)
    stage = progress.jobs[0].stages[0]
    assert stage_line(102.0, stage) == (
        "stage 0 map wordcount.py:14  [============>                  ] 16/40 (4 running) eta 3s"
    )
    assert stage_line(102.0, progress.jobs[0].stages[1]).endswith("] 0/8 waits")


def test_failed_and_repeated_tasks_are_counted() -> None:
    progress = Progress()
    for event in (STARTED, STAGE, started(1), ended(1, outcome="raised", accepted=False), started(1, attempt=1)):
        progress.handle(100.0, event)
    assert "(1 running, 1 failed, 1 tried again)" in stage_line(100.0, progress.jobs[0].stages[0])


def test_nothing_is_drawn_before_half_a_second() -> None:
    clock = Hand()
    line, terminal = line_on(clock)
    line.handle(STARTED)
    assert line.tick() == pytest.approx(0.5)
    clock.time += 0.49
    line.tick()
    assert terminal.getvalue() == ""
    clock.time += 0.02
    line.tick()
    assert "stage 0 map" in terminal.getvalue()


def test_it_redraws_ten_times_a_second_at_most() -> None:
    clock = Hand()
    line, terminal = line_on(clock)
    line.handle(STARTED)
    clock.time += 1
    line.tick()
    once = terminal.getvalue()
    clock.time += 0.05
    assert line.tick() == pytest.approx(0.05)
    assert terminal.getvalue() == once


def test_it_is_wiped_and_a_long_job_leaves_one_line() -> None:
    clock = Hand()
    line, terminal = line_on(clock)
    for event in (STARTED, STAGE, started(0), ended(0)):
        line.handle(event)
    clock.time += 6.1
    line.tick()
    line.handle(events.JobEnded(0, "succeeded", ""))
    assert terminal.getvalue().endswith(
        "\r\x1b[1A\x1b[Jjob 0 done in 6.1 s: 1 stage, 1 task, shuffle 100.0 kB\n"
    )
    assert line.tick() is None


def test_a_short_job_leaves_nothing() -> None:
    clock = Hand()
    line, terminal = line_on(clock)
    line.handle(STARTED)
    clock.time += 0.3
    line.handle(events.JobEnded(0, "succeeded", ""))
    assert terminal.getvalue() == ""


def test_lines_fit_the_terminal_and_more_stages_are_counted() -> None:
    clock = Hand()
    line, terminal = line_on(clock, columns=40)
    many = STARTED._replace(stages=tuple((number, "map", "", 4) for number in range(7)))
    line.handle(many)
    clock.time += 1
    line.tick()
    lines = terminal.getvalue().split("\n")
    assert lines[-1] == "+4 more"
    assert max(map(len, lines)) < 40


def test_plain_writes_one_line_for_a_long_stage_only() -> None:
    clock = Hand()
    line, terminal = line_on(clock, "plain")
    for wait in (9.0, 11.0):
        line.handle(STARTED)
        line.handle(STAGE)
        clock.time += wait
        assert line.tick() is None
        line.handle(events.StageEnded(0, 0, 0, "succeeded"))
        line.handle(events.JobEnded(0, "succeeded", ""))
    assert terminal.getvalue() == "stage 0 map succeeded in 11.0 s: 40 tasks\n"


def test_off_is_silent() -> None:
    clock = Hand()
    line, terminal = line_on(clock, "off")
    line.handle(STARTED)
    clock.time += 9
    assert line.tick() is None
    line.handle(events.JobEnded(0, "succeeded", ""))
    assert terminal.getvalue() == ""


def test_a_closed_terminal_ends_the_drawing_not_the_job() -> None:
    clock = Hand()
    line, terminal = line_on(clock)
    line.handle(STARTED)
    terminal.close()
    clock.time += 1
    line.tick()
    line.handle(events.JobEnded(0, "succeeded", ""))


@pytest.mark.parametrize(
    ("setting", "tty", "plain", "mode"),
    [
        ("auto", True, False, "auto"),
        ("auto", True, True, "plain"),
        ("auto", False, False, "plain"),
        ("off", True, False, "off"),
        ("plain", True, False, "plain"),
    ],
)
def test_mode(setting: str, tty: bool, plain: bool, mode: str) -> None:
    assert progress_mode(setting, Terminal() if tty else io.StringIO(), plain) == mode


def test_summary_counts_what_ran() -> None:
    progress = Progress()
    for event in (STARTED, STAGE, ended(*range(12))):
        progress.handle(100.0, event)
    assert summary(progress.jobs[0], 6.1) == "job 0 done in 6.1 s: 1 stage, 12 tasks, shuffle 1.2 MB"
