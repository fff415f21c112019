"""Jobs, their stages, and shuffles that several of them read."""

from __future__ import annotations

import pytest

from simspark.driver.scheduling import (
    Attempt,
    CleanShuffle,
    DropFiles,
    ExecutorLost,
    ForgetShuffle,
    JobSpec,
    Launch,
    Reported,
    SchedulerSettings,
    SubmitJob,
)
from simspark.publib import events
from simspark.publib.errors import InternalError
from simspark.publib.wire.messages import FetchFault
from tests.unit.driver.harness import Shell, map_stage, report, result_stage


def shell_with(*executors: str, **settings) -> Shell:
    shell = Shell(SchedulerSettings(**{"idle_release_s": 0.0, **settings}))
    for name in executors:
        shell.join(name, "w" + name[1:])
    return shell


def gone(shell: Shell, shuffle: int, index: int, reason: str = "gone") -> FetchFault:
    """The fault that names the very output that is registered now."""
    worker, task = shell.core.outputs(shuffle).places[index]
    return FetchFault(worker, f"shuffle-{shuffle}-{index}-{task}", shuffle, index, reason)


def test_a_job_of_one_stage_gives_its_results_and_ends():
    shell = shell_with("e1")
    job = shell.submit(result_stage(3))
    shell.finish_everything()
    assert shell.outcome(job) == "succeeded"
    assert [shell.results[job][p].payload for p in range(3)] == [b"0.0", b"0.1", b"0.2"]
    assert sorted(shell.counted) == [b"j0.0", b"j0.1", b"j0.2"]
    assert shell.core.statistics().is_empty


def test_a_job_of_no_partitions_succeeds_at_once():
    shell = shell_with()
    assert shell.outcome(shell.submit(result_stage(0))) == "succeeded"
    assert shell.core.statistics().is_empty


def test_only_the_partitions_that_the_action_wants_are_computed():
    shell = shell_with("e1")
    job = shell.submit(result_stage(1000), partitions=(7, 3))
    assert shell.partitions("e1") == [7]
    shell.finish_everything()
    assert sorted(shell.results[job]) == [3, 7]


def test_a_child_stage_waits_for_all_map_outputs():
    shell = shell_with("e1")
    shell.submit(map_stage(0, 2), result_stage(1, (0,)))
    shell.finish("e1")
    assert {launch.stage for launch in shell.launches} == {0}
    shell.finish("e1")
    assert shell.launches[-1].stage == 100


def test_two_parents_are_made_before_their_child():
    shell = shell_with("e1")
    job = shell.submit(map_stage(0, 1), map_stage(1, 1), result_stage(1, (0, 1)))
    shell.finish_everything()
    assert shell.outcome(job) == "succeeded"
    assert [launch.stage for launch in shell.launches] == [0, 1, 100]


def test_a_diamond_makes_the_shared_shuffle_once():
    shell = shell_with("e1")
    job = shell.submit(
        map_stage(0, 1), map_stage(1, 1, (0,)), map_stage(2, 1, (0,)), result_stage(1, (1, 2)),
    )  # fmt: skip
    shell.finish_everything()
    assert shell.outcome(job) == "succeeded"
    assert [launch.stage for launch in shell.launches].count(0) == 1


def test_a_lineage_of_two_thousand_stages_needs_no_recursion():
    shell = shell_with("e1")
    stages = [map_stage(0, 1), *(map_stage(n, 1, (n - 1,)) for n in range(1, 2000))]
    shell.submit(*stages, result_stage(1, (1999,), stage=5000))
    assert shell.launches[-1].stage == 0


def test_a_second_job_reuses_map_outputs_that_are_there():
    shell = shell_with("e1")
    shell.submit(map_stage(0, 2), result_stage(1, (0,)))
    shell.finish_everything()
    shell.submit(map_stage(0, 2), result_stage(1, (0,), stage=101))
    assert [launch.stage for launch in shell.launches].count(0) == 2
    assert shell.launches[-1].stage == 101


