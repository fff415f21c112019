"""PySpark's SparkSession on the context of the program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import SparkSession


def session(options: Mapping[str, Any]) -> Any:
    """The session of the running context, with these settings; its RDDs and DataFrames are PySpark's own."""
    builder = SparkSession.builder
    for key, value in options.items():
        if key != "spark.master":  # the context has it, and is running
            builder = builder.config(key, value)
    return builder.getOrCreate()
