"""A future between its jobs: what is submitted, what is not, and who hears of the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from simspark.driver.activities import Activities
from simspark.driver.future_action import FutureAction
from simspark.publib.clock import SystemClock
from simspark.publib.errors import JobCancelled


class FakeJob:
    """A job that does something when it is waited for, and then has ended."""

    def __init__(self, job: int, meanwhile: Callable[[], None]) -> None:
        self.job = job
        self.reason = ""
        self._meanwhile = meanwhile

    def wait(self) -> list[Any]:
        self._meanwhile()
        if self.reason:
            raise JobCancelled(self.reason)
        return [self.job]

    def cancel(self, reason: str) -> None:
        self.reason = reason


class FakeContext:
    """The activities of a context."""

    def __init__(self) -> None:
        self.activities = Activities(SystemClock())
        self.follow = self.activities.add
        self.unfollow = self.activities.remove


def steps(*jobs: FakeJob) -> Generator[Any, Any, int]:
    """An action of these jobs; its result is how many there were."""
    yield from (job for job in jobs)  # which, unlike a tuple, can be sent to
    return len(jobs)


def nothing() -> None:
    pass


class Later:
    """The future that a fake job is part of, which is there a moment after the job has begun."""

    def __init__(self) -> None:
        self._there = threading.Event()
        self._future: FutureAction[int]

    @property
    def future(self) -> FutureAction[int]:
        """It, as soon as it is there."""
        assert self._there.wait(60)
        return self._future

    def be(self, future: FutureAction[int]) -> FutureAction[int]:
        """Here it is."""
        self._future = future
        self._there.set()
        return future


def future_of(made: Generator[Any, Any, int], context: FakeContext | None = None) -> FutureAction[int]:
    return FutureAction("takeAsync", context or FakeContext(), {"colour": "blue"}, made)  # type: ignore[arg-type]


def test_jobs_follow_one_another():
    future = future_of(steps(FakeJob(4, nothing), FakeJob(7, nothing)))
    assert future.result(60) == 2
    assert future.jobIds == [4, 7]
    assert repr(future) == "<FutureAction takeAsync, jobs [4, 7]: done>"


def test_no_job_is_submitted_after_one_during_which_it_was_cancelled():
    later = Later()
    context = FakeContext()

    def succeed_though_cancelled() -> None:
        assert later.future.cancel("enough")

    first = FakeJob(1, succeed_though_cancelled)
    first.cancel = lambda reason: None  # type: ignore[method-assign]
    future = later.be(future_of(steps(first, FakeJob(2, nothing)), context))
    with pytest.raises(JobCancelled, match=r"takeAsync was cancelled: enough\. \(SS302\)"):
        future.result(60)
    assert future.jobIds == [1]


def test_a_job_that_begins_while_it_is_cancelled_is_cancelled():
    second = FakeJob(2, nothing)
    later = Later()

    def made() -> Generator[Any, Any, int]:
        yield FakeJob(1, nothing)
        later.future.cancel("too late to stop it")
        yield second
        return 0

    future = later.be(future_of(made()))
    with pytest.raises(JobCancelled, match="too late to stop it"):
        future.result(60)
    assert second.reason == "too late to stop it"


def test_a_cancelled_action_has_no_result_although_its_jobs_succeeded():
    later = Later()

    def made() -> Generator[Any, Any, int]:
        yield FakeJob(1, nothing)
        assert later.future.cancel()
        return 1

    future = later.be(future_of(made()))
    assert isinstance(future.exception(60), JobCancelled)
    assert future.cancelled()


def test_an_action_without_jobs_is_done_at_once():
    context = FakeContext()
    future = future_of(steps(), context)
    assert future.done()
    assert future.result() == 0
    assert future.jobIds == []


def test_activities_are_cancelled_by_their_properties_and_forgotten_at_their_end():
    context = FakeContext()
    later = Later()

    def cancel_from_outside() -> None:
        assert not later.future.done()
        context.activities.cancel(lambda properties: properties.get("colour") == "red", "red")
        assert not later.future.done()
        context.activities.cancel(lambda properties: properties.get("colour") == "blue", "all that is blue")

    future = later.be(future_of(steps(FakeJob(1, cancel_from_outside)), context))
    with pytest.raises(JobCancelled, match="all that is blue"):
        future.result(60)
    context.activities.end(60)
    heard: list[str] = []
    context.activities.cancel(lambda properties: bool(heard.append("asked")), "again")
    assert heard == []


def test_an_error_raised_between_jobs_is_the_action_s():
    def made() -> Generator[Any, Any, int]:
        yield FakeJob(1, nothing)
        raise LookupError("no such partition")

    future = future_of(made())
    with pytest.raises(LookupError, match="no such partition"):
        future.result(60)
    assert not future.cancelled()
    assert "LookupError" in repr(future)
