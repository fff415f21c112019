"""The part of SparkContext that brings the program's files and modules to the executors."""

from __future__ import annotations

from simspark.driver.running import Running


class Shipping(Running):
    """Files, archives and Python modules for tasks."""
