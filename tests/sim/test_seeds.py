"""Thousands of fault schedules on the real cores: no violation, no hang, every fault at every phase."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.sim.campaign import coverage_table, explain, run_parallel, thin_cells

SEEDS = 2000
LEAST_HITS = 20
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DIGESTS = """
from tests.sim.plan import plan_of
from tests.sim.simulation import simulate
for seed in range(40):
    outcome = simulate(plan_of(seed), traced=True)
    print(seed, len(outcome.trace), outcome.digest)
"""


def test_two_thousand_schedules_end_right(capsys: pytest.CaptureFixture[str]):
    tally = run_parallel(SEEDS, processes=2, stop_after=3)
    with capsys.disabled():
        print("\n" + coverage_table(tally))
    if tally.failures:
        seed, violation = tally.failures[0]
        pytest.fail(explain(seed, violation) if seed.isdigit() else violation, pytrace=False)
    assert tally.runs == SEEDS
    assert not thin_cells(tally, LEAST_HITS)


def test_a_seed_gives_the_same_trace_whatever_the_hashes_of_strings_are():
    answers = [_digests(hash_seed) for hash_seed in ("1", "2")]
    assert answers[0] == answers[1]
    assert len(answers[0].splitlines()) == 40


def _digests(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": ROOT}
    done = subprocess.run(
        [sys.executable, "-c", DIGESTS],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout
