"""Which tasks go where, how many at once, and in how many messages."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from simspark.driver.scheduling import CancelJob, Reported, SchedulerSettings
from simspark.driver.task_scheduler import WINDOW_MOST
from simspark.publib.wire.messages import CachedBlock
from tests.unit.driver.harness import Shell, map_stage, result_stage

TASKS = 10_000


def shell_with(*executors: str, slots: int = 1, **settings) -> Shell:
    shell = Shell(SchedulerSettings(**{"idle_release_s": 0.0, **settings}))
    for name in executors:
        shell.join(name, "w" + name[1:], slots)
    return shell


def run_in_batches(shell: Shell, most: int, run_us: int) -> int:
    """Executors end what they have, at most so many in one report; returns the number of reports."""
    reports = 0
    while any(executor.queue for executor in shell.executors.values()):
        for executor in shell.executors.values():
            if executor.queue:
                count = min(most, len(executor.queue))
                shell.now += count * run_us / 1e6 / len(shell.executors)
                shell.finish(executor.name, count, run_us=run_us)
                reports += 1
    return reports


@pytest.mark.parametrize("batch", [32, 64, 256])
def test_ten_thousand_tiny_tasks_take_at_most_a_tenth_of_a_message_each(batch):
    shell = shell_with("e1", "e2")
    job = shell.submit(result_stage(TASKS))
    reports = run_in_batches(shell, batch, run_us=15)
    assert shell.outcome(job) == "succeeded" and len(shell.results[job]) == TASKS
    assert shell.messages + reports <= TASKS / 10


def test_a_hundred_thousand_pending_tasks_make_no_objects():
    shell = shell_with("e1")
    shell.submit(result_stage(100_000))
    assert shell.core.statistics().pending == 100_000 - len(shell.queue("e1"))
    (tasks,) = shell.core._scheduler.sets()
    assert len(tasks.pending._plain) == 1 and not tasks.troubles


def test_windows_are_bounded():
    shell = shell_with("e1")
    shell.submit(result_stage(TASKS))
    run_in_batches(shell, 64, run_us=1)
    assert 128 < shell.executors["e1"].most <= WINDOW_MOST


def test_long_tasks_wait_in_no_window():
    shell = shell_with("e1", "e2", window_per_slot=2)
    shell.submit(result_stage(100))
    for _ in range(10):
        for name in ("e1", "e2"):
            shell.now += 0.5
            shell.finish(name, run_us=1_000_000)
    assert [len(shell.queue(name)) for name in ("e1", "e2")] == [1, 1]


def test_few_tasks_are_spread_over_all_slots_first():
    shell = shell_with("e1", "e2", "e3", slots=4)
    shell.submit(result_stage(6))
    assert [len(shell.queue(name)) for name in ("e1", "e2", "e3")] == [2, 2, 2]
    assert len(shell.launches) == 3, "one message for each executor"


def test_the_last_tasks_of_a_stage_are_not_queued_behind_others():
    shell = shell_with("e1", "e2", window_per_slot=4)
    shell.submit(result_stage(3))
    assert [len(shell.queue(name)) for name in ("e1", "e2")] == [1, 1]


def test_an_executor_that_joins_later_gets_its_share():
    shell = shell_with("e1")
    shell.submit(result_stage(50))
    shell.join("e2", "w2")
    assert shell.queue("e2")


def test_jobs_are_served_in_the_order_in_which_they_came():
    shell = shell_with("e1")
    first, second = shell.submit(result_stage(3)), shell.submit(result_stage(3, stage=101))
    shell.finish_everything()
    assert [launch.job for launch in shell.launches] == sorted(launch.job for launch in shell.launches)
    assert list(shell.ended) == [first, second]


def test_pools_are_served_in_turn():
    shell = shell_with("e1", "e2", "e3", "e4", window_per_slot=1)
    big = shell.submit(result_stage(100), pool="big")
    small = shell.submit(result_stage(100, stage=101), pool="small")
    for _ in range(4):
        for name in ("e1", "e2", "e3", "e4"):
            shell.finish(name, run_us=10**6)
    running = [sent.launch.job for name in shell.executors for sent in shell.executors[name].queue]
    assert sorted(running) == [big, big, small, small]


# ── places ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_task_goes_where_its_cached_partition_is():
    shell = shell_with("e1", "e2", window_per_slot=1)
    shell.submit(result_stage(2, rdds=(7,)))
    for name in ("e1", "e2"):
        partition = shell.partitions(name)[0]
        shell.finish(name, blocks=(CachedBlock(7, partition, "", 10),))
    at = {p: shell.core.cached_places(7, p)[0].executor for p in (0, 1)}
    shell.submit(result_stage(2, stage=101, rdds=(7,)), partitions=(1, 0))
    assert {shell.partitions(name)[0]: name for name in ("e1", "e2")} == at


def test_a_task_waits_for_its_place_only_so_long():
    shell = shell_with("e1", "e2", window_per_slot=1, locality_wait_s=0.3)
    shell.submit(result_stage(2, places={0: ("host-w1",), 1: ("host-w1",)}))
    assert shell.partitions("e1") == [0] and not shell.queue("e2")
    shell.advance(0.2)
    assert not shell.queue("e2")
    shell.advance(0.2)
    assert shell.partitions("e2") == [1]


def test_a_place_without_an_executor_is_not_waited_for():
    shell = shell_with("e1")
    shell.submit(result_stage(1, places={0: ("elsewhere",)}))
    assert shell.partitions("e1") == [0]


def test_a_place_whose_executor_is_lost_meanwhile_is_not_waited_for():
    shell = shell_with("e1", "e2", window_per_slot=1, locality_wait_s=1000.0)
    shell.submit(result_stage(2, places={0: ("host-w1",), 1: ("host-w1",)}))
    assert not shell.queue("e2")
    shell.lose("e1")
    shell.finish_everything()
    assert shell.outcome(0) == "succeeded"


def test_a_place_that_joins_after_the_stage_began_is_preferred():
    shell = shell_with()
    shell.submit(result_stage(2, places={1: ("host-w2",)}))
    shell.now = 10.0
    shell.join("e2", "w2")
    assert shell.partitions("e2")[0] == 1


# ── determinism ──────────────────────────────────────────────────────────────────────────────────────────────────

STORY = """
from tests.unit.driver.test_random_schedules import World
import sys
world = World(3)
said = []
handle = world.shell.core.handle
def tell(now, event):
    effects = handle(now, event)
    said.append(repr(effects))
    return effects
world.shell.core.handle = tell
world.join(); world.submit(); world.submit()
for _ in range(300):
    world.step()
world.heal()
sys.stdout.write("\\n".join(said))
"""


def test_the_same_events_give_the_same_effects_whatever_the_hash_seed():
    stories = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.getcwd()}
        told = subprocess.run([sys.executable, "-c", STORY], env=environment, capture_output=True, check=True)
        stories.append(told.stdout)
    assert len(stories[0]) > 10_000
    assert stories[0] == stories[1]


def test_the_loop_of_launches_ends_with_a_job_that_is_cancelled_midway():
    shell = shell_with("e1")
    job = shell.submit(map_stage(0, 100), result_stage(1, (0,)))
    sents = [shell.pop("e1") for _ in range(len(shell.queue("e1")))]
    shell.send(CancelJob(job, "enough"))
    shell.send(Reported("e1", tuple(shell.success(sent) for sent in sents)))
    assert not shell.counted
    assert shell.core.statistics().running == shell.core.statistics().cancelled == 0
