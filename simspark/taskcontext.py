"""What a task may ask about itself, under the names that PySpark's module has."""

from __future__ import annotations

from simspark.publib.lineage.shared import TaskContext

__all__ = ["TaskContext"]
