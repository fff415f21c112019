"""Programs run line by line on an engine: what each ``print`` of a program shows there, or the error of a line.

Run as a script it is the child in which an engine lives: ``python evaluate.py ENGINE [SETTING=VALUE ...]`` reads
programs from its input, one JSON list of lines each, and writes what each showed, one JSON list each. Children have
PYTHONHASHSEED=0, so that the oracle places text as executors do.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ("oracle", "simspark", "pyspark")
_REMOTE_ERROR = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception|Iteration)): ?(.*)$", re.MULTILINE)
_GROUPS = {"ResultIterable", "generator", "list_iterator", "range"}


def shown(value: Any) -> str:
    """A value as text that tells 1 from 1.0 and 0.0 from -0.0; dicts in the order of their texts."""
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{shown(key)}: {shown(each)}" for key, each in value.items())) + "}"
    if type(value) is list:
        return f"[{', '.join(map(shown, value))}]"
    if type(value) is tuple:
        return f"({''.join(f'{shown(each)}, ' for each in value)})"
    if type(value).__name__ in _GROUPS:
        return shown(list(value))
    return repr(value)


def text_of(error: BaseException) -> str:
    """``!Type: first line`` of an error, or of the Python error that a Java one tells of."""
    remote = _REMOTE_ERROR.findall(str(error)) if type(error).__module__.startswith(("py4j", "pyspark")) else ()
    kind, text = remote[-1] if remote else (type(error).__name__, str(error))
    for line in str(error).splitlines() if remote else ():
        if line.strip().startswith("pyspark.errors.exceptions.base."):
            kind = kind.removeprefix("PySpark")
    return f"!{kind}: {text.partition(chr(10))[0]}".strip()


def run(lines: Iterable[str], names: dict[str, Any]) -> list[str]:
    """What a program shows; ``names`` are those of the engine: sc and StorageLevel."""
    out: list[str] = []
    scope = {"__name__": "__main__", "nan": math.nan, "inf": math.inf, **names,
             "print": lambda value: out.append(shown(value))}
    for line in lines:
        try:
            exec(compile(line, "<program>", "exec"), scope)
        except Exception as error:
            out.append(text_of(error))
    return out


class Levels:
    """Storage levels, for the oracle: they change nothing."""

    def __getattr__(self, name: str) -> str:
        return name


def oracle_names() -> dict[str, Any]:
    """The oracle under the names that programs use."""
    from tests.differential import oracle

    return {"sc": oracle.SparkContext(), "StorageLevel": Levels()}


def _engine_names(engine: str, settings: dict[str, str]) -> dict[str, Any]:
    if engine == "oracle":
        return oracle_names()
    if engine == "pyspark":
        from pyspark import SparkConf, SparkContext, StorageLevel
    else:
        from simspark import SparkConf, SparkContext, StorageLevel
    conf = SparkConf()
    for key, value in settings.items():
        conf.set(key, value)
    return {"sc": SparkContext(conf=conf), "StorageLevel": StorageLevel}


def serve(engine: str, settings: dict[str, str]) -> None:
    """Answer programs until the input ends."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever an engine prints is no answer
    names = _engine_names(engine, settings)
    with tempfile.TemporaryDirectory() as checkpoints:
        names["sc"].setCheckpointDir(checkpoints)
        for line in sys.stdin:
            print(json.dumps(run(json.loads(line), names)), file=out, flush=True)
        names["sc"].stop()


class Child:
    """A process with an engine in it. ``answers(programs)`` are what they show, in order."""

    def __init__(self, engine: str, settings: dict[str, str] | None = None, python: str = sys.executable) -> None:
        pairs = [f"{key}={value}" for key, value in (settings or {}).items()]
        environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": python,
                       "PYTHONWARNINGS": "ignore", "SPARK_LOCAL_IP": "127.0.0.1"}
        self._process = subprocess.Popen(
            [python, str(Path(__file__).resolve()), engine, *pairs], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if engine == "pyspark" else None, env=environment, text=True)

    def ask(self, lines: Iterable[str]) -> None:
        """Let it run a program. It has one at a time: ``answer`` comes before the next."""
        assert self._process.stdin is not None
        print(json.dumps(list(lines)), file=self._process.stdin, flush=True)

    def answer(self) -> list[str]:
        """What the program shows."""
        assert self._process.stdout is not None
        shown: list[str] = json.loads(self._process.stdout.readline())
        return shown

    def answers(self, programs: Iterable[Iterable[str]]) -> Iterator[list[str]]:
        """Of one after another."""
        for lines in programs:
            self.ask(lines)
            yield self.answer()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sliced(lines: list[str], wanted: int) -> list[str]:
    """The lines of a program that its line ``wanted`` needs: those that make or change what it names."""
    name = re.compile(r"\b[rf]\d+\b")
    kept, names = [lines[wanted]], set(name.findall(lines[wanted]))
    for line in reversed(lines[:wanted]):
        makes = " = " in line or line.startswith("def ")
        made = set(name.findall(line.partition(" = ")[0])) if makes else set()
        changed = re.match(r"(r\d+)\.(?:persist|unpersist|checkpoint|localCheckpoint)\(", line)
        if made & names or (changed and changed[1] in names):
            kept.append(line)
            names |= set(name.findall(line))
    return kept[::-1]


def difference(lines: list[str], wanted: list[str], got: list[str]) -> str:
    """The first thing that two engines show differently, with the lines that lead to it; empty if there is none."""
    if wanted == got:
        return ""
    at = next((at for at, (left, right) in enumerate(zip(wanted, got, strict=False)) if left != right), -1)
    if at < 0 or len(wanted) != len(got):  # a line failed
        return "\n".join([*lines, f"# shows    {got}", f"# and not  {wanted}"])
    prints = [number for number, line in enumerate(lines) if line.startswith("print(")]
    needed = sliced(lines, prints[at]) if len(prints) == len(wanted) else lines
    return "\n".join([*needed, f"# shows    {got[at]}", f"# and not  {wanted[at]}"])


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    serve(sys.argv[1], dict(pair.split("=", 1) for pair in sys.argv[2:]))
