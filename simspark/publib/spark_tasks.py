"""What a task finds of Apache Spark when it runs in one of PySpark's workers instead of an executor of ours.

Such a worker has imported PySpark before any function of the user; where it has not been, this is not Spark.
"""

from __future__ import annotations

import sys
from typing import Any


def spark_task_context(kind: str = "TaskContext") -> Any:
    """PySpark's context of the task that runs here, of this kind; None where no task of Spark's runs."""
    module = sys.modules.get("pyspark.taskcontext")
    return None if module is None else getattr(module, kind).get()


def spark_files() -> Any:
    """PySpark's SparkFiles, in a process that has them; else None."""
    module = sys.modules.get("pyspark.core.files")
    files = getattr(module, "SparkFiles", None)
    return files if files is not None and (files._is_running_on_worker or files._sc is not None) else None
