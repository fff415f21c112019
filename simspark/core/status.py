"""What runs, in the words of PySpark's module of this name."""

from __future__ import annotations

from simspark.driver.status import SparkExecutorInfo, SparkJobInfo, SparkStageInfo, StatusTracker

__all__ = ["SparkExecutorInfo", "SparkJobInfo", "SparkStageInfo", "StatusTracker"]
