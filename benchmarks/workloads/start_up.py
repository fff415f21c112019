"""A whole program: Python starts, makes a context, prints the result of a first small job."""

from __future__ import annotations

from workloads import Goal

TITLE = "start-up: a script to its first result"
GOAL = Goal(of_pyspark=1 / 30, of_floor=0.15 / 0.03, of_local=0.30 / 0.15)
ANSWER = "500500"
RDD = """
from {engine} import SparkContext
with SparkContext({master!r}, "first") as sc:
    print(sc.parallelize(range(1000), 2).map(lambda x: x + 1).sum(), flush=True)
"""
FLOOR = """
from forks import together
print(sum(together(lambda side: sum([x + 1 for x in side.half(1000)]))), flush=True)
"""
DASK = """
from distributed import Client
if __name__ == "__main__":
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        import dask.bag
        print(dask.bag.from_sequence(range(1000), npartitions=2).map(lambda x: x + 1).sum().compute(), flush=True)
"""
RAY = """
import ray
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
half = ray.remote(lambda rows: sum(x + 1 for x in rows))
print(sum(ray.get([half.remote(range(500)), half.remote(range(500, 1000))])), flush=True)
ray.shutdown()
"""


def script(engine, master):
    """The program as each engine's users write it."""
    texts = {"floor": FLOOR, "dask": DASK, "ray": RAY}
    return texts.get(engine) or RDD.format(engine=engine, master=master)
