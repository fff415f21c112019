"""The part of SparkContext that names, describes and cancels jobs."""

from __future__ import annotations

import threading

from simspark.driver.running import Running

JOB_GROUP = "spark.jobGroup.id"
JOB_DESCRIPTION = "spark.job.description"


class ThreadProperties(threading.local):
    """Properties of the jobs that this thread starts."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}


class JobControl(Running):
    """Properties, groups and the end of jobs."""

    def setLocalProperty(self, key: str, value: str | None) -> None:
        """Set a property of the jobs that this thread starts from now on; None removes it."""
        if value is None:
            self._thread_properties.values.pop(key, None)
        else:
            self._thread_properties.values[key] = value

    def getLocalProperty(self, key: str) -> str | None:
        """A property of this thread's jobs."""
        return self._thread_properties.values.get(key)

    def setJobGroup(self, groupId: str, description: str, interruptOnCancel: bool = False) -> None:
        """Give the jobs that this thread starts from now on a group, which ``cancelJobGroup`` ends together."""
        self.setLocalProperty(JOB_GROUP, groupId)
        self.setLocalProperty(JOB_DESCRIPTION, description)

    def setJobDescription(self, value: str | None) -> None:
        """Describe the jobs that this thread starts from now on."""
        self.setLocalProperty(JOB_DESCRIPTION, value)

    def cancelJobGroup(self, groupId: str) -> None:
        """Cancel the running jobs of a group."""
        self._application.cancel(lambda spec: spec.group == groupId, f"job group {groupId} was cancelled")

    def cancelAllJobs(self) -> None:
        """Cancel all running jobs."""
        self._application.cancel(lambda _: True, "all jobs were cancelled")