def test_jobs_at_the_same_time_share_one_making_of_a_shuffle():
    shell = shell_with("e1")
    first = shell.submit(map_stage(0, 2), result_stage(1, (0,)))
    second = shell.submit(map_stage(0, 2), result_stage(1, (0,), stage=101))
    shell.finish_everything()
    assert shell.outcome(first) == shell.outcome(second) == "succeeded"
    assert sorted(shell.counted) == [b"j0.0", b"j1.0", b"s0.0", b"s0.1"]


def test_a_shared_stage_goes_on_for_the_other_job_when_its_leader_is_cancelled():
    shell = shell_with("e1")
    first = shell.submit(map_stage(0, 4), result_stage(1, (0,)))
    second = shell.submit(map_stage(0, 4), result_stage(1, (0,), stage=101))
    shell.finish("e1")
    shell.cancel(first)
    assert not shell.cancels
    shell.finish_everything()
    assert shell.outcome(second) == "succeeded"
    assert shell.launches[-1].job == second
    assert sum(len(launch.attempts) for launch in shell.launches if launch.stage == 0) == 4


def test_a_shared_stage_that_another_job_compiled_otherwise_starts_anew_under_that_name():
    shell = shell_with("e1")
    first = shell.submit(map_stage(0, 2, stage=5), result_stage(1, (0,)))
    second = shell.submit(map_stage(0, 2, stage=6), result_stage(1, (0,), stage=101))
    shell.cancel(first)
    shell.end("e1", "cancelled")
    shell.finish_everything()
    assert shell.outcome(second) == "succeeded"
    assert {launch.stage for launch in shell.launches if launch.job == second} == {6, 101}


def test_a_cancelled_job_ends_at_once_and_its_tasks_are_told():
    shell = shell_with("e1")
    job = shell.submit(result_stage(3))
    tasks = shell.queue("e1")
    shell.cancel(job, "Ctrl-C")
    assert shell.ended[job].outcome == "cancelled" and shell.ended[job].text == "Ctrl-C"
    assert shell.cancels[0].tasks == tuple(tasks)
    shell.finish_everything()
    assert not shell.results
    assert shell.core.statistics().is_empty


def test_cancelling_a_job_that_is_over_does_nothing():
    shell = shell_with("e1")
    job = shell.submit(result_stage(1))
    shell.finish_everything()
    shell.cancel(job)
    assert shell.outcome(job) == "succeeded"


def test_a_worker_that_dies_takes_its_map_outputs_and_only_they_are_made_again():
    shell = shell_with("e1", "e2")
    job = shell.submit(map_stage(0, 4), result_stage(1, (0,)))
    while shell.core.outputs(0).epoch < 5:
        for name in ("e1", "e2"):
            if shell.queue(name):
                shell.finish(name)
    lost = [index for index, (worker, _) in enumerate(shell.core.outputs(0).places) if worker == "w1"]
    before = len(shell.launches)
    shell.kill_worker("w1")
    shell.finish_everything()
    again = [a.partition for launch in shell.launches[before:] if launch.stage == 0 for a in launch.attempts]
    assert again == lost and 0 < len(lost) < 4
    assert shell.launches[-1].stage == 100
    assert shell.outcome(job) == "succeeded"
    assert len(shell.counted) == 5, "a map partition that was made again adds nothing"


def test_map_outputs_outlive_the_executor_that_wrote_them():
    shell = shell_with("e1", "e2")
    shell.submit(map_stage(0, 1), result_stage(1, (0,)))
    shell.finish("e1")
    shell.lose("e1")
    assert ("", -1) not in shell.core.outputs(0).places


