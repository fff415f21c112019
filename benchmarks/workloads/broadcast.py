"""One large value on its way to every executor."""

from __future__ import annotations

import mmap
import random

from forks import answering

from workloads import Goal

TITLE = "broadcast 100 MB to 8 tasks"
GOAL = Goal(of_pyspark=1 / 3, of_floor=0.18 / 0.13)
TASKS = 8


def rdd(sc, given):
    value = random.Random(8).randbytes(given.size(100_000_000))

    def job():
        shared = sc.broadcast(value)
        return sc.parallelize(range(TASKS), TASKS).map(lambda i: len(shared.value) + shared.value[i]).sum()

    return job


def floor(given):
    """Through one file that both map."""
    path = given.path("value.bin")

    def answer(side, message):
        with open(path, "rb") as file:
            shared = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)[:]
        return b"%d" % sum(len(shared) + shared[i] for i in side.half(TASKS))

    lines = answering(answer)
    value = random.Random(8).randbytes(given.size(100_000_000))

    def job():
        with open(path, "wb") as file:
            file.write(value)
        for line in lines:
            line.send(b"go")
        return sum(int(line.receive()) for line in lines)

    return job


def dask(client, given):
    value = random.Random(8).randbytes(given.size(100_000_000))

    def job():
        shared = client.scatter(value, broadcast=True)
        return sum(client.gather(client.map(lambda i, value: len(value) + value[i], range(TASKS), value=shared)))

    return job


def ray(ray, given):
    value = random.Random(8).randbytes(given.size(100_000_000))
    use = ray.remote(lambda i, value: len(value) + value[i])

    def job():
        shared = ray.put(value)
        return sum(ray.get([use.remote(i, shared) for i in range(TASKS)]))

    return job
