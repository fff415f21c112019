"""Stages whose tasks run all at once, and what tasks need beside a core."""

from __future__ import annotations

from typing import TypeVar

from simspark.driver.rdd.handle import Handle

T = TypeVar("T")


class Barriers(Handle[T]):
    """Barrier stages and resource profiles."""
