"""The work that is measured: a module for each, with the same program for every engine.

A module says what it is (``TITLE``), what is aimed at (``GOAL``), and has a function for each engine:
``rdd(sc, given)`` for simspark and PySpark, ``floor(given)``, ``dask(client, given)`` and ``ray(ray, given)``. Such a
function gets ready (data that a program would have in its hands, cached partitions) and returns the job that is timed.
``prepare(given)`` writes files that all engines read. ``summarize(result)`` makes a large result comparable, off the
clock. A module with ``script(engine, master)`` instead is a whole program, timed from outside.
"""

from __future__ import annotations

import os
from typing import NamedTuple


class Goal(NamedTuple):
    """What simspark's time is measured by: parts of PySpark's time and of the floor's, and peak memory.

    ``of_local``: what a cluster on the same machine may take of the time without one.
    """

    of_pyspark: float
    of_floor: float
    peak_mb: int = 0
    of_local: float = 1.25


class Given(NamedTuple):
    """How large everything is, and where the files are."""

    directory: str
    scale: float

    def size(self, full: int, least: int = 2) -> int:
        """A number of rows, at this scale."""
        return max(least, int(full * self.scale))

    def path(self, name: str) -> str:
        """A file that ``prepare`` writes."""
        return os.path.join(self.directory, name)


NAMES = (
    "start_up",
    "no_op_tasks",
    "small_jobs",
    "sum_of_list",
    "sum_of_range",
    "pi",
    "word_count",
    "reduce_by_key",
    "group_by_key",
    "sort_by_key",
    "join",
    "page_rank",
    "logistic_regression",
    "collect",
    "broadcast",
)
