"""Sums by key, with so many keys that combining before the shuffle saves little."""

from __future__ import annotations

import marshal
import operator

from forks import half, together

from workloads import Goal

TITLE = "reduceByKey, 5 M int pairs, 1 M keys"
GOAL = Goal(of_pyspark=1 / 3.7, of_floor=1.4 / 1.18)
STRIDE = 7919


def rdd(sc, given):
    size, keys = given.size(5_000_000, 10), given.size(1_000_000)

    def job():
        pairs = sc.range(size).map(lambda i: (i * STRIDE % keys, i))
        return pairs.reduceByKey(operator.add).map(lambda pair: pair[0] ^ pair[1]).sum()

    return job


def floor(given):
    size, keys = given.size(5_000_000, 10), given.size(1_000_000)

    def work(side):
        sums = {}
        get = sums.get
        for i in side.half(size):
            key = i * STRIDE % keys
            sums[key] = get(key, 0) + i
        kept = {key: value for key, value in sums.items() if key & 1 == side.number}
        given_away = {key: value for key, value in sums.items() if key & 1 != side.number}
        get = kept.get
        for key, value in marshal.loads(side.swap(marshal.dumps(given_away))).items():
            kept[key] = get(key, 0) + value
        return sum([key ^ value for key, value in kept.items()])

    return lambda: sum(together(work))


def dask(client, given):
    import dask.bag

    size, keys = given.size(5_000_000, 10), given.size(1_000_000)

    def job():
        pairs = dask.bag.range(size, npartitions=2).map(lambda i: (i * STRIDE % keys, i))
        sums = pairs.foldby(lambda pair: pair[0], lambda total, pair: total + pair[1], 0, operator.add, 0)
        return sums.map(lambda pair: pair[0] ^ pair[1]).sum().compute()

    return job


def ray(ray, given):
    size, keys = given.size(5_000_000, 10), given.size(1_000_000)

    @ray.remote(num_returns=2)
    def add(number):
        sums = {}
        get = sums.get
        for i in half(number, size):
            key = i * STRIDE % keys
            sums[key] = get(key, 0) + i
        return [{key: value for key, value in sums.items() if key & 1 == side} for side in range(2)]

    @ray.remote
    def merge(sums, others):
        sums = dict(sums)
        for key, value in others.items():
            sums[key] = sums.get(key, 0) + value
        return sum([key ^ value for key, value in sums.items()])

    return lambda: sum(ray.get([merge.remote(*parts) for parts in zip(add.remote(0), add.remote(1), strict=True)]))
