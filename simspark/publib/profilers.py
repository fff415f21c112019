"""Profilers: where the time of Python functions goes, task by task, summed in the driver by accumulators.

A profiler is made in the driver, one for each RDD that a stage ends with, and travels with the stage's program; its
``profile`` runs around a task. What it adds to its accumulator counts once for each task that is accepted. Modules that
only profiling needs are imported by it: nothing here costs anything while it is off.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, Protocol

from simspark.publib.lineage.shared import Accumulator, AccumulatorParam

if TYPE_CHECKING:
    import pstats

MemoryTuple = tuple[float, float, int]
LineProfile = tuple[int, MemoryTuple | None]
CodeMapDict = dict[str, list[LineProfile]]

RULE = "=" * 60
_MEMORY_ROW = "{0:>6} {1:>12} {2:>12}  {3:>10}   {4:<}"
# From Python 3.12 on, an interpreter has room for one profile at a time, whatever its threads do.
_PROFILED = threading.Lock()
ONE_AT_A_TIME = sys.version_info >= (3, 12)


class MakesAccumulators(Protocol):
    """What a profiler asks of the context that it is made for."""

    def accumulator(self, value: Any, accum_param: AccumulatorParam[Any] | None = None) -> Accumulator[Any]:
        """See SparkContext."""
        ...


class Profiler:
    """How to write a profiler of one's own: subclass BasicProfiler, or this. Chosen by ``SparkContext(profiler_cls)``.

    It needs ``profile`` (runs in tasks), ``stats``, ``show`` and ``dump`` (in the driver).

    >>> from simspark import BasicProfiler, SparkConf, SparkContext
    >>> class Brief(BasicProfiler):
    ...     def show(self, id):
    ...         print("calls were made:", self.stats().total_calls > 100)
    >>> conf = SparkConf(False).set("spark.python.profile", True)
    >>> with SparkContext("local[2]", "profiled", conf=conf, profiler_cls=Brief) as sc:
    ...     total = sc.parallelize(range(100)).map(lambda x: x + 1).sum()
    ...     sc.show_profiles()
    calls were made: True
    """

    def __init__(self, ctx: MakesAccumulators) -> None:
        pass

    def profile(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call ``func`` in a task and return what it returns, keeping account of where its time goes.

        >>> class Calls(Profiler):
        ...     def profile(self, func, *args, **kwargs):
        ...         return func(*args, **kwargs)
        >>> Calls(sc).profile(max, 1, 2)
        2
        """
        raise NotImplementedError

    def stats(self) -> Any:
        """What was collected; None when there is nothing.

        >>> BasicProfiler(sc).stats() is None
        True
        """
        raise NotImplementedError

    def show(self, id: int) -> None:
        """Write what was collected to the standard output; ``id`` is the RDD's.

        >>> BasicProfiler(sc).show(1)
        """
        raise NotImplementedError

    def dump(self, id: int, path: str) -> None:
        """Write what was collected into the directory ``path``; ``id`` is the RDD's.

        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     BasicProfiler(sc).dump(1, directory)
        ...     os.listdir(directory)
        []
        """
        raise NotImplementedError


class PStatsParam(AccumulatorParam[Any]):
    """Adds up profiles of cProfile; used as a class.

    >>> PStatsParam.zero(None) is None
    True
    """

    @staticmethod
    def zero(value: pstats.Stats | None) -> None:  # noqa: ARG004 (Spark's name)
        """No profile yet.

        >>> PStatsParam.zero(None) is None
        True
        """
        return

    @staticmethod
    def addInPlace(value1: pstats.Stats | None, value2: pstats.Stats | None) -> pstats.Stats | None:
        """Both together; the first is changed.

        >>> PStatsParam.addInPlace(None, None) is None
        True
        """
        if value1 is None or value2 is None:
            return value1 or value2
        value1.add(value2)
        return value1


