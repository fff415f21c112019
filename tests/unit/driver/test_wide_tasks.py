"""Tasks that take several slots of their executor: never more than it has, and they do not starve."""

from __future__ import annotations

import random

import pytest

from tests.unit.driver.harness import Shell, result_stage

pytestmark = pytest.mark.unit


def load(shell: Shell, name: str) -> int:
    """Slots of an executor that what it was sent would take at once."""
    return sum(shell.specs[sent.launch.stage].cpus for sent in shell.executors[name].queue)


def test_an_executor_gets_as_many_as_fit_and_no_window():
    shell = Shell()
    shell.join("e1", slots=4)
    shell.submit(result_stage(9, cpus=2))
    assert len(shell.queue("e1")) == 2
    shell.finish("e1")
    assert len(shell.queue("e1")) == 2


def test_what_is_left_over_is_for_smaller_tasks_of_later_jobs():
    shell = Shell()
    shell.join("e1", slots=5)
    shell.submit(result_stage(2, stage=100, cpus=2))
    shell.submit(result_stage(3, stage=101))
    assert [sent.launch.stage for sent in shell.executors["e1"].queue] == [100, 100, 101]


def test_smaller_tasks_behind_it_do_not_take_the_slots_that_it_waits_for():
    shell = Shell()
    shell.join("e1", slots=2)
    shell.submit(result_stage(2, stage=100))
    wide = shell.submit(result_stage(9, stage=101, cpus=2))
    assert [sent.launch.stage for sent in shell.executors["e1"].queue] == [100, 100], "it waits in no window either"
    shell.submit(result_stage(50, stage=102))
    shell.finish("e1")
    shell.finish("e1")
    assert [sent.launch.job for sent in shell.executors["e1"].queue] == [wide]


def test_it_goes_only_where_it_fits():
    shell = Shell()
    shell.join("small", slots=1)
    shell.join("large", slots=2)
    shell.submit(result_stage(3, stage=100, cpus=2))
    shell.submit(result_stage(1, stage=101))
    assert len(shell.queue("large")) == 1
    assert [sent.launch.stage for sent in shell.executors["small"].queue] == [101]
    shell.finish_everything()
    assert shell.core.statistics().is_empty


def test_a_gang_of_wide_tasks_needs_all_their_slots_at_once():
    shell = Shell()
    shell.join("e1", slots=3)
    shell.join("e2", "w2", slots=2)
    shell.submit(result_stage(2, stage=100, gang=True, cpus=2))
    assert [len(shell.queue(name)) for name in ("e1", "e2")] == [1, 1]
    third = shell.submit(result_stage(3, stage=101, gang=True, cpus=2))
    shell.finish_everything()
    assert shell.outcome(third) == "running"
    shell.advance(121)
    ended = shell.ended[third]
    assert (ended.error, ended.text) == (
        "NotEnoughResources", "stage 101 needs 6 slots at once, the application has 5 (waited 120 s)"
    )


def test_tasks_of_a_gang_that_do_not_fit_one_executor_go_to_the_next():
    shell = Shell()
    shell.join("e1", slots=3)
    shell.join("e2", "w2", slots=4)
    shell.submit(result_stage(3, gang=True, cpus=2))
    assert [len(shell.queue(name)) for name in ("e1", "e2")] == [1, 2]


def test_as_many_executors_are_wanted_as_wide_tasks_need():
    shell = Shell()
    shell.join("e1", slots=4)
    shell.submit(result_stage(4, cpus=3))
    assert shell.wanted[-1] == 4


@pytest.mark.parametrize("seed", range(30))
def test_no_executor_ever_runs_more_than_its_slots_and_all_ends(seed: int):
    draw = random.Random(seed)
    shell = Shell()
    for number in range(3):
        shell.join(f"e{number}", f"w{number}", slots=draw.randint(3, 4))
    for job in range(6):
        cpus = draw.choice((1, 1, 2, 3))
        gang = cpus > 1 and draw.random() < 0.2
        shell.submit(result_stage(draw.randint(1, 9), stage=100 + job, cpus=cpus, gang=gang))
        for _ in range(draw.randint(0, 8)):
            busy = [name for name, executor in shell.executors.items() if executor.queue]
            if busy:
                shell.finish(draw.choice(busy))
            for name, executor in shell.executors.items():
                wide = any(shell.specs[sent.launch.stage].cpus > 1 for sent in executor.queue)
                assert not wide or load(shell, name) <= executor.slots
    shell.finish_everything()
    assert all(shell.outcome(job) == "succeeded" for job in range(6) if not shell.jobs[job].stages[0].gang)
