"""Failures, losses, moves, and which attempt counts."""

from __future__ import annotations

from simspark.driver.scheduling import (
    CommitAsked,
    DropFiles,
    ExecutorHeard,
    ExecutorSilent,
    QueueChanged,
    Reported,
    ResultUnreachable,
    SchedulerSettings,
    Unpersist,
    WorkerChanged,
)
from simspark.publib.wire.messages import CachedBlock, FetchFault
from tests.unit.driver.harness import Shell, map_stage, report, result_stage


def shell_with(*executors: str, slots: int = 1, **settings) -> Shell:
    shell = Shell(SchedulerSettings(**{"idle_release_s": 0.0, **settings}))
    for name in executors:
        shell.join(name, "w" + name[1:], slots)
    return shell


# ── failures ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_task_that_raises_is_tried_again_up_to_its_limit_and_fails_the_job_with_its_report():
    shell = shell_with("e1")
    job = shell.submit(result_stage(1), max_failures=3)
    for attempt in range(3):
        assert shell.launches[-1].attempts[0].attempt == attempt
        shell.end("e1", "raised", text="no such key")
    ended = shell.ended[job]
    assert (ended.outcome, ended.error, ended.attempt, ended.worker) == ("failed", "JobFailed", 2, "w1")
    assert ended.report.failure.text == "no such key"
    assert (ended.stage, ended.partition, ended.failures) == (100, 0, 1)


def test_with_a_limit_of_one_the_first_failure_ends_the_job_and_the_others_are_cancelled():
    shell = shell_with("e1", "e2")
    job = shell.submit(result_stage(9), max_failures=1)
    others = [task for task in shell.queue("e1")[1:] + shell.queue("e2")]
    shell.end("e1", "raised")
    assert shell.outcome(job) == "failed"
    assert sorted(task for cancel in shell.cancels for task in cancel.tasks) == sorted(others)
    shell.finish_everything()
    assert shell.core.statistics().is_empty


def test_failures_of_different_tasks_do_not_add_up_but_are_counted():
    shell = shell_with("e1")
    job = shell.submit(result_stage(4), max_failures=2)
    while shell.queue("e1"):
        first = shell.executors["e1"].queue[0].attempt.attempt == 0
        shell.end("e1", "raised") if first else shell.finish("e1")
        shell.advance(1)
    assert shell.outcome(job) == "succeeded"
    assert shell.ended[job].failures == 4


def test_a_failure_in_a_shared_stage_fails_every_job_that_needs_it():
    shell = shell_with("e1")
    first = shell.submit(map_stage(0, 1), result_stage(1, (0,)), max_failures=1)
    second = shell.submit(map_stage(0, 1), result_stage(1, (0,), stage=101), max_failures=1)
    shell.end("e1", "raised")
    assert shell.outcome(first) == shell.outcome(second) == "failed"


def test_running_out_of_memory_counts_as_a_failure():
    shell = shell_with("e1")
    job = shell.submit(result_stage(1), max_failures=1)
    shell.end("e1", "out_of_memory", text="peak 512 MiB of 512 MiB")
    assert "peak 512 MiB" in shell.ended[job].text


def test_a_retry_avoids_the_worker_where_it_failed_while_there_is_another():
    shell = shell_with("e1", "e2")
    shell.join("e11", "w1")
    shell.submit(result_stage(1))
    shell.end("e1", "raised")
    assert shell.launches[-1].executor == "e2"


def test_a_retry_avoids_the_executor_when_all_are_on_one_worker():
    shell = Shell()
    shell.join("e1", "w1")
    shell.join("e2", "w1")
    shell.submit(result_stage(1))
    shell.end("e1", "raised")
    assert shell.launches[-1].executor == "e2"


def test_a_retry_waits_for_a_busy_elsewhere_only_a_moment():
    shell = shell_with("e1", "e2")
    shell.submit(result_stage(2))
    shell.end("e1", "raised")
    assert shell.queue("e1") == []
    shell.advance(0.31)
    assert len(shell.queue("e1")) == 1


