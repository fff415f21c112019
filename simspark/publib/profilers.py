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
        """Call ``func`` in a task and return what it returns, keeping account of where its time goes."""
        raise NotImplementedError

    def stats(self) -> Any:
        """What was collected; None when there is nothing."""
        raise NotImplementedError

    def show(self, id: int) -> None:
        """Write what was collected to the standard output; ``id`` is the RDD's."""
        raise NotImplementedError

    def dump(self, id: int, path: str) -> None:
        """Write what was collected into the directory ``path``; ``id`` is the RDD's."""
        raise NotImplementedError


class PStatsParam(AccumulatorParam["pstats.Stats | None"]):
    """Adds up profiles of cProfile; used as a class.

    >>> PStatsParam.zero(None) is None
    True
    """

    @staticmethod
    def zero(value: pstats.Stats | None) -> None:  # noqa: ARG004 (Spark's name)
        """No profile yet."""
        return

    @staticmethod
    def addInPlace(value1: pstats.Stats | None, value2: pstats.Stats | None) -> pstats.Stats | None:
        """Both together; the first is changed."""
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
        """Call ``func`` in a task under cProfile and return what it returns; what it raises passes through."""
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
        """The sum of all tasks' profiles, a pstats.Stats; None before the first."""
        return self._accumulator.value

    def show(self, id: int) -> None:
        """Write the functions to the standard output, the slowest first."""
        stats = self.stats()
        if stats:
            stats.stream = sys.stdout
            stats.stream.write(f"{RULE}\nProfile of {self.of}<id={id}>\n{RULE}\n")
            stats.sort_stats("time", "cumulative").print_stats()

    def dump(self, id: int, path: str) -> None:
        """Write the profile to the directory ``path``, made if need be, for ``pstats`` and its viewers."""
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
    """The profiler of Python functions in SQL, which simspark has not; here for the signature of SparkContext."""

    of = "UDF"
    file_name = "udf_%d.pstats"


class MemUsageParam(AccumulatorParam["CodeMapDict | None"]):
    """Adds up memory by line; used as a class.

    >>> MemUsageParam.addInPlace({"a.py": [(1, (1.0, 9.0, 1))]}, {"a.py": [(1, (2.0, 9.0, 1)), (2, None)]})
    {'a.py': [(1, (3.0, 18.0, 2)), (2, None)]}
    """

    @staticmethod
    def zero(value: CodeMapDict | None) -> None:  # noqa: ARG004 (Spark's name)
        """No profile yet."""
        return

    @staticmethod
    def addInPlace(value1: CodeMapDict | None, value2: CodeMapDict | None) -> CodeMapDict | None:
        """Both together, line by line."""
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
    """

    def __init__(self, ctx: MakesAccumulators) -> None:
        super().__init__(ctx)
        self._accumulator = ctx.accumulator(None, MemUsageParam())

    def profile(self, sub_lines: list[str] | None, start_line: int | None,  # type: ignore[override]
                func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call ``func`` and return what it returns, keeping account of memory after each of its lines.

        Raises ImportError without memory_profiler.
        """
        profiler = _line_profiler()
        made = profiler(func)(*args, **kwargs)
        self._accumulator.add({name: list(lines) for name, lines in profiler.code_map.items()})
        return made

    def stats(self) -> Any:
        """Memory by line: {file: [(line, (increment, total, occurrences) or None)]}; None before the first."""
        return self._accumulator.value

    def show(self, id: int) -> None:
        """Write memory by line to the standard output."""
        stats = self.stats()
        if stats:
            out = sys.stdout
            out.write(f"{RULE}\nProfile of UDF<id={id}>\n{RULE}\n")
            _show_memory(stats, out)

    def dump(self, id: int, path: str) -> None:
        """Write memory by line to a text file in the directory ``path``, made if need be."""
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


class ProfilerCollector:
    """The profilers of a context: makes them, and shows or writes what they have collected.

    >>> ProfilerCollector(BasicProfiler, UDFBasicProfiler, MemoryProfiler).profilers
    []
    """

    def __init__(self, profiler_cls: type[Profiler], udf_profiler_cls: type[Profiler],
                 memory_profiler_cls: type[Profiler], dump_path: str | None = None) -> None:
        self.profiler_cls = profiler_cls
        self.udf_profiler_cls = udf_profiler_cls
        self.memory_profiler_cls = memory_profiler_cls
        self.profile_dump_path = dump_path
        self.profilers: list[list[Any]] = []
        self._registered = False
        self._lock = threading.Lock()

    def new_profiler(self, ctx: MakesAccumulators) -> Profiler:
        """A profiler for the tasks of an RDD."""
        return self.profiler_cls(ctx)

    def new_udf_profiler(self, ctx: MakesAccumulators) -> Profiler:
        """A profiler for a function in SQL."""
        return self.udf_profiler_cls(ctx)

    def new_memory_profiler(self, ctx: MakesAccumulators) -> Profiler:
        """A profiler of memory."""
        return self.memory_profiler_cls(ctx)

    def profiler_of(self, id: int, ctx: MakesAccumulators) -> Profiler:
        """The profiler that collects for an RDD: the one that was made for it and is not shown yet, or a new one."""
        with self._lock:
            for number, profiler, shown in self.profilers:
                if number == id and not shown:
                    found: Profiler = profiler
                    return found
            made = self.new_profiler(ctx)
            self._add(id, made)
        return made

    def add_profiler(self, id: int, profiler: Profiler) -> None:
        """Add a profiler for an RDD; with the first, all are shown, or dumped, when the program ends."""
        with self._lock:
            self._add(id, profiler)

    def _add(self, id: int, profiler: Profiler) -> None:
        if not self._registered:
            import atexit

            self._registered = True
            atexit.register(self._at_exit)
        self.profilers.append([id, profiler, False])

    def _at_exit(self) -> None:
        if self.profile_dump_path:
            self.dump_profiles(self.profile_dump_path)
        else:
            self.show_profiles()

    def dump_profiles(self, path: str) -> None:
        """Write what was collected into a directory, one file for each RDD, and begin anew."""
        with self._lock:
            profilers, self.profilers = self.profilers, []
        for number, profiler, _ in profilers:
            profiler.dump(number, path)

    def show_profiles(self) -> None:
        """Show what was collected and was not shown before."""
        for entry in list(self.profilers):
            number, profiler, shown = entry
            if not shown and profiler:
                entry[2] = True
                profiler.show(number)
