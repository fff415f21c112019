"""Random faults against an oracle: whatever happens, each job ends once, with the right result or a named cause."""

from __future__ import annotations

import random
from typing import Any

import pytest

from simspark.driver.scheduling import (
    BlocksDropped,
    CleanShuffle,
    CommitAsked,
    ExecutorHeard,
    ExecutorLost,
    ExecutorSilent,
    ForgetShuffle,
    GiveBackAsked,
    JobSpec,
    QueueChanged,
    Reported,
    SchedulerSettings,
    StageSpec,
    Unpersist,
    WorkerChanged,
)
from simspark.publib.wire.messages import CachedBlock, FetchFault, TaskReport
from tests.unit.driver.harness import FakeExecutor, Sent, Shell, map_stage, report, result_stage

SETTINGS = SchedulerSettings(
    silent_is_lost_s=3.0, cancel_grace_s=0.5, node_exclude_s=2.0, speculation=True, unmet_need_fails_s=0,
)  # fmt: skip


class World:
    """Workers with files, executors that may die, and a driver that may be lied to twice."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        settings = SETTINGS._replace(
            window_per_slot=self.random.choice((1, 2, 3)), idle_release_s=self.random.choice((0.0, 1.0)),
            task_timeout_s=self.random.choice((0.0, 0.0, 20.0)),
        )  # fmt: skip
        self.shell = Shell(settings)
        self.files: dict[str, set[str]] = {}
        self.made = 0
        self.old_reports: list[tuple[str, TaskReport]] = []
        self.silent: set[str] = set()
        self.trace: list[Any] = []

    def join(self) -> None:
        worker = f"w{self.random.randrange(3)}"
        self.files.setdefault(worker, set())
        self.made += 1
        self.shell.join(f"e{self.made}", worker, self.random.choice((1, 1, 2)))

    def submit(self) -> None:
        number = len(self.shell.jobs)
        shared = self.random.random() < 0.4
        first = 0 if shared else 2 * number + 2
        maps = 3 if shared else self.random.randrange(1, 5)
        stages: list[StageSpec] = [map_stage(first, maps, stage=1000 + first, rdds=(7,))]
        if self.random.random() < 0.5:
            second = 1 if shared else first + 1
            width = 2 if shared else self.random.randrange(1, 4)
            stages.append(map_stage(second, width, (first,), stage=1000 + second))
        last = result_stage(self.random.randrange(1, 6), tuple(stage.shuffle for stage in stages),
                            stage=10_000 + number, gang=self.random.random() < 0.15)  # fmt: skip
        self.shell.submit(*stages, last, pool=self.random.choice(("a", "a", "b")))

    # ── what may happen ──────────────────────────────────────────────────────────────────────────────────────────

    def alive(self) -> list[FakeExecutor]:
        return [e for e in self.shell.executors.values() if e.name not in self.silent]

    def work(self, healthy: bool = False) -> None:
        busy = [e for e in self.alive() if e.queue]
        if not busy:
            return
        executor = self.random.choice(busy)
        count = self.random.randrange(1, len(executor.queue) + 1)
        reports = []
        for _ in range(count):
            at = self.random.randrange(min(executor.slots, len(executor.queue)))
            reports.append(self.run(executor, executor.queue.pop(at), healthy))
        self.old_reports += [(executor.name, one) for one in reports]
        self.shell.send(Reported(executor.name, tuple(reports)))

    def run(self, executor: FakeExecutor, sent: Sent, healthy: bool) -> TaskReport:
        task = sent.attempt.task
        if task in executor.told_to_stop and self.random.random() < 0.7:
            return report(task, "cancelled")
        for table in sent.tables:
            for index, (worker, writer) in enumerate(table.places):
                name = f"shuffle-{table.shuffle}-{index}-{writer}"
                if name not in self.files.get(worker, ()):
                    return report(task, "fetch_failed", fetch=FetchFault(worker, name, table.shuffle, index, "gone"))
        chance = 1.0 if healthy else self.random.random()
        if chance < 0.04:
            return report(task, "raised")
        if chance < 0.06:
            return report(task, "node_fault")
        done = self.shell.success(sent, blocks=self.cached(sent), run_us=self.random.choice((10, 10_000, 10**6)))
        if done.name:
            self.files[executor.worker].add(done.name)
        return done

    def cached(self, sent: Sent) -> tuple[CachedBlock, ...]:
        if not self.shell.specs[sent.launch.stage].rdds or self.random.random() < 0.5:
            return ()
        name = self.random.choice(("", f"cache-7-{sent.attempt.partition}-{sent.attempt.task}"))
        return (CachedBlock(7, sent.attempt.partition, name, 10),)

    def pick(self) -> str:
        return self.random.choice(list(self.shell.executors) or ["nobody"])

    def lose(self) -> None:
        name = self.pick()
        self.silent.discard(name)
        self.shell.lose(name)

    def kill_worker(self) -> None:
        worker = f"w{self.random.randrange(3)}"
        self.files[worker] = set()
        self.shell.kill_worker(worker)

    def lose_file(self) -> None:
        names = [(worker, name) for worker, files in self.files.items() for name in sorted(files)]
        if names:
            worker, name = self.random.choice(names)
            self.files[worker].discard(name)

    def fall_silent(self) -> None:
        name = self.pick()
        if name in self.shell.executors:
            self.silent.add(name)
            self.shell.send(ExecutorSilent(name))

    def hear(self) -> None:
        for name in sorted(self.silent):
            self.silent.discard(name)
            self.shell.send(ExecutorHeard(name))

    def be_late(self) -> None:
        self.shell.send(WorkerChanged(f"w{self.random.randrange(3)}", self.random.choice(("late", "alive"))))

    def repeat(self) -> None:
        if self.old_reports:
            name, one = self.random.choice(self.old_reports)
            self.shell.send(Reported(self.random.choice((name, self.pick())), (one,)))

    def ask_commit(self) -> None:
        for executor in self.alive():
            for sent in executor.queue[:1]:
                self.shell.send(CommitAsked(executor.name, sent.attempt.task))

    def cancel(self) -> None:
        if self.shell.jobs and self.random.random() < 0.2:
            self.shell.cancel(self.random.choice(list(self.shell.jobs)))

    def small_news(self) -> None:
        self.shell.send(self.random.choice((
            GiveBackAsked(1), QueueChanged("others wait", self.random.random() < 0.5), Unpersist(7),
            BlocksDropped(self.pick(), ((7, 0), (7, 1))), ForgetShuffle(self.random.randrange(2, 10)),
            CleanShuffle(self.random.randrange(2)),
            ExecutorLost("e999", "never joined"),
        )))  # fmt: skip

    def step(self) -> None:
        names = [*self.shell.jobs]
        actions = [self.work] * 12 + [
            self.join, self.lose, self.lose_file, self.fall_silent, self.hear, self.be_late, self.repeat,
            self.ask_commit, self.cancel, self.small_news,
        ]  # fmt: skip
        if self.random.random() < 0.02:
            actions.append(self.kill_worker)
        if len(names) < 6:
            actions.append(self.submit)
        action = self.random.choice(actions)
        if action == self.small_news and self.random.random() < 0.7:
            return
        action()
        self.shell.advance(self.random.choice((0.0, 0.01, 0.2)))
        self.silent &= set(self.shell.executors)

    # ── healing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def heal(self) -> None:
        self.hear()
        for worker in ("w0", "w1", "w2"):
            self.shell.send(WorkerChanged(worker, "alive"))
        for _ in range(2_000):
            if len(self.shell.ended) == len(self.shell.jobs) and not any(
                executor.queue for executor in self.shell.executors.values()
            ):
                return
            while len(self.shell.executors) < 5:
                self.join()
            self.work(healthy=True)
            self.shell.advance(0.05)
        raise AssertionError(f"stuck: {self.shell.core.statistics()} {self.shell.core.waiting_text()}")

    def clear(self) -> None:
        self.shell.advance(60)
        shuffles = {s.shuffle for job in self.shell.jobs.values() for s in job.stages if s.shuffle >= 0}
        for shuffle in sorted(shuffles):
            self.shell.send(ForgetShuffle(shuffle))
        self.shell.send(Unpersist(7))


def allowed_failure(job: JobSpec, world: World) -> bool:
    ended = world.shell.ended[job.job]
    return ended.error in ("JobFailed", "WorkerLost", "StorageFault") and bool(ended.text)


def run(seed: int) -> World:
    world = World(seed)
    for _ in range(2):
        world.join()
    world.submit()
    for _ in range(world.random.randrange(20, 150)):
        world.step()
    world.heal()
    return world


@pytest.mark.parametrize("block", range(10))
def test_every_job_ends_once_and_right_and_nothing_is_left(block: int):
    for seed in range(block * 30, block * 30 + 30):
        world = run(seed)
        for number, job in world.shell.jobs.items():
            ended = world.shell.ended[number]
            if ended.outcome == "succeeded":
                results = {partition: one.payload for partition, one in world.shell.results[number].items()}
                assert results == {partition: f"{number}.{partition}".encode() for partition in job.partitions}, seed
            elif ended.outcome == "failed":
                assert allowed_failure(job, world), (seed, ended)
        world.clear()
        assert world.shell.core.statistics().is_empty, (seed, world.shell.core.statistics())


def test_most_jobs_succeed_in_spite_of_the_faults():
    outcomes = [ended.outcome for seed in range(40) for ended in run(seed).shell.ended.values()]
    assert outcomes.count("succeeded") > len(outcomes) / 2
