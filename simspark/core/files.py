"""SparkFiles, under the name that PySpark 4's module has."""

from __future__ import annotations

from simspark.publib.lineage.spark_files import SparkFiles

__all__ = ["SparkFiles"]
