"""What a task costs as jobs and clusters grow, as two curves in one small SVG.

Real jobs of 10 to 100,000 tasks; and the driver's core alone, with 1 to 1,000 simulated executors.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time

import engines

HERE = os.path.dirname(os.path.abspath(__file__))
JOBS = (10, 100, 1_000, 10_000, 100_000)
EXECUTORS = (1, 3, 10, 30, 100, 300, 1_000)
TASKS_OF_CORE = 20_000
Curve = list[tuple[int, float]]
PROGRAM = """
import json, sys, time
from simspark import SparkContext
with SparkContext({master!r}, "scaling") as sc:
    sc.parallelize(range(2), 2).foreachPartition(lambda rows: None)
    for tasks in {jobs}:
        before = time.perf_counter()
        sc.parallelize(range(tasks), tasks).foreachPartition(lambda rows: None)
        print(json.dumps([tasks, time.perf_counter() - before]), flush=True)
"""


def main(given: argparse.Namespace, directory: str) -> int:
    """Measure, print, and keep the plot if asked."""
    jobs = [job_costs(given, directory) for _ in range(given.repeats)]
    cores = [core_costs(given.scale) for _ in range(given.repeats)]
    curves = {"tasks in one job": middle(jobs), "simulated executors (the driver's core alone)": middle(cores)}
    for name, curve in curves.items():
        print(f"µs a task, by {name}")
        for size, cost in curve:
            print(f"{size:9,} {cost:9.1f}")
    if given.save:
        path = os.path.join(HERE, "results", "scaling.svg")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(svg(curves))
        print(f"Drawn in {path}")
    return 0


def middle(curves: list[Curve]) -> Curve:
    """The medians of several curves over the same sizes."""
    return [(points[0][0], statistics.median(cost for _, cost in points)) for points in zip(*curves, strict=True)]


def job_costs(given: argparse.Namespace, directory: str) -> Curve:
    """Real no-op tasks, in jobs of several sizes: µs a task."""
    jobs = [size for size in JOBS if size <= max(JOBS) * given.scale] or [JOBS[0]]
    program = PROGRAM.format(master=given.master, jobs=jobs)
    environment = engines.environment(directory)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return [(tasks, seconds / tasks * 1e6) for tasks, seconds in map(json.loads, done.stdout.splitlines())]


def core_costs(scale: float) -> Curve:
    """A job through the driver's core with several numbers of executors: µs a task, of this one process."""
    sys.path.insert(0, os.path.dirname(HERE))  # the tests' shell around the core
    from tests.unit.driver import harness

    curve = []
    for executors in EXECUTORS:
        tasks = max(int(TASKS_OF_CORE * scale), 2 * executors)
        shell = harness.Shell()
        for number in range(executors):
            shell.join(f"e{number}", worker=f"w{number // 8}")
        gc.collect()
        before = time.perf_counter()
        job = shell.submit(harness.result_stage(tasks))
        shell.finish_everything(rounds=tasks + 1)
        curve.append((executors, (time.perf_counter() - before) / tasks * 1e6))
        assert shell.outcome(job) == "succeeded"
    return curve


# ── the plot ─────────────────────────────────────────────────────────────────────────────────────────────────────────

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 780, 340, 56, 40, 58, 34
COLOURS = ("#1f6f8b", "#c8553d")


def svg(curves: dict[str, Curve]) -> str:
    """The curves over one logarithmic axis of sizes; costs from zero, as flat is what one wants to see."""
    most = max(cost for curve in curves.values() for _, cost in curve) * 1.1
    largest = max(size for curve in curves.values() for size, _ in curve)
    decades = len(str(largest)) - 1

    def x(size: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * magnitude(size) / max(1, decades)

    def y(cost: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * cost / most

    parts = [*axes(decades, most, x, y)]
    for number, (name, curve) in enumerate(curves.items()):
        parts += drawn(name, [(x(size), y(cost)) for size, cost in curve], number)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
    return "\n".join([
        f'{head} font-size="12" fill="#333">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        *parts,
        "</svg>\n",
    ])  # fmt: skip


def magnitude(size: float) -> float:
    """The decimal logarithm."""
    import math

    return math.log10(size)


def axes(decades: int, most: float, x, y) -> list[str]:
    """Lines and their labels."""
    step = nice(most / 4)
    parts = [f'<text x="{LEFT - 40}" y="20">µs a task</text>']
    cost = 0.0
    while cost <= most:
        parts.append(f'<path d="M{LEFT} {y(cost):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(cost) + 4:.1f}" text-anchor="end">{cost:g}</text>')
        cost += step
    for power in range(decades + 1):
        at = x(10**power)
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{10**power:,}</text>')
    return parts


def nice(step: float) -> float:
    """The next of 1, 2, 5, 10, 20, ..."""
    unit = 10.0 ** (len(str(int(step))) - 1) if step >= 1 else 0.1
    return next(unit * factor for factor in (1, 2, 5, 10, 20) if unit * factor >= step)


def drawn(name: str, points: list[tuple[float, float]], number: int) -> list[str]:
    """One curve, its points, and its name below."""
    colour = COLOURS[number % len(COLOURS)]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    place = f'x="{LEFT + number * 250}" y="{HEIGHT - 12}"'
    return [
        f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *dots,
        f'<text {place} fill="{colour}">by {name}</text>',
    ]
