"""Random programs on simspark and on the oracle: each print must show the same, partition by partition.

Programs are named by numbers. ``SIMSPARK_API_PROGRAMS=4000:6000`` runs those instead of the usual ones, which are 2,000
on real executors where slow tests run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from .comparing import Here, compare_real, numbers_of
from .evaluate import Child
from .failing import LINES, OUR_LINES, failing_programs
from .programs import FOR_US, examples, generated, programs

TINY_BYTES = 256  # of memory: whatever can be spilled is

FUSED = {"spark.simspark.fusion.afterRows": "0"}
NOT_FUSED = {"spark.simspark.fusion": "false"}

REAL = {
    "local": {"spark.master": "local[2]", **FUSED},
    "tiny memory": {"spark.master": "local[2]", "spark.executor.memory": "512", "spark.simspark.batchRows": "1",
                    **FUSED},
    "results in files": {"spark.master": "local[2]", "spark.simspark.inlineResult": "1",
                         "spark.simspark.batchRows": "3", **NOT_FUSED},
    "cluster": {"spark.master": "local-cluster[2,1,512]", "spark.simspark.batchRows": "2",
                "spark.simspark.fusion.afterRows": "3"},
    "over the network": {"spark.master": "local-cluster[2,1,512]", "spark.simspark.blocks.overNetwork": "true",
                         **NOT_FUSED},
}


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


@pytest.mark.parametrize("fused", [FUSED, NOT_FUSED], ids=["fused", "not fused"])
@pytest.mark.parametrize("limits", [{}, {"memory_budget_bytes": TINY_BYTES, "batch_rows": 2}], ids=["usual", "tiny"])
@pytest.mark.parametrize("numbers", [range(at, at + 20) for at in range(0, 80, 20)], ids=str)
def test_programs_show_what_the_oracle_shows_in_one_process(
        numbers: range, limits: dict[str, Any], fused: dict[str, str], here: Here) -> None:
    used = {**limits, "properties": fused}
    for number in numbers_of(numbers):
        examples(number, 2)(given(programs(FOR_US))(lambda lines: here.compare(lines, used)))()


@pytest.mark.parametrize(("fused", "numbers"), [(FUSED, range(300, 340)), (NOT_FUSED, range(340, 360))],
                         ids=["fused", "not fused"])
def test_programs_that_fail_show_what_the_oracle_shows(fused: dict[str, str], numbers: range, here: Here) -> None:
    used = {"properties": fused}
    for number in numbers_of(numbers):
        examples(number, 2)(given(failing_programs(FOR_US))(lambda lines: here.compare(lines, used)))()


@pytest.mark.cluster
def test_lines_fail_as_they_say() -> None:
    wanted = LINES | OUR_LINES
    with Child("simspark", REAL["local"]) as engine:
        shown = dict(zip(wanted, engine.answers([f"print({line})"] for line in wanted), strict=True))
    assert {line: text for line, (text,) in shown.items()} == wanted


@pytest.mark.cluster
@pytest.mark.parametrize("setup", REAL)
def test_programs_show_what_the_oracle_shows_on_real_executors(setup: str) -> None:
    start = 1000 + 100 * list(REAL).index(setup)
    failing = generated(numbers_of(range(start, start + 6)), failing_programs(FOR_US))
    compare_real(REAL[setup], [*generated(numbers_of(range(start, start + 25))), *failing])


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("setup", REAL)
def test_hundreds_of_programs_show_what_the_oracle_shows(setup: str) -> None:
    start = 10_000 * (1 + list(REAL).index(setup))
    failing = generated(numbers_of(range(start, start + 40)), failing_programs(FOR_US))
    compare_real(REAL[setup], [*generated(numbers_of(range(start, start + 400))), *failing])
