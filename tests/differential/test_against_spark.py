"""Random programs on simspark, on the oracle and on Apache Spark: all three must show the same.

Needs PySpark and Java 17, so these run when asked for (``-m spark``). ``SIMSPARK_PYSPARK`` may name a Python that has
PySpark; ``SIMSPARK_API_PROGRAMS=4000:6000`` names other programs than the usual ones.

What Spark leaves open is settled by the programs themselves (``Rules`` in ``programs``): cartesian products are sorted
within their partitions, since there the order follows Spark's batches; NaN is no key, since Spark places it by its
address; coalesce without a shuffle stands on nothing that was shuffled or kept, since there it follows the places of
blocks; sortByKey has no keyfunc, whose results Spark compares with keys as they are; RDDs that are partitioned alike
are not cogrouped in another way, since Spark then mixes their partitions, and ours gives the first one's keys first.
All else is the same, down to the order of rows in each partition, of values in each group, and of what is drawn at
random.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from .evaluate import Child, difference
from .failing import LINES, failing_programs
from .programs import FOR_SPARK, generated, programs

PYTHON = os.environ.get("SIMSPARK_PYSPARK") or sys.executable
GIVEN = os.environ.get("SIMSPARK_API_PROGRAMS", "")
OLDEST_JAVA = 17
SPARK = {
    "spark.master": "local[2]", "spark.ui.enabled": "false", "spark.log.level": "OFF",
    "spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": "64m", "spark.driver.host": "127.0.0.1",
}
OURS = {"spark.master": "local[2]"}


def _what_is_missing() -> str:
    if PYTHON == sys.executable and find_spec("pyspark") is None:
        return "pyspark is not installed, and SIMSPARK_PYSPARK names no Python that has it"
    java = f"{os.environ['JAVA_HOME']}/bin/java" if "JAVA_HOME" in os.environ else shutil.which("java")
    if java is None:
        return "no Java here"
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    return "" if version and int(version[1]) >= OLDEST_JAVA else f"Java {OLDEST_JAVA} or newer is needed"


pytestmark = [pytest.mark.spark, pytest.mark.skipif(bool(_what_is_missing()), reason=_what_is_missing())]


def _numbers(usual: range) -> range:
    start, _, stop = GIVEN.partition(":")
    return range(int(start), int(stop)) if stop else usual


@pytest.fixture(scope="module")
def spark() -> Iterator[Child]:
    """Spark, which takes long to start, and longer to become fast."""
    with Child("pyspark", SPARK, PYTHON) as child:
        yield child


@pytest.mark.timeout(900)
def test_programs_show_what_spark_shows(spark: Child) -> None:
    _compare(spark, generated(_numbers(range(100)), programs(FOR_SPARK)))


@pytest.mark.timeout(900)
def test_programs_that_fail_show_what_spark_shows(spark: Child) -> None:
    _compare(spark, generated(_numbers(range(40)), failing_programs(FOR_SPARK)))


@pytest.mark.slow
@pytest.mark.timeout(10_000)
def test_two_thousand_programs_show_what_spark_shows(spark: Child) -> None:
    _compare(spark, generated(_numbers(range(100_000, 102_000)), programs(FOR_SPARK)))


@pytest.mark.timeout(900)
def test_lines_fail_as_in_spark(spark: Child) -> None:
    shown = dict(zip(LINES, spark.answers([f"print({line})"] for line in LINES), strict=True))
    assert {line: text for line, (text,) in shown.items()} == LINES


def _compare(spark: Child, made: list[list[str]]) -> None:
    found = []
    with Child("oracle") as oracle, Child("simspark", OURS) as ours:
        children = (oracle, ours, spark)
        for lines in made:
            for child in children:
                child.ask(lines)
            meant, got, wanted = (list(map(_of_any, child.answer())) for child in children)
            for name, shown in (("simspark", got), ("the oracle", meant)):
                if text := difference(lines, wanted, shown):
                    found.append(f"# {name}\n{text}")
    assert not found, f"{len(found)} answers of {len(made)} programs differ:\n\n" + "\n\n".join(found[:5])


def _of_any(text: str) -> str:
    """What is shown, without the one error that Spark has from Java: a second storage level."""
    return "!level" if text.startswith(("!UserError: Cannot change the storage level", "!Py4JJavaError")) else text
