"""Two data sets joined by their keys."""

from __future__ import annotations

import marshal
from collections import defaultdict

from forks import together

from workloads import Goal

TITLE = "join, 1 M x 1 M"
GOAL = Goal(of_pyspark=1 / 4, of_floor=2.0 / 1.73)
LEFT = 7919
RIGHT = 104729


def rdd(sc, given):
    size = given.size(1_000_000)

    def job():
        left = sc.range(size).map(lambda i: (i * LEFT % size, i))
        right = sc.range(size).map(lambda i: (i * RIGHT % size, i))
        return left.join(right).map(lambda row: row[0] ^ row[1][0] ^ row[1][1]).sum()

    return job


def floor(given):
    size = given.size(1_000_000)

    def work(side):
        left = shuffled(side, [(i * LEFT % size, i) for i in side.half(size)])
        right = shuffled(side, [(i * RIGHT % size, i) for i in side.half(size)])
        table = defaultdict(list)
        for key, value in left:
            table[key].append(value)
        get = table.get
        return sum([key ^ one ^ other for key, other in right for one in get(key, ())])

    return lambda: sum(together(work))


def shuffled(side, pairs):
    """The pairs of this side's keys, from both sides."""
    kept = [pair for pair in pairs if pair[0] & 1 == side.number]
    given_away = [pair for pair in pairs if pair[0] & 1 != side.number]
    return kept + marshal.loads(side.swap(marshal.dumps(given_away)))
