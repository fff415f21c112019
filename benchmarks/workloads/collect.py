"""Large results on their way to the driver."""

from __future__ import annotations

import hashlib

from forks import fork_two

from workloads import Goal

TITLE = "collect 200 x 1 MB"
GOAL = Goal(of_pyspark=1 / 7, of_floor=0.32 / 0.22)


def rdd(sc, given):
    count = given.size(200)
    return lambda: sc.parallelize(range(count), count).map(lambda i: b"%08d" % i * 125_000).collect()


def floor(given):
    count = given.size(200)

    def work(side):
        side.parent.receive()
        for i in side.half(count):
            side.parent.send(b"%08d" % i * 125_000)

    lines = fork_two(work)

    def job():
        for line in lines:
            line.send(b"go")
        halves = (count // 2, count - count // 2)
        return [line.receive() for line, half in zip(lines, halves, strict=True) for _ in range(half)]

    return job


def summarize(rows):
    return [len(rows), hashlib.sha256(b"".join(rows)).hexdigest()]


def dask(client, given):
    return lambda: client.gather(client.map(lambda i: b"%08d" % i * 125_000, range(given.size(200))))


def ray(ray, given):
    make = ray.remote(lambda i: b"%08d" % i * 125_000)
    return lambda: ray.get([make.remote(i) for i in range(given.size(200))])
