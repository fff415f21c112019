"""Random programs on simspark and on the oracle: each print must show the same, partition by partition.

Programs are named by numbers. ``SIMSPARK_API_PROGRAMS=4000:6000`` runs those instead of the usual ones.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from simspark import StorageLevel
from simspark.driver.rdd.core import RDD
from tests.api.conftest import HereContext

from .evaluate import Child, difference, oracle_names, run
from .programs import FOR_US, examples, generated, programs

TINY_BYTES = 256  # of memory: whatever can be spilled is

REAL = {
    "local": {"spark.master": "local[2]"},
    "tiny memory": {"spark.master": "local[2]", "spark.executor.memory": "512", "spark.simspark.batchRows": "1"},
    "results in files": {"spark.master": "local[2]", "spark.simspark.inlineResult": "1",
                         "spark.simspark.batchRows": "3"},
    "cluster": {"spark.master": "local-cluster[2,1,512]", "spark.simspark.batchRows": "2"},
    "over the network": {"spark.master": "local-cluster[2,1,512]", "spark.simspark.blocks.overNetwork": "true"},
}
NOT_YET = [name for name in ("sampleByKey", "histogram", "takeSample") if not hasattr(RDD, name)]


def _numbers(usual: range) -> range:
    start, _, stop = os.environ.get("SIMSPARK_API_PROGRAMS", "").partition(":")
    return range(int(start), int(stop)) if stop else usual


def _of_today(lines: list[str]) -> bool:
    return not any(name in line for name in NOT_YET for line in lines)


@pytest.mark.parametrize("limits", [{}, {"memory_budget_bytes": TINY_BYTES, "batch_rows": 2}], ids=["usual", "tiny"])
@pytest.mark.parametrize("numbers", [range(at, at + 50) for at in range(0, 200, 50)], ids=str)
def test_programs_show_what_the_oracle_shows_in_one_process(
        numbers: range, limits: dict[str, int], tmp_path: Path) -> None:
    directories = count()

    def check(lines: list[str]) -> None:
        directory = tmp_path / str(next(directories))
        directory.mkdir()
        here = HereContext(str(directory))
        here.limits = limits
        found = difference(lines, run(lines, oracle_names()), run(lines, {"sc": here, "StorageLevel": StorageLevel}))
        assert not found or not _of_today(lines), f"\n{found}"

    for number in _numbers(numbers):
        examples(number, 2)(given(programs(FOR_US))(check))()


@pytest.mark.cluster
@pytest.mark.parametrize("setup", REAL)
def test_programs_show_what_the_oracle_shows_on_real_executors(setup: str) -> None:
    start = 1000 + 100 * list(REAL).index(setup)
    _compare(REAL[setup], _numbers(range(start, start + 50)))


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("setup", REAL)
def test_two_thousand_programs_show_what_the_oracle_shows(setup: str) -> None:
    start = 10_000 * (1 + list(REAL).index(setup))
    _compare(REAL[setup], range(start, start + 2000))


def _compare(settings: dict[str, Any], numbers: range) -> None:
    made = [lines for lines in generated(numbers) if _of_today(lines)]
    with Child("oracle") as oracle, Child("simspark", settings) as engine:
        answers = zip(numbers, made, oracle.answers(made), engine.answers(made), strict=False)
        found = [f"# program {number}\n{text}" for number, lines, wanted, got in answers
                 if (text := difference(lines, wanted, got))]
    assert not found, f"{len(found)} programs differ:\n\n" + "\n\n".join(found[:5])