class BasicProfiler(Profiler):
    """Profiles tasks with cProfile: the calls of each function, and the time in them.

    In an executor that runs several tasks at once, on Python 3.12 and later, those that start while another is profiled
    are not: there is one profile at a time in a process.

    >>> import contextlib, io
    >>> from simspark import SparkConf, SparkContext
    >>> conf = SparkConf(False).set("spark.python.profile", True)
    >>> shown = io.StringIO()
    >>> with SparkContext("local[2]", "profiled", conf=conf) as sc:
    ...     total = sc.parallelize(range(100)).map(lambda x: x + 1).sum()
    ...     with contextlib.redirect_stdout(shown):
    ...         sc.show_profiles()
    >>> "Profile of RDD<id=" in shown.getvalue(), "<lambda>" in shown.getvalue()
    (True, True)
    """

    of = "RDD"
    file_name = "rdd_%d.pstats"

    def __init__(self, ctx: MakesAccumulators) -> None:
        super().__init__(ctx)
        self._accumulator = ctx.accumulator(None, PStatsParam())

    def profile(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call ``func`` in a task under cProfile and return what it returns; what it raises passes through.

        >>> profiler = BasicProfiler(sc)
        >>> profiler.profile(sorted, [2, 1])
        [1, 2]
        """
        if ONE_AT_A_TIME and not _PROFILED.acquire(blocking=False):
            return func(*args, **kwargs)
        import cProfile

        profile = cProfile.Profile()
        try:
            profile.enable()
            made = func(*args, **kwargs)
        finally:
            profile.disable()
            if ONE_AT_A_TIME:
                _PROFILED.release()
        self._accumulator.add(_portable(profile))
        return made

    def stats(self) -> Any:
        """The sum of all tasks' profiles, a pstats.Stats; None before the first.

        >>> profiler = BasicProfiler(sc)
        >>> profiler.profile(sorted, [2, 1])
        [1, 2]
        >>> any(name.endswith("sorted>") for _, _, name in profiler.stats().stats)
        True
        """
        return self._accumulator.value

    def show(self, id: int) -> None:
        """Write the functions to the standard output, the slowest first.

        >>> profiler = BasicProfiler(sc)
        >>> profiler.profile(sorted, [2, 1])
        [1, 2]
        >>> profiler.show(7)
        ============================================================
        Profile of RDD<id=7>
        ============================================================
        ...
        """
        stats = self.stats()
        if stats:
            stats.stream = sys.stdout
            stats.stream.write(f"{RULE}\nProfile of {self.of}<id={id}>\n{RULE}\n")
            stats.sort_stats("time", "cumulative").print_stats()

    def dump(self, id: int, path: str) -> None:
        """Write the profile to the directory ``path``, made if need be, for ``pstats`` and its viewers.

        >>> import os, tempfile
        >>> profiler = BasicProfiler(sc)
        >>> profiler.profile(sorted, [2, 1])
        [1, 2]
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     profiler.dump(7, directory)
        ...     os.listdir(directory)
        ['rdd_7.pstats']
        """
        os.makedirs(path, exist_ok=True)
        stats = self.stats()
        if stats:
            stats.dump_stats(os.path.join(path, self.file_name % id))


def _portable(profile: Any) -> pstats.Stats:
    """A profile that can travel: without its stream, and with the names of files instead of their paths."""
    import pstats

    stats = pstats.Stats(profile)
    stats.stream = None  # type: ignore[attr-defined] # a file cannot be pickled
    return stats.strip_dirs()


class UDFBasicProfiler(BasicProfiler):
    """The profiler of Python functions in SQL, which simspark has not; here for the signature of SparkContext.

    >>> UDFBasicProfiler(sc).stats() is None
    True
    """

    of = "UDF"
    file_name = "udf_%d.pstats"


class MemUsageParam(AccumulatorParam[Any]):
    """Adds up memory by line; used as a class.

    >>> MemUsageParam.addInPlace({"a.py": [(1, (1.0, 9.0, 1))]}, {"a.py": [(1, (2.0, 9.0, 1)), (2, None)]})
    {'a.py': [(1, (3.0, 18.0, 2)), (2, None)]}
    """

    @staticmethod
    def zero(value: CodeMapDict | None) -> None:  # noqa: ARG004 (Spark's name)
        """No profile yet.

        >>> MemUsageParam.zero({}) is None
        True
        """
        return

    @staticmethod
    def addInPlace(value1: CodeMapDict | None, value2: CodeMapDict | None) -> CodeMapDict | None:
        """Both together, line by line.

        >>> MemUsageParam.addInPlace(None, {"a.py": [(1, None)]})
        {'a.py': [(1, None)]}
        """
        if not value1 or not value2:
            return value1 or value2
        return {name: _added_lines(value1.get(name, []), value2.get(name, [])) for name in {**value1, **value2}}


def _added_lines(left: list[LineProfile], right: list[LineProfile]) -> list[LineProfile]:
    lines = dict(left)
    for number, usage in right:
        before = lines.get(number)
        if before is not None and usage is not None:
            lines[number] = (before[0] + usage[0], before[1] + usage[1], before[2] + usage[2])
        else:
            lines[number] = before or usage
    return list(lines.items())


class MemoryProfiler(Profiler):
    """Memory by line, with the package memory_profiler: for functions that are given to it one by one.

    As in PySpark, it is not for RDDs: there its place in SparkContext is for Python functions in SQL.

    >>> MemoryProfiler(sc).stats() is None
    True
    """

    def __init__(self, ctx: MakesAccumulators) -> None:
        super().__init__(ctx)
        self._accumulator = ctx.accumulator(None, MemUsageParam())

    def profile(self, sub_lines: list[str] | None, start_line: int | None,  # type: ignore[override]
                func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call ``func`` and return what it returns, keeping account of memory after each of its lines.

        Raises ImportError without memory_profiler.

        >>> import importlib.util
        >>> profiler = MemoryProfiler(sc)
        >>> if importlib.util.find_spec("memory_profiler"):
        ...     assert profiler.profile(None, None, sorted, [2, 1]) == [1, 2]
        """
        profiler = _line_profiler()
        made = profiler(func)(*args, **kwargs)
        self._accumulator.add({name: list(lines) for name, lines in profiler.code_map.items()})
        return made

    def stats(self) -> Any:
        """Memory by line: {file: [(line, (increment, total, occurrences) or None)]}; None before the first.

        >>> MemoryProfiler(sc).stats() is None
        True
        """
        return self._accumulator.value

    def show(self, id: int) -> None:
        """Write memory by line to the standard output.

        >>> MemoryProfiler(sc).show(1)
        """
        stats = self.stats()
        if stats:
            out = sys.stdout
            out.write(f"{RULE}\nProfile of UDF<id={id}>\n{RULE}\n")
            _show_memory(stats, out)

    def dump(self, id: int, path: str) -> None:
        """Write memory by line to a text file in the directory ``path``, made if need be.

        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     MemoryProfiler(sc).dump(1, directory)
        ...     os.listdir(directory)
        []
        """
        os.makedirs(path, exist_ok=True)
        stats = self.stats()
        if stats:
            with open(os.path.join(path, f"udf_{id}_memory.txt"), "w", encoding="utf-8") as file:
                _show_memory(stats, file)


def _line_profiler() -> Any:
    try:
        from memory_profiler import CodeMap, LineProfiler
    except ImportError:
        raise ImportError(
            "MemoryProfiler needs memory_profiler, which is not installed here: pip install memory-profiler"
        ) from None
    profiler = LineProfiler()
    profiler.code_map = CodeMap(include_children=False, backend="psutil")
    return profiler


def _show_memory(code_map: CodeMapDict, out: IO[str]) -> None:
    import linecache

    header = _MEMORY_ROW.format("Line #", "Mem usage", "Increment", "Occurrences", "Line Contents")
    for name, lines in code_map.items():
        out.write(f"Filename: {name}\n\n{header}\n{'=' * len(header)}\n")
        known = dict(lines)
        for number in range(min(known), max(known) + 1) if known else ():
            out.write(_memory_row(number, known.get(number), linecache.getline(name, number)))
        out.write("\n\n")


def _memory_row(number: int, usage: MemoryTuple | None, text: str) -> str:
    if usage is None:
        return _MEMORY_ROW.format(number, "", "", "", text)
    increment, total, times = usage
    return _MEMORY_ROW.format(number, f"{total:5.1f} MiB", f"{increment:5.1f} MiB", times, text)
