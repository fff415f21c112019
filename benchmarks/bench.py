"""simspark beside PySpark, Dask, Ray, and the best that two Python processes can do: see README.md here.

python3 run.py bench [workload ...] [--against cluster,pyspark,dask,ray,floor] [--repeats 5] [--scale 1]
                     [--master 'local[2]'] [--pyspark-python PATH] [--timeout 100] [--save] [--json]
python3 run.py bench scaling [--save]
python3 run.py bench costs [--save]
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import importlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import costs
import engines
import processes
import report
import scaling
import workloads

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT_S = 100.0
OTHERS = ("scaling", "costs")  # measured by themselves, in another way


class Wrong(Exception):
    """A run failed, or its result is not the floor's."""


class Late(Exception):
    """A run was not finished in time."""


def options(words: list[str]) -> argparse.Namespace:
    """The command line."""
    names = ", ".join([*workloads.NAMES, *OTHERS])
    parser = argparse.ArgumentParser(prog="run.py bench", epilog=f"Workloads: {names}.")
    parser.add_argument("workloads", nargs="*", metavar="workload", help="all, when none is named")
    parser.add_argument("--against", default="cluster,pyspark,dask,ray,floor", help="engines, with commas between them")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the full size of all data")
    parser.add_argument("--master", default="local[2]", help="simspark's; the others have two processes")
    parser.add_argument("--pyspark-python", metavar="PATH", help="a Python that has PySpark, if this one has not")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, help="seconds for each run")
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results/")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of a table")
    given = parser.parse_args(words)
    unknown = [name for name in given.workloads if name not in {*workloads.NAMES, *OTHERS}]
    if unknown:
        parser.error(f"no such workload: {', '.join(unknown)}. There are: {names}.")
    given.engines = ["simspark", *filter(None, given.against.split(","))]
    if unknown := [name for name in given.engines if name not in engines.ENGINES]:
        parser.error(f"no such engine: {', '.join(unknown)}. There are: {', '.join(engines.ENGINES)}.")
    return given


def say(text: str) -> None:
    """Tell what goes on; the figures alone go to stdout."""
    print(text, file=sys.stderr, flush=True)


def installed(names: list[str], pythons: dict[str, str]) -> list[str]:
    """The engines that are here; a line about each that is not."""
    here = []
    for name in names:
        if has(pythons[name], engines.ENGINES[name][1]):
            here.append(name)
        else:
            say(f"{name} is left out: {pythons[name]} has no module {engines.ENGINES[name][1]}")
    return here


def has(python: str, module: str) -> bool:
    """Whether an interpreter finds a module; it is not imported."""
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    path = os.pathsep.join([os.path.dirname(HERE), os.environ.get("PYTHONPATH", "")])
    return subprocess.run([python, "-c", code], check=False, env={**os.environ, "PYTHONPATH": path}).returncode == 0


