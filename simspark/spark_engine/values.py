"""Values that a program hands to PySpark, or gets from it, where the two libraries have one each."""

from __future__ import annotations

from typing import Any

from pyspark import profiler as spark_profilers
from pyspark import resource as spark_resource
from pyspark import serializers as spark_serializers
from pyspark.rdd import portable_hash as spark_portable_hash
from pyspark.storagelevel import StorageLevel as SparkStorageLevel

from simspark.publib.hashing import portable_hash
from simspark.publib.lineage.storage_level import StorageLevel
from simspark.publib.profilers import Profiler
from simspark.publib.resource_profiles import ResourceProfile
from simspark.publib.serializers import Serializer

PARTS = ("useDisk", "useMemory", "useOffHeap", "deserialized", "replication")


def to_spark(value: Any) -> Any:
    """PySpark's twin of one of simspark's values; other values, and subclasses of the user's own, stay as they are."""
    if value is portable_hash:  # equal functions place keys alike, which saves shuffles
        return spark_portable_hash
    if isinstance(value, StorageLevel):
        return SparkStorageLevel(*(getattr(value, part) for part in PARTS))
    if isinstance(value, ResourceProfile):
        return _profile(value)
    if isinstance(value, Serializer) and _is_simsparks(type(value)):
        return _serializer(value)
    if isinstance(value, type) and issubclass(value, Profiler) and _is_simsparks(value):
        return getattr(spark_profilers, value.__name__, value)
    return value


def from_spark(value: Any) -> Any:
    """Simspark's twin of one of PySpark's values; other values stay as they are."""
    if type(value) is SparkStorageLevel:
        return StorageLevel(*(getattr(value, part) for part in PARTS))
    return value


def _is_simsparks(kind: type) -> bool:
    return kind.__module__.startswith("simspark.publib.")


def _profile(profile: ResourceProfile) -> Any:
    """One that asks for the same. Spark numbers it anew."""
    asked = profile.executorResources.items(), profile.taskResources.items()
    executor = {name: spark_resource.ExecutorResourceRequest(
        each.resourceName, each.amount, each.discoveryScript, each.vendor) for name, each in asked[0]}  # fmt: skip
    task = {name: spark_resource.TaskResourceRequest(each.resourceName, each.amount) for name, each in asked[1]}
    return spark_resource.ResourceProfile(_exec_req=executor, _task_req=task)


def _serializer(value: Any) -> Any:
    """One of the same name; those that wrap another have it, and a size, as attributes of the same names."""
    kind = getattr(spark_serializers, type(value).__name__)
    sizes = [vars(value)[name] for name in ("batchSize", "bestSize") if vars(value).get(name) is not None]
    inner = getattr(value, "serializer", None)
    return kind() if inner is None else kind(to_spark(inner), *sizes[-1:])
