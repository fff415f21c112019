"""Properties of this process, which Spark keeps in its JVM: those named ``spark.*`` are defaults of a new SparkConf."""

from __future__ import annotations

_properties: dict[str, str] = {}


def set_property(key: str, value: str) -> None:
    """Set one for the life of the process."""
    _properties[key] = str(value)


def get_property(key: str) -> str | None:
    """One that was set."""
    return _properties.get(key)


def spark_properties() -> dict[str, str]:
    """Those that are settings."""
    return {key: value for key, value in _properties.items() if key.startswith("spark.")}
