"""Tasks of a gang meet: all or none, in the same way, within the time, and never with those of an earlier attempt."""

from __future__ import annotations

import random

import pytest

from simspark.driver.scheduling import AnswerBarrier, BarrierAsked, SchedulerSettings
from simspark.publib import machine
from simspark.publib.wire.messages import Said
from tests.unit.driver.harness import Shell, map_stage, result_stage

pytestmark = pytest.mark.unit

TIMEOUT_S = 60.0


class Gang(Shell):
    """A shell whose executors can come to meetings."""

    def __init__(self, executors: int = 2, settings: SchedulerSettings | None = None) -> None:
        super().__init__(settings or SchedulerSettings(barrier_timeout_s=TIMEOUT_S))
        for number in range(executors):
            self.join(f"e{number}", f"w{number}")

    def come(self, executor: str, meeting: int = 1, kind: str = "barrier", text: str = "", name: str = "",
             task: int | None = None) -> list[AnswerBarrier]:
        which = self.queue(executor)[0] if task is None else task
        owner = self.executors[executor].worker if name else ""
        effects = self.send(BarrierAsked(executor, which, meeting, kind, Said(text, owner, name)))
        return [effect for effect in effects if isinstance(effect, AnswerBarrier)]


def test_the_last_one_to_come_lets_all_go_on():
    gang = Gang()
    gang.submit(result_stage(2, gang=True))
    assert gang.come("e0") == []
    answers = gang.come("e1")
    assert [(a.executor, a.meeting, a.said, a.error) for a in answers] == [("e0", 1, (), ""), ("e1", 1, (), "")]
    gang.finish_everything()
    assert gang.outcome(0) == "succeeded"
    assert gang.core.statistics().meetings == 0


def test_everybody_hears_what_all_said_by_partition():
    gang = Gang(3)
    gang.submit(result_stage(3, gang=True), partitions=(2, 0, 1))
    where = {gang.partitions(name)[0]: name for name in gang.executors}
    for partition in (1, 2, 0):
        answers = gang.come(where[partition], kind="allGather", text=f"from {partition}")
    assert len(answers) == 3
    assert all([said.text for said in a.said] == ["from 0", "from 1", "from 2"] for a in answers)
    launched = {attempt.partition: launch.executor for launch in gang.launches for attempt in launch.attempts}
    assert {launch.gang for launch in gang.launches} == {tuple(launched[partition] for partition in range(3))}


def test_what_is_sent_twice_or_for_another_meeting_has_no_effect():
    gang = Gang()
    gang.submit(result_stage(2, gang=True))
    assert gang.come("e0") == []
    assert gang.come("e0", kind="allGather") == [], "one who has come already does not come anew"
    assert gang.come("e1", meeting=2) == [], "that meeting has not begun"
    assert len(gang.come("e1")) == 2
    assert gang.come("e0") == [], "that meeting is over"
    gang.come("e0", meeting=2)
    assert len(gang.come("e1", meeting=2)) == 2


def test_tasks_that_come_in_different_ways_are_all_told_and_so_are_later_ones():
    gang = Gang(3)
    gang.submit(result_stage(3, gang=True))
    gang.come("e0", kind="barrier")
    answers = gang.come("e1", kind="allGather")
    assert [a.executor for a in answers] == ["e0", "e1"]
    assert answers[0].error == (
        "call 1 of barrier() in stage 100 cannot end: some tasks called barrier() and others allGather(); "
        "partitions 0, 1 came. Each task of a barrier stage must make the same calls of barrier() and allGather(), in "
        "the same order. (SS107)"
    )
    late = gang.come("e2")
    assert [(a.executor, a.error) for a in late] == [("e2", answers[0].error)]


