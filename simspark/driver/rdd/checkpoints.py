"""Lineage cut by saving the rows: checkpoints."""

from __future__ import annotations

from typing import TypeVar

from simspark.driver.rdd.handle import Handle

T = TypeVar("T")


class Checkpoints(Handle[T]):
    """Rows saved so that their lineage can be forgotten."""
