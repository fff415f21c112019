"""The small computations that schedules run, and what they must give.

Rows are small integers and every result is a fold in which order, number and value of the rows count, so that a lost,
doubled, wrong or reordered part changes the answer. What a task computes depends on its input only; the oracle is the
same functions without a cluster.
"""

from __future__ import annotations

import random
from functools import lru_cache
from typing import NamedTuple

from simspark.driver.scheduling import JobSpec, StageSpec

MODULUS = 10007


class StageWork(NamedTuple):
    """What the tasks of a stage do. ``reducers`` segments for a shuffle; ``large`` results go through a file.

    The tasks of a ``gang`` gather before they compute, and wait for each other afterwards.
    """

    stage: int
    shuffle: int
    partitions: int
    parents: tuple[int, ...]
    rdd: int
    reducers: int
    factor: int
    broadcast: int
    save: bool
    large: bool
    cost_s: float
    gang: bool = False


class JobWork(NamedTuple):
    """One action: stages by number, the last one gives the results."""

    job: int
    stages: tuple[int, ...]
    partitions: tuple[int, ...]


class Program(NamedTuple):
    """What one driver does. ``together``: all jobs at once, else one after another."""

    name: str
    stages: tuple[StageWork, ...]
    jobs: tuple[JobWork, ...]
    together: bool
    disk_cache: bool
    max_failures: int
    max_losses: int


def slice_rows(stage: StageWork, partition: int) -> list[int]:
    """Rows that have no parents."""
    return [(partition * 131 + index * 17 + stage.rdd * 7) % MODULUS for index in range(5 + partition % 3)]


def transform(stage: StageWork, rows: list[int]) -> list[int]:
    factor, shift = stage.factor, stage.broadcast
    return [(row * factor + shift) % MODULUS for row in rows]


def segments(stage: StageWork, rows: list[int]) -> dict[int, list[int]]:
    """Map output: rows by reduce partition, in their order."""
    parts: dict[int, list[int]] = {}
    for row in rows:
        parts.setdefault(row % stage.reducers, []).append(row)
    return parts


def fold(rows: list[int]) -> int:
    """A result in which order and number count."""
    value = 7
    for row in rows:
        value = (value * 31 + row + 1) % 1_000_003
    return value


def spec_of(program: Program, job: JobWork) -> JobSpec:
    """The job as the scheduler core knows it."""
    by_number = {work.stage: work for work in program.stages}
    stages = tuple(
        StageSpec(work.stage, work.shuffle, work.partitions, work.parents, (work.rdd,) if work.rdd >= 0 else (),
                  gang=work.gang)
        for work in (by_number[number] for number in job.stages)
    )
    return JobSpec(job.job, stages, job.partitions, program.max_failures, program.max_losses)


def with_gangs(program: Program) -> Program:
    """The same, but a shuffle and some results are made by tasks that run all together."""
    stages = tuple(work._replace(gang=work.stage in (2, 3)) for work in program.stages)
    jobs = tuple(
        job._replace(partitions=tuple(range(stages[2].partitions))) if job.stages[-1] == 2 else job
        for job in program.jobs
    )
    return program._replace(stages=stages, jobs=jobs)


# ── the oracle ───────────────────────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=64)
def expected(program: Program) -> dict[int, dict[int, int]]:
    """The right results: by job, then partition."""
    by_number = {work.stage: work for work in program.stages}
    by_shuffle = {work.shuffle: work for work in program.stages if work.shuffle >= 0}
    outputs: dict[tuple[int, int], dict[int, list[int]]] = {}

    def rows_of(work: StageWork, partition: int) -> list[int]:
        if not work.parents:
            return transform(work, slice_rows(work, partition))
        rows: list[int] = []
        for shuffle in work.parents:
            parent = by_shuffle[shuffle]
            for index in range(parent.partitions):
                if (shuffle, index) not in outputs:
                    outputs[shuffle, index] = segments(parent, rows_of(parent, index))
                rows += outputs[shuffle, index].get(partition, [])
        return transform(work, rows)

    answer: dict[int, dict[int, int]] = {}
    for job in program.jobs:
        last = by_number[job.stages[-1]]
        answer[job.job] = {partition: fold(rows_of(last, partition)) for partition in job.partitions}
    return answer


def expected_counts(program: Program) -> dict[str, int]:
    """How often each task's accumulator update must have been counted: once, for all that must run."""
    by_number = {work.stage: work for work in program.stages}
    counts: dict[str, int] = {}
    for job in program.jobs:
        for number in job.stages[:-1]:
            work = by_number[number]
            for partition in range(work.partitions):
                counts[f"s{work.shuffle}.{partition}"] = 1
        for partition in job.partitions:
            counts[f"j{job.job}.{partition}"] = 1
    return counts


# ── making them ──────────────────────────────────────────────────────────────────────────────────────────────────


def make_program(name: str, draw: random.Random) -> Program:
    """A program with a cached RDD, at least one shuffle, and two to four jobs."""
    width, reducers = draw.randint(2, 4), draw.randint(2, 3)
    broadcast = draw.randint(1, 99) if draw.random() < 0.85 else 0

    def work(
        stage: int,
        shuffle: int,
        partitions: int,
        parents: tuple[int, ...],
        rdd: int = -1,
        *,
        wide: int = 0,
        broadcast: int = 0,
        save: bool = False,
    ) -> StageWork:
        return StageWork(
            stage,
            shuffle,
            partitions,
            parents,
            rdd,
            wide,
            draw.randint(2, 40),
            broadcast,
            save,
            draw.random() < 0.3,
            draw.choice((0.002, 0.01, 0.05)),
        )

    stages = [
        work(0, -1, width, (), 1, broadcast=broadcast),
        work(1, 0, width, (), 1, wide=reducers, broadcast=broadcast),
        work(2, -1, reducers, (0,)),
        work(3, 1, reducers, (0,), wide=2),
        work(4, -1, 2, (1,)),
        work(5, -1, reducers, (0,), save=True),
    ]
    # The cached RDD is one and the same for both stages that read it.
    stages[1] = stages[1]._replace(factor=stages[0].factor)
    jobs = [JobWork(0, (0,), tuple(range(width))), JobWork(1, (1, 2), tuple(range(reducers)))]
    if draw.random() < 0.6:
        jobs.append(JobWork(2, (1, 3, 4), (0, 1)))
    if draw.random() < 0.8:
        jobs.append(JobWork(3, (1, 5), tuple(range(reducers))))
    if draw.random() < 0.3:
        jobs.append(JobWork(4, (1, 2), (reducers - 1,)))
    return Program(
        name, tuple(stages), tuple(jobs), draw.random() < 0.5, draw.random() < 0.5, draw.choice((1, 2, 4, 4)), 4
    )
