"""The sum of a range, each number mapped: nothing to send."""

from __future__ import annotations

from forks import half, together

from workloads import Goal

TITLE = "sum of a mapped range of 10 M ints"
GOAL = Goal(of_pyspark=1 / 5, of_floor=0.30 / 0.30)


def rdd(sc, given):
    return lambda: sc.range(given.size(10_000_000)).map(lambda x: x * 2 + 1).sum()


def floor(given):
    size = given.size(10_000_000)
    return lambda: sum(together(lambda side: sum([x * 2 + 1 for x in side.half(size)])))


def dask(client, given):
    import dask.bag

    size = given.size(10_000_000)
    return lambda: dask.bag.range(size, npartitions=2).map(lambda x: x * 2 + 1).sum().compute()


def ray(ray, given):
    size = given.size(10_000_000)
    add = ray.remote(lambda rows: sum([x * 2 + 1 for x in rows]))
    return lambda: sum(ray.get([add.remote(half(number, size)) for number in range(2)]))
