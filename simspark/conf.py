"""SparkConf, under the name that PySpark's module has."""

from __future__ import annotations

from simspark.driver.conf import SparkConf

__all__ = ["SparkConf"]
