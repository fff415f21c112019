"""Input that cannot be read: how soon it is tried again, who is to blame, and results that have to be made again."""

from __future__ import annotations

import pytest

from simspark.driver.fetch_rounds import FetchRounds, pause_s
from simspark.driver.scheduling import ResultUnreachable, SchedulerSettings
from simspark.publib.wire.messages import FetchFault
from tests.unit.driver.harness import Shell, map_stage, result_stage


def shell_with(*executors: str, **settings) -> Shell:
    shell = Shell(SchedulerSettings(**{"idle_release_s": 0.0, "window_per_slot": 1, **settings}))
    for name in executors:
        shell.join(name, "w" + name[1:])
    return shell


def refused(shell: Shell, index: int) -> FetchFault:
    worker, task = shell.core.outputs(0).places[index]
    return FetchFault(worker, f"shuffle-0-{index}-{task}", 0, index, "connection refused")


def reads(shell: Shell, name: str) -> bool:
    """Whether the executor has a task of the reading stage."""
    return bool(shell.queue(name)) and shell.executors[name].queue[0].launch.stage == 100


def test_the_first_repair_begins_at_once_and_pauses_grow_to_a_limit():
    assert [pause_s(times) for times in range(8)] == [0, 0, 0.5, 1, 2, 4, 8, 8]


def test_different_inputs_are_different_rounds_and_the_same_one_counts():
    rounds = FetchRounds()
    one, other = FetchFault("w1", "a", 0, 0, ""), FetchFault("w1", "b", 0, 1, "")
    assert [rounds.begin(fault, 1) for fault in (one, other, one, other, one)] == [1, 1, 2, 2, 3]
    rounds.get_through()
    assert rounds.begin(one, 1) == 1


def test_a_stage_whose_input_is_refused_at_once_tries_again_later_and_later():
    shell = shell_with("e1")
    job = shell.submit(map_stage(0, 1), result_stage(1, (0,)))
    tried = []
    while job not in shell.ended:
        if not shell.queue("e1"):
            shell.advance(0.25)
        elif reads(shell, "e1"):
            tried.append(shell.now)
            shell.end("e1", "fetch_failed", fetch=refused(shell, 0))
        else:
            shell.finish("e1")
    assert tried == [0, 0, 0.5, 1.5, 3.5]
    assert "connection refused" in shell.ended[job].text


def test_a_task_that_gets_through_ends_the_pause_of_its_stage():
    shell = shell_with("e1", "e2", "e3")
    shell.submit(map_stage(0, 1), result_stage(3, (0,)))
    shell.finish("e1")
    for _ in range(2):
        shell.end("e1", "fetch_failed", fetch=refused(shell, 0))
        if shell.queue("e1"):
            shell.finish("e1")
            shell.advance(0.31)
    shell.finish("e2")
    assert not reads(shell, "e2"), "the output is made there, on a worker that can be reached"
    shell.finish("e2")
    assert reads(shell, "e2")


def cut_apart(shell: Shell, job: int, seconds: float) -> None:
    """Workers that cannot reach each other: every reader fails on files that are not its own worker's."""
    until = shell.now + seconds
    while job not in shell.ended and shell.now < until:
        shell.advance(0.25)
        for executor in list(shell.executors.values()):
            if not executor.queue:
                continue
            tables = executor.queue[0].tables
            places = [place for table in tables for place in table.places]
            foreign = [index for index, (worker, _) in enumerate(places) if worker != executor.worker]
            if not foreign:
                shell.finish(executor.name)
                continue
            worker, task = places[foreign[0]]
            fault = FetchFault(worker, f"shuffle-0-{foreign[0]}-{task}", 0, foreign[0], "nobody answers")
            shell.end(executor.name, "fetch_failed", fetch=fault)


def test_of_two_workers_that_cannot_reach_each_other_one_does_the_job():
    shell = shell_with("e1", "e2")
    job = shell.submit(map_stage(0, 4), result_stage(4, (0,)))
    cut_apart(shell, job, 20)
    assert shell.outcome(job) == "succeeded"
    assert shell.core.statistics().excluded == 1


def test_of_three_workers_that_cannot_reach_each_other_one_does_the_job():
    shell = shell_with("e1", "e2", "e3")
    job = shell.submit(map_stage(0, 6), result_stage(3, (0,)))
    cut_apart(shell, job, 30)
    assert shell.outcome(job) == "succeeded"


def test_a_reader_on_a_worker_that_is_left_out_blames_nobody():
    shell = shell_with("e1", "e2")
    shell.submit(map_stage(0, 2), result_stage(2, (0,)))
    shell.finish("e1")
    shell.finish("e2")
    shell.send(ResultUnreachable("w2", "nobody answers"))
    places = shell.core.outputs(0).places
    index = next(index for index, (worker, _) in enumerate(places) if worker == "w1")
    shell.end("e2", "fetch_failed", fetch=refused(shell, index))
    assert shell.core.outputs(0).places == places


def test_the_only_worker_is_not_left_out_for_files_that_cannot_be_read():
    shell = shell_with("e1", max_fetch_rounds=9)
    shell.submit(map_stage(0, 1), result_stage(1, (0,)))
    for _ in range(3):
        shell.finish("e1")
        shell.advance(5)
        shell.end("e1", "fetch_failed", fetch=refused(shell, 0))
    assert shell.core.statistics().excluded == 0


# ── results that the driver cannot read ──────────────────────────────────────────────────────────────────────────


def test_results_out_of_reach_are_made_again_on_another_worker():
    shell = shell_with("e1", "e2")
    shell.submit(result_stage(2))
    shell.finish_everything()
    shell.send(ResultUnreachable("w1", "nobody answers"))
    shell.submit(result_stage(2), job=77, rerun=1)
    assert not shell.queue("e1") and shell.queue("e2")
    shell.finish_everything()
    assert shell.outcome(77) == "succeeded"


def test_what_is_made_again_counts_no_updates_but_an_action_that_follows_does():
    shell = shell_with("e1")
    shell.submit(result_stage(2))
    shell.submit(result_stage(2), job=77, rerun=1)
    shell.submit(result_stage(2, stage=101), job=78)
    shell.finish_everything()
    assert sorted(shell.counted) == [b"j0.0", b"j0.1", b"j78.0", b"j78.1"]


@pytest.mark.parametrize(("rerun", "pause"), [(0, 0.0), (1, 0.0), (2, 0.5), (3, 1.0)])
def test_results_that_are_made_again_and_again_wait_longer_each_time(rerun: int, pause: float):
    shell = shell_with("e1")
    shell.submit(result_stage(1), rerun=rerun)
    if pause:
        shell.advance(pause - 0.01)
        assert not shell.queue("e1")
        shell.advance(0.02)
    assert shell.queue("e1")
