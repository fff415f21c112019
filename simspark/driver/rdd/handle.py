"""The RDD as a handle on its lineage node: identity, persistence, and the few ways to derive and to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from simspark.driver.call_site import call_site
from simspark.driver.dependency import ShuffleDependency
from simspark.driver.engine import Engine, Prepared
from simspark.driver.lifeline import Lifeline
from simspark.driver.node import LOCAL, Node, ShuffledNode, StepsNode
from simspark.publib.errors import NotSerializable, UserError
from simspark.publib.lineage.partitioner import Partitioner
from simspark.publib.lineage.shuffle_read import ShuffleRead
from simspark.publib.lineage.sinks import ResultSink, ShuffleWrite
from simspark.publib.lineage.storage_level import StorageLevel

if TYPE_CHECKING:
    from simspark.driver.context import SparkContext
    from simspark.driver.rdd.core import RDD
    from simspark.publib.lineage.aggregation import Aggregator
    from simspark.publib.lineage.sorting import Ordering

T = TypeVar("T", covariant=True)


class PartitionFunction(Protocol):
    """What an action makes of a partition, in its task."""

    def __call__(self, partition: int, rows: Any, /) -> Any:
        """The value for the driver."""
        ...


class Handle(Generic[T]):
    """What all parts of the RDD API stand on. Users see it as RDD."""

    def __init__(self, node: Node, context: Engine) -> None:
        self._node = node
        context_: Any = context
        self.ctx: SparkContext = context_

    # ── who it is ────────────────────────────────────────────────────────────────────────────────

    def id(self) -> int:
        """Return the RDD's number, unique in its context.

        >>> sc.range(3).id() < sc.range(3).id()
        True
        """
        return self._node.id

    @property
    def context(self) -> SparkContext:
        """The context that it was made by.

        >>> sc.range(3).context is sc
        True
        """
        return self.ctx

    @property
    def partitioner(self) -> Partitioner | None:
        """How its keys are placed, when that is known.

        >>> sc.range(3).partitioner is None
        True
        """
        return self._node.partitioner

    def getNumPartitions(self) -> int:
        """Return how many partitions it has.

        >>> sc.parallelize([1, 2, 3, 4], 2).getNumPartitions()
        2
        """
        return self._node.partitions

    def name(self) -> str | None:
        """Return the name that was given to it.

        >>> sc.range(3).setName("numbers").name()
        'numbers'
        """
        return self._node.name

    def setName(self, name: str) -> RDD[T]:
        """Give it a name, for people; returns the same RDD.

        >>> sc.range(3).setName("numbers")
        numbers range[...] at ...
        """
        self._node.name = name
        return self._self()

    def toDebugString(self) -> bytes | None:
        """Draw its lineage: partitions in brackets, an indented block behind each shuffle.

        ``*(1)`` ends the lines of steps that are one loop with small functions built in (``spark.simspark.fusion``).

        >>> print(sc.range(4, numSlices=2).map(str).toDebugString().decode())
        (2) map[...] at ... []
         |  range[...] at ... []
        >>> print(sc.range(4).map(lambda x: x + 1).filter(lambda x: x > 2).toDebugString().decode())
        (...) filter[...] at ... [] *(1)
         |  map[...] at ... [] *(1)
         |  range[...] at ... []
        """
        from simspark.driver.rdd.debug_string import debug_string

        return debug_string(self._node, self.ctx.fuses).encode()

    def __repr__(self) -> str:
        name = f"{self._node.name} " if self._node.name else ""
        return f"{name}{self._node.operation}[{self._node.id}] at {self._node.site}"

    def __reduce__(self) -> str:
        raise NotSerializable(
            "An RDD was used inside a function that runs in tasks. RDDs work in the driver only: join the two, or "
            "collect() this one first and use the result. (SS102)"
        )

    # ── where it is kept ─────────────────────────────────────────────────────────────────────────

    def cache(self) -> RDD[T]:
        """Keep its partitions in memory once they are computed.

        >>> sc.range(3).cache().is_cached
        True
        """
        return self.persist()

    def persist(self, storageLevel: StorageLevel = StorageLevel.MEMORY_ONLY) -> RDD[T]:
        """Keep its partitions at a storage level once they are computed.

        Raises UserError if it has another level already.

        >>> sc.range(3).persist().getStorageLevel()
        StorageLevel(False, True, False, False, 1)
        """
        if not isinstance(storageLevel, StorageLevel):
            raise TypeError(f"storageLevel must be a StorageLevel, not {type(storageLevel).__name__}.")
        if self._node.level not in {None, storageLevel}:
            raise UserError(
                "Cannot change the storage level of an RDD once it has one. Call unpersist() first. (SS100)"
            )
        if self._node.cached is None:
            self._node.cached = Lifeline(self.ctx.forget, "cached", self._node.id)
        self._node.level = storageLevel
        return self._self()

    def unpersist(self, blocking: bool = False) -> RDD[T]:
        """Forget the partitions that are kept; they are computed again when needed.

        >>> sc.range(3).cache().unpersist().is_cached
        False
        """
        self._node.level = None
        self._node.cached = None
        return self._self()

    def cleanShuffleDependencies(self, blocking: bool = False) -> None:
        """Drop the files of the shuffles that it is made of, down to ancestors that are persisted.

        They are computed again when something needs them. A job that runs and reads them keeps them until it ends.
        ``blocking`` waits until the driver has dropped them; workers remove the files soon after.

        >>> counted = sc.parallelize([("a", 1), ("a", 2)]).reduceByKey(lambda a, b: a + b)
        >>> counted.collect()
        [('a', 3)]
        >>> counted.cleanShuffleDependencies()
        >>> counted.collect()
        [('a', 3)]
        """
        self.ctx.clean_shuffles(list(_shuffles_below(self._node)), blocking)

    @property
    def is_cached(self) -> bool:
        """Whether it has a storage level.

        >>> sc.range(3).is_cached
        False
        """
        return self._node.level is not None

    def getStorageLevel(self) -> StorageLevel:
        """Return the level at which it is kept.

        >>> sc.range(3).getStorageLevel()
        StorageLevel(False, False, False, False, 1)
        """
        level = self._node.level or StorageLevel.NONE
        if self._node.checkpoint != LOCAL:
            return level
        return StorageLevel(True, True, level.useOffHeap, level.deserialized or level == StorageLevel.NONE)

    # ── for the other parts of the API ───────────────────────────────────────────────────────────

    def _self(self) -> RDD[T]:
        return cast("RDD[T]", self)

    def _rdd(self, node: Node) -> RDD[Any]:
        return cast("RDD[Any]", type(self)(node, self.ctx))

    def _step(self, kind: Callable[..., Any], function: Any, operation: str,
              keeps_partitioner: bool = False) -> RDD[Any]:
        """This RDD after one step: ``kind(function, label, site)``."""
        site = call_site()
        step = kind(function, operation, str(site))
        number = self.ctx.next_id("rdd")
        return self._rdd(StepsNode(number, operation, site, self._node, step, keeps_partitioner))

    def _shuffle(self, partitioner: Partitioner, operation: str, *, aggregator: Aggregator | None = None,
                 ordering: Ordering | None = None, combine: bool = True) -> RDD[Any]:
        """This RDD's rows brought to the partitions of their keys."""
        dependency = self._shuffle_dependency(partitioner, aggregator, ordering, combine=combine)
        return self._rdd(ShuffledNode(self.ctx.next_id("rdd"), operation, call_site(), dependency))

    def _shuffle_dependency(self, partitioner: Partitioner, aggregator: Aggregator | None = None,
                            ordering: Ordering | None = None, *, combine: bool = True) -> ShuffleDependency:
        shuffle = self.ctx.next_id("shuffle")
        return ShuffleDependency(
            self._node,
            shuffle,
            self.ctx.next_id("stage"),
            partitioner,
            ShuffleWrite(
                shuffle, partitioner, partitioner.num_partitions, aggregator if combine else None, ordering
            ),
            ShuffleRead(shuffle, aggregator, ordering, combine),
            Lifeline(self.ctx.forget, "shuffle", shuffle),
        )

    def _reduce_partitions(self, given: int | None) -> int:
        """How many partitions a shuffle of this RDD has."""
        if given is None:
            return self.ctx.reduce_parallelism or self.getNumPartitions()
        if not isinstance(given, int):
            raise TypeError(f"Number of partitions must be an integer, not {type(given).__name__}.")
        if given < 1:
            raise ValueError("Number of partitions must be positive.")
        return given

    def _run(self, function: PartitionFunction, operation: str,
             partitions: Sequence[int] | None = None) -> list[Any]:
        """Run a job: ``function(partition, rows)`` of each partition, in their order."""
        called: Any = function
        sink = ResultSink(called, operation, str(call_site()))
        return self.ctx.run_node(self._node, sink, partitions, operation)

    def _prepare(self, function: PartitionFunction, operation: str) -> Prepared:
        """The same, pickled and not yet begun."""
        sink = ResultSink(cast(Any, function), operation, str(call_site()))
        return self.ctx.prepare_node(self._node, sink, operation)


def _shuffles_below(root: Node) -> Iterator[int]:
    """The shuffles that a node is made of, not looking below what is persisted."""
    seen = {root}
    todo = [root]
    while todo:
        for dependency in todo.pop().dependencies:
            if isinstance(dependency, ShuffleDependency):
                yield dependency.shuffle
            if dependency.node not in seen and dependency.node.level is None:
                seen.add(dependency.node)
                todo.append(dependency.node)
