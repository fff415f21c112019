"""The profilers of a context, and when they show what they have collected."""

from __future__ import annotations

import threading
from typing import Any

from simspark.publib.profilers import MakesAccumulators, Profiler


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
        """A profiler for the tasks of an RDD.

        >>> collector = ProfilerCollector(BasicProfiler, UDFBasicProfiler, MemoryProfiler)
        >>> type(collector.new_profiler(sc)).__name__
        'BasicProfiler'
        """
        return self.profiler_cls(ctx)

    def new_udf_profiler(self, ctx: MakesAccumulators) -> Profiler:
        """A profiler for a function in SQL.

        >>> collector = ProfilerCollector(BasicProfiler, UDFBasicProfiler, MemoryProfiler)
        >>> type(collector.new_udf_profiler(sc)).__name__
        'UDFBasicProfiler'
        """
        return self.udf_profiler_cls(ctx)

    def new_memory_profiler(self, ctx: MakesAccumulators) -> Profiler:
        """A profiler of memory.

        >>> collector = ProfilerCollector(BasicProfiler, UDFBasicProfiler, MemoryProfiler)
        >>> type(collector.new_memory_profiler(sc)).__name__
        'MemoryProfiler'
        """
        return self.memory_profiler_cls(ctx)

    def profiler_of(self, id: int, ctx: MakesAccumulators) -> Profiler:
        """The profiler that collects for an RDD: the one that was made for it and is not shown yet, or a new one.

        >>> collector = ProfilerCollector(BasicProfiler, UDFBasicProfiler, MemoryProfiler)
        >>> collector.profiler_of(3, sc) is collector.profiler_of(3, sc)
        True
        """
        with self._lock:
            for number, profiler, shown in self.profilers:
                if number == id and not shown:
                    found: Profiler = profiler
                    return found
            made = self.new_profiler(ctx)
            self._add(id, made)
        return made

    def add_profiler(self, id: int, profiler: Profiler) -> None:
        """Add a profiler for an RDD; with the first, all are shown, or dumped, when the program ends.

        >>> collector = ProfilerCollector(BasicProfiler, UDFBasicProfiler, MemoryProfiler)
        >>> collector.add_profiler(3, BasicProfiler(sc))
        >>> [(number, shown) for number, _, shown in collector.profilers]
        [(3, False)]
        """
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
        """Write what was collected into a directory, one file for each RDD, and begin anew.

        >>> collector = ProfilerCollector(BasicProfiler, UDFBasicProfiler, MemoryProfiler)
        >>> collector.add_profiler(3, BasicProfiler(sc))
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     collector.dump_profiles(directory)
        >>> collector.profilers
        []
        """
        with self._lock:
            profilers, self.profilers = self.profilers, []
        for number, profiler, _ in profilers:
            profiler.dump(number, path)

    def show_profiles(self) -> None:
        """Show what was collected and was not shown before.

        >>> collector = ProfilerCollector(BasicProfiler, UDFBasicProfiler, MemoryProfiler)
        >>> collector.add_profiler(3, BasicProfiler(sc))
        >>> collector.show_profiles()
        >>> [(number, shown) for number, _, shown in collector.profilers]
        [(3, True)]
        """
        for entry in list(self.profilers):
            number, profiler, shown = entry
            if not shown and profiler:
                entry[2] = True
                profiler.show(number)
