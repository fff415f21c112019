"""Many small jobs, one after another: what a job costs."""

from __future__ import annotations

from forks import answering

from workloads import Goal

TITLE = "100 jobs of 2 tasks, one after another"
GOAL = Goal(of_pyspark=1 / 80, of_floor=0.06 / 0.005)


def rdd(sc, given):
    return lambda: sum(sc.parallelize(range(2), 2).count() for _ in range(given.size(100)))


def floor(given):
    lines = answering(lambda side, message: b"1")

    def job():
        rows = 0
        for _ in range(given.size(100)):
            for line in lines:
                line.send(b"task")
            rows += sum(int(line.receive()) for line in lines)
        return rows

    return job


def dask(client, given):
    jobs = range(given.size(100))
    return lambda: sum(sum(client.gather(client.map(lambda task: 1, range(2), pure=False))) for _ in jobs)


def ray(ray, given):
    count = ray.remote(lambda task: 1)
    return lambda: sum(sum(ray.get([count.remote(0), count.remote(1)])) for _ in range(given.size(100)))