@pytest.mark.parametrize("waits_first", [True, False])
def test_a_task_that_ends_without_coming_breaks_the_meeting(waits_first: bool):
    gang = Gang()
    gang.submit(result_stage(2, gang=True))
    if waits_first:
        gang.come("e0")
    ended = gang.pop("e1")
    effects = gang.send(_reported(gang, "e1", ended))
    answers = [e for e in effects if isinstance(e, AnswerBarrier)] if waits_first else gang.come("e0")
    assert [a.executor for a in answers] == ["e0"]
    assert "cannot end: partition 1 ended without it; partition 0 came." in answers[0].error
    assert gang.outcome(0) == "running"


def _reported(gang: Gang, executor: str, sent):
    from simspark.driver.scheduling import Reported

    return Reported(executor, (gang.success(sent),))


def test_a_meeting_that_takes_too_long_says_who_did_not_come():
    gang = Gang(3)
    gang.submit(result_stage(3, gang=True))
    gang.come("e1")
    gang.advance(TIMEOUT_S - 1)
    gang.come("e2")
    gang.advance(2)
    answers = gang.met
    assert [a.executor for a in answers] == ["e1", "e2"]
    assert "cannot end: after 60 s 2 of 3 tasks had come, not partition 0; partitions 1, 2 came." in answers[0].error


def test_a_meeting_in_time_is_not_broken_by_the_timer_of_the_one_before():
    gang = Gang()
    gang.submit(result_stage(2, gang=True))
    gang.come("e0")
    gang.come("e1")
    gang.advance(TIMEOUT_S - 1)
    gang.come("e0", meeting=2)
    gang.advance(TIMEOUT_S - 2)
    assert [a.error for a in gang.come("e1", meeting=2)] == ["", ""]


def test_each_meeting_has_its_own_time():
    gang = Gang()
    gang.submit(result_stage(2, gang=True))
    gang.come("e0")
    gang.come("e1")
    gang.advance(TIMEOUT_S - 1)
    gang.come("e0", meeting=2)
    gang.advance(TIMEOUT_S - 1)
    assert len(gang.met) == 2
    gang.advance(2)
    assert "cannot end: after 60 s 1 of 2 tasks had come, not partition 1" in gang.met[-1].error


def test_a_driver_that_overslept_breaks_no_meeting_before_it_has_read_who_came():
    gang = Gang()
    gang.submit(result_stage(2, gang=True))
    gang.come("e0")
    del gang.timers["barrier"]
    gang.now += 3 * TIMEOUT_S
    gang.send(machine.TimerFired("barrier"))
    assert [a.error for a in gang.come("e1")] == ["", ""]


def test_the_time_limit_of_tasks_does_not_run_while_they_wait_for_another():
    gang = Gang(settings=SchedulerSettings(task_timeout_s=10.0))
    gang.submit(result_stage(2, gang=True))
    gang.advance(9)
    gang.come("e0")
    gang.advance(0.5)
    gang.come("e1")
    gang.advance(9.5)
    assert gang.cancels == []
    gang.come("e0", meeting=2)
    gang.advance(1)
    assert [(launch.stage_attempt, launch.executor) for launch in gang.launches] == [(0, "e0"), (0, "e1")]
    assert {task for cancel in gang.cancels for task in cancel.tasks} == set(gang.queue("e0") + gang.queue("e1"))
    assert gang.ended == {}, "only the one that did not come was too slow, and once is not too often"
    assert gang.core._scheduler.sets()[0].troubles[1].failures == 1
    assert 0 not in gang.core._scheduler.sets()[0].troubles


def test_a_gang_that_begins_anew_forgets_who_had_come():
    gang = Gang()
    gang.submit(result_stage(2, gang=True))
    old = gang.queue("e0")[0]
    gang.come("e0")
    gang.lose("e1")
    assert gang.cancels[-1].tasks == (old,)
    gang.join("e2", "w2")
    assert gang.come("e0", task=old) == [], "nobody wants that attempt"
    gang.end("e0", "cancelled", old)
    starts = [(launch.stage_attempt, {a.attempt for a in launch.attempts}) for launch in gang.launches[-2:]]
    assert starts == [(1, {1}), (1, {1})], "all tasks have been tried as often"
    assert gang.come("e2") == [], "who came in the attempt before does not count"
    assert len(gang.come("e0")) == 2
    gang.finish_everything()
    assert gang.outcome(0) == "succeeded"