# ── reports that count for nothing ───────────────────────────────────────────────────────────────────────────────


def test_a_report_that_comes_twice_counts_once():
    shell = shell_with("e1")
    shell.submit(result_stage(2))
    done = shell.success(shell.pop("e1"))
    shell.send(Reported("e1", (done, done)))
    shell.send(Reported("e1", (done,)))
    assert list(shell.results[0]) == [0]


def test_a_report_from_another_executor_than_the_one_that_was_sent_the_task_counts_for_nothing():
    shell = shell_with("e1", "e2")
    shell.submit(result_stage(1))
    shell.send(Reported("e2", (shell.success(shell.executors["e1"].queue[0]),)))
    assert not shell.results


def test_a_report_of_an_executor_that_was_given_up_counts_for_nothing():
    shell = shell_with("e1", "e2")
    shell.submit(result_stage(1))
    done = shell.success(shell.executors["e1"].queue[0])
    shell.lose("e1")
    shell.send(Reported("e1", (done,)))
    assert not shell.results
    shell.finish("e2")
    assert shell.outcome(0) == "succeeded"


# ── losses ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_losses_are_counted_apart_from_failures_and_name_the_cause():
    shell = shell_with("e0")
    job = shell.submit(result_stage(1), max_failures=1, max_losses=3)
    for number in range(3):
        assert shell.outcome(job) == "running"
        shell.lose(f"e{number}", "was killed by signal 11")
        shell.join(f"e{number + 1}")
    ended = shell.ended[job]
    assert ended.error == "WorkerLost"
    assert "signal 11" in ended.text and "tried 3 times" in ended.text


def test_tasks_that_only_waited_in_the_window_of_a_dead_executor_are_not_charged():
    shell = shell_with("e1", window_per_slot=4)
    job = shell.submit(result_stage(20), max_losses=1, partitions=tuple(range(20)))
    assert len(shell.queue("e1")) > 1
    first, *waiting = shell.queue("e1")
    sent = shell.executors["e1"].queue[0]
    shell.send(Reported("e1", (shell.success(sent, run_us=50),)))
    shell.executors["e1"].queue.pop(0)
    shell.lose("e1")
    assert shell.ended[job].partition == 1, "the one that ran is charged"
    assert len(waiting) > 1 and first


def test_tasks_of_a_dead_executor_wait_in_no_window_so_that_the_next_loss_is_blamed_on_the_right_one():
    shell = shell_with("e1", window_per_slot=4)
    shell.submit(result_stage(20))
    shell.lose("e1")
    shell.join("e2", "w2")
    assert len(shell.queue("e2")) == 1


def test_a_task_that_lost_two_executors_runs_alone_on_the_third():
    shell = shell_with("e1", slots=2)
    shell.submit(result_stage(2))
    for number in (2, 3):
        shell.lose(f"e{number - 1}")
        shell.join(f"e{number}", "w1", 2)
    assert len(shell.queue("e3")) == 1
    shell.finish("e3")
    assert len(shell.queue("e3")) == 1
    shell.finish_everything()
    assert shell.outcome(0) == "succeeded"


def test_a_task_that_must_run_alone_waits_until_an_executor_is_empty():
    shell = shell_with("e1", window_per_slot=1)
    shell.submit(result_stage(1))
    shell.lose("e1")
    shell.join("e2", "w2")
    shell.join("e3", "w3", 2)
    other = shell.submit(result_stage(2, stage=101))
    shell.finish("e3")
    shell.lose("e2")
    assert [sent.launch.job for sent in shell.executors["e3"].queue] == [other]
    shell.finish("e3")
    assert [sent.launch.job for sent in shell.executors["e3"].queue] == [0]


def test_a_task_that_must_run_alone_goes_to_the_executor_that_is_empty():
    shell = shell_with("e1", window_per_slot=1)
    shell.submit(result_stage(1))
    shell.lose("e1")
    shell.join("e2", "w2")
    shell.join("e3", "w3", 2)
    shell.submit(result_stage(1, stage=101))
    shell.join("e4", "w4", 2)
    shell.lose("e2")
    assert [len(shell.queue(name)) for name in ("e3", "e4")] == [1, 1]