def test_a_fetch_failure_makes_the_output_again_in_a_new_stage_attempt_and_charges_nobody():
    shell = shell_with("e1")
    job = shell.submit(map_stage(0, 2), result_stage(1, (0,)), max_failures=1, max_losses=1)
    shell.finish("e1")
    shell.finish("e1")
    epoch = shell.core.outputs(0).epoch
    shell.end("e1", "fetch_failed", fetch=gone(shell, 0, 1))
    assert shell.core.outputs(0).epoch > epoch
    launch = shell.launches[-1]
    assert (launch.stage, launch.stage_attempt, launch.attempts[0].partition) == (0, 1, 1)
    shell.finish_everything()
    assert shell.outcome(job) == "succeeded"
    assert sorted(shell.counted) == [b"j0.0", b"s0.0", b"s0.1"]


def test_a_fetch_failure_of_an_output_that_was_replaced_meanwhile_removes_nothing():
    shell = shell_with("e1")
    shell.submit(map_stage(0, 1), result_stage(2, (0,)))
    shell.finish("e1")
    old = gone(shell, 0, 0)
    shell.end("e1", "fetch_failed", fetch=old)
    shell.finish("e1")
    places = shell.core.outputs(0).places
    shell.end("e1", "fetch_failed", fetch=old)
    assert shell.core.outputs(0).places == places


def test_fetch_failures_without_progress_fail_the_job_and_name_the_file():
    shell = shell_with("e1", max_fetch_rounds=3)
    job = shell.submit(map_stage(0, 1), result_stage(1, (0,)))
    for _ in range(4):
        shell.finish("e1")
        shell.advance(10)
        shell.end("e1", "fetch_failed", fetch=gone(shell, 0, 0, "checksum"))
    ended = shell.ended[job]
    assert (ended.outcome, ended.error) == ("failed", "JobFailed")
    assert "shuffle-0-0-" in ended.text and "checksum" in ended.text and "w1" in ended.text


def test_several_lost_outputs_of_different_workers_are_repaired_one_after_the_other():
    names = [f"e{number}" for number in range(6)]
    shell = shell_with(*names, max_fetch_rounds=2, window_per_slot=1)
    job = shell.submit(map_stage(0, 6), result_stage(1, (0,)))
    for name in names:
        shell.finish(name)
    for index in range(6):
        running = next(name for name in names if shell.queue(name))
        shell.end(running, "fetch_failed", fetch=gone(shell, 0, index))
        shell.advance(1)
        maker = next(name for name in names if shell.queue(name))
        shell.finish(maker)
        shell.advance(1)
    shell.finish_everything()
    assert shell.outcome(job) == "succeeded"


def test_input_that_never_becomes_readable_fails_the_job_in_the_end():
    shell = shell_with("e1", max_fetch_rounds=4)
    job = shell.submit(map_stage(0, 100), result_stage(1, (0,)))
    rounds = 0
    while job not in shell.ended:
        shell.advance(10)
        sent = shell.executors["e1"].queue[0]
        if sent.launch.stage == 0:
            shell.finish("e1", len(shell.queue("e1")))
        else:
            shell.end("e1", "fetch_failed", fetch=gone(shell, 0, rounds % 100))
            rounds += 1
    assert rounds < 50
    assert shell.ended[job].error == "JobFailed"


def test_a_worker_whose_files_fail_in_two_rounds_is_out_of_reach_and_left_out():
    shell = shell_with("e1")
    job = shell.submit(map_stage(0, 5), result_stage(1, (0,)))
    while shell.core.outputs(0).places[-1] == ("", -1):
        shell.finish("e1")
    shell.join("e2", "w2")
    for index in (0, 1):
        running = "e1" if shell.queue("e1") else "e2"
        if index == 0:
            shell.end(running, "fetch_failed", fetch=gone(shell, 0, 0))
            shell.finish("e1" if shell.queue("e1") else "e2")
            continue
        shell.end(running, "fetch_failed", fetch=gone(shell, 0, 1))
    kept = [place for place in shell.core.outputs(0).places if place[0] == "w1"]
    assert not kept
    assert shell.core.statistics().excluded == 1
    shell.finish_everything()
    assert shell.outcome(job) == "succeeded"


