
"""Lineage: what an RDD is computed from.

A node answers five questions: how many partitions, how one is computed (``source`` and ``split``), what it depends on,
how its keys are partitioned, and where a partition is best computed. It never changes, but for marks that the user may
set later: the storage level, the name, the resource profile, and that its rows are to be saved. Once they are, the node
is ``cut``: it is read from what was saved, and its lineage forgotten. Nodes stay in the driver: ``stages`` compiles
them.

``source`` and ``split`` take the inputs that the dependencies give, in their order: sources of rows, and functions
from a partition's index in that input to its split there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from simspark.driver.call_site import CallSite
from simspark.driver.dependency import Dependency, NarrowDependency, OneToOne, ShuffleDependency
from simspark.driver.lifeline import Lifeline
from simspark.publib.errors import NotSerializable

if TYPE_CHECKING:
    from simspark.publib.lineage.partitioner import Partitioner
    from simspark.publib.lineage.steps import Step
    from simspark.publib.lineage.storage_level import StorageLevel
    from simspark.publib.lineage.task import Source
    from simspark.publib.resource_profiles import ResourceProfile

Splits = Callable[[int], Any]

RELIABLE = "reliable"
LOCAL = "local"

LINEAGE = threading.RLock()
"""Held while lineage is compiled, and while it is cut."""


class Node:
    """One RDD of the lineage. ``barrier``: it is made in tasks that run all at once."""

    __slots__ = (
        "barrier", "cached", "checkpoint", "dependencies", "id", "level", "name", "operation", "partitioner",
        "partitions", "profile", "saved", "site",
    )  # fmt: skip

    def __init__(self, number: int, operation: str, site: CallSite, partitions: int,
                 dependencies: tuple[Dependency, ...] = (), partitioner: Partitioner | None = None) -> None:
        self.id = number
        self.operation = operation
        self.site = site
        self.partitions = partitions
        self.dependencies = dependencies
        self.partitioner = partitioner
        self.level: StorageLevel | None = None
        self.cached: Lifeline | None = None
        self.name: str | None = None
        self.profile: ResourceProfile | None = None
        self.barrier = False
        self.checkpoint = ""
        self.saved: Node | None = None

    def cut(self, saved: Node) -> None:
        """Read the rows from ``saved`` from now on, and forget what they were computed from."""
        with LINEAGE:
            self.saved = saved
            self.dependencies = (OneToOne(saved),)
            self.barrier = False
            self._forget()

    def _forget(self) -> None:
        """Let go of what only computing the rows needs. Splits that running jobs may ask for stay."""

    @property
    def is_kept(self) -> bool:
        """Whether the scheduler may know of partitions of it, and where they are."""
        return self.level is not None

    def source(self, inputs: Sequence[Source]) -> Source:
        """Where a task gets the rows of its partition."""
        raise NotImplementedError

    def split(self, partition: int, inputs: Sequence[Splits]) -> Any:
        """Which part of the source a partition is."""
        raise NotImplementedError

    def preferred(self, partition: int) -> tuple[str, ...]:
        """Hosts where this partition is best computed, before anything is known of caches."""
        return ()

    def __reduce__(self) -> str:
        raise NotSerializable(
            "RDDs stay in the driver: a function that runs in tasks cannot use one. Join the two RDDs, or collect() "
            "one first and use the result. (SS102)"
        )


class DataNode(Node):
    """Rows that no other RDD gives: a collection, numbers, or parts of files."""

    __slots__ = ("_data", "_source", "_splits", "places")

    def __init__(self, number: int, operation: str, site: CallSite, source: Source, splits: Sequence[Any],
                 places: Sequence[tuple[str, ...]] = (), data: Lifeline | None = None) -> None:
        super().__init__(number, operation, site, len(splits))
        self._source = source
        self._splits = splits
        self.places = places
        self._data = data

    def source(self, inputs: Sequence[Source]) -> Source:
        """The rows of a split."""
        return self._source

    def split(self, partition: int, inputs: Sequence[Splits]) -> Any:
        """As given."""
        return self._splits[partition]

    def split_alone(self, partition: int) -> Any:
        """The same, as ``stages`` wants it of a node without inputs. Who has this method keeps the node."""
        return self._splits[partition]

    def preferred(self, partition: int) -> tuple[str, ...]:
        """As given."""
        return self.places[partition] if self.places else ()


class StepsNode(Node):
    """Another RDD's rows, partition by partition, after one step."""

    __slots__ = ("parent", "step")

    def __init__(self, number: int, operation: str, site: CallSite, parent: Node, step: Step,
                 keeps_partitioner: bool = False) -> None:
        partitioner = parent.partitioner if keeps_partitioner else None
        super().__init__(number, operation, site, parent.partitions, (OneToOne(parent),), partitioner)
        self.parent = parent
        self.step = step

    def _forget(self) -> None:
        del self.parent, self.step

    def source(self, inputs: Sequence[Source]) -> Source:
        """The parent's rows after the step."""
        from simspark.publib.lineage.program import Steps

        return Steps(inputs[0], (self.step,))

    def split(self, partition: int, inputs: Sequence[Splits]) -> Any:
        """The parent's."""
        return inputs[0](partition)


