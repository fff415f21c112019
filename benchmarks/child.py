"""One run: an engine starts, warms up, gets ready, and does one workload once. Told by JSON, answers by a JSON file."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time

# An engine's and this directory's modules are found by PYTHONPATH, which the engines' own processes get, too.
sys.path = [path for path in sys.path if os.path.basename(path) != "workloads"]

import engines  # noqa: E402
import workloads  # noqa: E402


def run(engine: str, workload: str, master: str, scale: float, directory: str) -> dict[str, object]:
    """Seconds of the timed part, and its result."""
    module = importlib.import_module(f"workloads.{workload}")
    given = workloads.Given(directory, scale)
    function = getattr(module, engines.ENGINES[engine][2])
    with engines.start(engine, master) as started:
        job = function(given) if engine == "floor" else function(started, given)
        before = time.perf_counter()
        result = job()
        seconds = time.perf_counter() - before
    return {"seconds": seconds, "result": getattr(module, "summarize", lambda same: same)(result)}


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    answer = order.pop("answer")
    told = run(**order)
    with open(answer, "w", encoding="utf-8") as file:
        json.dump(told, file)
