"""How many cores and how much memory this process may use: the machine's, or what a cgroup leaves of it."""

from __future__ import annotations

import os

CGROUP = "/sys/fs/cgroup"
_FALLBACK_MEMORY_BYTES = 1 << 30
INTERPRETER_BYTES = 24 << 20
MOST_FETCHED_BYTES = 48 << 20
TASKS_SHARE = 0.5
CACHE_SHARE = 0.35
"""Of what the interpreter leaves. What is held is estimated and encoded in part while it is held: hence the rest."""


def usable_cores(cgroup: str = CGROUP) -> int:
    """Cores that this process is allowed to run on, at least one."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux has affinities
        allowed = os.cpu_count() or 1
    quota, _, period = _read(os.path.join(cgroup, "cpu.max")).partition(" ")
    if quota.isdigit() and period.strip().isdigit():
        allowed = min(allowed, -(-int(quota) // int(period)))
    return max(1, allowed)


def usable_memory_bytes(cgroup: str = CGROUP) -> int:
    """Memory that this process may fill: the machine's, or the limit of its cgroup."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        memory = _FALLBACK_MEMORY_BYTES
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        limit = _read(os.path.join(cgroup, name)).strip()
        if limit.isdigit():
            memory = min(memory, int(limit))
    return memory


def tasks_bytes(executor_bytes: int) -> int:
    """How much the rows that tasks of an executor hold may take, where the executor may take so much."""
    return int(_for_rows(executor_bytes) * TASKS_SHARE)


def cache_bytes(executor_bytes: int) -> int:
    """How much the partitions that an executor keeps in memory may take."""
    return int(_for_rows(executor_bytes) * CACHE_SHARE)


def fetch_bytes(executor_bytes: int) -> int:
    """How much of what others keep may be on its way to an executor; 0 stands for an executor without a limit."""
    return min(MOST_FETCHED_BYTES, _for_rows(executor_bytes) // 8) if executor_bytes else MOST_FETCHED_BYTES


def _for_rows(executor_bytes: int) -> int:
    return max(executor_bytes - INTERPRETER_BYTES, executor_bytes // 2)


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""
