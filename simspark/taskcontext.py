"""What a task may ask about itself, under the names that PySpark's module has."""

from __future__ import annotations

from simspark.publib.lineage.task_context import BarrierTaskContext, BarrierTaskInfo, TaskContext

__all__ = ["BarrierTaskContext", "BarrierTaskInfo", "TaskContext"]
