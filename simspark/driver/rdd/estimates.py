"""Actions that answer about, in bounded time or memory."""

from __future__ import annotations

from typing import TypeVar

from simspark.driver.rdd.handle import Handle

T = TypeVar("T")


class Estimates(Handle[T]):
    """Numbers that are near the truth, and how near."""