def test_only_tasks_that_kill_are_blamed_in_the_end_when_slots_are_shared():
    shell = shell_with("e0", slots=2)
    job = shell.submit(result_stage(2), max_losses=4)
    number = 0
    while job not in shell.ended:
        name = f"e{number}"
        running = shell.partitions(name)[:2]
        if 0 in running:
            number += 1
            shell.lose(name, "was killed by signal 11")
            shell.join(f"e{number}", "w1", 2)
        else:
            shell.finish(name)
    assert shell.ended[job].partition == 0
    assert list(shell.results[job]) == [1]


def test_a_cancelled_attempt_on_a_dead_executor_is_nobodys_loss():
    shell = shell_with("e1")
    job = shell.submit(result_stage(1), max_losses=1)
    shell.cancel(job)
    shell.lose("e1")
    assert shell.core.statistics().is_empty


# ── disks ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_fault_of_a_disk_moves_the_task_uncharged_and_leaves_the_worker_out_for_a_while():
    shell = shell_with("e1", "e2", node_exclude_s=60.0)
    job = shell.submit(result_stage(1), max_failures=1)
    shell.end("e1", "node_fault", text="no space left on device")
    assert shell.launches[-1].executor == "e2"
    shell.finish("e2")
    assert shell.outcome(job) == "succeeded"
    shell.submit(result_stage(2, stage=101))
    assert shell.queue("e1") == []
    shell.advance(61)
    shell.submit(result_stage(2, stage=102))
    assert shell.queue("e1")


def fill(shell: Shell, name: str) -> None:
    shell.end(name, "node_fault", text="no space left on device")


def alone(*executors: str, **settings) -> Shell:
    """A shell that expects no executors elsewhere."""
    return shell_with(*executors, elsewhere_wait_s=0.0, **settings)


def test_a_fault_of_every_disk_fails_the_job_with_the_last_words():
    shell = alone("e1")
    job = shell.submit(result_stage(1), max_losses=4)
    while job not in shell.ended:
        fill(shell, "e1")
        shell.advance(61)
    assert shell.ended[job].error == "StorageFault"
    assert "no space left" in shell.ended[job].text and "4 times" in shell.ended[job].text


def test_a_task_comes_back_to_the_only_machine_after_rests_that_double():
    shell = alone("e1")
    job = shell.submit(result_stage(1), max_losses=4)
    tried = []
    while job not in shell.ended:
        tried.append(shell.now)
        fill(shell, "e1")
        while job not in shell.ended and not shell.queue("e1"):
            shell.advance(0.25)
    assert tried == [0, 1, 3, 7]


def test_a_gang_comes_back_to_the_only_machine_after_a_rest():
    shell = alone("e1", slots=2)
    shell.submit(result_stage(2, gang=True))
    fill(shell, "e1")
    shell.end("e1", "cancelled")
    shell.advance(0.9)
    assert shell.queue("e1") == []
    shell.advance(0.2)
    assert len(shell.queue("e1")) == 2


def test_a_machine_with_a_full_disk_is_not_used_while_others_are_silent():
    shell = shell_with("e1", "e2", node_exclude_s=100.0)
    shell.send(ExecutorSilent("e2"))
    job = shell.submit(result_stage(1), max_losses=4)
    fill(shell, "e1")
    shell.advance(14)
    assert not shell.queue("e1") and "w1 is left out" in shell.core.waiting_text()
    shell.send(ExecutorHeard("e2"))
    shell.finish("e2")
    assert shell.outcome(job) == "succeeded"


def test_a_machine_with_a_full_disk_is_used_when_the_silent_others_are_lost_and_none_come():
    shell = shell_with("e1", "e2", node_exclude_s=100.0)
    shell.send(ExecutorSilent("e2"))
    shell.submit(result_stage(1), max_losses=4)
    fill(shell, "e1")
    shell.advance(15.1)
    assert not shell.queue("e1")
    shell.advance(15)
    assert shell.queue("e1")


