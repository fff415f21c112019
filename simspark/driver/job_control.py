"""The part of SparkContext that names, describes, watches and cancels jobs.

What a thread says of its jobs are local properties: text by name, sent along with each task. A job's group and tags are
such properties, too. A thread starts with none; InheritableThread takes its maker's along.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from simspark.driver.running import Running
from simspark.driver.system_properties import get_property, set_property

if TYPE_CHECKING:
    from simspark.driver.status import StatusTracker

JOB_GROUP = "spark.jobGroup.id"
JOB_DESCRIPTION = "spark.job.description"
JOB_TAGS = "spark.job.tags"
INTERRUPT_ON_CANCEL = "spark.job.interruptOnCancel"
TAG_SEPARATOR = ","
LOG_LEVELS = {"ALL": 1, "DEBUG": 10, "ERROR": 40, "WARN": 30, "INFO": 20, "OFF": 100, "FATAL": 50, "TRACE": 5}


class ThreadProperties(threading.local):
    """Properties of the jobs that this thread starts."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}


class JobControl(Running):
    """Properties, groups, tags and the end of jobs, and what is known of them."""

    # ── local properties ─────────────────────────────────────────────────────────────────────────────────────────

    def setLocalProperty(self, key: str, value: str | None) -> None:
        """Set a property of the jobs that this thread starts from now on; None removes it.

        Tasks read it with ``TaskContext.get().getLocalProperty(key)``. ``spark.scheduler.pool`` names the jobs' pool.

        >>> sc.setLocalProperty("colour", "blue")
        >>> sc.getLocalProperty("colour")
        'blue'
        >>> sc.setLocalProperty("colour", None)
        >>> print(sc.getLocalProperty("colour"))
        None
        """
        if value is None:
            self._thread_properties.values.pop(key, None)
        else:
            self._thread_properties.values[key] = value

    def getLocalProperty(self, key: str) -> str | None:
        """A property of this thread's jobs, or None.

        >>> print(sc.getLocalProperty("never set"))
        None
        """
        return self._thread_properties.values.get(key)

    def replace_local_properties(self, properties: Mapping[str, str]) -> None:
        """See driver.threads: this thread's jobs have a copy of these properties and no others."""
        self._thread_properties.values = dict(properties)

    def setJobGroup(self, groupId: str, description: str, interruptOnCancel: bool = False) -> None:
        """Give the jobs that this thread starts from now on a group, which ``cancelJobGroup`` ends together.

        Tasks of a cancelled job are always interrupted, so ``interruptOnCancel`` changes nothing but the property.

        >>> sc.setJobGroup("nightly", "sums of the day")
        >>> sc.range(4).sum()
        6
        >>> sc.setLocalProperty("spark.jobGroup.id", None)
        >>> sc.setJobDescription(None)
        """
        self.setLocalProperty(JOB_GROUP, groupId)
        self.setLocalProperty(JOB_DESCRIPTION, description)
        self.setInterruptOnCancel(interruptOnCancel)

    def setJobDescription(self, value: str | None) -> None:
        """Describe the jobs that this thread starts from now on; None ends that.

        >>> sc.setJobDescription("sums of the day")
        >>> sc.getLocalProperty("spark.job.description")
        'sums of the day'
        >>> sc.setJobDescription(None)
        """
        self.setLocalProperty(JOB_DESCRIPTION, value)

    def setInterruptOnCancel(self, interruptOnCancel: bool) -> None:
        """Say whether cancelling this thread's jobs interrupts their tasks: simspark always does.

        Kept as the property ``spark.job.interruptOnCancel`` for programs that read it.

        >>> sc.setInterruptOnCancel(True)
        >>> sc.getLocalProperty("spark.job.interruptOnCancel")
        'true'
        """
        self.setLocalProperty(INTERRUPT_ON_CANCEL, str(bool(interruptOnCancel)).lower())

    # ── tags ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def addJobTag(self, tag: str) -> None:
        """Add a tag to the jobs that this thread starts from now on; ``cancelJobsWithTag`` ends them together.

        Raises ValueError for a tag that is empty or has a comma.

        >>> sc.addJobTag("import")
        >>> sc.addJobTag("slow")
        >>> sorted(sc.getJobTags())
        ['import', 'slow']
        >>> sc.clearJobTags()
        """
        self._set_tags(self.getJobTags() | {_checked_tag(tag)})

    def removeJobTag(self, tag: str) -> None:
        """Remove a tag of this thread's jobs, if it is there. Raises ValueError as ``addJobTag`` does.

        >>> sc.addJobTag("import")
        >>> sc.removeJobTag("import")
        >>> sc.getJobTags()
        set()
        """
        self._set_tags(self.getJobTags() - {_checked_tag(tag)})

    def getJobTags(self) -> set[str]:
        """The tags of the jobs that this thread starts.

        >>> sc.getJobTags()
        set()
        """
        return _tags(self._thread_properties.values)

    def clearJobTags(self) -> None:
        """Remove all tags of this thread's jobs.

        >>> sc.addJobTag("import")
        >>> sc.clearJobTags()
        >>> sc.getJobTags()
        set()
        """
        self._set_tags(set())

    def _set_tags(self, tags: set[str]) -> None:
        self.setLocalProperty(JOB_TAGS, TAG_SEPARATOR.join(sorted(tags)) or None)

    # ── the end of jobs ──────────────────────────────────────────────────────────────────────────────────────────

    def cancelJobGroup(self, groupId: str) -> None:
        """Cancel the jobs of a group that were submitted by now; their actions raise JobCancelled.

        Jobs that the group starts afterwards run. An asynchronous action is cancelled between two of its jobs, too.

        >>> sc.cancelJobGroup("nightly")
        """
        cancelled = f"job group {groupId} was cancelled"
        self._running().cancel(lambda properties: properties.get(JOB_GROUP) == groupId, cancelled)

    def cancelJobsWithTag(self, tag: str) -> None:
        """Cancel the jobs with a tag that were submitted by now. Raises ValueError as ``addJobTag`` does.

        >>> sc.cancelJobsWithTag("slow")
        """
        _checked_tag(tag)
        self._running().cancel(lambda properties: tag in _tags(properties), f"jobs with the tag {tag} were cancelled")

    def cancelAllJobs(self) -> None:
        """Cancel all jobs that were submitted by now.

        >>> sc.cancelAllJobs()
        """
        self._running().cancel(lambda _: True, "all jobs were cancelled")

    # ── watching ─────────────────────────────────────────────────────────────────────────────────────────────────

    def statusTracker(self) -> StatusTracker:
        """What tells how jobs get on.

        >>> sc.statusTracker().getActiveJobsIds()
        []
        """
        from simspark.driver.status import StatusTracker

        return StatusTracker(self._running().status)

    @property
    def uiWebUrl(self) -> str | None:
        """Where the application's web page is; None, as it has none.

        >>> print(sc.uiWebUrl)
        None
        """
        return None

    # ── the process ──────────────────────────────────────────────────────────────────────────────────────────────

    def setLogLevel(self, logLevel: str) -> None:
        """Set what the logger ``simspark`` of this process lets through, over what the program has set.

        Raises ValueError unless it is ALL, DEBUG, ERROR, WARN, INFO, OFF, FATAL or TRACE, in any case.

        >>> sc.setLogLevel("warn")
        """
        level = LOG_LEVELS.get(logLevel.upper())
        if level is None:
            raise ValueError(f"Supplied level {logLevel} did not match one of: {','.join(LOG_LEVELS)}")
        import logging

        logging.getLogger("simspark").setLevel(level)

    @classmethod
    def setSystemProperty(cls, key: str, value: str) -> None:
        """Set a property of this process. A ``spark.*`` one is a default of each SparkConf that is made afterwards.

        >>> sc.setSystemProperty("station", "north")
        >>> sc.getSystemProperty("station")
        'north'
        """
        set_property(key, value)

    @classmethod
    def getSystemProperty(cls, key: str) -> str | None:
        """A property of this process, or None.

        >>> print(sc.getSystemProperty("never set"))
        None
        """
        return get_property(key)


def _tags(properties: Mapping[str, str]) -> set[str]:
    return set(filter(None, properties.get(JOB_TAGS, "").split(TAG_SEPARATOR)))


def _checked_tag(tag: str) -> str:
    if tag is None:
        raise ValueError("Spark job tag cannot be null.")
    if not tag:
        raise ValueError("Spark job tag cannot be an empty string.")
    if TAG_SEPARATOR in tag:
        raise ValueError(f"Spark job tag cannot contain '{TAG_SEPARATOR}'.")
    return tag
