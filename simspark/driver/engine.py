"""What RDDs ask of the context that they belong to: the seam between the API and whatever runs jobs.

SparkContext implements it on executors; tests implement it in one process. Called by user threads; only ``run_node``
blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from simspark.driver.node import Node
from simspark.publib.lineage.shared import Accumulator
from simspark.publib.lineage.task import Sink


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

    def next_id(self, kind: str) -> int:
        """A number not given before: ``kind`` is "rdd", "shuffle", "stage", "broadcast" or "accumulator"."""
        ...

    def run_node(self, node: Node, sink: Sink, partitions: Sequence[int] | None, operation: str) -> list[Any]:
        """Run one job, and return what the sink made of each partition (None: all), in that order.

        ``operation`` is the action's name, for people. Raises what the user's function raised, or a JobError.
        """
        ...

    def put_data(self, name: str, slices: Sequence[Sequence[Any]]) -> None:
        """Write a data file of the driver: segment i holds the rows of slice i."""
        ...

    def put_broadcast(self, broadcast_id: int, value: Any) -> int:
        """Write a broadcast's value as a file of the driver; returns in how many pieces."""
        ...

    def add_accumulator(self, accumulator: Accumulator[Any]) -> None:
        """Merge what tasks add to this accumulator, once for each accepted task."""
        ...

    def forget(self, kind: str, number: int) -> None:
        """Nothing refers to this any more: ``kind`` is "shuffle", "data" or "cached" (an RDD's partitions).

        Also called by finalizers, in any thread: it must not block, take a lock or raise.
        """
        ...
