"""Actions on Spark that return at once: futures as on simspark, whose thread waits in PySpark's own action.

Spark knows jobs by their tags, so each future gives its jobs a tag of its own, by which it cancels and finds them. The
functions are pickled where the action is called, as on simspark. A cancellation that comes between the start of the
thread and that of the job lets the job end; its result is not given then either.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NoReturn

from simspark.driver.future_action import FutureAction
from simspark.publib.errors import JobCancelled

TAG = "simspark-future-{}"


class SparkJob:
    """See engine.Started: the one job, or the several, of a future."""

    job = -1  # Spark numbers it when it comes

    def __init__(self, context: Any, call: Callable[[], Any]) -> None:
        self._context = context
        self._call = call
        self._inherited = context.local_properties()
        self._cancelled = ""
        self.tag = TAG.format(id(self))

    def wait(self) -> list[Any]:
        """Run the action in this thread, as the thread that began it would."""
        self._context.replace_local_properties(self._inherited)
        self._context.addJobTag(self.tag)
        if self._cancelled:
            raise JobCancelled(f"The job was cancelled: {self._cancelled}. (SS302)")
        return [self._call()]

    def wait_partially(self, timeout_s: float) -> NoReturn:
        """No future asks for it."""
        raise NotImplementedError

    def cancel(self, reason: str) -> None:
        """See engine.Started."""
        self._cancelled = reason
        self._context.cancelJobsWithTag(self.tag)

    def interrupted(self) -> KeyboardInterrupt:
        """See engine.Started."""
        self.cancel("interrupted")
        return KeyboardInterrupt("the jobs of an asynchronous action were cancelled")

    def numbers(self) -> list[int]:
        """The numbers that Spark gave it so far."""
        return sorted(self._context._jsc.sc().statusTracker().getJobIdsForTag(self.tag))


class SparkFuture(FutureAction[Any]):
    """The future of an action on Spark."""

    def __init__(self, name: str, context: Any, call: Callable[[], Any]) -> None:
        self._job = SparkJob(context, call)
        super().__init__(name, context, context.local_properties(), _one(self._job))

    @property
    def jobIds(self) -> list[int]:
        """The numbers of the jobs that it has submitted so far."""
        return self._job.numbers()


def _one(job: SparkJob) -> Generator[SparkJob, list[Any], Any]:
    return (yield job)[0]


def _later(rdd: Any, name: str, call: Callable[[], Any]) -> SparkFuture:
    rdd._jrdd  # noqa: B018 (pickles the functions)
    return SparkFuture(name, rdd.ctx, call)


def collect_async(self: Any) -> SparkFuture:
    """Begin to bring all rows to the driver."""
    return _later(self, "collectAsync", self.collect)


def count_async(self: Any) -> SparkFuture:
    """Begin to count the rows."""
    return _later(self, "countAsync", self.count)


def take_async(self: Any, num: int) -> SparkFuture:
    """Begin to bring the first ``num`` rows."""
    return _later(self, "takeAsync", lambda: self.take(num))


def foreach_async(self: Any, f: Callable[[Any], Any]) -> SparkFuture:
    """Begin to call ``f(row)`` for each row."""

    def each(rows: Any) -> Any:
        for row in rows:
            f(row)
        return ()

    return _whole(self.mapPartitions(each), "foreachAsync")


def foreach_partition_async(self: Any, f: Callable[[Any], Any]) -> SparkFuture:
    """Begin to call ``f(iterator)`` for each partition."""

    def all_of_it(rows: Any) -> Any:
        given = f(rows)
        return () if given is None else given

    return _whole(self.mapPartitions(all_of_it), "foreachPartitionAsync")


def _whole(rdd: Any, name: str) -> SparkFuture:
    def run() -> None:
        rdd.count()

    return _later(rdd, name, run)


WAYS = {
    "collectAsync": collect_async,
    "countAsync": count_async,
    "takeAsync": take_async,
    "foreachAsync": foreach_async,
    "foreachPartitionAsync": foreach_partition_async,
}
