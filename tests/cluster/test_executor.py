"""An executor, end to end: a real process on ipc, and a driver of thirty lines."""

from __future__ import annotations

import os
import sys
import time

import cloudpickle
import pytest

from simspark.publib.blocks.segments import SegmentFile, SegmentWriter, decode_inline
from simspark.publib.hashing import STANDARD_HASH_PROBE
from simspark.publib.lineage.program import Program
from simspark.publib.lineage.storage_level import StorageLevel
from simspark.publib.lineage.task import FileRef, SegmentRef
from simspark.publib.wire import messages
from tests.cluster.mini_driver import Call, Give, MiniDriver

cloudpickle.register_pickle_by_value(sys.modules[__name__])
WAIT_S = 60.0


@pytest.fixture
def driver(tmp_path):
    made = []

    def make(**settings):
        made.append(MiniDriver(tmp_path / f"r{len(made)}", **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def values(reports):
    assert [report.outcome for report in reports] == ["ok"] * len(reports), reports
    return [decode_inline(report.payload) for report in reports]


class TaskCall:
    """A source whose function also sees the task."""

    def __init__(self, function):
        self.function = function

    def rows(self, split, task):
        yield self.function(split, task)


def run_with_task(here, function, splits=(0,), **more):
    tasks = here.launch(Program(TaskCall(function), Give()), list(splits), **more)
    reports = here.reports(len(tasks))
    return [reports[task] for task in tasks]


def test_an_executor_says_hello_and_runs_tasks(driver):
    here = driver()
    hello = here.hellos.get(timeout=WAIT_S)
    assert (hello.executor, hello.nonce, hello.slots, hello.hash_probe) == ("e0", b"nonce-e0", 1, STANDARD_HASH_PROBE)
    assert values(here.run(lambda x: x * 2, range(100))) == [x * 2 for x in range(100)]


def test_many_short_tasks_take_few_messages(driver):
    here = driver()
    here.run(lambda x: x)
    tasks = here.launch(Program(Call(lambda x: x), Give()), list(range(1000)))
    got, count = {}, 0
    while len(got) < len(tasks):
        message = here.said.get(timeout=WAIT_S)
        count += 1
        got.update((report.task, report) for report in message.reports)
    assert count <= 100


def test_a_report_does_not_wait_for_the_next_long_task(driver):
    here = driver()

    def work(seconds):
        import time

        time.sleep(seconds)

    tasks = here.launch(Program(Call(work), Give()), [0, 30])
    assert list(here.reports(1)) == [tasks[0]]
    here.send(messages.CancelTasks((tasks[1],), "enough"))
    assert here.reports(1)[tasks[1]].outcome == "cancelled"


@pytest.mark.parametrize("cores", [1, 2])
def test_running_and_waiting_tasks_can_be_cancelled_and_the_executor_goes_on(driver, cores):
    here = driver(cores=cores)

    def work(forever):
        while forever:
            pass
        return "done"

    tasks = here.launch(Program(Call(work), Give()), [True] * cores + [True, False])
    time.sleep(0.2)
    here.send(messages.CancelTasks(tuple(tasks[:-1]), "enough"))
    reports = here.reports(len(tasks))
    assert [reports[task].outcome for task in tasks] == ["cancelled"] * (cores + 1) + ["ok"]


def test_two_cores_run_two_tasks_at_once(driver):
    here = driver(cores=2)
    assert here.hellos.get(timeout=WAIT_S).slots == 2

    def meet(_):
        import threading

        from simspark.publib import lineage

        return vars(lineage).setdefault("_meeting", threading.Barrier(2)).wait(50)

    here.launch(Program(Call(meet), Give()), [0, 1])
    assert sorted(values(list(here.reports(2).values()))) == [0, 1]


def test_a_program_that_is_not_there_is_asked_for_and_its_tasks_wait(driver):
    here = driver()
    here.run(lambda x: x)
    program = cloudpickle.dumps(Program(Call(lambda x: x + 1), Give()))
    tasks = here.launch(program, [1, 2], known=True)
    missing = here.said.get(timeout=WAIT_S)
    assert missing == messages.ProgramMissing(str(hash(program)).encode(), tuple(tasks))
    here.send(messages.StageProgram(missing.hash, program, ""))
    reports = here.reports(2)
    assert values([reports[task] for task in tasks]) == [2, 3]


def test_a_large_program_comes_from_the_drivers_file(driver):
    here = driver()
    program = cloudpickle.dumps(Program(Call(lambda x: x + 5), Give()))
    writer = SegmentWriter(here.directory.file("program-abc"))
    from simspark.publib.blocks.pieces import append_value

    append_value(writer, program, 100)
    writer.commit()
    here.send(messages.StageProgram(str(hash(program)).encode(), b"", "program-abc"))
    tasks = here.launch(program, [1], known=True)
    assert values([here.reports(1)[tasks[0]]]) == [6]


def test_a_large_result_is_left_in_a_file(driver):
    here = driver()
    report = here.run(lambda n: "x" * n, [200_000])[0]
    assert (report.outcome, report.payload) == ("ok", b"")
    assert decode_inline(SegmentFile(here.directory.file(report.name)).whole()) == "x" * 200_000


def test_map_outputs_are_read_in_order_and_an_older_table_is_ignored(driver):
    here = driver()
    for index in range(3):
        writer = SegmentWriter(here.directory.file(f"shuffle-4-{index}-{10 + index}"))
        writer.append(0, [index])
        writer.commit()
    here.send(messages.MapOutputs(4, 2, ("w1",), ((0, 10), (0, 11), (0, 12))))
    here.send(messages.MapOutputs(4, 1, ("w1",), ((0, 1), (0, 1), (0, 1))))

    def read(_, task):
        refs = [SegmentRef(file, 0, 4, index) for index, file in enumerate(task.data.map_outputs(4))]
        return [row for batch in task.data.read(refs) for row in batch]

    assert values(run_with_task(here, read)) == [[0, 1, 2]]
    path = here.directory.file("shuffle-4-1-11")
    with open(path, "r+b") as file:
        file.seek(30)
        file.write(b"\xff\xff")
    damaged = run_with_task(here, read)[0]
    assert damaged.outcome == "fetch_failed"
    assert damaged.fetch[:4] == ("w1", "shuffle-4-1-11", 4, 1)
    os.unlink(path)
    assert run_with_task(here, read)[0].fetch[:4] == ("w1", "shuffle-4-1-11", 4, 1)


def test_a_file_of_somebody_unknown_or_without_an_address_is_a_fetch_failure(driver):
    here = driver()
    here.send(messages.Owners((messages.Owner("w9", "/elsewhere", "t", "", ""),)))

    def read(owner, task):
        return list(task.data.read([SegmentRef(FileRef(owner, "shuffle-1-0-0"), 0, 1, 0)]))

    for report in run_with_task(here, read, ["w9", "stranger"]):
        assert report.outcome == "fetch_failed"


def test_a_commit_is_asked_for_and_the_answer_obeyed(driver):
    here = driver()

    def commit(_, task):
        return task.data.may_commit(task.task_id)

    for allowed in (True, False):
        task = here.launch(Program(TaskCall(commit), Give()), [0])[0]
        assert here.said.get(timeout=WAIT_S) == messages.CommitAsk(task)
        here.send(messages.CommitAnswer(task, allowed))
        assert values([here.reports(1)[task]]) == [allowed]


def test_what_an_attempt_leaves_unfinished_is_removed(driver):
    here = driver()
    here.run(lambda x: x)
    before = set(os.listdir(here.directory.path)) | {"log-e0"}

    def fail(_, task):
        task.data.create("shuffle-1-0-0").append(0, [1])
        with open(task.data.scratch(), "w") as file:
            file.write("x")
        raise ValueError("after writing")

    assert run_with_task(here, fail)[0].outcome == "raised"
    assert set(os.listdir(here.directory.path)) == before


def test_cached_rows_stay_and_are_dropped_on_the_drivers_word(driver):
    here = driver()
    level = StorageLevel.MEMORY_ONLY.code

    def keep(_, task):
        found = task.cache.get(1, 0)
        return list(found) if found is not None else ["new", *task.cache.keep(1, 0, iter([1, 2]), level, task)]

    first = run_with_task(here, keep)[0]
    assert values([first]) == [["new", 1, 2]]
    assert first.blocks[0][:3] == (1, 0, "")
    assert values(run_with_task(here, keep)) == [[1, 2]]
    here.send(messages.DropBlocks((1,), (), ()))
    assert values(run_with_task(here, keep)) == [["new", 1, 2]]


def test_too_much_memory_fails_the_task_alone_with_peak_and_limit(driver):
    here = driver(memory_bytes=200 << 20)

    def fill(mib):
        return len([bytearray(1 << 20) for _ in range(mib)])

    greedy, modest = here.run(fill, [1000, 10])
    assert greedy.outcome == "out_of_memory"
    assert "limit 200 MiB" in greedy.failure.text and "peak" in greedy.failure.text
    assert values([modest]) == [10]


def test_an_executor_leaves_when_its_driver_is_gone_or_refuses_it(driver):
    here = driver(executors=2)
    here.run(lambda x: x)
    here.run(lambda x: x, executor="e1")
    here.launch_only(lambda _: time.sleep(60))
    here.loop.post(lambda: here.listener.close_peer(here.peers["e0"]))
    ended = here.exits.get(timeout=WAIT_S)
    assert (ended.executor, ended.status) == ("e0", 1)
    assert "the driver is gone" in ended.text


def test_user_code_sees_the_drivers_directory_and_import_path(driver, tmp_path):
    (tmp_path / "only_here.py").write_text("ANSWER = 42")
    sys.path.insert(0, str(tmp_path))
    try:
        here = driver()

        def look(_):
            import os

            import only_here

            return only_here.ANSWER, os.getcwd()

        assert values(here.run(look)) == [(42, os.getcwd())]
    finally:
        sys.path.remove(str(tmp_path))


@pytest.mark.parametrize("phase", ["p1", "p2", "p3", "p4", "p5", "p6"])
def test_a_kill_at_any_phase_is_reported_and_leaves_no_committed_half(driver, monkeypatch, phase):
    monkeypatch.setenv("SIMSPARK_FAILPOINTS", f"{phase}=kill,role=executor")
    here = driver()
    if phase != "p1":
        here.launch_only(lambda n: "x" * n, 200_000)
    ended = here.exits.get(timeout=WAIT_S)
    assert (ended.executor, ended.signal) == ("e0", 9)
    left = [name for name in os.listdir(here.directory.path) if name.startswith("result-")]
    assert all(".tmp" in name for name in left) if phase in {"p2", "p3", "p4"} else True
    assert here.nothing_said() is None


def test_a_full_disk_is_the_nodes_fault(driver, monkeypatch):
    monkeypatch.setenv("SIMSPARK_FAILPOINTS", "p4=enospc,role=executor")
    here = driver()
    first, second = here.run(lambda n: "x" * n, [200_000, 200_000])
    assert (first.outcome, second.outcome) == ("node_fault", "ok")
    assert not [name for name in os.listdir(here.directory.path) if name.endswith(".tmp")]


def test_a_file_larger_than_the_memory_limit_is_read_segment_by_segment(driver):
    here = driver(memory_bytes=80 << 20)
    writer = SegmentWriter(here.directory.file("data-1"))
    for segment in range(12):
        writer.append(segment, [bytes([segment]) * (16 << 20)])
    writer.commit()

    def read(_, task):
        refs = [SegmentRef(FileRef("driver", "data-1"), segment) for segment in range(12)]
        return [len(batch[0]) for batch in task.data.read(refs)]

    assert values(run_with_task(here, read)) == [[16 << 20] * 12]