def test_executors_elsewhere_are_asked_for_and_waited_for_when_all_are_on_the_full_machine():
    shell = shell_with("e1", node_exclude_s=100.0)
    job = shell.submit(result_stage(1))
    fill(shell, "e1")
    assert shell.wanted == [1, 2]
    shell.advance(10)
    assert not shell.queue("e1")
    shell.join("e2", "w2")
    shell.finish("e2")
    assert shell.outcome(job) == "succeeded"


def test_executors_that_cannot_come_are_not_waited_for():
    shell = shell_with("e1", node_exclude_s=100.0)
    shell.submit(result_stage(1))
    fill(shell, "e1")
    shell.advance(1.1)
    assert not shell.queue("e1")
    shell.send(QueueChanged("it has all that fit", unmet=True))
    assert shell.queue("e1")


def test_an_application_that_may_have_no_more_gives_one_on_the_full_machine_back_for_one_elsewhere():
    shell = shell_with("e1", max_executors=2, node_exclude_s=100.0)
    shell.join("e11", "w1")
    job = shell.submit(result_stage(2))
    shell.finish("e11")
    fill(shell, "e1")
    assert shell.released == ["e1"] and shell.wanted[-1] == 2
    shell.join("e2", "w2")
    shell.finish("e2")
    assert shell.outcome(job) == "succeeded"
    assert shell.released == ["e1"]


def test_a_task_that_went_to_one_full_machine_too_often_still_goes_to_one_that_has_come():
    shell = alone("e1")
    job = shell.submit(result_stage(1), max_losses=2)
    fill(shell, "e1")
    shell.advance(1)
    shell.join("e2", "w2")
    fill(shell, "e1")
    assert shell.outcome(job) == "running"
    fill(shell, "e2")
    assert shell.ended[job].error == "StorageFault"


def test_of_machines_that_are_all_left_out_those_at_fault_least_often_are_used():
    shell = alone("e1", "e2", node_exclude_s=100.0)
    shell.submit(result_stage(1))
    for name in ("e1", "e2", "e1"):
        fill(shell, name)
        shell.advance(5)
    shell.cancel(0)
    shell.finish_everything()
    shell.submit(result_stage(2, stage=101))
    assert (len(shell.queue("e1")), len(shell.queue("e2"))) == (0, 1)


def test_a_worker_that_the_master_hears_again_is_out_of_reach_no_more_but_its_disk_is_still_full():
    shell = shell_with("e1", "e2", "e3")
    shell.submit(result_stage(1))
    fill(shell, "e1")
    shell.send(ResultUnreachable("w2", "nobody answers"))
    shell.send(ResultUnreachable("w1", "nobody answers"))
    assert shell.core.statistics().excluded == 2
    for worker in ("w1", "w2"):
        shell.send(WorkerChanged(worker, "late"))
        shell.send(WorkerChanged(worker, "alive"))
    assert shell.core.statistics().excluded == 1
    shell.submit(result_stage(3, stage=101))
    assert not shell.queue("e1") and shell.queue("e2")


def test_nobody_is_left_out_for_results_of_a_worker_that_has_no_executors_here():
    shell = shell_with("e1")
    shell.send(ResultUnreachable("w9", "its worker is gone"))
    assert shell.core.statistics().excluded == 0


def test_a_task_that_its_executor_cancels_unasked_moves_a_bounded_number_of_times():
    shell = shell_with("e1")
    job = shell.submit(result_stage(1), max_losses=4)
    for _ in range(4):
        shell.end("e1", "cancelled")
    assert shell.outcome(job) == "failed"


def test_input_that_belongs_to_no_shuffle_is_tried_again_a_bounded_number_of_times():
    shell = shell_with("e1", max_fetch_rounds=2)
    job = shell.submit(result_stage(1))
    for _ in range(3):
        shell.advance(1)
        shell.end("e1", "fetch_failed", fetch=FetchFault("driver", "data-3", -1, -1, "refused"))
    assert "data-3 of driver" in shell.ended[job].text


