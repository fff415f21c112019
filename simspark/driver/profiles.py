"""The part of SparkContext that shows where the time of Python functions went."""

from __future__ import annotations

from simspark.driver.running import Running


class Profiles(Running):
    """Profiles of tasks."""
