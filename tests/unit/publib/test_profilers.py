from __future__ import annotations

import itertools
import os
import pickle

import pytest

from simspark.profiler import BasicProfiler, MemoryProfiler, Profiler, ProfilerCollector, UDFBasicProfiler
from simspark.publib.errors import UserError
from simspark.publib.lineage.profiling import profiled
from simspark.publib.lineage.program import Program, run_program
from simspark.publib.lineage.shared import Accumulator
from simspark.publib.lineage.task import ResultValue, TaskRun

pytestmark = pytest.mark.unit


class Context:
    numbers = itertools.count()

    def accumulator(self, value, accum_param=None):
        return Accumulator(next(self.numbers), value, accum_param)


class Listed:
    """A source that calls a function as soon as it is asked for rows."""

    def rows(self, split, task):
        return iter([costly(number) for number in range(5)])


class Total:
    def run(self, rows, task):
        return ResultValue(sum(rows))


def costly(number):
    return number * 2


def task():
    return TaskRun(job_id=0, stage_id=0, stage_attempt=0, partition=0, attempt=0, task_id=0, data=None, cache=None)


def run_one(profiler):
    """Run a profiled program as a task does, and merge what it brings home."""
    travelled = pickle.loads(pickle.dumps(profiler))
    running = task()
    done = run_program(profiled(Program(Listed(), Total()), travelled), None, running)
    for update in running.accumulated.values():
        profiler._accumulator.merge(pickle.loads(pickle.dumps(update)))
    return done


@pytest.fixture
def no_exit(monkeypatch):
    calls = []
    monkeypatch.setattr("atexit.register", calls.append)
    return calls


def collector(**named):
    return ProfilerCollector(BasicProfiler, UDFBasicProfiler, MemoryProfiler, **named)


def calls_of(profiler, function):
    return sum(counts[1] for (_, _, name), counts in profiler.stats().stats.items() if name == function)


def test_profiles_of_tasks_add_up_and_results_are_the_same():
    profiler = BasicProfiler(Context())
    assert profiler.stats() is None
    assert run_one(profiler) == run_one(profiler) == ResultValue(20)
    assert calls_of(profiler, "costly") == 10


def test_a_profile_is_shown_by_its_rdd_slowest_first(capsys):
    profiler = BasicProfiler(Context())
    profiler.show(3)
    assert not capsys.readouterr().out
    run_one(profiler)
    profiler.show(3)
    shown = capsys.readouterr().out
    assert shown.startswith("=" * 60 + "\nProfile of RDD<id=3>\n" + "=" * 60)
    assert "Ordered by: internal time, cumulative time" in shown and "costly" in shown


def test_a_profile_is_dumped_for_pstats(tmp_path):
    import pstats

    profiler = BasicProfiler(Context())
    run_one(profiler)
    profiler.dump(3, str(tmp_path / "new"))
    assert pstats.Stats(str(tmp_path / "new" / "rdd_3.pstats")).total_calls == profiler.stats().total_calls


def test_a_task_that_raises_raises_the_same_and_frees_the_profiler():
    profiler = BasicProfiler(Context())
    with pytest.raises(ZeroDivisionError):
        profiler.profile(lambda: 1 / 0)
    run_one(profiler)
    assert calls_of(profiler, "costly") == 5


def test_while_one_task_is_profiled_another_runs_without(monkeypatch):
    monkeypatch.setattr("simspark.publib.profilers.ONE_AT_A_TIME", True)
    profiler, inner = BasicProfiler(Context()), BasicProfiler(Context())
    assert profiler.profile(lambda: inner.profile(lambda: 7)) == 7
    assert inner.stats() is None and profiler.stats() is not None


class Forgetful(Profiler):
    def profile(self, func, *args, **kwargs):
        return None


class Silent(BasicProfiler):
    def profile(self, func, *args, **kwargs):
        func(*args, **kwargs)


def test_a_profiler_that_returns_nothing_changes_no_result():
    assert run_one(Silent(Context())) == ResultValue(20)


def test_a_profiler_that_does_not_call_is_named():
    with pytest.raises(UserError, match=r"Forgetful.profile did not call the function that it was given"):
        run_program(profiled(Program(Listed(), Total()), Forgetful(None)), None, task())


def test_the_bare_profiler_says_what_is_to_be_written():
    for call in (lambda p: p.profile(len), lambda p: p.stats(), lambda p: p.show(1), lambda p: p.dump(1, "x")):
        with pytest.raises(NotImplementedError):
            call(Profiler(None))


def test_an_rdd_has_one_profiler_until_it_is_shown(no_exit, capsys):
    collected = collector()
    first = collected.profiler_of(4, Context())
    assert collected.profiler_of(4, Context()) is first
    assert collected.profiler_of(5, Context()) is not first
    collected.show_profiles()
    assert collected.profiler_of(4, Context()) is not first
    assert [(number, shown) for number, _, shown in collected.profilers] == [(4, True), (5, True), (4, False)]


def test_the_end_of_the_program_shows_or_dumps(no_exit, tmp_path, capsys):
    for collected in (collector(), collector(dump_path=str(tmp_path))):
        profiler = collected.profiler_of(1, Context())
        collected.profiler_of(2, Context())
        run_one(profiler)
    assert len(no_exit) == 2
    no_exit[0]()
    assert "Profile of RDD<id=1>" in capsys.readouterr().out
    no_exit[1]()
    assert not capsys.readouterr().out
    assert os.listdir(tmp_path) == ["rdd_1.pstats"]


def test_dumped_profiles_begin_anew(no_exit, tmp_path):
    collected = collector()
    run_one(collected.profiler_of(1, Context()))
    collected.dump_profiles(str(tmp_path))
    assert collected.profilers == []


def test_memory_needs_its_package(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "memory_profiler", None)
    with pytest.raises(ImportError, match="pip install memory-profiler"):
        MemoryProfiler(Context()).profile(None, None, len, [])


def test_memory_by_line_is_shown_with_its_source(capsys, tmp_path):
    source = tmp_path / "used.py"
    source.write_text("a = 1\nb = 2\n")
    profiler = MemoryProfiler(Context())
    profiler._accumulator.add({str(source): [(1, (2.0, 30.0, 1)), (2, None)]})
    profiler.show(7)
    shown = capsys.readouterr().out
    assert "Profile of UDF<id=7>" in shown and "Line #    Mem usage    Increment  Occurrences   Line Contents" in shown
    assert "     1     30.0 MiB      2.0 MiB           1   a = 1\n" in shown
    profiler.dump(7, str(tmp_path))
    assert "30.0 MiB" in (tmp_path / "udf_7_memory.txt").read_text()
