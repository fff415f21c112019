"""Pi by throwing darts: the user's own loop, where no engine can win anything."""

from __future__ import annotations

import random

from forks import together

from workloads import Goal

TITLE = "pi, 10 M samples"
GOAL = Goal(of_pyspark=1.0, of_floor=1.0)


def rdd(sc, given):
    samples = given.size(10_000_000) // 2

    def throw(seed):
        toss = random.Random(seed).random
        inside = 0
        for _ in range(samples):
            x, y = toss(), toss()
            if x * x + y * y <= 1.0:
                inside += 1
        return inside

    return lambda: sc.parallelize(range(2), 2).map(throw).sum()


def floor(given):
    samples = given.size(10_000_000) // 2

    def throw(side):
        toss = random.Random(side.number).random
        inside = 0
        for _ in range(samples):
            x, y = toss(), toss()
            if x * x + y * y <= 1.0:
                inside += 1
        return inside

    return lambda: sum(together(throw))
