"""What a program costs before and between its rows, counted in real processes: modules, collections of gc."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.cluster
TASKS = 600
JOBS = 50
MAPPERS, REDUCERS = 3, 8
# What loads slowly and what a first job does not need. The packages that we stand on load some of it themselves.
HEAVY = {
    "argparse", "ast", "asyncio", "bz2", "click", "concurrent.futures", "csv", "ctypes", "dataclasses", "decimal",
    "email", "fsspec", "getpass", "glob", "gzip", "http", "importlib.metadata", "inspect", "json", "logging", "lzma",
    "multiprocessing", "numpy", "pathlib", "pickletools", "platform", "psutil", "pyspark", "random", "shutil",
    "socketserver", "sqlite3", "ssl", "statistics", "subprocess", "tarfile", "tempfile", "unittest", "urllib.request",
    "uuid", "xml", "zipfile",
}  # fmt: skip
KNOWN = {
    "driver": {"subprocess"},  # starts the template
    "executor": {"ctypes"},  # asks to die with its parent
}
PROGRAM = """
import gc, json, os, sys
from simspark import SparkContext

def counted(owner, name):
    calls = []
    known = getattr(owner, name)
    setattr(owner, name, lambda *given: calls.append(1) or known(*given))
    return calls

def collections(_):
    return os.getpid(), gc.get_stats()[2]["collections"]

def collections_while_many_lists_are_made(rows):
    before = gc.get_stats()[0]["collections"]
    lists = [[row] for row in rows]
    return [(gc.get_stats()[0]["collections"] - before) / len(lists)]

if __name__ == "__main__":
    with SparkContext("local[2]", "costs") as sc:
        first = sc.parallelize(range(2), 2).map(lambda _: list(sys.modules)).collect()
        sc.parallelize(range(100), 2).map(lambda x: (x % 3, x)).reduceByKey(lambda a, b: a + b).collect()
        driver = list(sys.modules)
        executor = sc.parallelize([0], 1).mapPartitions(lambda rows: list(sys.modules)).collect()
        before = collections(0)
        counts = sc.parallelize(range(TASKS), TASKS).map(collections).collect()
        engine = sc._application.engine
        turns = counted(engine.loop, "_turn")
        sent = counted(engine._listeners["u"], "send")
        for _ in range(JOBS):
            sc.parallelize(range(2), 2).count()
        sc.range(1000, numSlices=MAPPERS).map(lambda x: (x, x)).groupByKey(REDUCERS).count()
        files = [name for _, _, names in os.walk(sc._application.directory.path) for name in names]
        lists = sc.range(50_000, numSlices=1).mapPartitions(collections_while_many_lists_are_made).first()
        told = [[before, *counts, collections(0)], [len(turns), len(sent)], files, first, lists]
        print(json.dumps([driver, executor, *told]))
"""

FORKS_WITH = "[import_module(module) for module in MODULES[HERE]]"
WHEN_THE_TEMPLATE_STARTS = """
import os, sys
before = set(sys.modules)

def spawn(*given, **named):
    print(*sorted(set(sys.modules) - before), flush=True)
    os._exit(0)

os.posix_spawn = spawn
from simspark import SparkContext
SparkContext("local[2]", "costs")
"""
ONLY_A_COUNT = """
import sys
from simspark import SparkContext
with SparkContext("local[2]", "costs") as sc:
    print(sc.parallelize(range(7), 2).count(), *sys.modules)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Modules of the driver, modules of an executor, (process, full collections so far) before and after tasks,
    turns of the loop and messages of some jobs, and the files that a shuffle leaves."""
    path, program = tmp_path_factory.mktemp("costs") / "program.py", PROGRAM
    for name, value in {"TASKS": TASKS, "JOBS": JOBS, "MAPPERS": MAPPERS, "REDUCERS": REDUCERS}.items():
        program = program.replace(name, str(value))
    path.write_text(program)
    return json.loads(printed_by(str(path)))


def printed_by(*words):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.fixture(scope="module")
def stood_on():
    """What comes with the packages that every process needs."""
    return set(printed_by("-c", "import zmq, msgpack, cloudpickle, sys; print(*sys.modules)").split())


@pytest.mark.parametrize("side", ["driver", "executor"])
def test_a_first_job_loads_nothing_heavy(told, stood_on, side):
    loaded = set(told[0] if side == "driver" else told[1])
    assert not (loaded - stood_on) & HEAVY - KNOWN[side]


def test_the_template_starts_before_the_driver_loads_what_runs_jobs():
    loaded = set(printed_by("-c", WHEN_THE_TEMPLATE_STARTS).split())
    later = {
        "cloudpickle", "zmq", "simspark.driver.application", "simspark.driver.core", "simspark.driver.node",
        "simspark.driver.rdd.core", "simspark.driver.service", "simspark.driver.stages", "simspark.publib.service",
    }  # fmt: skip
    assert not loaded & later
    assert len([module for module in loaded if module.startswith("simspark")]) <= 45


def test_a_job_without_functions_of_the_users_does_not_wait_for_cloudpickle():
    count, *loaded = printed_by("-c", ONLY_A_COUNT).split()
    assert count == "7" and "cloudpickle" not in loaded


def test_an_executor_finds_what_a_first_job_needs_loaded(told):
    ready = printed_by("-c", f"import sys; from simspark.worker.template import *; {FORKS_WITH}; print(*sys.modules)")
    missing = set(told[5][0]) - set(ready.split())
    assert not [module for module in missing if module.startswith("simspark")]


@pytest.mark.parametrize("side", ["driver", "executor"])
def test_on_one_machine_nobody_loads_what_only_networks_need(told, side):
    assert not {"zmq", "simspark.publib.wire.transport", "_hashlib"} & set(told[0] if side == "driver" else told[1])


def test_a_job_costs_few_turns_and_messages(told):
    turns, messages = told[3]
    assert turns <= 5 * JOBS  # one that submits, and one for each report
    assert messages <= 3 * JOBS  # tasks for two executors, and now and then a program


def test_an_executor_loads_nothing_of_driver_master_or_commands(told):
    others = ("simspark.driver", "simspark.master", "simspark.cli", "simspark.spark_engine", "simspark.sql")
    assert not [module for module in told[1] if module.startswith(others)]


def test_tasks_do_not_make_full_collections(told):
    counts = {}
    for process, full in told[2]:
        counts.setdefault(process, []).append(full)
    made = {process: max(full) - min(full) for process, full in counts.items()}
    assert sum(map(len, counts.values())) == TASKS + 2
    assert sum(made.values()) <= TASKS / 100


def test_an_executor_seldom_looks_for_garbage_while_much_is_made_and_kept(told):
    assert told[6] <= 1 / 4000


def test_a_map_task_leaves_one_file_however_many_read_of_it(told):
    shuffles = {}
    for name in told[4]:
        if name.startswith("shuffle-"):
            shuffles.setdefault(name.split("-")[1], []).append(name)
    assert sorted(map(len, shuffles.values())) == [MAPPERS]
