"""Two data sets joined by their keys."""

from __future__ import annotations

import marshal
from collections import defaultdict

from forks import half, together

from workloads import Goal

TITLE = "join, 1 M x 1 M"
GOAL = Goal(of_pyspark=1 / 4, of_floor=2.0 / 1.73)
DASK_NEEDS = ("pandas",)
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


def dask(client, given):
    """By columns, as Dask's users do."""
    import dask.dataframe
    import numpy as np
    import pandas as pd

    size = given.size(1_000_000)

    def frame(number, stride, name):
        rows = half(number, size)
        values = np.arange(rows.start, rows.stop)
        return pd.DataFrame({"key": values * stride % size, name: values})

    def job():
        left = dask.dataframe.from_map(frame, range(2), stride=LEFT, name="left")
        right = dask.dataframe.from_map(frame, range(2), stride=RIGHT, name="right")
        both = left.merge(right, on="key")
        return int((both["key"] ^ both["left"] ^ both["right"]).sum().compute())

    return job


def ray(ray, given):
    size = given.size(1_000_000)

    @ray.remote(num_returns=2)
    def pairs(number, stride):
        rows = [(i * stride % size, i) for i in half(number, size)]
        return [[row for row in rows if row[0] & 1 == side] for side in range(2)]

    @ray.remote
    def join(left, more_left, right, more_right):
        table = defaultdict(list)
        for rows in (left, more_left):
            for key, value in rows:
                table[key].append(value)
        get = table.get
        return sum([key ^ one ^ other for rows in (right, more_right) for key, other in rows for one in get(key, ())])

    def job():
        parts = [pairs.remote(number, stride) for stride in (LEFT, RIGHT) for number in range(2)]
        return sum(ray.get([join.remote(*sides) for sides in zip(*parts, strict=True)]))

    return job
