"""RDDs, and the hash that places their keys, under the names that PySpark 4's module has."""

from __future__ import annotations

from simspark.driver.rdd.barriers import RDDBarrier
from simspark.driver.rdd.core import RDD
from simspark.publib.hashing import portable_hash
from simspark.publib.lineage.bounded_float import BoundedFloat
from simspark.publib.lineage.partitioner import Partitioner

__all__ = ["RDD", "BoundedFloat", "Partitioner", "RDDBarrier", "portable_hash"]
