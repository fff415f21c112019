"""What RDDs ask of the context that they belong to: the seam between the API and whatever runs jobs.

SparkContext implements it on executors; tests implement it in one process. Called by user threads; only ``run_node``
and ``Started.wait`` block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from simspark.driver.node import Node
from simspark.publib.lineage.shared import Accumulator
from simspark.publib.lineage.task import Sink


class Started(Protocol):
    """A job under way on some partitions. For one thread; ``cancel`` for any."""

    @property
    def job(self) -> int:
        """Its number."""
        ...

    def wait(self) -> list[Any]:
        """Wait for the end; what the sink made of each partition. Raises as ``run_node`` does."""
        ...

    def wait_partially(self, timeout_s: float) -> dict[int, Any]:
        """Wait so long at most; what the sink made of the partitions that are done, by partition.

        What is not done then is cancelled. Raises as ``run_node`` does when the job fails before.
        """
        ...

    def cancel(self, reason: str) -> None:
        """Nobody wants it any more: ``wait`` raises JobCancelled, if it has not come to an end. Does not block."""
        ...

    def interrupted(self) -> KeyboardInterrupt:
        """Cancel it after Ctrl-C and wait a moment for its end; what to raise."""
        ...


class Prepared(Protocol):
    """An action whose functions are pickled, so that nothing later changes them; it may run on any partitions."""

    def start(self, partitions: Sequence[int]) -> Started:
        """Submit a job, with the properties that the thread that prepared it had then."""
        ...


class Following(Protocol):
    """A background activity of the program that ends with its context."""

    @property
    def properties(self) -> Mapping[str, str]:
        """The properties of its jobs."""
        ...

    def cancel(self, reason: str = "") -> bool:
        """End it soon; False if it is over."""
        ...

    def join(self, timeout_s: float) -> None:
        """Wait for the end of its thread, so long at most."""
        ...


class Engine(Protocol):
    """Runs lineage and keeps the driver's data."""

    @property
    def defaultParallelism(self) -> int:
        """Partitions where the program names none."""
        ...

    @property
    def reduce_parallelism(self) -> int:
        """Partitions after a shuffle where the program names none; 0: as many as before it."""
        ...

    @property
    def fuses(self) -> bool:
        """Whether small functions become loops."""
        ...

    def next_id(self, kind: str) -> int:
        """A number not given before: ``kind`` is "rdd", "shuffle", "stage", "broadcast" or "accumulator"."""
        ...

    def run_node(self, node: Node, sink: Sink, partitions: Sequence[int] | None, operation: str) -> list[Any]:
        """Run one job, and return what the sink made of each partition (None: all), in that order.

        ``operation`` is the action's name, for people. Raises what the user's function raised, or a JobError.
        """
        ...

    def prepare_node(self, node: Node, sink: Sink, operation: str) -> Prepared:
        """Pickle an action's functions; NotSerializable says what cannot travel."""
        ...

    def local_properties(self) -> dict[str, str]:
        """A copy of the properties of the jobs that this thread starts."""
        ...

    def follow(self, activity: Following) -> None:
        """Cancel an activity with the jobs of its group or tags, and end it with the context."""
        ...

    def unfollow(self, activity: Following) -> None:
        """An activity is over. Twice is harmless."""
        ...

    def put_data(self, name: str, rows: list[Any], cuts: Sequence[tuple[int, int]]) -> None:
        """Write a data file of the driver: segment i holds the rows from where cut i starts to where it stops."""
        ...

    def put_broadcast(self, broadcast_id: int, value: Any) -> int:
        """Write a broadcast's value as a file of the driver; returns in how many pieces."""
        ...

    def add_accumulator(self, accumulator: Accumulator[Any]) -> None:
        """Merge what tasks add to this accumulator, once for each accepted task."""
        ...

    def clean_shuffles(self, shuffles: Sequence[int], blocking: bool) -> None:
        """Drop the outputs of these as soon as no job needs them; they are made anew for a job that does."""
        ...

    def forget(self, kind: str, number: int) -> None:
        """Nothing refers to this any more: ``kind`` is "shuffle", "data" or "cached" (an RDD's partitions).

        Also called by finalizers, in any thread: it must not block, take a lock or raise.
        """
        ...