class UnionNode(Node):
    """The partitions of several RDDs, one RDD after another."""

    __slots__ = ("_starts",)

    def __init__(self, number: int, operation: str, site: CallSite, parents: Sequence[Node]) -> None:
        starts = [0]
        for parent in parents:
            starts.append(starts[-1] + parent.partitions)
        super().__init__(number, operation, site, starts[-1], tuple(map(NarrowDependency, parents)))
        self._starts = starts

    def source(self, inputs: Sequence[Source]) -> Source:
        """The rows of one partition of one parent."""
        from simspark.publib.lineage.sources import UnionSource

        return UnionSource(tuple(inputs))

    def split(self, partition: int, inputs: Sequence[Splits]) -> Any:
        """(parent, its partition, its split)."""
        branch, index = self.place(partition)
        return branch, index, inputs[branch](index)

    def place(self, partition: int) -> tuple[int, int]:
        """Which parent a partition is of, and its index there."""
        from bisect import bisect_right

        branch = bisect_right(self._starts, partition) - 1
        return branch, partition - self._starts[branch]


class AlikeUnionNode(Node):
    """The union of RDDs that are partitioned alike: partition i is all their partitions i, and keys stay in place."""

    __slots__ = ()

    def __init__(self, number: int, operation: str, site: CallSite, parents: Sequence[Node]) -> None:
        first = parents[0]
        super().__init__(
            number, operation, site, first.partitions, tuple(map(OneToOne, parents)), first.partitioner
        )

    def source(self, inputs: Sequence[Source]) -> Source:
        """The rows of several (parent, partition) pairs."""
        from simspark.publib.lineage.sources import CoalescedSource, UnionSource

        return CoalescedSource(UnionSource(tuple(inputs)))

    def split(self, partition: int, inputs: Sequence[Splits]) -> Any:
        """Partition i of each parent, one after another."""
        return tuple(
            (partition, (branch, partition, splits(partition))) for branch, splits in enumerate(inputs)
        )


class CoalescedNode(Node):
    """Groups of another RDD's partitions, each read as one."""

    __slots__ = ("_groups",)

    def __init__(self, number: int, operation: str, site: CallSite, parent: Node, partitions: int) -> None:
        count = min(partitions, parent.partitions)
        cuts = [part * parent.partitions // count for part in range(count + 1)] if count else [0]
        self._groups = [range(start, stop) for start, stop in pairwise(cuts)]
        super().__init__(number, operation, site, len(self._groups), (NarrowDependency(parent),))

    def source(self, inputs: Sequence[Source]) -> Source:
        """The rows of one group."""
        from simspark.publib.lineage.sources import CoalescedSource

        return CoalescedSource(inputs[0])

    def split(self, partition: int, inputs: Sequence[Splits]) -> Any:
        """The group's partitions and their splits."""
        return tuple((index, inputs[0](index)) for index in self._groups[partition])


class ZippedNode(Node):
    """Rows of two RDDs side by side."""

    __slots__ = ()

    def __init__(self, number: int, operation: str, site: CallSite, left: Node, right: Node) -> None:
        super().__init__(number, operation, site, left.partitions, (OneToOne(left), OneToOne(right)))

    def source(self, inputs: Sequence[Source]) -> Source:
        """Pairs."""
        from simspark.publib.lineage.sources import ZipSource

        return ZipSource(inputs[0], inputs[1])

    def split(self, partition: int, inputs: Sequence[Splits]) -> Any:
        """The same partition of both."""
        return tuple((partition, splits(partition)) for splits in inputs)


class CartesianNode(Node):
    """Each row of one RDD with each row of another."""

    __slots__ = ("_columns",)

    def __init__(self, number: int, operation: str, site: CallSite, left: Node, right: Node) -> None:
        dependencies = (NarrowDependency(left), NarrowDependency(right))
        super().__init__(number, operation, site, left.partitions * right.partitions, dependencies)
        self._columns = right.partitions

    def source(self, inputs: Sequence[Source]) -> Source:
        """All pairs of two partitions."""
        from simspark.publib.lineage.sources import CartesianSource

        return CartesianSource(inputs[0], inputs[1])

    def split(self, partition: int, inputs: Sequence[Splits]) -> Any:
        """A partition of the left, one of the right."""
        row, column = divmod(partition, self._columns)
        return (row, inputs[0](row)), (column, inputs[1](column))


class ShuffledNode(Node):
    """What a shuffle brings together."""

    __slots__ = ()

    def __init__(self, number: int, operation: str, site: CallSite, dependency: ShuffleDependency) -> None:
        partitioner = dependency.partitioner
        super().__init__(number, operation, site, partitioner.num_partitions, (dependency,), partitioner)

    def source(self, inputs: Sequence[Source]) -> Source:
        """One reduce partition."""
        return inputs[0]

    def split(self, partition: int, inputs: Sequence[Splits]) -> Any:
        """Its index."""
        return partition


class CoGroupedNode(Node):
    """Several RDDs brought together by key. Those that are partitioned so already are read where they are."""

    __slots__ = ("_make",)

    def __init__(self, number: int, operation: str, site: CallSite, dependencies: Sequence[Dependency],
                 partitioner: Partitioner, make: Callable[[Sequence[Source]], Source]) -> None:
        super().__init__(number, operation, site, partitioner.num_partitions, tuple(dependencies), partitioner)
        self._make = make

    def source(self, inputs: Sequence[Source]) -> Source:
        """Groups or joined rows."""
        return self._make(inputs)

    def split(self, partition: int, inputs: Sequence[Splits]) -> Any:
        """The same partition of each input."""
        return tuple((partition, splits(partition)) for splits in inputs)
