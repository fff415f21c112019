"""SparkFiles, under the name that PySpark's module has."""

from __future__ import annotations

from simspark.publib.lineage.spark_files import SparkFiles

__all__ = ["SparkFiles"]
