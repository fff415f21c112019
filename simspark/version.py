"""The version, under the name that PySpark's module has."""

from __future__ import annotations

from simspark._version import __version__

__all__ = ["__version__"]
