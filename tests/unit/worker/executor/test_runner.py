from __future__ import annotations

import errno
import signal
import sys
import threading

import cloudpickle
import pytest

from simspark.publib.blocks.segments import decode_inline
from simspark.publib.errors import FetchFailed, StorageFault
from simspark.publib.lineage.program import Program
from simspark.publib.lineage.task import MapDone, ResultValue
from simspark.publib.template_client import ExecutorStart
from simspark.publib.wire import messages
from simspark.publib.wire.messages import ExecutorSettings, LaunchTasks, Owner, TaskLaunch
from simspark.worker.executor.env import Environment
from simspark.worker.executor.interrupts import Interrupts, TaskCancelled
from simspark.worker.executor.runner import Programs, Runner, Work

START = ExecutorStart("e0", "app", "w1", "ipc:///x", "", "", b"", b"n", "/nowhere", 1, 100 << 20)


class Clock:
    def now(self):
        return 0.0


class Written:
    def __init__(self):
        self.frames = []
        self.committed = False

    def append_frame(self, segment, frame):
        self.frames.append(bytes(frame))

    def commit(self):
        self.committed = True


class FakeData:
    def __init__(self):
        self.files = {}
        self.ended = False

    def create(self, name):
        self.files[name] = Written()
        return self.files[name]

    def end(self):
        self.ended = True


class Rows:
    def __init__(self, function):
        self.function = function

    def rows(self, split, task):
        yield self.function(split, task)


class Sink:
    def run(self, rows, task):
        value = next(rows)
        return value if isinstance(value, MapDone) else ResultValue(value)


class Stand:
    def __init__(self):
        environment = Environment(START)
        environment._settings = ExecutorSettings(
            "app", (), "/", 1 << 20, 100, 1000, {"a": "1"}, Owner("w1", "", "", "", "")
        )
        self.data = FakeData()
        self.programs = Programs()
        self.interrupts = Interrupts()
        self.runner = Runner(environment, self.programs, None, lambda task: self.data, self.interrupts, Clock())

    def work(self, function, split=None, task=5):
        program = cloudpickle.dumps(Program(Rows(function), Sink()))
        self.programs._held[b"h"] = program
        launch = LaunchTasks(1, 2, 3, b"h", {"b": "2"}, ())
        return Work(launch, TaskLaunch(task, 7, 0, cloudpickle.dumps(split) if split is not None else b""))

    def run(self, function, split=None):
        report = self.runner.run(self.work(function, split))
        assert self.data.ended
        return report


@pytest.fixture
def stand():
    before = signal.getsignal(signal.SIGINT)
    yield Stand()
    signal.signal(signal.SIGINT, before)


def test_a_small_result_rides_in_the_report(stand):
    report = stand.run(lambda split, task: [split, task.partition, dict(task.properties)], "s")
    assert report.outcome == "ok"
    assert decode_inline(report.payload) == ["s", 7, {"a": "1", "b": "2"}]
    assert report.name == ""
    assert report.metrics["peak_bytes"] > 0


def test_a_large_result_is_a_file_that_outlives_the_executor(stand):
    report = stand.run(lambda split, task: "x" * 5000)
    assert (report.outcome, report.payload, report.name) == ("ok", b"", "result-1-7-5")
    assert stand.data.files["result-1-7-5"].committed
    assert decode_inline(b"".join(stand.data.files["result-1-7-5"].frames)) == "x" * 5000
    assert report.size_bytes > 5000


def test_a_map_output_is_named_with_its_size(stand):
    report = stand.run(lambda split, task: MapDone("shuffle-1-7-5", (3, 4)))
    assert (report.name, report.size_bytes, report.payload) == ("shuffle-1-7-5", 7, b"")
    assert report.metrics["shuffle_write_bytes"] == 7


def test_accumulators_and_cached_blocks_come_with_the_result(stand):
    def function(split, task):
        task.accumulated[4] = 10
        task.cached_blocks.append((1, 7, "", 99))

    report = stand.run(function)
    assert cloudpickle.loads(report.accumulated) == {4: 10}
    assert report.blocks == (messages.CachedBlock(1, 7, "", 99),)


def test_what_user_code_raises_is_described_and_nothing_else_reported(stand):
    def function(split, task):
        task.accumulated[4] = 10
        raise KeyError("k")

    report = stand.run(function)
    assert (report.outcome, report.failure.type_name) == ("raised", "KeyError")
    assert report.accumulated == b""


def test_a_lost_block_is_a_fetch_failure_that_names_it(stand):
    def function(split, task):
        raise FetchFailed("w2", "shuffle-1-0-3", 1, 0, "gone")

    report = stand.run(function)
    assert report.outcome == "fetch_failed"
    assert report.fetch == messages.FetchFault("w2", "shuffle-1-0-3", 1, 0, "gone")


