"""No optimisation changes a result: random programs show what the oracle shows with each of them switched off.

One by one, and all together. ``SIMSPARK_API_PROGRAMS=4000:6000`` names other programs than the usual ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given

from simspark.publib import optimizations

from .comparing import Here, compare_real, numbers_of
from .failing import failing_programs
from .programs import FOR_US, examples, generated, programs

ALL = ",".join(optimizations.NAMES)
BETWEEN_PROCESSES = {"inline-results", "large-values"}
IN_ONE_PROCESS = [name for name in optimizations.NAMES if name not in BETWEEN_PROCESSES]
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
    "print((lambda known: r0.filter(lambda x: x in known).collect())([5, 7]))",
]
TOGETHER = pytest.param(ALL, id="all of them")
EAGER = {"spark.master": "local[2]", "spark.simspark.autoBroadcast": "1"}  # even the smallest value is a large one


@pytest.fixture
def switched(off: str) -> Iterator[None]:
    """This process goes without what is to be off."""
    optimizations.do_without(optimizations.names_in(off))
    yield
    optimizations.do_without(frozenset())


@pytest.mark.parametrize("off", [*IN_ONE_PROCESS, TOGETHER])
@pytest.mark.usefixtures("switched")
@pytest.mark.parametrize("limits", [{}, {"memory_budget_bytes": 256, "batch_rows": 2}], ids=["usual", "tiny"])
def test_no_optimisation_changes_what_programs_show_in_one_process(
        limits: dict[str, int], tmp_path: Path) -> None:
    here = Here(tmp_path)
    here.compare(EACH, limits)
    for number in numbers_of(range(700, 720)):
        examples(number, 2)(given(programs(FOR_US))(lambda lines: here.compare(lines, limits)))()
    for number in numbers_of(range(700, 704)):
        examples(number, 2)(given(failing_programs(FOR_US))(lambda lines: here.compare(lines, limits)))()


@pytest.mark.cluster
@pytest.mark.parametrize("off", ["", ALL], ids=["none", "all"])
def test_all_optimisations_together_change_nothing_on_real_executors(off: str) -> None:
    _compare(off, {}, range(1800, 1825), range(1800, 1806))


@pytest.mark.parametrize("off", [*optimizations.NAMES, TOGETHER])
@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("memory", ["1g", "64m", "512"])
def test_no_optimisation_changes_what_hundreds_of_programs_show(off: str, memory: str) -> None:
    share = 500 if memory == "1g" else 50
    start = 60_000 + 1000 * ALL.split(",").index(off.partition(",")[0])
    _compare(off, {"spark.executor.memory": memory}, range(start, start + share), range(start, start + share // 10))


def _compare(off: str, settings: dict[str, str], usual: range, failing: range) -> None:
    setup = {**EAGER, optimizations.SETTING: off, **settings}
    compare_real(setup, [EACH, *generated(numbers_of(usual))])
    compare_real(setup, generated(numbers_of(failing), failing_programs(FOR_US)))
