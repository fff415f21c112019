"""What Spark's workers get of simspark: all of it, and of what tasks mention nothing that they lack."""

from __future__ import annotations

import subprocess
import sys

import pytest

from simspark.publib.spark_tasks import spark_files, spark_task_context
from simspark.spark_engine.bundle import write_bundle

pytestmark = pytest.mark.unit

MENTIONED = (
    "Accumulator", "AccumulatorParam", "Broadcast", "ResultIterable", "StatCounter", "StorageLevel", "TaskContext",
    "SimsparkError", "SparkConf",
)  # fmt: skip


def test_what_closures_mention_works_from_the_zip_with_the_standard_library_alone(tmp_path):
    bundle = write_bundle(str(tmp_path))
    code = f"import sys; sys.path.append({bundle!r}); from simspark import {', '.join(MENTIONED)}; print(Broadcast)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout) == ("", "<class 'simspark.publib.lineage.shared.Broadcast'>\n")


def test_where_spark_is_not_there_is_no_task_of_sparks(monkeypatch):
    for module in ("pyspark.taskcontext", "pyspark.core.files"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    assert spark_task_context() is None
    assert spark_files() is None