def test_a_full_disk_under_the_engine_is_the_nodes_fault_but_not_one_that_user_code_meets(stand):
    def ours(split, task):
        raise StorageFault(errno.ENOSPC, "full")

    def theirs(split, task):
        raise OSError(errno.ENOSPC, "full")

    assert stand.run(ours).outcome == "node_fault"
    assert stand.run(theirs).outcome == "raised"


def test_running_out_of_memory_names_peak_and_limit(stand):
    def function(split, task):
        raise MemoryError

    report = stand.run(function)
    assert report.outcome == "out_of_memory"
    assert "peak" in report.failure.text and "limit 100 MiB" in report.failure.text


def test_results_that_cannot_be_pickled_are_the_users_failure(stand):
    report = stand.run(lambda split, task: threading.Lock())
    assert (report.outcome, report.failure.type_name) == ("raised", "TypeError")


def test_a_program_that_cannot_be_unpickled_is_a_failure_too(stand):
    work = stand.work(lambda split, task: 1)
    stand.programs._held[b"h"] = b"cno_such_module\nname\n."
    assert stand.runner.run(work).failure.type_name == "ModuleNotFoundError"


def test_sys_exit_of_user_code_ends_the_process_not_the_attempt(stand):
    def function(split, task):
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        stand.run(function)


def test_an_attempt_cancelled_before_its_turn_does_not_run(stand):
    ran = []
    work = stand.work(lambda split, task: ran.append(1), task=9)
    stand.interrupts.accept(9)
    stand.interrupts.cancel(9)
    assert stand.runner.run(work).outcome == "cancelled"
    assert ran == []
    assert not stand.interrupts._cancelled


def test_a_running_attempt_is_interrupted(stand):
    stand.interrupts.install()

    def function(split, task):
        split_cancel()
        while True:
            pass

    def split_cancel():
        stand.interrupts.cancel(5)

    assert run_here(stand, function).outcome == "cancelled"


def test_an_attempt_that_swallows_its_interrupt_reports_no_result(stand):
    stand.interrupts.install()

    def function(split, task):
        try:
            stand.interrupts.cancel(5)
            while True:
                pass
        except BaseException:
            return "part of it"

    report = run_here(stand, function)
    assert (report.outcome, report.payload) == ("cancelled", b"")


def test_a_cancel_that_comes_late_or_for_another_attempt_interrupts_nothing(stand):
    stand.interrupts.install()
    stand.interrupts.cancel(77)
    assert stand.run(lambda split, task: 1).outcome == "ok"
    stand.interrupts.cancel(5)
    signal.raise_signal(signal.SIGINT)
    assert not stand.interrupts._cancelled


def test_an_attempt_in_another_thread_is_interrupted_and_the_thread_goes_on(stand):
    started = threading.Event()
    reports = []

    def function(split, task):
        started.set()
        while True:
            pass

    def work():
        reports.append(run_here(stand, function))
        reports.append(run_here(stand, lambda split, task: 2))

    thread = threading.Thread(target=work)
    thread.start()
    started.wait(10)
    stand.interrupts.cancel(5)
    thread.join(10)
    assert [report.outcome for report in reports] == ["cancelled", "ok"]


def test_functions_can_be_profiled_after_an_attempt_in_another_thread_was_interrupted(stand):
    calls = []

    def called():
        pass

    def profiled():
        sys.setprofile(lambda frame, event, _: calls.append(event))
        called()
        sys.setprofile(None)

    test_an_attempt_in_another_thread_is_interrupted_and_the_thread_goes_on(stand)
    thread = threading.Thread(target=profiled, daemon=True)
    thread.start()
    thread.join(20)
    assert calls


def run_here(stand, function):
    """Without pickling, so that the function sees the stand."""
    work = stand.work(lambda split, task: None)
    stand.programs._load = lambda _: Program(Rows(function), Sink())
    return stand.runner.run(work)


def test_what_a_function_changes_in_its_captured_values_is_gone_with_the_attempt(stand):
    captured = []

    def function(split, task):
        captured.append(split)
        return len(captured)

    assert decode_inline(stand.run(function, 1).payload) == 1
    assert decode_inline(stand.runner.run(stand.work(function, 1)).payload) == 1


def test_the_least_recently_used_programs_are_let_go(monkeypatch):
    programs = Programs(lambda program: program)
    programs.add(b"a", b"")
    monkeypatch.setattr("simspark.worker.executor.runner.PROGRAMS_KEPT", 2)
    programs.add(b"b", b"")
    programs.get(b"a")
    programs.add(b"c", b"")
    assert programs.get(b"b") is None
    assert b"a" in programs


def test_a_cancel_is_an_interrupt_for_user_code():
    assert issubclass(TaskCancelled, KeyboardInterrupt)
