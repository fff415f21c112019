"""What the passing of time brings to light."""

from __future__ import annotations

from simspark.driver.scheduling import (
    ExecutorHeard,
    ExecutorSilent,
    Reported,
    SchedulerSettings,
    WorkerChanged,
)
from tests.unit.driver.harness import Shell, report, result_stage


def shell_with(*executors: str, slots: int = 1, **settings) -> Shell:
    shell = Shell(SchedulerSettings(**{"idle_release_s": 0.0, **settings}))
    for name in executors:
        shell.join(name, "w" + name[1:], slots)
    return shell


# ── silence ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_silent_executor_gets_no_tasks_and_keeps_those_that_it_has():
    shell = shell_with("e1", "e2")
    shell.submit(result_stage(1))
    shell.send(ExecutorSilent("e1"))
    shell.submit(result_stage(3, stage=101))
    assert len(shell.queue("e1")) == 1 and len(shell.queue("e2")) > 0
    shell.finish("e1")
    assert shell.outcome(0) == "succeeded"


def test_an_executor_that_is_heard_again_goes_on():
    shell = shell_with("e1")
    shell.send(ExecutorSilent("e1"))
    shell.submit(result_stage(1))
    shell.advance(10)
    assert not shell.queue("e1")
    shell.send(ExecutorHeard("e1"))
    assert len(shell.queue("e1")) == 1
    shell.advance(60)
    assert not shell.killed


def test_an_executor_that_is_silent_for_too_long_is_lost_and_ended():
    shell = shell_with("e1", "e2", silent_is_lost_s=15.0)
    shell.submit(result_stage(1))
    shell.send(ExecutorSilent("e1"))
    shell.advance(14.9)
    assert not shell.killed
    shell.advance(0.2)
    assert shell.killed[0].executor == "e1" and "15 s" in shell.killed[0].reason
    shell.finish("e2")
    assert shell.outcome(0) == "succeeded"


def test_tasks_are_copied_when_their_worker_is_late_and_their_executor_silent_too():
    shell = shell_with("e1", "e2")
    shell.submit(result_stage(1))
    shell.send(WorkerChanged("w1", "late"))
    assert not shell.queue("e2"), "the executor itself answers"
    shell.send(ExecutorSilent("e1"))
    assert shell.partitions("e2") == [0]


def test_silence_before_lateness_makes_copies_too():
    shell = shell_with("e1", "e2")
    shell.submit(result_stage(1))
    shell.send(ExecutorSilent("e1"))
    assert not shell.queue("e2"), "the master hears the worker"
    shell.send(WorkerChanged("w1", "late"))
    assert shell.partitions("e2") == [0]


def test_of_two_attempts_the_first_counts_and_the_other_is_cancelled():
    shell = shell_with("e1", "e2")
    shell.submit(result_stage(1))
    shell.send(WorkerChanged("w1", "late"))
    shell.send(ExecutorSilent("e1"))
    shell.finish("e2")
    assert shell.outcome(0) == "succeeded"
    assert shell.cancels[-1].executor == "e1"
    shell.finish("e1")
    assert len(shell.counted) == 1 and shell.core.statistics().is_empty


def test_a_copy_that_fails_leaves_the_first_attempt_alone():
    shell = shell_with("e1", "e2")
    shell.submit(result_stage(1), max_failures=2)
    shell.send(WorkerChanged("w1", "late"))
    shell.send(ExecutorSilent("e1"))
    shell.end("e2", "raised")
    assert not shell.queue("e2")
    shell.finish("e1")
    assert shell.outcome(0) == "succeeded"


# ── tasks that do not stop ───────────────────────────────────────────────────────────────────────────────────────


def test_an_executor_that_does_not_stop_a_cancelled_task_is_killed_and_its_other_tasks_move_uncharged():
    shell = shell_with("e1", slots=2, cancel_grace_s=2.0)
    stuck = shell.submit(result_stage(1))
    other = shell.submit(result_stage(1, stage=101), max_losses=1)
    shell.cancel(stuck)
    shell.advance(1.9)
    assert not shell.killed
    shell.advance(0.2)
    assert shell.killed[0].executor == "e1" and "does not stop task 100.0" in shell.killed[0].reason
    shell.join("e2", "w1")
    shell.finish("e2")
    assert shell.outcome(other) == "succeeded"


def test_a_cancelled_task_that_waits_behind_a_good_one_kills_nobody():
    shell = shell_with("e1", window_per_slot=2)
    good = shell.submit(result_stage(1))
    bad = shell.submit(result_stage(2, stage=101))
    assert len(shell.queue("e1")) == 2
    shell.cancel(bad)
    shell.advance(100)
    assert not shell.killed
    shell.finish("e1")
    assert shell.outcome(good) == "succeeded"


def test_a_task_that_ends_in_time_saves_its_executor():
    shell = shell_with("e1")
    shell.cancel(shell.submit(result_stage(1)))
    shell.end("e1", "cancelled")
    shell.advance(100)
    assert not shell.killed


def test_a_task_over_its_time_counts_as_failed_and_is_cancelled():
    shell = shell_with("e1", "e2", task_timeout_s=5.0)
    job = shell.submit(result_stage(1), max_failures=2)
    shell.advance(5.1)
    assert shell.cancels[0].executor == "e1"
    assert shell.launches[-1].executor == "e2"
    shell.advance(5.1)
    ended = shell.ended[job]
    assert ended.error == "JobFailed" and "task 100.0" in ended.text and "longer than 5 s" in ended.text


def test_a_task_that_ran_too_long_is_not_charged_again_when_its_executor_dies():
    shell = shell_with("e1", "e2", task_timeout_s=5.0, cancel_grace_s=60.0)
    job = shell.submit(result_stage(1), max_failures=2, max_losses=1)
    shell.advance(5.1)
    shell.lose("e1")
    shell.finish("e2")
    assert shell.outcome(job) == "succeeded"


def test_time_in_a_window_is_not_running_time():
    shell = shell_with("e1", task_timeout_s=5.0, window_per_slot=2)
    job = shell.submit(result_stage(3), max_failures=1)
    for _ in range(3):
        shell.advance(4)
        shell.finish("e1", run_us=4_000_000)
    assert shell.outcome(job) == "succeeded"


# ── slow tasks ───────────────────────────────────────────────────────────────────────────────────────────────────


def run_all_but_one(shell: Shell) -> str:
    """Each task takes a second, but one never ends; returns its executor."""
    shell.submit(result_stage(8))
    slow = "e1"
    while shell.core.statistics().running > 1 or shell.core.statistics().pending:
        shell.advance(1)
        for name in ("e2", "e3"):
            if shell.queue(name):
                shell.finish(name, run_us=1_000_000)
    return slow


def test_a_slow_task_is_copied_when_asked_for_and_the_first_end_counts():
    shell = shell_with("e1", "e2", "e3", speculation=True, window_per_slot=1)
    slow = run_all_but_one(shell)
    copies = [launch for launch in shell.launches if launch.attempts[0].attempt == 1]
    assert [launch.attempts[0].partition for launch in copies] == [0]
    assert shell.outcome(0) == "succeeded"
    assert shell.cancels[-1].executor == slow
    assert len(shell.counted) == 8


def test_slow_tasks_are_left_alone_by_default():
    shell = shell_with("e1", "e2", "e3", window_per_slot=1)
    run_all_but_one(shell)
    shell.advance(100)
    assert all(launch.attempts[0].attempt == 0 for launch in shell.launches)


# ── tasks behind slow ones ───────────────────────────────────────────────────────────────────────────────────────


def behind_a_slow_one() -> tuple[Shell, list[int]]:
    """e1 has a task that takes long, and others wait in its window; e2 has nothing left to do."""
    shell = shell_with("e1", "e2", window_per_slot=4)
    shell.submit(result_stage(20), max_losses=1)
    while len(shell.queue("e1")) < 2:
        shell.finish("e1", run_us=2_000)
    while shell.queue("e2"):
        shell.finish("e2", run_us=2_000)
    return shell, shell.partitions("e1")[1:]


def test_tasks_behind_a_slow_one_are_copied_to_slots_that_idle():
    shell, waiting = behind_a_slow_one()
    assert waiting and not shell.queue("e2")
    for _ in range(100):
        shell.advance(0.2)
        while shell.queue("e2"):
            shell.finish("e2", run_us=2_000)
    assert len(shell.results[0]) == 19, "all but the slow one"
    shell.finish("e1")
    assert shell.outcome(0) == "succeeded"
    assert not shell.killed


def test_a_task_that_was_moved_and_whose_copy_fails_is_tried_again():
    shell, waiting = behind_a_slow_one()
    shell.advance(0.2)
    moved = shell.partitions("e2")[0]
    assert moved == waiting[0]
    shell.end("e2", "raised")
    at = shell.partitions("e1").index(moved)
    shell.end("e1", "cancelled", shell.queue("e1")[at])
    shell.advance(1)
    assert moved in shell.partitions("e2")
    while shell.queue("e1"):
        told = shell.executors["e1"].told_to_stop
        sent = shell.pop("e1")
        task = sent.attempt.task
        said = report(task, "cancelled") if task in told else shell.success(sent)
        shell.send(Reported("e1", (said,)))
    shell.finish_everything()
    assert shell.outcome(0) == "succeeded"
