"""What the figures say: a table for people, JSON for machines."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from typing import Any, NamedTuple

HERE = os.path.dirname(os.path.abspath(__file__))
TOLERANCE = 1.25  # of the goal's ratio to the floor: floors are short, and vary most


class Runs(NamedTuple):
    """One engine's runs of one workload."""

    seconds: list[float]
    peak_mb: list[float]

    def add(self, seconds: float, peak_mb: float) -> None:
        """One more run."""
        self.seconds.append(round(seconds, 6))
        self.peak_mb.append(round(peak_mb, 1))


Figures = dict[str, Runs]


def lines(name: str, figures: Figures, scale: float) -> str:
    """One workload's figures, each engine on a line."""
    rows = [f"  {engine:9} {spread(runs.seconds)}  {max(runs.peak_mb):8.0f} MB"
            for engine, runs in figures.items() if runs.seconds]  # fmt: skip
    title = importlib.import_module(f"workloads.{name}").TITLE
    return "\n".join([title, *rows, *filter(None, [tasks_a_second(name, figures, scale)])])


def tasks_a_second(name: str, figures: Figures, scale: float) -> str:
    """For a workload that counts its tasks."""
    tasks = getattr(importlib.import_module(f"workloads.{name}"), "TASKS_OF_ONE_JOB", 0)
    rates = [f"{engine} {tasks * scale / statistics.median(runs.seconds):,.0f}"
             for engine, runs in figures.items() if runs.seconds]  # fmt: skip
    return f"  tasks a second: {', '.join(rates)}" if tasks else ""


def spread(seconds: list[float]) -> str:
    """Median, and from where to where."""
    return f"{statistics.median(seconds):9.3f} s ({min(seconds):.3f} to {max(seconds):.3f})"


def as_json(given: argparse.Namespace, figures: dict[str, Figures]) -> dict[str, Any]:
    """All that was measured, on what, and what is aimed at."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "machine": machine(),
        "master": given.master,
        "scale": given.scale,
        "repeats": given.repeats,
        "timeout_s": given.timeout,
        "python_alone_s": python_alone_s(),
        "workloads": {name: one(name, engines) for name, engines in figures.items()},
    }


def one(name: str, engines: Figures) -> dict[str, Any]:
    """One workload: runs of each engine (none, where they took too long), ratios of medians, goals."""
    module = importlib.import_module(f"workloads.{name}")
    medians = {engine: statistics.median(runs.seconds) for engine, runs in engines.items() if runs.seconds}
    ours = medians.get("simspark")
    ratios = {engine: ours / other for engine, other in medians.items() if ours and other and engine != "simspark"}
    goal = module.GOAL
    goals = {"pyspark": goal.of_pyspark, "floor": goal.of_floor, "local": goal.of_local, "peak_mb": goal.peak_mb}
    runs = {engine: runs._asdict() for engine, runs in engines.items()}
    return {"title": module.TITLE, "runs": runs, "median_s": medians, "ratios": ratios, "goals": goals}


def python_alone_s() -> float:
    """The whole life of ``python -c pass``, which no program's start can undercut: the best of five."""
    lives = []
    for _ in range(5):
        before = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        lives.append(time.perf_counter() - before)
    return round(min(lives), 4)


def machine() -> dict[str, Any]:
    """Where this was measured."""
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), model)
    cores = len(os.sched_getaffinity(0))
    return {"cpu": model, "cores": cores, "system": platform.platform(terse=True), "python": platform.python_version()}


def table(told: dict[str, Any]) -> str:
    """Everything in one table, in Markdown."""
    order = ["simspark", "cluster", "pyspark", "dask", "ray", "floor"]
    engines = [name for name in order if any(name in row["runs"] for row in told["workloads"].values())]
    head = ["", *engines, "of PySpark (goal)", "of the floor (goal)", "cluster of local (goal)", "peak MB", "goal MB"]
    rows = [cells(row, engines, told["timeout_s"], judged=told["scale"] == 1) for row in told["workloads"].values()]
    place = told["machine"]
    about = (
        f"{told['date']}, {place['cores']} cores ({place['cpu']}), Python {place['python']}, {told['master']}, "
        f"scale {told['scale']:g}; seconds: median of {told['repeats']} (min to max). "
        f"python -c pass: {told['python_alone_s']:.3f}."
    )
    ruled = [head, ["---"] * len(head), *rows]
    return about + "\n\n" + "\n".join("| " + " | ".join(row) + " |" for row in ruled)


def cells(row: dict[str, Any], engines: list[str], timeout_s: float, *, judged: bool) -> list[str]:
    """One row: seconds by engine, ratios with their goals, memory by engine. Goals are for the full size."""
    times = [seconds(row["runs"].get(engine), timeout_s) for engine in engines]
    peaks = [f"{max(row['runs'][engine]['peak_mb']):.0f}" if engine in row["median_s"] else "-" for engine in engines]
    goals = row["goals"]
    of_pyspark = against(row["ratios"].get("pyspark"), goals["pyspark"], 1.0 if judged else 0)
    of_floor = against(row["ratios"].get("floor"), goals["floor"], TOLERANCE if judged else 0)
    ours = row["ratios"].get("cluster")
    of_local = against(1 / ours if ours else None, goals["local"], 1.0 if judged else 0)
    return [row["title"], *times, of_pyspark, of_floor, of_local, " ".join(peaks), str(goals["peak_mb"] or "")]


def seconds(runs: dict[str, list[float]] | None, timeout_s: float) -> str:
    """An engine's times."""
    if runs is None:
        return "-"
    if not runs["seconds"]:
        return f"> {timeout_s:g}"
    low, middle, high = min(runs["seconds"]), statistics.median(runs["seconds"]), max(runs["seconds"])
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def against(ratio: float | None, goal: float, tolerance: float) -> str:
    """A ratio beside its goal, and whether it is reached."""
    if ratio is None:
        return f"- ({goal:.3g})"
    verdict = "" if not tolerance else " ✓" if ratio <= goal * tolerance else " ✗"
    return f"{ratio:.3g} ({goal:.3g}){verdict}"


def save(told: dict[str, Any]) -> str:
    """Keep the figures as a file of today."""
    path = os.path.join(HERE, "results", told["date"].partition(" ")[0] + ".json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(told, file, indent=1)
    return path
