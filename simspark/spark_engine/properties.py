"""The local properties of this thread's jobs on Spark: Java keeps them."""

from __future__ import annotations

from typing import Any


class SparkProperties:
    """What simspark's contexts keep as a dictionary for each thread."""

    def __init__(self, context: Any) -> None:
        self._context = context

    @property
    def values(self) -> dict[str, str]:
        """A copy of this thread's properties."""
        return {str(key): str(value) for key, value in dict(self._context._jsc.sc().getLocalProperties()).items()}

    @values.setter
    def values(self, values: dict[str, str]) -> None:
        properties = self._context._jvm.java.util.Properties()
        for key, value in values.items():
            properties.setProperty(key, value)
        self._context._jsc.sc().setLocalProperties(properties)