def test_a_shuffle_is_forgotten_only_when_no_job_names_it():
    shell = shell_with("e1")
    shell.submit(map_stage(0, 1), result_stage(1, (0,)))
    queued = shell.submit(map_stage(0, 1), result_stage(1, (0,), stage=101))
    shell.finish("e1")
    shell.send(ForgetShuffle(0))
    shell.finish("e1")
    assert shell.core.outputs(0).places, "the second job has not read it yet"
    shell.finish_everything()
    assert shell.outcome(queued) == "succeeded"
    assert shell.dropped == [DropFiles("", ("shuffle-0-",), (), (0,))]
    assert shell.core.statistics().is_empty


def test_a_cleaned_shuffle_is_made_again_and_counts_nothing_again():
    shell = shell_with("e1")
    first = shell.submit(map_stage(0, 2), result_stage(1, (0,)))
    shell.finish_everything()
    names = tuple(f"shuffle-0-{index}-{task}" for index, (_, task) in enumerate(shell.core.outputs(0).places))
    shell.send(CleanShuffle(0))
    shell.send(CleanShuffle(0))
    assert shell.dropped == [DropFiles("w1", names)]
    second = shell.submit(map_stage(0, 2), result_stage(1, (0,), stage=101))
    shell.finish_everything()
    assert (shell.outcome(first), shell.outcome(second)) == ("succeeded", "succeeded")
    assert sorted(shell.counted) == [b"j0.0", b"j1.0", b"s0.0", b"s0.1"]
    assert not any(f"shuffle-0-{index}-{task}" in names for index, (_, task) in enumerate(shell.core.outputs(0).places))


def test_a_shuffle_is_cleaned_only_when_no_job_names_it():
    shell = shell_with("e1")
    shell.submit(map_stage(0, 1), result_stage(1, (0,)))
    queued = shell.submit(map_stage(0, 1), result_stage(1, (0,), stage=101))
    shell.finish("e1")
    shell.send(CleanShuffle(0))
    shell.finish("e1")
    assert not shell.dropped
    shell.finish_everything()
    assert shell.outcome(queued) == "succeeded"
    assert [effect.prefixes[0].rpartition("-")[0] for effect in shell.dropped] == ["shuffle-0-0"]
    shell.send(ForgetShuffle(0))
    assert shell.core.statistics().is_empty


def test_a_shuffle_that_is_forgotten_while_it_waits_to_be_cleaned_is_forgotten():
    shell = shell_with("e1")
    shell.submit(map_stage(0, 1), result_stage(1, (0,)))
    shell.send(CleanShuffle(0))
    shell.send(ForgetShuffle(0))
    shell.finish_everything()
    assert shell.dropped == [DropFiles("", ("shuffle-0-",), (), (0,))]
    shell.send(CleanShuffle(0))
    shell.send(CleanShuffle(77))
    assert shell.core.statistics().is_empty


def test_an_output_that_a_cancelled_task_still_writes_is_removed_after_its_shuffle_was_forgotten():
    shell = shell_with("e1")
    job = shell.submit(map_stage(0, 1), result_stage(1, (0,)))
    shell.cancel(job)
    shell.send(ForgetShuffle(0))
    shell.finish("e1")
    assert shell.dropped[-1] == DropFiles("w1", ("shuffle-0-",))


def test_results_that_are_too_large_together_fail_the_job_with_the_sizes():
    shell = shell_with("e1", max_result_bytes=100)
    job = shell.submit(result_stage(3))
    shell.finish("e1", size=60)
    assert shell.outcome(job) == "running"
    shell.finish("e1", size=60)
    ended = shell.ended[job]
    assert ended.error == "ResultTooLarge"
    assert "2 of 3 partitions take 120 bytes" in ended.text and "limit is 100" in ended.text


