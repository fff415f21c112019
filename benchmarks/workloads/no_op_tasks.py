"""One job of many tasks that do nothing: what a task costs."""

from __future__ import annotations

from forks import answering

from workloads import Goal

TITLE = "10,000 no-op tasks in one job"
TASKS_OF_ONE_JOB = 10_000
GOAL = Goal(of_pyspark=1 / 75, of_floor=0.6 / 0.06)


def rdd(sc, given):
    tasks = given.size(TASKS_OF_ONE_JOB)

    def job():
        sc.parallelize(range(tasks), tasks).foreachPartition(lambda rows: None)
        return tasks

    return job


def floor(given):
    """A message to and fro for each task, one on its way to each process while the other's answer is awaited."""
    tasks = given.size(TASKS_OF_ONE_JOB)
    lines = answering(lambda side, message: message)

    def job():
        done = 0
        for _ in range(tasks // 2):
            for line in lines:
                line.send(b"task")
            for line in lines:
                done += line.receive() == b"task"
        return done

    return job


def dask(client, given):
    tasks = given.size(TASKS_OF_ONE_JOB)
    return lambda: len(client.gather(client.map(lambda task: None, range(tasks), pure=False)))


def ray(ray, given):
    nothing = ray.remote(lambda: None)
    return lambda: len(ray.get([nothing.remote() for _ in range(given.size(TASKS_OF_ONE_JOB))]))
