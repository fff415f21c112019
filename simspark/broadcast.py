"""Broadcast, under the name that PySpark's module has."""

from __future__ import annotations

from simspark.publib.lineage.shared import Broadcast

__all__ = ["Broadcast"]
