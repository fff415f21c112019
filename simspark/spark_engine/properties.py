"""The local properties of this thread's jobs on Spark: Java keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def local_properties(context: Any) -> dict[str, str]:
    """A copy of this thread's properties."""
    return {str(key): str(value) for key, value in dict(context._jsc.sc().getLocalProperties()).items()}


def replace_local_properties(context: Any, properties: Mapping[str, str]) -> None:
    """Let this thread's jobs have these properties and no others."""
    kept = context._jvm.java.util.Properties()
    for key, value in properties.items():
        kept.setProperty(key, value)
    context._jsc.sc().setLocalProperties(kept)
