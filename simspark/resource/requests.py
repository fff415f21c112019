"""Requests for executors and for tasks."""

from __future__ import annotations

from simspark.publib.resource_profiles import (
    ExecutorResourceRequest,
    ExecutorResourceRequests,
    TaskResourceRequest,
    TaskResourceRequests,
)

__all__ = ["ExecutorResourceRequest", "ExecutorResourceRequests", "TaskResourceRequest", "TaskResourceRequests"]
