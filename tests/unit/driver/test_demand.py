"""How many executors the application wants, gives back, and waits for."""

from __future__ import annotations

from simspark.driver.scheduling import GiveBackAsked, QueueChanged, SchedulerSettings
from simspark.publib.wire.messages import CachedBlock
from tests.unit.driver.harness import Shell, map_stage, result_stage

SETTINGS = SchedulerSettings()


def shell_with(*executors: str, slots: int = 1, **settings) -> Shell:
    shell = Shell(SchedulerSettings(**settings))
    for name in executors:
        shell.join(name, "w" + name[1:], slots)
    return shell


def test_an_executor_is_wanted_for_each_task_that_could_run_now():
    shell = shell_with()
    shell.submit(map_stage(0, 3), result_stage(9, (0,)))
    assert shell.wanted == [3]


def test_no_more_executors_are_wanted_than_the_limit():
    shell = shell_with(max_executors=4)
    shell.submit(result_stage(1000))
    assert shell.wanted == [4]


def test_executors_with_several_slots_are_counted_by_their_slots():
    shell = shell_with("e1", slots=4)
    shell.submit(result_stage(10))
    assert shell.wanted[-1] == 3


def test_the_master_is_not_told_of_every_task_that_ends():
    shell = shell_with("e1", "e2")
    shell.submit(result_stage(1000))
    shell.finish_everything()
    shell.advance(5)
    assert len(shell.wanted) <= 5
    assert shell.wanted[-1] == 2


def test_between_two_stages_nothing_is_given_up():
    shell = shell_with("e1")
    shell.submit(map_stage(0, 2), result_stage(2, (0,)))
    shell.finish_everything()
    assert shell.wanted == [1, 2]


def test_an_idle_executor_goes_back_after_a_while_and_the_master_is_told_first():
    shell = shell_with("e1", "e2", idle_release_s=10.0)
    shell.submit(result_stage(2))
    shell.finish_everything()
    shell.advance(9.9)
    assert not shell.released
    shell.advance(0.2)
    assert shell.released == ["e1", "e2"]
    assert shell.wanted[-1] == 0


def test_executors_do_not_go_back_when_idle_if_the_setting_is_zero():
    shell = shell_with("e1", idle_release_s=0.0)
    shell.advance(1000)
    assert not shell.released


def test_an_idle_executor_with_cached_partitions_stays():
    shell = shell_with("e1", "e2")
    shell.submit(result_stage(1))
    shell.finish("e1", blocks=(CachedBlock(7, 0, "", 10),))
    shell.advance(100)
    assert shell.released == ["e2"]


def test_when_asked_idle_executors_go_back_at_once_those_without_cached_partitions_first():
    shell = shell_with("e1", "e2", "e3", idle_release_s=0.0)
    shell.submit(result_stage(1))
    shell.finish("e1", blocks=(CachedBlock(7, 0, "", 10),))
    shell.send(GiveBackAsked(2))
    assert shell.released == ["e2", "e3"]
    shell.send(GiveBackAsked(1))
    assert shell.released == ["e2", "e3", "e1"]
    assert shell.core.statistics().cached_blocks == 0


def test_when_asked_a_busy_executor_goes_back_when_its_tasks_have_ended():
    shell = shell_with("e1", "e2", window_per_slot=1)
    job = shell.submit(result_stage(10))
    shell.send(GiveBackAsked(1))
    assert not shell.released
    shell.finish("e1")
    assert shell.released == ["e1"]
    shell.finish_everything()
    assert shell.outcome(job) == "succeeded"
    assert shell.released == ["e1"]


def test_an_executor_that_dies_while_it_goes_back_is_counted_as_gone_back():
    shell = shell_with("e1", "e2", window_per_slot=1, idle_release_s=0.0)
    shell.submit(result_stage(10))
    shell.send(GiveBackAsked(1))
    shell.lose("e1")
    shell.finish_everything()
    assert not shell.released
    assert shell.outcome(0) == "succeeded"


# ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_without_executors_waits_for_ever_while_its_need_could_be_met():
    shell = shell_with()
    job = shell.submit(result_stage(1))
    shell.send(QueueChanged("3 applications are before this one", unmet=False))
    shell.advance(10_000)
    assert shell.outcome(job) == "running"
    shell.join("e1")
    shell.finish_everything()
    assert shell.outcome(job) == "succeeded"


def test_a_need_that_cannot_be_met_fails_after_a_while_with_the_arithmetic():
    shell = shell_with(unmet_need_fails_s=120.0)
    job = shell.submit(result_stage(1))
    shell.send(QueueChanged("each executor needs 8 GiB, the largest worker has 4 GiB", unmet=True))
    shell.advance(119)
    assert shell.outcome(job) == "running"
    shell.advance(2)
    ended = shell.ended[job]
    assert ended.error == "NotEnoughResources"
    assert "at least 1 slot" in ended.text and "8 GiB" in ended.text and "waited 120 s" in ended.text


def test_a_worker_that_joins_in_time_saves_the_job():
    shell = shell_with()
    job = shell.submit(result_stage(1))
    shell.send(QueueChanged("no worker", unmet=True))
    shell.advance(100)
    shell.send(QueueChanged("", unmet=False))
    shell.advance(1000)
    assert shell.outcome(job) == "running"


def test_zero_waits_for_ever():
    shell = shell_with(unmet_need_fails_s=0.0)
    job = shell.submit(result_stage(1))
    shell.send(QueueChanged("no worker", unmet=True))
    shell.advance(100_000)
    assert shell.outcome(job) == "running"


def test_a_gang_that_can_never_start_fails_with_the_arithmetic():
    shell = shell_with("e1", "e2", idle_release_s=0.0)
    job = shell.submit(result_stage(4, gang=True))
    shell.advance(119)
    assert shell.outcome(job) == "running"
    shell.advance(2)
    assert shell.ended[job].error == "NotEnoughResources"
    assert "needs 4 slots at once, the application has 2" in shell.ended[job].text


# ── what people are told ─────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_waits_when_nothing_is_asked():
    assert shell_with().core.waiting_text() == ""


def test_waiting_for_a_first_executor_is_explained_with_what_the_master_says():
    shell = shell_with()
    shell.submit(result_stage(1))
    assert shell.core.waiting_text() == "job 0 waits: no executors yet"
    shell.send(QueueChanged("no workers have registered", unmet=True))
    assert shell.core.waiting_text() == "job 0 waits: no executors yet: no workers have registered"


def test_waiting_behind_another_job_names_it():
    shell = shell_with("e1", window_per_slot=1)
    shell.submit(result_stage(5))
    shell.submit(result_stage(1, stage=101))
    assert shell.core.waiting_text() == "job 1 waits: the only slot is busy with job 0"


def test_a_waiting_gang_says_what_it_needs():
    shell = shell_with("e1")
    shell.submit(result_stage(4, gang=True))
    assert shell.core.waiting_text() == "job 0 waits: 4 slots at once are needed, there are 1"


def test_a_gang_that_waits_keeps_what_idles_for_it():
    shell = shell_with("e1", "e2", idle_release_s=10.0)
    job = shell.submit(result_stage(3, gang=True))
    shell.send(QueueChanged("the cluster has 2 slots", unmet=True))
    shell.advance(60)
    assert shell.released == []
    shell.join("e3", "w3")
    shell.finish_everything()
    assert shell.outcome(job) == "succeeded"


def test_a_gang_that_waits_for_what_others_have_lets_them_have_its_own_for_a_while():
    shell = shell_with("e1", "e2", idle_release_s=10.0)
    job = shell.submit(result_stage(3, gang=True))
    shell.send(QueueChanged("waits for 1 more executor, others have it", unmet=False))
    shell.advance(10)
    assert sorted(shell.released) == ["e1", "e2"]
    assert shell.wanted[-1] == 0
    shell.advance(9)
    assert shell.wanted[-1] == 0
    shell.advance(1.5)
    assert shell.wanted[-1] == 3, "the pause is over"
    shell.advance(100)
    assert shell.wanted[-1] == 3, "who has nothing keeps nobody waiting"
    for name in ("e4", "e5", "e6"):
        shell.join(name)
    shell.finish_everything()
    assert shell.outcome(job) == "succeeded"
