"""The part of SparkContext that shows where the time of Python functions went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simspark.driver.profile_collector import ProfilerCollector
from simspark.driver.running import Running
from simspark.publib.profilers import BasicProfiler, MemoryProfiler, Profiler, UDFBasicProfiler

if TYPE_CHECKING:
    from simspark.driver.conf import DriverSettings
    from simspark.driver.rdd.sources import Sources
    from simspark.publib.lineage.program import Program

ProfilerClasses = tuple[type[Profiler], type[Profiler], type[Profiler]]
PROFILER_CLASSES: ProfilerClasses = (BasicProfiler, UDFBasicProfiler, MemoryProfiler)


class Profiles(Running):
    """Profiles of tasks, one for each RDD that a stage ends with."""

    profiler_collector: ProfilerCollector | None = None

    def show_profiles(self) -> None:
        """Write the profiles of tasks to the standard output; those not shown before.

        With ``spark.python.profile`` set to true, each stage's tasks run under a profiler, and this happens by itself
        when the program ends. ``<id>`` is that of the RDD whose rows the stage made. Raises RuntimeError without it.

        >>> from simspark import SparkConf, SparkContext
        >>> conf = SparkConf(False).set("spark.python.profile", True)
        >>> with SparkContext("local[2]", "profiled", conf=conf) as sc:
        ...     total = sc.range(100).map(lambda x: x + 1).sum()
        ...     sc.show_profiles()
        ============================================================
        Profile of RDD<id=1>
        ============================================================
        ...
        """
        self._collector().show_profiles()

    def dump_profiles(self, path: str) -> None:
        """Write the profiles of tasks into a directory, a ``rdd_<id>.pstats`` for each RDD, and begin anew.

        With ``spark.python.profile.dump`` naming a directory, this happens by itself when the program ends. Raises
        RuntimeError unless ``spark.python.profile`` is true.

        >>> import os, tempfile
        >>> from simspark import SparkConf, SparkContext
        >>> conf = SparkConf(False).set("spark.python.profile", True)
        >>> with SparkContext("local[2]", "profiled", conf=conf) as sc, tempfile.TemporaryDirectory() as directory:
        ...     total = sc.range(100).map(lambda x: x + 1).sum()
        ...     sc.dump_profiles(directory)
        ...     os.listdir(directory)
        ['rdd_1.pstats']
        """
        self._collector().dump_profiles(path)

    def _collector(self) -> ProfilerCollector:
        if self.profiler_collector is None:
            raise RuntimeError(
                "Nothing is profiled: set spark.python.profile (or spark.python.profile.memory) to true in the "
                'SparkConf of the context: conf.set("spark.python.profile", True). (SS100)'
            )
        return self.profiler_collector

    def _start_profiling(self, settings: DriverSettings, classes: ProfilerClasses) -> None:
        if settings.profile or settings.profile_memory:
            self.profiler_collector = ProfilerCollector(*classes, settings.profile_dump or None)


def profiled_program(collector: ProfilerCollector, context: Sources, program: Program, rdd: int) -> Program:
    """A stage's program under the profiler of the RDD that it makes the rows of."""
    from simspark.publib.lineage.profiling import profiled

    return profiled(program, collector.profiler_of(rdd, context))
