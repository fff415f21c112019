"""No optimisation changes a result: random programs show what the oracle shows with each of them switched off.

One by one, and all together. ``SIMSPARK_API_PROGRAMS=4000:6000`` names other programs than the usual ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from simspark.publib import optimizations

from .comparing import AT_ONCE, Here, compare_real, found_by_processes, numbers_of
from .evaluate import oracle_names, run
from .failing import failing_programs
from .programs import FOR_US, generated

ALL = ",".join(optimizations.NAMES)
BETWEEN_PROCESSES = {"inline-results", "large-values", "checksums"}  # others are taken in one process, too
EACH = [  # where random programs seldom come
    "r0 = sc.range(3, 70, 2, 4)", "print(r0.glom().collect())", "print(r0.count())",
    "print(sc.parallelize(range(9, -9, -2), 3).count())",
    "r1 = r0.map(lambda x: (x % 7, x))", "print(r1.reduceByKey(lambda a, b: a + b, 3).glom().collect())",
    "print(r1.groupByKey(2).mapValues(list).glom().collect())",
    "print(r1.sortByKey(False, 3).glom().collect())",
    "print(r1.join(r1.filter(lambda kv: kv[0] < 5), 3).glom().collect())",
    "print(r1.leftOuterJoin(r1.filter(lambda kv: kv[0] < 5), 3).glom().collect())",
    "print(r0.map(lambda x: x % 9).distinct(3).glom().collect())",
    "r2 = r0.map(lambda x: (x, -x))", "r3 = r0.map(lambda x: (2 * x, str(x)))",
    "print(r2.join(r3, 2).glom().collect())", "print(r2.leftOuterJoin(r3, 2).glom().collect())",
    "print(r2.rightOuterJoin(r3, 2).glom().collect())", "print(r2.fullOuterJoin(r3, 2).glom().collect())",
    "print(r2.rightOuterJoin(r1, 2).glom().collect())",
    "r5 = r1.groupByKey(2).mapValues(sum).cache()", "r6 = r3.reduceByKey(lambda a, b: a + b, 2)",
    "print(r5.join(r6).glom().collect())", "print(r5.join(r6.filter(lambda kv: kv[0] < 5)).glom().collect())",
    "print(r5.leftOuterJoin(r2, 2).glom().collect())", "print(r5.join(r1, 2).glom().collect())",
    "print(r5.rightOuterJoin(r6).glom().collect())",
    "print(r5.filter(lambda kv: kv[0] % 2).cache().join(r5).collect())",
    "r2 = sc.parallelize(['x' * 999 + str(n) for n in range(400)], 2)", "print(r2.map(len).collect())",
    "print(r2.map(lambda s: (len(s), s)).groupByKey(1).mapValues(len).collect())",
    "print(r0.map(lambda x: x / 3).mean())", "print(r0.map(lambda x: x * 0.1).variance())",
    "print(r0.histogram([3, 9, 50]))", "print(r0.max(key=lambda x: x % 5))",
    "r4 = r0.map(lambda x: (x % 3, __import__('array').array('q', [x])))" if find_spec("numpy") is None else
    "r4 = r0.map(lambda x: (x % 3, __import__('numpy').full(3, x)))",
    "print(r4.groupByKey(2).mapValues(lambda found: [each.tolist() for each in found]).glom().collect())",
    "print((lambda known: r0.filter(lambda x: x in known).collect())([5, 7]))",
]
TOGETHER = pytest.param(ALL, id="all of them")
FUSED = {"spark.simspark.fusion.afterRows": "0"}
EAGER = {"spark.master": "local[2]", "spark.simspark.autoBroadcast": "1", **FUSED}  # the smallest value is a large one


@pytest.fixture
def switched(off: str) -> Iterator[None]:
    """This process goes without what is to be off."""
    optimizations.do_without(optimizations.names_in(off))
    yield
    optimizations.do_without(frozenset())


@cache
def known(programs: range, failing: range) -> list[tuple[list[str], list[str]]]:
    """Programs of these numbers, and what they show on the oracle."""
    made = [EACH, *generated(programs), *generated(failing, failing_programs(FOR_US))]
    return [(lines, run(lines, oracle_names())) for lines in made]


def show_the_same_here(root: Path, limits: dict[str, Any], programs: range, failing: range) -> None:
    made = known(numbers_of(programs), numbers_of(failing))

    def first_difference(part: int) -> str:
        (root / str(part)).mkdir()
        here, with_loops = Here(root / str(part)), {**limits, "properties": FUSED}
        found = (here.difference(lines, wanted, with_loops) for lines, wanted in made[part::AT_ONCE])
        return next(filter(None, found), "")

    found = found_by_processes(first_difference)
    assert not found, f"\n{found}"


IN_ONE_PROCESS = pytest.mark.parametrize(
    "off", [name for name in optimizations.NAMES if name not in BETWEEN_PROCESSES] + [TOGETHER])
LIMITS = pytest.mark.parametrize("limits", [{}, {"memory_budget_bytes": 256, "batch_rows": 2}], ids=["usual", "tiny"])


@LIMITS
@IN_ONE_PROCESS
@pytest.mark.usefixtures("switched")
def test_no_optimisation_changes_what_programs_show(limits: dict[str, Any], tmp_path: Path) -> None:
    show_the_same_here(tmp_path, limits, range(700, 740), range(700, 708))


@LIMITS
@IN_ONE_PROCESS
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("switched")
def test_no_optimisation_changes_what_hundreds_of_programs_show(limits: dict[str, Any], tmp_path: Path) -> None:
    show_the_same_here(tmp_path, limits, range(60_000, 60_250), range(60_000, 60_025))


@pytest.mark.cluster
@pytest.mark.parametrize("off", [pytest.param("", id="none"), TOGETHER])
def test_all_optimisations_together_change_nothing_on_real_executors(off: str) -> None:
    compare_on_executors(off, "1g", range(1800, 1825), range(1800, 1806))


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("off", [*sorted(BETWEEN_PROCESSES), TOGETHER])
@pytest.mark.parametrize("memory", ["1g", "64m", "512"])
def test_no_optimisation_between_processes_changes_what_hundreds_of_programs_show(off: str, memory: str) -> None:
    compare_on_executors(off, memory, range(61_000, 61_200), range(61_000, 61_020))


def compare_on_executors(off: str, memory: str, programs: range, failing: range) -> None:
    setup = {**EAGER, optimizations.SETTING: off, "spark.executor.memory": memory}
    compare_real(setup, [EACH, *generated(numbers_of(programs)),
                         *generated(numbers_of(failing), failing_programs(FOR_US))])