def test_files_of_what_was_said_go_with_the_attempt():
    gang = Gang()
    gang.submit(result_stage(2, gang=True))
    gang.come("e0", kind="allGather", name="gather-100-0-1-1")
    gang.lose("e1")
    assert ("gather-100-0-",) in [dropped.prefixes for dropped in gang.dropped]
    gang.end("e0", "cancelled")
    gang.join("e2")
    gang.finish_everything()
    assert ("gather-100-1-",) not in [dropped.prefixes for dropped in gang.dropped], "that attempt had none"


def test_two_gangs_meet_apart():
    gang = Gang(4)
    for job, stage in ((0, 100), (1, 101)):
        gang.submit(result_stage(2, stage=stage, gang=True), job=job)
    first = [launch.executor for launch in gang.launches if launch.job == 0]
    second = [launch.executor for launch in gang.launches if launch.job == 1]
    gang.come(first[0])
    gang.come(second[0])
    assert [a.executor for a in gang.come(second[1])] == second
    assert [a.executor for a in gang.come(first[1])] == first
    gang.finish_everything()
    assert gang.core.statistics().is_empty


def test_a_gang_that_lost_a_part_of_its_shuffle_runs_as_a_whole_again():
    gang = Gang()
    gang.submit(map_stage(7, 2, gang=True), result_stage(2, (7,)))
    for name in ("e0", "e1"):
        gang.finish(name)
    gang.kill_worker("w1")
    gang.join("e2", "w2")
    gang.finish_everything()
    assert gang.outcome(0) == "succeeded"
    again = [(launch.stage_attempt, a.partition) for launch in gang.launches if launch.stage == 7
             for a in launch.attempts]  # fmt: skip
    assert sorted(again) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_an_ask_of_a_stranger_changes_nothing():
    gang = Gang()
    assert gang.send(BarrierAsked("nobody", 1, 1, "barrier", Said("", "", ""))) == []
    assert gang.send(BarrierAsked("e0", 99, 1, "barrier", Said("", "", ""))) == []
    assert gang.core.statistics().meetings == 0


@pytest.mark.parametrize("seed", range(60))
def test_whatever_dies_no_task_goes_on_before_all_of_its_attempt_have_come(seed: int):
    """Random orders, deaths and repeats: an answer without error needs all tasks of one stage attempt."""
    draw = random.Random(seed)
    gang = Gang(4)
    width, meetings = draw.randint(2, 4), draw.randint(1, 3)
    gang.submit(result_stage(width, gang=True), max_losses=99)
    passed: dict[int, int] = {}
    asked: dict[int, int] = {}
    deaths = 0
    for _ in range(2000):
        if gang.outcome(0) != "running":
            break
        name = draw.choice(list(gang.executors))
        queue = gang.executors[name].queue
        if not queue:
            continue
        if deaths < 6 and draw.random() < 0.05:
            deaths += 1
            gang.lose(name)
            gang.join(f"n{deaths}", name.replace("e", "w"))
            continue
        sent = queue[0]
        task = sent.attempt.task
        if task in gang.executors[name].told_to_stop:
            gang.end(name, "cancelled")
        elif passed.get(task, 0) == meetings:
            gang.finish(name)
        else:
            meeting = draw.randint(1, passed.get(task, 0) + 1)
            mates = {a.task: launch.stage_attempt for launch in gang.launches for a in launch.attempts}
            asked[task] = max(asked.get(task, 0), meeting)
            for answer in gang.come(name, meeting):
                assert not answer.error
                together = [other for other, attempt in mates.items() if attempt == mates[answer.task]]
                assert len(together) == width
                assert all(asked.get(other, 0) >= answer.meeting for other in together)
                assert passed.get(answer.task, 0) == answer.meeting - 1, "nobody passes twice"
                passed[answer.task] = answer.meeting
    assert gang.outcome(0) == "succeeded"
    assert gang.core.statistics().is_empty
