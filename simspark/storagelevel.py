"""StorageLevel, under the name that PySpark's module has."""

from __future__ import annotations

from simspark.publib.lineage.storage_level import StorageLevel

__all__ = ["StorageLevel"]