class Bench:
    """All runs of one invocation."""

    def __init__(self, given: argparse.Namespace, directory: str) -> None:
        self._given = given
        self._directory = directory
        self._pythons = engines.pythons(given.pyspark_python)
        self._engines = installed(given.engines, self._pythons)
        self._directories = 0
        self.failures = 0

    def measure(self, name: str) -> report.Figures:
        """One workload by all engines, one after the other, as often as asked."""
        module = importlib.import_module(f"workloads.{name}")
        figures: report.Figures = {}
        able = list(self._able(name, module))
        with self._files(module) as directory:
            expected = self._expected(name, module, directory)
            for repeat in range(self._given.repeats):
                say(f"{module.TITLE}: {repeat + 1} of {self._given.repeats}")
                for engine in list(able):
                    try:
                        seconds, peak_mb = self._once(name, module, engine, directory, expected)
                    except Late:
                        say(f"{engine}, {name}: not within {self._given.timeout:g} s")
                        figures.setdefault(engine, report.Runs([], []))
                        able.remove(engine)
                    except Wrong as wrong:
                        say(f"{engine}, {name}: {wrong}")
                        self.failures += 1
                        able.remove(engine)
                    else:
                        figures.setdefault(engine, report.Runs([], [])).add(seconds, peak_mb)
        return figures

    def _able(self, name: str, module: Any) -> Iterator[str]:
        for engine in self._engines:
            needs = [*getattr(module, "NEEDS", ()), *getattr(module, f"{engine.upper()}_NEEDS", ())]
            lacking = [need for need in needs if not has(self._pythons[engine], need)]
            if lacking:
                say(f"{engine} is left out of {name}: {self._pythons[engine]} has no module {lacking[0]}")
            elif hasattr(module, "script") or hasattr(module, engines.ENGINES[engine][2]):
                yield engine
            else:
                say(f"{engine} is left out of {name}: there is no program for it")

    @contextlib.contextmanager
    def _files(self, module: Any) -> Iterator[str]:
        """A directory with the workload's files, gone afterwards."""
        with self._directory_of_its_own() as directory:
            if hasattr(module, "prepare"):
                say(f"{module.TITLE}: its files")
                module.prepare(workloads.Given(directory, self._given.scale))
            yield directory

    @contextlib.contextmanager
    def _directory_of_its_own(self) -> Iterator[str]:
        """With a short name: engines make sockets there, whose paths may not be long."""
        self._directories += 1
        directory = os.path.join(self._directory, str(self._directories))
        os.mkdir(directory)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _expected(self, name: str, module: Any, directory: str) -> Any:
        """What the floor says."""
        if hasattr(module, "ANSWER"):
            return module.ANSWER
        return self._run(name, "floor", directory)[0]["result"]

    def _once(self, name: str, module: Any, engine: str, directory: str, expected: Any) -> tuple[float, float]:
        if hasattr(module, "script"):
            return self._script(module, engine, expected)
        told, ended = self._run(name, engine, directory)
        if not same(told["result"], expected):
            raise Wrong(f"its result is {str(told['result'])[:200]}, and the floor's {str(expected)[:200]}")
        return told["seconds"], ended.peak_mb

    def _run(self, name: str, engine: str, directory: str) -> tuple[dict[str, Any], processes.Ended]:
        with self._directory_of_its_own() as own:
            order = {"engine": engine, "workload": name, "master": self._given.master, "scale": self._given.scale,
                     "directory": directory, "answer": os.path.join(own, "answer.json")}  # fmt: skip
            command = [self._pythons[engine], os.path.join(HERE, "child.py"), json.dumps(order)]
            ended = processes.run(command, engines.environment(own), own, self._given.timeout)
            checked(ended)
            with open(order["answer"], encoding="utf-8") as file:
                return json.load(file), ended

    def _script(self, module: Any, engine: str, expected: str) -> tuple[float, float]:
        with self._directory_of_its_own() as own:
            path = os.path.join(own, "program.py")
            master = {"simspark": self._given.master, "cluster": engines.CLUSTER}.get(engine, "local[2]")
            with open(path, "w", encoding="utf-8") as file:
                file.write(module.script("simspark" if engine == "cluster" else engine, master))
            command = [self._pythons[engine], path]
            ended = processes.run_to_first_line(command, engines.environment(own), own, self._given.timeout)
        checked(ended)
        if ended.stdout.strip() != expected:
            raise Wrong(f"it printed {ended.stdout.strip()!r} and not {expected!r}")
        return ended.first_line_s, ended.peak_mb


def checked(ended: processes.Ended) -> None:
    """Wrong when a run failed or left something, Late when it took too long."""
    if ended.late:
        raise Late
    if ended.code != 0:
        raise Wrong(f"it ended with {ended.code}: {ended.stderr.strip()[-1500:]}")
    if ended.left_behind:
        raise Wrong(f"it left {ended.left_behind} processes behind")


def same(one: Any, other: Any) -> bool:
    """Equal; numbers with a fraction may differ in their last digits, as their sums are made in another order."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def main(words: list[str]) -> int:
    """Measure and print."""
    given = options(words)
    for ours in (os.path.join(os.path.dirname(HERE), "simspark"), HERE):
        compileall.compile_dir(ours, quiet=2)  # as an installer does; also where Python may not write bytecode itself
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as directory:
        if "scaling" in given.workloads:
            return scaling.main(given, directory)
        if "costs" in given.workloads:
            return costs.main(given)
        bench = Bench(given, directory)
        figures = {}
        for name in given.workloads or workloads.NAMES:
            figures[name] = bench.measure(name)
            if given.save:  # so that a run that is cut short has kept what it has measured
                report.save(report.as_json(given, figures))
            if not given.json:
                print(report.lines(name, figures[name], given.scale), flush=True)
    told = report.as_json(given, figures)
    print(json.dumps(told) if given.json else "\n" + report.table(told))
    if given.save:
        say(f"Kept in {report.save(told)}")
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