def test_a_gang_waits_for_all_its_slots_and_starts_at_once():
    shell = shell_with("e1", "e2")
    shell.submit(result_stage(1))
    gang = shell.submit(result_stage(2, stage=101, gang=True))
    assert all(launch.job != gang for launch in shell.launches)
    shell.finish("e1")
    assert [launch.executor for launch in shell.launches if launch.job == gang] == ["e1", "e2"]


def test_nothing_behind_a_waiting_gang_takes_the_slots_that_it_waits_for():
    shell = shell_with("e1", "e2")
    shell.submit(result_stage(1))
    gang = shell.submit(result_stage(2, stage=101, gang=True))
    later = shell.submit(result_stage(1, stage=102))
    assert all(launch.job != later for launch in shell.launches)
    shell.finish_everything()
    assert shell.outcome(gang) == shell.outcome(later) == "succeeded"


def test_a_gang_larger_than_the_cluster_holds_nobody_up():
    shell = shell_with("e1", "e2")
    shell.submit(result_stage(3, gang=True))
    later = shell.submit(result_stage(1, stage=101))
    shell.finish_everything()
    assert shell.outcome(later) == "succeeded"


def test_any_failure_in_a_gang_restarts_all_of_it_as_a_new_stage_attempt():
    shell = shell_with("e1", "e2")
    job = shell.submit(result_stage(2, gang=True))
    shell.finish("e1")
    assert not shell.results, "a gang counts together or not at all"
    shell.end("e2", "raised")
    assert [(launch.stage_attempt, len(launch.attempts)) for launch in shell.launches[2:]] == [(1, 1), (1, 1)]
    shell.finish_everything()
    assert shell.outcome(job) == "succeeded"
    assert sorted(shell.counted) == [b"j0.0", b"j0.1"]


def test_events_tell_the_story_of_a_job_in_order():
    shell = shell_with("e1")
    shell.submit(map_stage(0, 1, name="map"), result_stage(1, (0,), name="collect"))
    shell.finish_everything()
    kinds = [events.kind_of(event) for event in shell.events]
    assert kinds == [
        "executor_added", "job_started", "stage_started", "tasks_started", "tasks_ended", "stage_ended",
        "stage_started", "tasks_started", "tasks_ended", "stage_ended", "job_ended",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "spec",
    [
        JobSpec(0, (result_stage(1),), (0,)),
        JobSpec(1, (), ()),
        JobSpec(1, (map_stage(0, 1),), (0,)),
        JobSpec(1, (result_stage(1, (5,)),), (0,)),
        JobSpec(1, (map_stage(0, 1), map_stage(0, 1), result_stage(1)), (0,)),
        JobSpec(1, (map_stage(9, 3), result_stage(1, (9,))), (0,)),
        JobSpec(1, (result_stage(1),), (1,)),
        JobSpec(1, (result_stage(2),), (1, 1)),
    ],
)
def test_an_illegal_job_raises_and_changes_nothing(spec):
    shell = shell_with("e1")
    shell.submit(map_stage(9, 2), result_stage(1, (9,)), job=0)
    before = shell.core.statistics()
    with pytest.raises(InternalError):
        shell.core.handle(0.0, SubmitJob(spec))
    assert shell.core.statistics() == before
    shell.finish_everything()
    assert shell.outcome(0) == "succeeded"


def test_an_unknown_event_raises():
    with pytest.raises(InternalError, match="str"):
        shell_with().core.handle(0.0, "what?")


def test_news_of_an_executor_that_never_joined_is_harmless():
    shell = shell_with()
    assert shell.core.handle(0.0, ExecutorLost("e9", "never started")) == []
    assert shell.core.handle(0.0, Reported("e9", (report(1),))) == []


def test_launches_name_the_task_ids_once_in_an_application():
    shell = shell_with("e1")
    shell.submit(result_stage(2))
    shell.finish_everything()
    assert shell.launches[0] == Launch("e1", 0, 100, 0, (Attempt(1, 0, 0),))
    assert shell.launches[1] == Launch("e1", 0, 100, 0, (Attempt(2, 1, 0),))


