"""Spark's RDD programming model, all in Python: one program from a laptop to a cluster.

>>> from simspark import SparkConf
>>> SparkConf(False).setMaster("local[2]").get("spark.master")
'local[2]'

Names are imported when they are first used, so that ``import simspark`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simspark._version import __version__

if TYPE_CHECKING:
    from simspark.driver.conf import SparkConf
    from simspark.driver.context import SimContext, SparkContext
    from simspark.driver.future_action import FutureAction
    from simspark.driver.rdd.barriers import RDDBarrier
    from simspark.driver.rdd.core import RDD
    from simspark.driver.status import SparkExecutorInfo, SparkJobInfo, SparkStageInfo, StatusTracker
    from simspark.driver.threads import InheritableThread, inheritable_thread_target
    from simspark.publib.errors import (
        AccessRefused,
        BarrierError,
        ClusterError,
        ConfigError,
        ContextStopped,
        JobCancelled,
        JobError,
        JobFailed,
        NoMaster,
        NotEnoughResources,
        NotSerializable,
        RemoteFailure,
        ResultTooLarge,
        SimsparkError,
        UserError,
        WorkerLost,
    )
    from simspark.publib.lineage.shared import (
        Accumulator,
        AccumulatorParam,
        Broadcast,
        ResultIterable,
    )
    from simspark.publib.lineage.spark_files import SparkFiles
    from simspark.publib.lineage.stat_counter import StatCounter
    from simspark.publib.lineage.storage_level import StorageLevel
    from simspark.publib.lineage.task_context import BarrierTaskContext, BarrierTaskInfo, TaskContext
    from simspark.publib.profilers import BasicProfiler, Profiler
    from simspark.publib.serializers import CPickleSerializer, MarshalSerializer

_ERRORS = "simspark.publib.errors"
_SHARED = "simspark.publib.lineage.shared"
_CONTEXT = "simspark.publib.lineage.task_context"
_PROFILERS = "simspark.publib.profilers"
_SERIALIZERS = "simspark.publib.serializers"
_HOME = {
    "AccessRefused": _ERRORS,
    "Accumulator": _SHARED,
    "AccumulatorParam": _SHARED,
    "BarrierError": _ERRORS,
    "BarrierTaskContext": _CONTEXT,
    "BarrierTaskInfo": _CONTEXT,
    "BasicProfiler": _PROFILERS,
    "Broadcast": _SHARED,
    "CPickleSerializer": _SERIALIZERS,
    "ClusterError": _ERRORS,
    "ConfigError": _ERRORS,
    "ContextStopped": _ERRORS,
    "FutureAction": "simspark.driver.future_action",
    "InheritableThread": "simspark.driver.threads",
    "JobCancelled": _ERRORS,
    "JobError": _ERRORS,
    "JobFailed": _ERRORS,
    "MarshalSerializer": _SERIALIZERS,
    "NoMaster": _ERRORS,
    "NotEnoughResources": _ERRORS,
    "NotSerializable": _ERRORS,
    "Profiler": _PROFILERS,
    "RDD": "simspark.driver.rdd.core",
    "RDDBarrier": "simspark.driver.rdd.barriers",
    "RemoteFailure": _ERRORS,
    "ResultIterable": _SHARED,
    "ResultTooLarge": _ERRORS,
    "Row": "simspark.publib.row",
    "SimContext": "simspark.driver.context",
    "SimsparkError": _ERRORS,
    "SparkConf": "simspark.driver.conf",
    "SparkContext": "simspark.driver.context",
    "SparkExecutorInfo": "simspark.driver.status",
    "SparkFiles": "simspark.publib.lineage.spark_files",
    "SparkJobInfo": "simspark.driver.status",
    "SparkStageInfo": "simspark.driver.status",
    "StatCounter": "simspark.publib.lineage.stat_counter",
    "StatusTracker": "simspark.driver.status",
    "StorageLevel": "simspark.publib.lineage.storage_level",
    "TaskContext": _CONTEXT,
    "UserError": _ERRORS,
    "WorkerLost": _ERRORS,
    "inheritable_thread_target": "simspark.driver.threads",
}

__all__ = [
    "RDD",
    "AccessRefused",
    "Accumulator",
    "AccumulatorParam",
    "BarrierError",
    "BarrierTaskContext",
    "BarrierTaskInfo",
    "BasicProfiler",
    "Broadcast",
    "CPickleSerializer",
    "ClusterError",
    "ConfigError",
    "ContextStopped",
    "FutureAction",
    "InheritableThread",
    "JobCancelled",
    "JobError",
    "JobFailed",
    "MarshalSerializer",
    "NoMaster",
    "NotEnoughResources",
    "NotSerializable",
    "Profiler",
    "RDDBarrier",
    "RemoteFailure",
    "ResultIterable",
    "ResultTooLarge",
    "SimContext",
    "SimsparkError",
    "SparkConf",
    "SparkContext",
    "SparkExecutorInfo",
    "SparkFiles",
    "SparkJobInfo",
    "SparkStageInfo",
    "StatCounter",
    "StatusTracker",
    "StorageLevel",
    "TaskContext",
    "UserError",
    "WorkerLost",
    "__version__",
    "inheritable_thread_target",
]


# Modules that are there after `import simspark`, as PySpark's are after `import pyspark`.
_MODULES = frozenset((
    "accumulators", "broadcast", "cloudpickle", "conf", "context", "core", "files", "join", "profiler", "rdd",
    "resource", "resultiterable", "serializers", "sql", "statcounter", "status", "storagelevel", "taskcontext", "util",
    "version",
))  # fmt: skip


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None and name not in _MODULES:
        raise AttributeError(f"module 'simspark' has no attribute {name!r}")
    from importlib import import_module

    value = import_module(f"simspark.{name}") if home is None else getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
