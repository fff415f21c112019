"""How each engine is started for one run: what a workload's function gets, warmed up by a small job."""

from __future__ import annotations

import gc
import operator
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
CLUSTER = "local-cluster[2,1,1024]"


@contextmanager
def simspark(master: str) -> Iterator[Any]:
    """A context of ours."""
    from simspark import SparkContext

    with SparkContext(master, "benchmark") as sc:
        warm_up(sc)
        yield sc


@contextmanager
def cluster(_master: str) -> Iterator[Any]:
    """The same through a master and two workers."""
    with simspark(CLUSTER) as sc:
        yield sc


@contextmanager
def pyspark(_master: str) -> Iterator[Any]:
    """Spark on two cores of this machine, its Python workers on Unix sockets, which is faster than its default."""
    from pyspark import SparkConf, SparkContext

    settings = {
        "spark.python.unix.domain.socket.enabled": "true",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": "2g",
        "spark.local.dir": os.environ["TMPDIR"],
    }
    conf = SparkConf().setMaster("local[2]").setAppName("benchmark").setAll(list(settings.items()))
    sc = SparkContext(conf=conf)
    try:
        sc.setLogLevel("ERROR")
        warm_up(sc)
        yield sc
    finally:
        sc.stop()


def warm_up(sc: Any) -> None:
    """Executors or workers start, and have seen a shuffle."""
    counts = sc.parallelize(range(1000), 2).map(lambda x: (x % 10, 1)).reduceByKey(operator.add).collectAsMap()
    assert counts == dict.fromkeys(range(10), 100)


@contextmanager
def dask(_master: str) -> Iterator[Any]:
    """Two worker processes."""
    from distributed import Client

    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as client:
        assert sum(client.gather(client.map(lambda x: x + 1, range(100)))) == 5050
        yield client


@contextmanager
def ray(_master: str) -> Iterator[Any]:
    """Two worker processes."""
    import ray as engine

    engine.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        assert sum(engine.get([engine.remote(lambda x: x + 1).remote(x) for x in range(100)])) == 5050
        yield engine
    finally:
        engine.shutdown()


@contextmanager
def floor(_master: str) -> Iterator[None]:
    """Nothing but Python; large structures grow faster without a collector that looks for cycles in them."""
    gc.disable()
    yield None


# Each with the module that has to be there, and the name of the function that a workload has for it.
ENGINES = {
    "simspark": (simspark, "simspark", "rdd"),
    "cluster": (cluster, "simspark", "rdd"),
    "pyspark": (pyspark, "pyspark", "rdd"),
    "dask": (dask, "distributed", "dask"),
    "ray": (ray, "ray", "ray"),
    "floor": (floor, "json", "floor"),
}


def start(engine: str, master: str) -> AbstractContextManager[Any]:
    """An engine, warmed up."""
    return ENGINES[engine][0](master)


def environment(directory: str) -> dict[str, str]:
    """What each run's process is given: our modules, a place of its own for files, one thread for each BLAS."""
    path = os.pathsep.join([os.path.dirname(HERE), HERE, *filter(None, [os.environ.get("PYTHONPATH")])])
    own = {"PYTHONPATH": path, "TMPDIR": directory, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return {**os.environ, **own, "OMP_NUM_THREADS": "1"}


def pythons(pyspark_python: str | None) -> dict[str, str]:
    """The interpreter for each engine."""
    return {name: pyspark_python if name == "pyspark" and pyspark_python else sys.executable for name in ENGINES}
