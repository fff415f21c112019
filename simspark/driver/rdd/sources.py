"""What a context makes: RDDs of collections, numbers and files, broadcasts and accumulators."""

from __future__ import annotations

import builtins
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar, cast

from simspark.driver.call_site import call_site
from simspark.driver.lifeline import Lifeline
from simspark.driver.user_errors import action
from simspark.publib.errors import NotSerializable, SimsparkError

if TYPE_CHECKING:
    from simspark.driver.engine import Following, Prepared
    from simspark.driver.node import Node
    from simspark.driver.rdd.core import RDD
    from simspark.publib.lineage.shared import Accumulator, AccumulatorParam, Broadcast
    from simspark.publib.lineage.task import Sink, Source

T = TypeVar("T")
U = TypeVar("U")

DRIVER = "driver"
LARGEST_BATCH = 1024


class Sources:
    """The part of SparkContext that makes things. What is abstract here is described in ``driver.engine``."""

    largest_batch: int = LARGEST_BATCH

    @property
    @abstractmethod
    def defaultParallelism(self) -> int:
        """Partitions where the program names none."""

    @property
    @abstractmethod
    def reduce_parallelism(self) -> int:
        """See driver.engine."""

    @property
    @abstractmethod
    def fuses(self) -> bool:
        """See driver.engine."""

    @abstractmethod
    def next_id(self, kind: str) -> int:
        """See driver.engine."""

    @abstractmethod
    def run_node(self, node: Node, sink: Sink, partitions: Sequence[int] | None, operation: str) -> list[Any]:
        """See driver.engine."""

    @abstractmethod
    def prepare_node(self, node: Node, sink: Sink, operation: str) -> Prepared:
        """See driver.engine."""

    @abstractmethod
    def local_properties(self) -> dict[str, str]:
        """See driver.engine."""

    @abstractmethod
    def follow(self, activity: Following) -> None:
        """See driver.engine."""

    @abstractmethod
    def unfollow(self, activity: Following) -> None:
        """See driver.engine."""

    @abstractmethod
    def put_data(self, name: str, rows: list[Any], cuts: Sequence[tuple[int, int]]) -> None:
        """See driver.engine."""

    @abstractmethod
    def put_broadcast(self, broadcast_id: int, value: Any) -> int:
        """See driver.engine."""

    @abstractmethod
    def add_accumulator(self, accumulator: Accumulator[Any]) -> None:
        """See driver.engine."""

    @abstractmethod
    def clean_shuffles(self, shuffles: Sequence[int], blocking: bool) -> None:
        """See driver.engine."""

    @abstractmethod
    def forget(self, kind: str, number: int) -> None:
        """See driver.engine."""

    @abstractmethod
    def unpersist_broadcast(self, broadcast_id: int, blocking: bool) -> None:
        """See publib.lineage.shared.BroadcastOwner."""

    @abstractmethod
    def destroy_broadcast(self, broadcast_id: int, blocking: bool) -> None:
        """See publib.lineage.shared.BroadcastOwner."""

    def __reduce__(self) -> str:
        raise NotSerializable(
            "A context was used inside a function that runs in tasks. Contexts work in the driver only. (SS102)"
        )

    @property
    def defaultMinPartitions(self) -> int:
        """The least number of partitions of a text file where the program names none.

        >>> sc.defaultMinPartitions <= 2
        True
        """
        return min(self.defaultParallelism, 2)

    def parallelize(self, c: Iterable[T], numSlices: int | None = None) -> RDD[T]:
        """Make an RDD of a collection, cut into ``numSlices`` even slices. A range is never written out.

        >>> sc.parallelize([0, 2, 3, 4, 6], 5).glom().collect()
        [[0], [2], [3], [4], [6]]
        """
        count = self.defaultParallelism if numSlices is None else int(numSlices)
        if count < 1:
            raise ValueError("Number of slices must be positive.")
        if isinstance(c, builtins.range):
            numbers: RDD[Any] = self._numbers(c, count, "parallelize")
            return numbers
        rows = c if type(c) is list else list(c)
        cuts = slice_bounds(len(rows), count, self.largest_batch)
        return self._slices(rows, cuts, "parallelize")

    def _slices(self, rows: list[T], cuts: Sequence[tuple[int, int]], operation: str) -> RDD[T]:
        from simspark.publib.lineage.shared import PickledBroadcasts
        from simspark.publib.lineage.sources import SliceSource
        from simspark.publib.lineage.task import FileRef, SegmentRef

        number = self.next_id("rdd")
        name = f"data-{number}"
        with PickledBroadcasts() as lifelines:
            self.put_data(name, rows, cuts)
        splits = [SegmentRef(FileRef(DRIVER, name), index) for index in builtins.range(len(cuts))]
        return self._made(operation, SliceSource(), splits, number, Lifeline(self.forget, "data", number, lifelines))

    def range(self, start: int, end: int | None = None, step: int = 1, numSlices: int | None = None) -> RDD[int]:
        """Make an RDD of numbers from ``start`` to below ``end``, or from 0 to below ``start``.

        >>> sc.range(1, 7, 2).collect()
        [1, 3, 5]
        """
        numbers = builtins.range(0, start, step) if end is None else builtins.range(start, end, step)
        count = self.defaultParallelism if numSlices is None else int(numSlices)
        if count < 1:
            raise ValueError("Number of slices must be positive.")
        return self._numbers(numbers, count, "range")

    def _numbers(self, numbers: builtins.range, count: int, operation: str) -> RDD[int]:
        from simspark.publib.lineage.sources import RangeSource
        from simspark.publib.optimizations import uses

        size = len(numbers)
        cuts = list(pairwise([part * size // count for part in builtins.range(count + 1)]))
        if not uses("ranges"):
            return self._slices(list(numbers), cuts, operation)
        parts = [numbers[start:stop] for start, stop in cuts]
        splits = [(part.start, part.stop, part.step) for part in parts]
        return self._made(operation, RangeSource(), splits, self.next_id("rdd"))

    def _made(self, operation: str, source: Source, splits: Sequence[Any], number: int,
              data: Lifeline | None = None) -> RDD[Any]:
        """An RDD that stands on no other. What RDDs are is imported here, by the first of them."""
        from simspark.driver.node import DataNode
        from simspark.driver.rdd.core import RDD

        return RDD(DataNode(number, operation, call_site(), source, splits, (), data), self)

    def emptyRDD(self) -> RDD[Any]:
        """Make an RDD without partitions.

        >>> sc.emptyRDD().isEmpty()
        True
        """
        from simspark.publib.lineage.sources import SliceSource

        return self._made("emptyRDD", SliceSource(), [], self.next_id("rdd"))

    def union(self, rdds: Sequence[RDD[T]]) -> RDD[T]:
        """Make an RDD of all rows of several, in their order. It has no partitioner, whatever theirs are.

        >>> sc.union([sc.parallelize([1]), sc.parallelize([2]), sc.parallelize([1])]).collect()
        [1, 2, 1]
        """
        if not rdds:
            raise ValueError("Cannot make the union of no RDDs. Use emptyRDD() for an empty one.")
        from simspark.driver.rdd.core import RDD
        from simspark.driver.rdd.narrow import union_node

        node = union_node([rdd._node for rdd in rdds], self.next_id("rdd"))
        node.partitioner = None
        return RDD(node, self)

    def broadcast(self, value: T) -> Broadcast[T]:
        """Give all tasks a read-only value, which each machine holds once.

        >>> table = sc.broadcast({"a": 1})
        >>> sc.parallelize(["a", "b"]).map(lambda key: table.value.get(key)).collect()
        [1, None]
        """
        from simspark.driver.rdd.core import RDD
        from simspark.publib.lineage.shared import Broadcast, PickledBroadcasts

        if isinstance(value, (RDD, Sources)):
            raise NotSerializable(
                "Cannot broadcast an RDD or a context: collect() the RDD and broadcast the result. (SS102)"
            )
        number = self.next_id("broadcast")
        try:
            with PickledBroadcasts() as lifelines:
                pieces = self.put_broadcast(number, value)
        except (SimsparkError, OSError):
            raise
        except Exception as error:
            raise NotSerializable(
                f"Could not serialize broadcast: {type(error).__name__}: {error}. (SS102)"
            ) from error
        return Broadcast(number, pieces, value, self, Lifeline(self.forget, "destroyed", number, lifelines))

    def accumulator(self, value: T, accum_param: AccumulatorParam[T] | None = None) -> Accumulator[T]:
        """Make a sum that tasks add to and only the driver reads; numbers need no ``accum_param``.

        >>> seen = sc.accumulator(0)
        >>> sc.parallelize([1, 2, 3]).foreach(lambda x: seen.add(x))
        >>> seen.value
        6
        """
        from simspark.publib.lineage.shared import Accumulator, accumulator_param_for

        param = accumulator_param_for(value) if accum_param is None else accum_param
        made = Accumulator(self.next_id("accumulator"), value, param)
        self.add_accumulator(made)
        return made

    @action
    def runJob(self, rdd: RDD[T], partitionFunc: Callable[[Iterable[T]], Iterable[U]],
               partitions: Sequence[int] | None = None, allowLocal: bool = False) -> list[U]:
        """Run ``partitionFunc(iterator)`` on some partitions and return all elements that it gave, in order.

        Raises ValueError for a partition that the RDD does not have.

        >>> sc.runJob(sc.parallelize(range(6), 3), lambda rows: [sum(rows)], [0, 2])
        [1, 9]
        """
        from simspark.publib.lineage.result_functions import Called
        from simspark.publib.lineage.sinks import ResultSink

        sink = ResultSink(cast(Any, Called(partitionFunc)), "runJob", str(call_site()))
        wanted = list(builtins.range(rdd.getNumPartitions()) if partitions is None else partitions)
        distinct = list(dict.fromkeys(wanted))
        for partition in distinct:
            if not 0 <= partition < rdd.getNumPartitions():
                raise ValueError(f"There is no partition {partition}: {rdd} has {rdd.getNumPartitions()}. (SS100)")
        parts = dict(zip(distinct, self.run_node(rdd._node, sink, distinct, "runJob"), strict=True))
        return [value for partition in wanted for value in parts[partition]]


def slice_bounds(size: int, count: int, largest_batch: int = LARGEST_BATCH) -> list[tuple[int, int]]:
    """Where each of ``count`` slices of a collection starts and stops.

    As in PySpark, the collection is first cut into batches, of at most 1,024 rows or the context's batchSize, and those
    are dealt evenly.
    """
    batch = max(1, min(size // count, largest_batch))
    batches = -(-size // batch)
    cuts = [min(size, part * batches // count * batch) for part in range(count + 1)]
    return list(pairwise(cuts))
