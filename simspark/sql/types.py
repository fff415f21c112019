"""Spark SQL's types of columns, which simspark has not: to import this module says how to have them."""

from __future__ import annotations

from simspark.driver.sql import needs_sql

raise ImportError(str(needs_sql("pyspark.sql.types")))
