"""The simulator finds bugs that are put in on purpose; if it does not, its silence about others means nothing."""

from __future__ import annotations

import pytest

from tests.sim.plan import plan_of
from tests.sim.planted import BUGS, planted
from tests.sim.simulation import simulate

MOST_SEEDS = 5000


@pytest.mark.parametrize("bug", list(BUGS))
def test_a_planted_bug_is_found(bug: str, capsys: pytest.CaptureFixture[str]):
    violation, seed = "", -1
    with planted(bug):
        while not violation and seed + 1 < MOST_SEEDS:
            seed += 1
            violation = simulate(plan_of(seed)).violation
    assert not violation.startswith(("TypeError", "AttributeError", "NameError")), (
        f"bug {bug} does not fit: {violation}"
    )
    assert violation, f"bug {bug} was not found in {MOST_SEEDS} seeds"
    assert not simulate(plan_of(seed)).violation, f"seed {seed} fails without the bug as well"
    with capsys.disabled():
        print(f"\nbug {bug}: seed {seed}: {violation.splitlines()[0][:140]}")