# ── commit ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_attempt_gets_leave_to_commit_and_asking_again_gives_the_same_answer():
    shell = shell_with("e1")
    shell.submit(result_stage(1))
    (task,) = shell.queue("e1")
    shell.send(CommitAsked("e1", task))
    shell.send(CommitAsked("e1", task))
    assert [answer.allowed for answer in shell.answers] == [True, True]


def test_leave_passes_on_when_its_holder_fails_or_is_lost():
    shell = shell_with("e1", "e2")
    shell.submit(result_stage(1))
    shell.send(CommitAsked("e1", shell.queue("e1")[0]))
    shell.end("e1", "raised")
    shell.send(CommitAsked("e2", shell.queue("e2")[0]))
    shell.lose("e2")
    shell.send(CommitAsked("e1", shell.queue("e1")[0]))
    assert [answer.allowed for answer in shell.answers] == [True, True, True]


def test_of_two_attempts_at_the_same_time_one_gets_leave_and_the_refused_one_is_not_repeated():
    shell = shell_with("e1", "e2")
    shell.submit(result_stage(1))
    shell.send(CommitAsked("e1", shell.queue("e1")[0]))
    shell.send(WorkerChanged("w1", "late"))
    shell.send(ExecutorSilent("e1"))
    shell.send(CommitAsked("e2", shell.queue("e2")[0]))
    assert [answer.allowed for answer in shell.answers] == [True, False]
    shell.end("e2", "cancelled")
    shell.send(WorkerChanged("w1", "late"))
    assert not shell.queue("e2")
    shell.finish("e1")
    assert shell.outcome(0) == "succeeded"


def test_attempts_that_are_over_or_cancelled_or_unknown_get_no_leave():
    shell = shell_with("e1")
    job = shell.submit(result_stage(1))
    (task,) = shell.queue("e1")
    shell.cancel(job)
    for executor, asked in (("e1", task), ("e1", 999), ("e9", task)):
        shell.send(CommitAsked(executor, asked))
    assert not any(answer.allowed for answer in shell.answers)


# ── cached partitions ────────────────────────────────────────────────────────────────────────────────────────────


def cached(partition: int, name: str = "") -> tuple[CachedBlock, ...]:
    return (CachedBlock(7, partition, name, 10),)


def test_a_partition_that_a_failed_attempt_cached_is_known_nevertheless():
    shell = shell_with("e1")
    shell.submit(result_stage(1))
    shell.end("e1", "raised", blocks=cached(0))
    assert shell.core.cached_places(7, 0)[0].executor == "e1"


def test_cached_in_memory_dies_with_the_executor_and_in_files_with_the_worker():
    shell = shell_with("e1")
    shell.submit(result_stage(2))
    shell.finish("e1", blocks=cached(0))
    shell.finish("e1", blocks=cached(1, "cache-7-1-2"))
    shell.lose("e1")
    assert shell.core.cached_places(7, 0) == ()
    assert len(shell.core.cached_places(7, 1)) == 1
    shell.kill_worker("w1")
    assert shell.core.statistics().cached_blocks == 0


def test_what_an_attempt_cached_of_an_rdd_that_was_unpersisted_meanwhile_is_dropped():
    shell = shell_with("e1")
    shell.submit(result_stage(1))
    shell.send(Unpersist(7))
    shell.finish("e1", blocks=cached(0))
    assert shell.core.statistics().cached_blocks == 0
    assert shell.dropped == [DropFiles("", ("cache-7-",), (7,))] * 2
    shell.submit(result_stage(1, stage=101))
    shell.finish("e1", blocks=cached(0))
    assert shell.core.statistics().cached_blocks == 1


def test_a_report_without_a_failure_still_has_words():
    shell = shell_with("e1")
    job = shell.submit(result_stage(1), max_failures=1)
    task = shell.pop("e1").attempt.task
    shell.send(Reported("e1", (report(task, "raised")._replace(failure=None),)))
    assert shell.ended[job].text == "raised"
