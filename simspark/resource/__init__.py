"""What tasks and executors need, as profiles of RDDs: see ``RDD.withResources``."""

from __future__ import annotations

from simspark.resource.information import ResourceInformation
from simspark.resource.profile import ResourceProfile, ResourceProfileBuilder
from simspark.resource.requests import (
    ExecutorResourceRequest,
    ExecutorResourceRequests,
    TaskResourceRequest,
    TaskResourceRequests,
)

__all__ = [
    "ExecutorResourceRequest",
    "ExecutorResourceRequests",
    "ResourceInformation",
    "ResourceProfile",
    "ResourceProfileBuilder",
    "TaskResourceRequest",
    "TaskResourceRequests",
]
