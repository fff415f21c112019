"""SparkContext, under the name that PySpark 4's module has."""

from __future__ import annotations

from simspark.driver.context import SparkContext

__all__ = ["SparkContext"]
