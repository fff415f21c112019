"""Profiles, and what makes them."""

from __future__ import annotations

from simspark.publib.resource_profiles import ResourceProfile, ResourceProfileBuilder

__all__ = ["ResourceProfile", "ResourceProfileBuilder"]
