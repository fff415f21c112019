"""What tasks cost on the wire, counted and not timed: messages, programs and tables that executors are sent."""

from __future__ import annotations

from collections import Counter

import pytest

from simspark.driver.dispatch import LAUNCH_BYTES, Dispatcher
from simspark.driver.job import RunningJob, StageCode
from simspark.driver.scheduling import Attempt, JobSpec, Launch, Outputs, StageSpec
from simspark.publib.wire.messages import LaunchTasks, MapOutputs, StageProgram

pytestmark = pytest.mark.unit
TASKS = 10_000
EXECUTORS = ("e1", "e2", "e3")
SHUFFLE = 7
STAGE = StageSpec(3, -1, TASKS, (SHUFFLE,))


class Sent:
    """A dispatcher and what it sent: (peer, message)."""

    def __init__(self, split_bytes: int = 20) -> None:
        self.messages = []
        self.epoch = 1
        self.code = StageCode(b"hash", b"program" * 1000, "", lambda _: b"s" * split_bytes)
        self.dispatcher = Dispatcher(lambda peer, message: self.messages.append((peer, message)),
                                     lambda shuffle: Outputs(shuffle, self.epoch, (("w1", 1), ("w2", 2))))
        for name in EXECUTORS:
            self.dispatcher.join(name, f"peer of {name}")

    def begin(self, job: int) -> RunningJob:
        running = RunningJob(JobSpec(job, (STAGE,), tuple(range(TASKS))), {STAGE.stage: self.code}, {})
        self.dispatcher.add_job(running)
        return running

    def launch(self, executor: str, partitions: range, job: int = 0) -> None:
        attempts = tuple(Attempt(partition, partition, 0) for partition in partitions)
        self.dispatcher.launch(Launch(executor, job, STAGE.stage, 0, attempts), {})

    def count(self, kind: type) -> Counter[str]:
        return Counter(peer for peer, message in self.messages if type(message) is kind)


def test_a_stage_s_program_goes_to_each_executor_once_however_many_launches_and_jobs_there_are():
    sent = Sent()
    for job in range(3):
        running = sent.begin(job)
        for start in range(0, TASKS, 100):
            sent.launch(EXECUTORS[start // 100 % 3], range(start, start + 100), job)
        sent.dispatcher.end_job(running)
    assert sent.count(StageProgram) == {f"peer of {name}": 1 for name in EXECUTORS}


def test_a_table_of_map_outputs_goes_to_each_executor_once_until_it_changes():
    sent = Sent()
    sent.begin(0)
    for start in range(0, TASKS, 100):
        sent.epoch += start == TASKS // 2
        sent.launch("e1", range(start, start + 100))
    assert sent.count(MapOutputs) == {"peer of e1": 2}


def test_the_tasks_of_a_launch_are_one_message():
    sent = Sent()
    sent.begin(0)
    sent.launch("e1", range(1000))
    assert sent.count(LaunchTasks) == {"peer of e1": 1}
    (message,) = (message for _, message in sent.messages if type(message) is LaunchTasks)
    assert len(message.tasks) == 1000 and message.hash == b"hash"


def test_only_splits_of_many_bytes_need_more_messages():
    sent = Sent(split_bytes=LAUNCH_BYTES // 10)
    sent.begin(0)
    sent.launch("e1", range(100))
    assert sent.count(LaunchTasks)["peer of e1"] in {10, 11, 12}
