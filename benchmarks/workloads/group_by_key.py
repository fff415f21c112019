"""Values gathered by key: all of them travel."""

from __future__ import annotations

import marshal
from collections import defaultdict

from forks import half, together

from workloads import Goal

TITLE = "groupByKey, 2 M pairs, 100 k keys"
GOAL = Goal(of_pyspark=1 / 3.8, of_floor=0.55 / 0.43, peak_mb=200)
STRIDE = 7919


def rdd(sc, given):
    size, keys = given.size(2_000_000, 20), given.size(100_000)

    def job():
        pairs = sc.range(size).map(lambda i: (i * STRIDE % keys, i))
        return pairs.groupByKey().map(lambda group: group[0] ^ sum(group[1])).sum()

    return job


def floor(given):
    size, keys = given.size(2_000_000, 20), given.size(100_000)

    def work(side):
        groups = defaultdict(list)
        for i in side.half(size):
            groups[i * STRIDE % keys].append(i)
        given_away = {key: values for key, values in groups.items() if key & 1 != side.number}
        for key in given_away:
            del groups[key]
        for key, values in marshal.loads(side.swap(marshal.dumps(given_away))).items():
            groups[key].extend(values)
        return sum([key ^ sum(values) for key, values in groups.items()])

    return lambda: sum(together(work))


def dask(client, given):
    import dask.bag

    size, keys = given.size(2_000_000, 20), given.size(100_000)

    def job():
        pairs = dask.bag.range(size, npartitions=2).map(lambda i: (i * STRIDE % keys, i))
        groups = pairs.groupby(lambda pair: pair[0], shuffle="tasks")
        return groups.map(lambda group: group[0] ^ sum(pair[1] for pair in group[1])).sum().compute()

    return job


def ray(ray, given):
    size, keys = given.size(2_000_000, 20), given.size(100_000)

    @ray.remote(num_returns=2)
    def group(number):
        groups = defaultdict(list)
        for i in half(number, size):
            groups[i * STRIDE % keys].append(i)
        return [{key: values for key, values in groups.items() if key & 1 == side} for side in range(2)]

    @ray.remote
    def merge(groups, others):
        groups = defaultdict(list, groups)
        for key, values in others.items():
            groups[key] = groups[key] + values
        return sum([key ^ sum(values) for key, values in groups.items()])

    return lambda: sum(ray.get([merge.remote(*parts) for parts in zip(group.remote(0), group.remote(1), strict=True)]))
