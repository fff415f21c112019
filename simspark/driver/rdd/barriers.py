"""Stages whose tasks run all at once, and what tasks need beside a core."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from simspark.driver.rdd.handle import Handle
from simspark.publib.lineage import steps

if TYPE_CHECKING:
    from simspark.driver.rdd.core import RDD
    from simspark.publib.resource_profiles import ResourceProfile

T = TypeVar("T", covariant=True)
U = TypeVar("U")


class Barriers(Handle[T]):
    """Barrier stages and resource profiles."""

    def barrier(self) -> RDDBarrier[T]:
        """Have the next step run in a barrier stage: all its tasks at once, all anew when one fails.

        The tasks may wait for each other: see BarrierTaskContext. The stage needs a slot for each partition at the same
        time; NotEnoughResources says so when they cannot be had. Actions and steps of the stage that want other
        partitions than all of them raise BarrierError: use ``collect()[0]`` for ``first()``.

        >>> sc.parallelize([1, 2, 3, 4], 2).barrier().mapPartitions(lambda rows: [sum(rows)]).collect()
        [3, 7]
        """
        return RDDBarrier(self._self())

    def withResources(self, profile: ResourceProfile) -> RDD[T]:
        """Say what the tasks that compute this RDD, and their executors, need; returns the same RDD.

        Tasks take as many slots of their executor as the profile's ``cpus``. An application's executors are all alike:
        an action raises NotEnoughResources if they have less than the profile asks for, and says what to set.

        >>> from simspark.resource import ResourceProfileBuilder, TaskResourceRequests
        >>> profile = ResourceProfileBuilder().require(TaskResourceRequests().cpus(1)).build
        >>> sc.parallelize([1, 2, 3]).withResources(profile).map(lambda x: x * 2).collect()
        [2, 4, 6]
        """
        self._node.profile = profile
        return self._self()

    def getResourceProfile(self) -> ResourceProfile | None:
        """Return the profile that was given to this very RDD, or None.

        >>> sc.parallelize([1]).getResourceProfile() is None
        True
        """
        return self._node.profile


class RDDBarrier(Generic[T]):
    """An RDD whose next step runs in a barrier stage. Made by ``RDD.barrier``.

    >>> rdd = sc.parallelize([1, 2])
    >>> rdd.barrier().rdd is rdd
    True
    """

    def __init__(self, rdd: RDD[T]) -> None:
        self.rdd = rdd

    def mapPartitions(self, f: Callable[[Iterator[T]], Iterable[U]], preservesPartitioning: bool = False) -> RDD[U]:
        """Each partition's iterator becomes ``f(iterator)``, in tasks that all run at once.

        >>> from simspark import BarrierTaskContext
        >>> def meet(rows):
        ...     context = BarrierTaskContext.get()
        ...     return [context.allGather(str(sum(rows)))]
        >>> sc.parallelize([1, 2, 3, 4], 2).barrier().mapPartitions(meet).collect()
        [['3', '7'], ['3', '7']]
        """
        return self._in_barrier_stage(steps.MapPartitions, f, "mapPartitions", preservesPartitioning)

    def mapPartitionsWithIndex(self, f: Callable[[int, Iterator[T]], Iterable[U]],
                               preservesPartitioning: bool = False) -> RDD[U]:
        """Each partition's iterator becomes ``f(index of the partition, iterator)``, in tasks that all run at once.

        >>> barrier = sc.parallelize([1, 2, 3, 4], 2).barrier()
        >>> barrier.mapPartitionsWithIndex(lambda index, rows: [(index, *rows)]).collect()
        [(0, 1, 2), (1, 3, 4)]
        """
        return self._in_barrier_stage(steps.MapPartitionsWithIndex, f, "mapPartitionsWithIndex", preservesPartitioning)

    def _in_barrier_stage(self, kind: Callable[..., Any], function: Any, operation: str,
                          keeps_partitioner: bool) -> RDD[Any]:
        made = self.rdd._step(kind, function, operation, keeps_partitioner)
        made._node.barrier = True
        return made
