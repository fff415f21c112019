"""Many schedules: run them on some processes, add up what was hit, shorten what fails.

python -m tests.sim.campaign --count 2000          run seeds 0 to 1999, print the coverage
python -m tests.sim.campaign --first 17 --trace    one seed, with its trace
python -m tests.sim.campaign --plan FILE --trace   one kept schedule
python -m tests.sim.campaign --first 17 --shrink   shorten a failing one, print it as a file to keep
"""

from __future__ import annotations

import argparse
import os
import pickle
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from tests.sim.plan import CELLS, PHASES, Plan, from_json, plan_of, to_json
from tests.sim.simulation import Outcome, Simulation, simulate


class Tally(NamedTuple):
    """What many runs came to."""

    runs: int
    failures: tuple[tuple[str, str], ...]
    hits: dict[tuple[str, str], int]
    network: dict[str, int]
    steps: int


def run_seeds(seeds: range, stop_after: int = 5) -> Tally:
    """In this process."""
    hits: dict[tuple[str, str], int] = {}
    network: dict[str, int] = {}
    failures: list[tuple[str, str]] = []
    runs = steps = 0
    for seed in seeds:
        outcome = simulate(plan_of(seed))
        runs += 1
        steps += outcome.steps
        _add(hits, outcome.hits)
        _add(network, outcome.network)
        if outcome.violation:
            failures.append((str(seed), outcome.violation))
            if len(failures) >= stop_after:
                break
    return Tally(runs, tuple(failures), hits, network, steps)


def run_parallel(count: int, processes: int, first: int = 0, stop_after: int = 5) -> Tally:
    """Seeds ``first`` to ``first + count``, split over forked processes."""
    readers = []
    for part in range(processes):
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.close(reader)
            _child(range(first + part, first + count, processes), writer, stop_after)
        os.close(writer)
        readers.append(reader)
    tallies = []
    for reader in readers:
        with os.fdopen(reader, "rb") as pipe:
            tallies.append(pickle.loads(pipe.read()))
    for _ in readers:
        os.wait()
    return _sum(tallies)


def _child(seeds: range, writer: int, stop_after: int) -> None:
    try:
        tally = run_seeds(seeds, stop_after)
    except BaseException as error:
        tally = Tally(0, (("-", f"{type(error).__name__}: {error}"),), {}, {}, 0)
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(pickle.dumps(tally))
    os._exit(0)


def _sum(tallies: list[Tally]) -> Tally:
    hits: dict[tuple[str, str], int] = {}
    network: dict[str, int] = {}
    for tally in tallies:
        _add(hits, tally.hits)
        _add(network, tally.network)
    failures = tuple(failure for tally in tallies for failure in tally.failures)
    return Tally(sum(t.runs for t in tallies), failures, hits, network, sum(t.steps for t in tallies))


def _add(total: dict, more: dict) -> None:
    for key, count in more.items():
        total[key] = total.get(key, 0) + count


def coverage_table(tally: Tally) -> str:
    """Hits per (fault, phase); a dot is a cell that cannot be."""
    columns = (*PHASES, "log", "give")
    kinds = sorted({kind.strip() for kind, _ in CELLS} | {kind for kind, _ in tally.hits})
    possible = {(kind.strip(), phase) for kind, phase in CELLS}
    lines = [f"{'fault':16}" + "".join(f"{phase:>6}" for phase in columns)]
    for kind in kinds:
        cells = (
            f"{tally.hits.get((kind, phase), 0):6}"
            if (kind, phase) in possible or (kind, phase) in tally.hits
            else "     ."
            for phase in columns
        )
        lines.append(f"{kind:16}" + "".join(cells))
    lines += [f"{name}: {count}" for name, count in sorted(tally.network.items())]
    return "\n".join(lines)


def thin_cells(tally: Tally, least: int) -> list[tuple[str, str, int]]:
    """Cells that were hit less often."""
    cells = sorted({(kind.strip(), phase) for kind, phase in CELLS})
    return [(*cell, tally.hits.get(cell, 0)) for cell in cells if tally.hits.get(cell, 0) < least]


# ── shortening ───────────────────────────────────────────────────────────────────────────────────────────────────


def shorten(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """Leave out whatever is not needed for the failure."""
    changed = True
    while changed:
        changed = False
        for smaller in _smaller(plan):
            if fails(smaller):
                plan, changed = smaller, True
                break
    return plan


def _smaller(plan: Plan) -> list[Plan]:
    tries = [plan._replace(faults=plan.faults[:i] + plan.faults[i + 1 :]) for i in range(len(plan.faults))]
    tries += [
        plan._replace(behaviours=plan.behaviours[:i] + plan.behaviours[i + 1 :]) for i in range(len(plan.behaviours))
    ]
    if len(plan.drivers) > 1:
        tries.append(plan._replace(drivers=plan.drivers[:1]))
    for name, value in (
        ("loss", 0.0),
        ("delay_s", 0.0),
        ("workers", 2),
        ("slots", 1),
        ("wanted", 2),
        ("speculation", False),
        ("slow_worker", False),
    ):
        if getattr(plan, name) != value:
            tries.append(plan._replace(**{name: value}))
    return tries


def explain(seed: str, violation: str, simulation: type[Simulation] = Simulation) -> str:
    """How to run a failing seed again, and its schedule without what is not needed."""
    plan = plan_of(int(seed))
    short = shorten(plan, lambda smaller: bool(simulate(smaller, simulation=simulation).violation))
    return (
        f"seed {seed}: {violation}\n  again: python -m tests.sim.campaign --first {seed} --trace\n"
        f"  shortened: {to_json(short)}\n  keep it in tests/sim/schedules/"
    )


# ── by hand ──────────────────────────────────────────────────────────────────────────────────────────────────────


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--stop-after", type=int, default=5)
    parser.add_argument("--plan")
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--calm", action="store_true", help="without faults")
    parser.add_argument("--shrink", action="store_true")
    options = parser.parse_args()
    if options.count > 1:
        return _many(options)
    plan = plan_of(options.first)
    if options.plan:
        with open(options.plan) as file:
            plan = from_json(file.read())
    if options.calm:
        plan = plan._replace(faults=(), behaviours=())
    outcome: Outcome = simulate(plan, traced=options.trace)
    if options.shrink and outcome.violation:
        plan = shorten(plan, lambda smaller: bool(simulate(smaller).violation))
        outcome = simulate(plan, traced=options.trace)
    print(to_json(plan))
    print("\n".join(outcome.trace))
    print(outcome.violation or f"well after {outcome.seconds:.1f} s and {outcome.steps} steps")
    return 1 if outcome.violation else 0


def _many(options: argparse.Namespace) -> int:
    began = time.monotonic()
    tally = run_parallel(options.count, options.processes, options.first, options.stop_after)
    print(coverage_table(tally))
    print(f"{tally.runs} runs, {tally.steps} steps, {time.monotonic() - began:.1f} s")
    for seed, violation in tally.failures:
        print(f"seed {seed}: {violation}")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
