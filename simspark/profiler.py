"""Profilers, under the names that PySpark's module has."""

from __future__ import annotations

from simspark.driver.profile_collector import ProfilerCollector
from simspark.publib.profilers import (
    BasicProfiler,
    MemoryProfiler,
    MemUsageParam,
    Profiler,
    PStatsParam,
    UDFBasicProfiler,
)

__all__ = [
    "BasicProfiler",
    "MemUsageParam",
    "MemoryProfiler",
    "PStatsParam",
    "Profiler",
    "ProfilerCollector",
    "UDFBasicProfiler",
]
