"""What needs Hadoop's classes, and so Spark itself."""

from __future__ import annotations

from typing import TypeVar

from simspark.driver.rdd.handle import Handle

T = TypeVar("T")


class HadoopFormats(Handle[T]):
    """Output formats that only Spark can write."""


class HadoopSources:
    """Input formats that only Spark can read."""
