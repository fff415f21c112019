"""Profiles of real tasks: counted once for each that is accepted, shown when the program ends."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from simspark import BasicProfiler, MarshalSerializer, SparkConf, SparkContext

pytestmark = pytest.mark.cluster

ON = [("spark.python.profile", "true")]
PROGRAM = """
from simspark import SparkConf, SparkContext
def costly(x):
    return x + 1
conf = SparkConf(False).set("spark.python.profile", "true"){more}
with SparkContext("local[2]", conf=conf) as sc:
    assert sc.range(10, numSlices=2).map(costly).sum() == 55
"""


def calls_of(profiler, function):
    return sum(counts[1] for (_, _, name), counts in profiler.stats().stats.items() if name == function)


def costly(x):
    return x % 3, x


def add(a, b):
    return a + b


def test_each_row_is_counted_once_also_under_retries():
    marks = []

    def fails_at_first(index, rows):
        from simspark import TaskContext

        if TaskContext.get().attemptNumber() == 0 and index == 1:
            list(rows)
            raise OSError("once")
        return rows

    with SparkContext("local[2,3]", "profiled", conf=SparkConf(False).setAll(ON)) as sc:
        rdd = sc.range(100, numSlices=4).map(costly).mapPartitionsWithIndex(fails_at_first).reduceByKey(add)
        marks = sorted(rdd.collect())
        profilers = {number: profiler for number, profiler, _ in sc.profiler_collector.profilers}
        assert [calls_of(each, "costly") for _, each in sorted(profilers.items())] == [100, 0]
        rdd.count()  # its map outputs are there: nothing of them runs again
        assert sum(calls_of(each, "costly") for _, each, _ in sc.profiler_collector.profilers) == 100
        sc.profiler_collector.profilers.clear()  # nothing to show when the tests end
    assert marks == [(0, 1683), (1, 1617), (2, 1650)]


class Mine(BasicProfiler):
    def show(self, id):
        print("profile of", id)


def test_a_profiler_of_ones_own_is_used(capsys):
    with SparkContext("local[2]", "own", conf=SparkConf(False).setAll(ON), profiler_cls=Mine,
                      serializer=MarshalSerializer(), batchSize=2) as sc:  # fmt: skip
        rdd = sc.parallelize(list(range(10)), 2).map(costly)
        assert [len(part) for part in rdd.glom().collect()] == [4, 6]
        sc.show_profiles()
        sc.show_profiles()
        assert str(sc.serializer) == "BatchedSerializer(MarshalSerializer(), 2)"
    assert capsys.readouterr().out == "profile of 2\n"


def test_without_the_setting_nothing_is_profiled_and_the_way_is_told():
    with SparkContext("local[1]", "off", conf=SparkConf(False)) as sc:
        assert sc.range(3).count() == 3 and sc.profiler_collector is None
        for ask in (sc.show_profiles, lambda: sc.dump_profiles("x")):
            with pytest.raises(RuntimeError, match=r'conf.set\("spark.python.profile", True\)'):
                ask()


@pytest.mark.parametrize("dump", [False, True])
def test_the_end_of_a_program_shows_its_profiles_or_dumps_them(dump, tmp_path):
    more = f'.set("spark.python.profile.dump", {str(tmp_path / "profiles")!r})' if dump else ""
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(more=more)], capture_output=True, text=True,
                          check=True, timeout=60)  # fmt: skip
    assert done.stderr == ""
    if dump:
        assert done.stdout == "" and os.listdir(tmp_path / "profiles") == ["rdd_1.pstats"]
    else:
        assert "Profile of RDD<id=1>" in done.stdout and "costly" in done.stdout
