"""What a small attempt costs its executor, counted and not timed: frames of Python, and programs unpickled."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from simspark.publib.lineage.program import Program, Steps
from simspark.publib.lineage.row_functions import paired_with_none
from simspark.publib.lineage.sinks import Count, ResultSink
from simspark.publib.lineage.sources import RangeSource
from simspark.publib.lineage.steps import Map
from simspark.publib.template_client import ExecutorStart
from simspark.publib.wire.messages import ExecutorSettings, LaunchTasks, Owner, TaskLaunch
from simspark.worker.executor.blocks import TaskData
from simspark.worker.executor.env import Environment
from simspark.worker.executor.interrupts import Interrupts
from simspark.worker.executor.runner import PROGRAMS_KEPT, Programs, Runner, Work
from tests.unit.frames import Frames

pytestmark = pytest.mark.unit
START = ExecutorStart("e0", "app", "w1", "ipc:///x", "", "", b"", b"n", "/nowhere", 1, 100 << 20)
COUNT = Program(RangeSource(), ResultSink(Count(), "count", "a.py:1"))
MAPPED = Program(Steps(RangeSource(), [Map(paired_with_none, "map", "a.py:1")]), ResultSink(Count(), "count", "a.py:1"))


class Clock:
    def now(self) -> float:
        return 0.0


class Loads:
    """Unpickles programs, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, data: bytes) -> Program:
        self.times += 1
        loaded: Program = pickle.loads(data)
        return loaded


def programs_with(program: Program) -> tuple[Loads, Programs]:
    loads = Loads()
    programs = Programs(loads)
    programs.add(b"h", pickle.dumps(program))
    return loads, programs


def test_a_program_without_anything_of_the_users_is_unpickled_once() -> None:
    loads, programs = programs_with(COUNT)
    found = [programs.get(b"h") for _ in range(5)]
    assert isinstance(found[0], Program) and len(set(map(id, found))) == loads.times == 1


def test_a_program_that_holds_a_function_is_unpickled_for_each_attempt() -> None:
    loads, programs = programs_with(MAPPED)
    found = [programs.get(b"h") for _ in range(5)]
    assert loads.times == len(set(map(id, found))) == 5


def test_a_program_that_is_let_go_is_let_go_as_an_object_too() -> None:
    loads, programs = programs_with(COUNT)
    programs.get(b"h")
    for number in range(PROGRAMS_KEPT):
        programs.add(b"%d" % number, b"")
    assert programs.get(b"h") is None and not programs._loaded
    programs.add(b"h", pickle.dumps(COUNT))
    programs.get(b"h")
    assert loads.times == 2


def test_an_attempt_at_a_count_enters_some_dozen_frames() -> None:
    environment = Environment(START)
    environment._settings = ExecutorSettings("app", (), "/", 1 << 20, 100, 1000, {}, Owner("w1", "", "", "", ""))
    _, programs = programs_with(COUNT)
    fetcher: Any = None
    runner = Runner(environment, programs, None, lambda task: TaskData(environment, fetcher, bool, task), Interrupts(),
                    Clock())  # fmt: skip
    launch = LaunchTasks(1, 2, 0, b"h", {}, ())
    frames = Frames()
    for task in range(2):
        frames.entered = 0
        report = frames.of(runner.run, Work(launch, TaskLaunch(task, 0, 0, pickle.dumps((0, 1, 1)))))
        assert report.outcome == "ok"
    assert frames.entered <= 36
