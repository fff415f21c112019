from __future__ import annotations

import pytest

from simspark.publib import sampling_profile
from simspark.publib.sampling_profile import DRIVER_STAGE, Profile, busiest_lines, folded_text
from simspark.publib.wire.messages import TaskSamples

pytestmark = pytest.mark.unit

RUN = ("/x/simspark/worker/executor/runner.py", "Runner.run", 90, 100, "engine")
WRITE = ("/x/simspark/publib/lineage/shuffle_write.py", "write", 5, 9, "engine")
MAP = ("/home/a.py", "main.<locals>.<lambda>", 12, 12, "user")
PARSE_3 = ("/home/a.py", "parse", 2, 3, "user")
PARSE_4 = ("/home/a.py", "parse", 2, 4, "user")
LOADS = ("/usr/lib/python3.11/json/__init__.py", "loads", 299, 340, "library")
WAIT = ("/usr/lib/python3.11/threading.py", "Thread.join", 1, 2, "library")


def samples(*stacks):
    """Of (stage, times, frames)."""
    frames = list(dict.fromkeys(frame for _, _, stack in stacks for frame in stack))
    seen = ((stage, times, tuple(map(frames.index, stack))) for stage, times, stack in stacks)
    return TaskSamples(tuple(frames), tuple(seen))


def profile(*stacks, **stages):
    made = Profile("a.py", 100)
    made.stages = {(0, int(number[1:])): label for number, label in stages.items()}
    made.add(samples(*stacks))
    return made


def lines(made, **options):
    return folded_text(made.folded(**options)).splitlines()


def test_the_users_frames_stand_below_their_stage_without_the_engines():
    made = profile((0, 5, [RUN, MAP, RUN, PARSE_3, LOADS]), s0="map at a.py:12")
    assert lines(made) == ["stage 0 · map at a.py:12;main.lambda (a.py:12);parse (a.py:2);loads (__init__.py:299) 5"]
    (with_engine,) = lines(made, engine=True)
    names = with_engine.split(";")
    assert names[1:4] == ["Runner.run (runner.py:90)", "main.lambda (a.py:12)", "Runner.run (runner.py:90)"]


def test_the_engine_at_work_is_one_frame_with_its_part_below():
    made = profile((0, 5, [RUN, MAP, RUN, WRITE]), (0, 1, [RUN, WAIT]))
    assert lines(made) == ["stage 0;main.lambda (a.py:12);simspark;shuffle write 5", "stage 0;simspark;runner 1"]


def test_of_an_import_the_modules_are_shown_not_the_machinery():
    machinery = ("<frozen importlib._bootstrap>", "_find_and_load", 1, 2, "library")
    module = ("/home/b.py", "<module>", 1, 4, "user")
    made = profile((0, 5, [PARSE_3, machinery, machinery, module]), (0, 1, [PARSE_3, machinery]))
    assert lines(made) == ["stage 0;parse (a.py:2);import 1", "stage 0;parse (a.py:2);top level (b.py:1) 5"]


def test_a_librarys_function_that_was_given_to_a_task_is_shown():
    assert lines(profile((0, 5, [RUN, LOADS]))) == ["stage 0;loads (__init__.py:299) 5"]


def test_what_the_engine_compiles_is_the_engines_and_what_a_program_of_the_command_line_calls_is_not():
    compiled = ("<string>", "<module>", 1, 1, "user")
    given = ("<string>", "<lambda>", 1, 1, "user")
    made = profile((0, 5, [RUN, compiled]), (0, 2, [RUN, given]), (DRIVER_STAGE, 1, [PARSE_3, RUN, compiled]))
    assert lines(made) == [
        "driver;parse (a.py:2);simspark;runner 1", "stage 0;simspark;runner 5", "stage 0;lambda (<string>:1) 2",
    ]  # fmt: skip


def test_in_the_driver_libraries_below_the_engine_are_the_engines():
    made = profile((DRIVER_STAGE, 2, [PARSE_3, RUN, LOADS]), (DRIVER_STAGE, 3, [PARSE_3, LOADS]))
    assert lines(made) == ["driver;parse (a.py:2);simspark;runner 2", "driver;parse (a.py:2);loads (__init__.py:299) 3"]
    assert (made.total(), made.total(driver=True)) == (0, 5)


def test_stages_of_one_call_have_one_root():
    stages = {f"s{number}": "map at a.py:12" for number in range(6)}
    made = profile(*((number, 1, [RUN, MAP]) for number in range(3)), **stages)
    assert lines(made) == ["stages 0, 1, 2 · map at a.py:12;main.lambda (a.py:12) 3"]
    made.add(samples((5, 4, [RUN, MAP])))
    assert lines(made) == ["4 stages · map at a.py:12;main.lambda (a.py:12) 7"]


def test_stacks_that_differ_in_lines_alone_are_one_in_the_folded_form_and_two_for_busy_lines():
    made = profile((0, 5, [RUN, PARSE_3]), (0, 3, [RUN, PARSE_4, LOADS]), (0, 1, [RUN, PARSE_4]))
    assert lines(made) == ["stage 0;parse (a.py:2) 6", "stage 0;parse (a.py:2);loads (__init__.py:299) 3"]
    busy = busiest_lines(made.folded(), 5)
    assert [(each.line, each.samples) for each in busy] == [(3, 5), (4, 4)]
    assert len(busiest_lines(made.folded(), 1)) == 1


def test_loops_have_the_name_that_they_are_known_by():
    from simspark.publib.lineage import steps

    assert getattr(steps, "LOOP", sampling_profile.LOOP) == sampling_profile.LOOP


def test_functions_built_into_one_loop_are_told_apart_by_their_lines():
    loop = ("/home/a.py", sampling_profile.LOOP, 12, 14, "user")
    assert lines(profile((0, 5, [RUN, loop]))) == ["stage 0;loop (a.py:14) 5"]


def test_of_too_many_different_stacks_the_rest_is_counted(monkeypatch):
    monkeypatch.setattr(sampling_profile, "MOST_STACKS", 2)
    functions = [("/home/a.py", f"f{number}", 1, 1, "user") for number in range(9)]
    made = profile(*((0, 1, [function]) for function in functions), (0, 1, [functions[0]]))
    assert sorted(lines(made)) == ["stage 0;f0 (a.py:1) 2", "stage 0;f1 (a.py:1) 1", "stage 0;… 7"]
    assert len(made.stacks) == 3
    assert made.total() == 10


def test_what_is_kept_is_read_again():
    made = profile((0, 5, [RUN, PARSE_3]), (DRIVER_STAGE, 2, [PARSE_4]), s0="map at a.py:12")
    made.executors.add("e1")
    again = Profile.from_json(made.to_json())
    assert vars(again) == vars(made)


def test_several_applications_of_a_program_are_one_profile():
    both = Profile("a.py", 100)
    for label in ("map at a.py:12", "count at a.py:20"):
        one = profile((0, 5, [RUN, PARSE_3]), (DRIVER_STAGE, 2, [PARSE_3]), s0=label)
        one.executors.add("e1")
        both.merge(one)
    assert lines(both) == [
        "driver;parse (a.py:2) 4",
        "stage 0 · map at a.py:12;parse (a.py:2) 5",
        "stage 0 · count at a.py:20;parse (a.py:2) 5",
    ]
    assert len(both.executors) == 2


def test_names_do_not_break_the_lines_of_the_folded_form():
    odd = ("/home/a.py", "a;b\nc", 1, 1, "user")
    assert lines(profile((0, 5, [odd]))) == ["stage 0;a,b c (a.py:1) 5"]
