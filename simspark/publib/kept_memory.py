"""How much free memory glibc keeps in executors, so that the next task need not ask the system for it page by page.

By itself glibc gives memory back as soon as a few MiB at the end of its heap are free, and maps large blocks anew until
it has seen some. A task that makes arrays of a MiB and drops them then faults in each page of them each time: a third
of its time. The bounds below are in between what glibc begins with and where it would get to by itself.
"""

from __future__ import annotations

from collections.abc import MutableMapping

TUNABLES = "GLIBC_TUNABLES"
MAPPED_FROM_BYTES = 16 << 20
KEPT_BYTES = 32 << 20
KEPT = f"glibc.malloc.mmap_threshold={MAPPED_FROM_BYTES}:glibc.malloc.trim_threshold={KEPT_BYTES}"
_OWN_WORDS = ("glibc.malloc.mmap_threshold", "glibc.malloc.trim_threshold")
_OLD_NAMES = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_")


def ask_to_keep(environment: MutableMapping[str, str]) -> None:
    """Have a process that starts with this environment keep memory. A user who has said how much is left alone."""
    said = environment.get(TUNABLES, "")
    if not any(word in said for word in _OWN_WORDS) and not any(name in environment for name in _OLD_NAMES):
        environment[TUNABLES] = f"{said}:{KEPT}" if said else KEPT


def forget_to_keep(environment: MutableMapping[str, str]) -> None:
    """For a process that has started so: what it starts itself shall not inherit it."""
    said = environment.get(TUNABLES, "")
    if not said.endswith(KEPT):
        return
    rest = said.removesuffix(KEPT).removesuffix(":")
    if rest:
        environment[TUNABLES] = rest
    else:
        del environment[TUNABLES]
