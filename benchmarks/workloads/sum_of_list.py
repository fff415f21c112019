"""The sum of a list that the program holds, each number mapped: rows on their way to the executors."""

from __future__ import annotations

import marshal

from forks import fork_two

from workloads import Goal

TITLE = "sum of a mapped list of 10 M ints"
GOAL = Goal(of_pyspark=1 / 5, of_floor=0.50 / 0.35)
CHUNK = 100_000


def rdd(sc, given):
    numbers = list(range(given.size(10_000_000)))
    return lambda: sc.parallelize(numbers).map(lambda x: x * 2 + 1).sum()


def floor(given):
    lines = fork_two(add_up)
    numbers = list(range(given.size(10_000_000)))

    def job():
        for start in range(0, len(numbers), 2 * CHUNK):
            for side, line in enumerate(lines):
                line.send(marshal.dumps(numbers[start + side * CHUNK : start + (side + 1) * CHUNK]))
        for line in lines:
            line.send(b"")
        return sum(int(line.receive()) for line in lines)

    return job


def add_up(side):
    total = 0
    while message := side.parent.receive():
        total += sum([x * 2 + 1 for x in marshal.loads(message)])
    side.parent.send(b"%d" % total)


def dask(client, given):
    import dask.bag

    numbers = list(range(given.size(10_000_000)))
    return lambda: dask.bag.from_sequence(numbers, npartitions=2).map(lambda x: x * 2 + 1).sum().compute()


def ray(ray, given):
    numbers = list(range(given.size(10_000_000)))
    add = ray.remote(lambda rows: sum([x * 2 + 1 for x in rows]))
    middle = len(numbers) // 2
    return lambda: sum(ray.get([add.remote(numbers[:middle]), add.remote(numbers[middle:])]))
