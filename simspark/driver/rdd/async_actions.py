"""Actions that return at once, with a future."""

from __future__ import annotations

from typing import TypeVar

from simspark.driver.rdd.handle import Handle

T = TypeVar("T")


class AsyncActions(Handle[T]):
    """Actions that run while the program goes on."""
