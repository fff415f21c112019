"""The door for programs that make a SparkSession to have its SparkContext; see SparkSession. There is no SQL here."""

from __future__ import annotations

from typing import Any

from simspark.driver.sql import SparkSession, needs_sql
from simspark.publib.row import Row

__all__ = ["Row", "SparkSession"]

_SPARKS = frozenset((
    "Column", "DataFrame", "DataFrameNaFunctions", "DataFrameReader", "DataFrameStatFunctions", "DataFrameWriter",
    "DataFrameWriterV2", "GroupedData", "HiveContext", "MergeIntoWriter", "Observation", "PandasCogroupedOps",
    "SQLContext", "UDFRegistration", "UDTFRegistration", "VariantVal", "Window", "WindowSpec",
))  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _SPARKS:
        raise needs_sql(f"pyspark.sql.{name}")
    raise AttributeError(f"module 'simspark.sql' has no attribute {name!r}")
