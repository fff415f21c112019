from __future__ import annotations

import os
import threading

import pytest

from simspark.publib.lineage.program import Program, Steps
from simspark.publib.lineage.sources import SliceSource
from simspark.publib.lineage.steps import Map, MapPartitions
from simspark.publib.wire import payload
from simspark.worker.executor import failures
from simspark.worker.executor.failures import describe


class TwoArguments(Exception):
    def __init__(self, first, second):
        super().__init__(first)
        self.second = second


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no")


class Endless(Exception):
    def __str__(self):
        while self.args == ():
            pass
        return ""


class NoRepr:
    def __repr__(self):
        raise ValueError("no repr")


def raised(call):
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def run(function, element, step=Map):
    program = Program(Steps(SliceSource(), (step(function, site="wc.py:14"),)), None)
    steps = program.source
    error = raised(lambda: list(steps.rows([element], type("Task", (), {"partition": 0, "properties": {}}))))
    return describe(error, program)


def parse(line):
    number = int(line)
    return number


def test_a_failure_has_type_text_frames_with_columns_and_source():
    failure = run(parse, "x7")
    assert (failure.type_name, failure.module) == ("ValueError", "builtins")
    assert failure.text == "invalid literal for int() with base 10: 'x7'"
    last = failure.frames[-1]
    assert last.function == "parse"
    assert os.path.basename(last.file) == "test_failures.py"
    assert last.source.strip() == "number = int(line)"
    assert last.source[last.column : last.end_column] == "int(line)"


def test_frames_of_simspark_are_left_out():
    assert not [frame for frame in run(parse, "x").frames if frame.file.startswith(failures.SIMSPARK)]


def test_the_element_and_the_step_are_named():
    assert run(parse, "x7").notes == ("while processing element: 'x7'", "in map(parse) at wc.py:14")
    assert run(lambda line: int(line), "x7").notes[-1] == "in map at wc.py:14"


def test_no_element_is_named_for_a_function_of_a_whole_partition():
    assert run(lambda rows: [parse(row) for row in rows], "x", MapPartitions).notes == (
        "in mapPartitions at wc.py:14",
    )


def test_a_huge_element_is_cut_and_one_without_repr_does_no_harm():
    assert len(run(parse, "y" * 10**6).notes[0]) < 300
    assert len(run(lambda rows: parse(rows[0]), ["z"] * 10**5).notes[0]) < 300
    assert "NoRepr" in run(parse, NoRepr()).notes[0]


def test_an_exception_that_arrives_as_what_it_is_travels():
    arrived = payload.load(run(parse, "x").pickled)
    assert type(arrived) is ValueError
    local = type("Local", (ValueError,), {})
    assert type(payload.load(describe(local("mine")).pickled)) is local


@pytest.mark.parametrize("error", [TwoArguments(1, 2), ValueError(threading.Lock()), ValueError("x" * 10**6)])
def test_an_exception_that_does_not_survive_the_journey_goes_as_text(error):
    failure = describe(raised(lambda: throw(error)))
    assert failure.pickled == b""
    assert failure.type_name == type(error).__name__
    assert len(failure.text) < 10_000


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_what_would_end_the_driver_never_travels_as_itself(error):
    assert describe(error).pickled == b""


def test_an_exception_that_cannot_be_printed_is_still_described():
    failure = describe(raised(lambda: throw(Unprintable())))
    assert failure.text == "<it cannot be printed>"
    assert failure.type_name == "Unprintable"


def test_printing_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(failures, "PRINT_LIMIT_S", 0.05)
    assert describe(Endless()).text == "<it cannot be printed>"


def test_a_deep_recursion_is_cut_in_the_middle():
    def deeper(depth):
        return deeper(depth + 1) + 1

    failure = describe(raised(lambda: deeper(0)))
    assert failure.type_name == "RecursionError"
    assert len(failure.frames) <= failures.FRAMES_LIMIT
    assert len(failure.traceback) <= failures.TRACEBACK_LIMIT + 3


def test_notes_and_causes_are_kept():
    def fail():
        try:
            parse("x")
        except ValueError as cause:
            error = KeyError("outer")
            error.add_note("look here")
            raise error from cause

    failure = describe(raised(fail))
    assert failure.notes == ("look here",)
    assert "invalid literal" in failure.traceback


def test_odd_notes_do_no_harm():
    error = ValueError("x")
    error.__notes__ = [1, "fine", None]
    assert describe(error).notes == ("fine",)
    error.__notes__ = 5
    assert describe(error).notes == ()


def throw(error):
    raise error
