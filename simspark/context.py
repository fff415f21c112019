"""SparkContext, under the name that PySpark's module has."""

from __future__ import annotations

from simspark.driver.context import SparkContext

__all__ = ["SparkContext"]
