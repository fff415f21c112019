"""Pi by throwing darts: the user's own loop, where no engine can win anything."""

from __future__ import annotations

import random

from forks import together

from workloads import Goal

TITLE = "pi, 10 M samples"
GOAL = Goal(of_pyspark=1.0, of_floor=1.0)


def thrower(samples):
    """The user's function."""

    def throw(seed):
        toss = random.Random(seed).random
        inside = 0
        for _ in range(samples):
            x, y = toss(), toss()
            if x * x + y * y <= 1.0:
                inside += 1
        return inside

    return throw


def rdd(sc, given):
    throw = thrower(given.size(10_000_000) // 2)
    return lambda: sc.parallelize(range(2), 2).map(throw).sum()


def floor(given):
    throw = thrower(given.size(10_000_000) // 2)
    return lambda: sum(together(lambda side: throw(side.number)))


def dask(client, given):
    throw = thrower(given.size(10_000_000) // 2)
    return lambda: sum(client.gather(client.map(throw, range(2))))


def ray(ray, given):
    throw = ray.remote(thrower(given.size(10_000_000) // 2))
    return lambda: sum(ray.get([throw.remote(seed) for seed in range(2)]))
