"""What a task or the driver was given of a resource."""

from __future__ import annotations

from simspark.publib.resource_profiles import ResourceInformation

__all__ = ["ResourceInformation"]
