"""The benchmark itself, at a thousandth of its size: each workload runs, and simspark's result is the floor's."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.cluster
BENCH = os.path.join(os.path.dirname(__file__), "..", "..", "benchmarks")
NAMES = sorted(
    name.removesuffix(".py") for name in os.listdir(os.path.join(BENCH, "workloads")) if not name.startswith("_")
)


def run(tmp_path, *words):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, os.path.join(BENCH, "bench.py"), "--against", "floor", "--repeats", "1", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", [name for name in NAMES if name != "__pycache__"])
def test_a_workload_gives_the_floors_result_and_leaves_nothing(tmp_path_factory, name):
    if name == "logistic_regression":
        pytest.importorskip("numpy")
    short = tmp_path_factory.mktemp("b")
    figures = json.loads(run(short, name, "--scale", "0.001", "--json"))
    assert set(figures["workloads"][name]["runs"]) == {"simspark", "floor"}
    assert not list(short.iterdir())


def test_the_two_sides_of_a_floor_swap_more_than_any_buffer_holds(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    forks = importlib.import_module("forks")
    large = 3_000_000
    first, second = forks.together(lambda side: len(side.swap(b"x" * (large + side.number))))
    assert (first, second) == (large + 1, large)


def test_a_run_is_ended_at_its_limit_and_said_to_be_late(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(BENCH)
    processes = importlib.import_module("processes")

    def is_late(code, limit_s):
        return processes.run([sys.executable, "-c", code], dict(os.environ), str(tmp_path), limit_s).late

    assert is_late("import signal; signal.pause()", 0.0)
    assert not is_late("raise SystemExit(1)", 60.0)
