"""The types that users see, checked by mypy: what is right and what is wrong."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from simspark import (
    RDD,
    BarrierTaskContext,
    Broadcast,
    RDDBarrier,
    SparkConf,
    SparkContext,
    StatCounter,
    StatusTracker,
    TaskContext,
)

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CONSUMER = HERE / "consumer.py"
WRONG = HERE / "wrong.py"
JAVA_OR_SQL = re.compile(r"[hH]adoop|sequenceFile|SequenceFile|toDF")  # these raise whatever they are given


@cache
def complaints() -> dict[str, dict[int, set[str]]]:
    """What mypy says of the two programs: by file and line, the codes."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", str(CONSUMER),
               str(WRONG)]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.stderr
    found: dict[str, dict[int, set[str]]] = {}
    for line in done.stdout.splitlines():
        said = re.match(r"(.+?):(\d+): error: .*\[([\w-]+)\]$", line)
        if said:
            found.setdefault(Path(said[1]).name, {}).setdefault(int(said[2]), set()).add(said[3])
    return found


@pytest.mark.slow
def test_a_typed_program_is_understood() -> None:
    assert complaints().get(CONSUMER.name, {}) == {}


@pytest.mark.slow
def test_mistakes_are_found_where_they_are_and_nowhere_else() -> None:
    lines = WRONG.read_text(encoding="utf-8").splitlines()
    expected = {
        number: set(line.partition("# error: ")[2].split(", "))
        for number, line in enumerate(lines, 1)
        if line.startswith("    ") and "# error: " in line
    }
    found = complaints()[WRONG.name]
    assert set(found) == set(expected)
    assert {number: codes for number, codes in found.items() if not codes <= expected[number]} == {}


KINDS = [
    RDD, RDDBarrier, SparkContext, SparkConf, Broadcast, StatCounter, StatusTracker, TaskContext, BarrierTaskContext,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_public_member_is_in_the_typed_program(kind: type) -> None:
    tree = ast.parse(CONSUMER.read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    public = {name for name in dir(kind) if not name.startswith("_") and not JAVA_OR_SQL.search(name)}
    assert {name for name in public - used if not is_a_seam(kind, name)} == set()


def is_a_seam(kind: type, name: str) -> bool:
    """A member that is there for other parts of simspark says so."""
    said = getattr(kind, name).__doc__ or ""
    return said.startswith("See ") or name in {"from_json", "waiting_text", "replace_local_properties", "largest_batch"}
