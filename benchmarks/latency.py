"""How long until the first result, and how many tasks a second.

    python benchmarks/latency.py [--repeats 5] [--master 'local[2]'] [--json]

Every figure is taken next to its floor, interleaved: the whole life of ``python -c pass`` beside that of a program that
makes a context, sums an array and stops; 10,000 no-op tasks beside 10,000 calls in a loop. Results are checked.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

FIRST = """
from simspark import SparkContext
with SparkContext({master!r}, "first") as sc:
    print(sc.parallelize(range(1000), 2).map(lambda x: x + 1).sum())
"""
TASKS = """
import sys, time
from simspark import SparkContext
with SparkContext({master!r}, "tasks") as sc:
    sc.parallelize(range(2), 2).count()
    before = time.perf_counter()
    sc.parallelize(range({tasks}), {tasks}).foreachPartition(lambda rows: None)
    tasks_s = time.perf_counter() - before
    before = time.perf_counter()
    for _ in range(100):
        sc.parallelize(range(2), 2).count()
    print(tasks_s, time.perf_counter() - before)
"""


def run_program(program: str) -> tuple[float, str]:
    """Seconds of a program's whole life, and what it printed."""
    before = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return time.perf_counter() - before, done.stdout


def first_result(master: str) -> float:
    """Seconds from the start of a program to its end, with one small job in it."""
    seconds, printed = run_program(FIRST.format(master=master))
    assert printed == "500500\n", printed
    return seconds


def noop_tasks(master: str, tasks: int) -> tuple[float, float]:
    """Seconds for so many no-op tasks in one job, and for 100 jobs of 2 tasks."""
    _, printed = run_program(TASKS.format(master=master, tasks=tasks))
    tasks_s, jobs_s = map(float, printed.split())
    return tasks_s, jobs_s


def measure(repeats: int, master: str, tasks: int) -> dict[str, list[float]]:
    """All figures, interleaved, as lists of seconds."""
    figures: dict[str, list[float]] = {}

    def add(name: str, seconds: float) -> None:
        figures.setdefault(name, []).append(seconds)

    floor: Callable[[], float] = lambda: run_program("pass")[0]  # noqa: E731
    for _ in range(repeats):
        add("python -c pass", floor())
        add("script to first result", first_result(master))
        tasks_s, jobs_s = noop_tasks(master, tasks)
        add(f"{tasks} no-op tasks", tasks_s)
        add("100 jobs of 2 tasks", jobs_s)
    return figures


def main() -> None:
    """Measure and print a table, or JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.repeats, options.master, options.tasks)
    if options.json:
        print(json.dumps({"master": options.master, "seconds": figures}))
        return
    print(f"{options.master}, {options.repeats} repeats: seconds, median (min to max)")
    for name, seconds in figures.items():
        print(f"{name:26} {statistics.median(seconds):8.3f} ({min(seconds):.3f} to {max(seconds):.3f})")
    tasks_s = statistics.median(figures[f"{options.tasks} no-op tasks"])
    print(f"{options.tasks / tasks_s:,.0f} tasks a second")


if __name__ == "__main__":
    main()
