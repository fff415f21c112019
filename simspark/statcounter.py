"""StatCounter, under the name that PySpark's module has."""

from __future__ import annotations

from simspark.publib.lineage.stat_counter import StatCounter

__all__ = ["StatCounter"]
