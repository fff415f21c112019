"""Actions that return at once, with a future."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from simspark.driver.engine import Prepared, Started
from simspark.driver.rdd.actions import TakeRounds
from simspark.driver.rdd.handle import Handle, PartitionFunction
from simspark.driver.user_errors import action
from simspark.publib.lineage.sinks import Collect, Count, Foreach, ForeachPartition, Take

if TYPE_CHECKING:
    from simspark.driver.future_action import FutureAction

T = TypeVar("T", covariant=True)
R = TypeVar("R")


class AsyncActions(Handle[T]):
    """Actions that run while the program goes on.

    Each returns a FutureAction. The functions are pickled and the job is submitted before it returns, with the
    calling thread's job group, tags and other local properties; NotSerializable is raised there and then.
    """

    @action
    def collectAsync(self) -> FutureAction[list[T]]:
        """Begin to bring all rows to the driver, as ``collect`` does.

        >>> future = sc.parallelize([1, 2, 3], 2).collectAsync()
        >>> future.result()
        [1, 2, 3]
        """
        return self._later(Collect(), "collectAsync", lambda parts: list(chain.from_iterable(parts)))

    @action
    def countAsync(self) -> FutureAction[int]:
        """Begin to count the rows, as ``count`` does.

        >>> counts = [sc.range(number).countAsync() for number in (3, 5)]
        >>> [count.result() for count in counts]
        [3, 5]
        """
        return self._later(Count(), "countAsync", sum)

    @action
    def foreachAsync(self, f: Callable[[T], object]) -> FutureAction[None]:
        """Begin to call ``f(row)`` for each row, in the tasks.

        >>> total = sc.accumulator(0)
        >>> sc.parallelize([1, 2, 3]).foreachAsync(total.add).result()
        >>> total.value
        6
        """
        return self._later(Foreach(f), "foreachAsync", _nothing)

    @action
    def foreachPartitionAsync(self, f: Callable[[Iterator[T]], object]) -> FutureAction[None]:
        """Begin to call ``f(iterator)`` for each partition, in the tasks.

        >>> total = sc.accumulator(0)
        >>> sc.parallelize([1, 2, 3], 2).foreachPartitionAsync(lambda rows: total.add(sum(rows))).result()
        >>> total.value
        6
        """
        return self._later(ForeachPartition(f), "foreachPartitionAsync", _nothing)

    @action
    def takeAsync(self, num: int) -> FutureAction[list[T]]:
        """Begin to bring the first ``num`` rows, as ``take`` does: job after job until there are enough.

        >>> sc.parallelize(range(100), 50).takeAsync(3).result()
        [0, 1, 2]
        """
        prepared = self._prepare(Take(max(0, num)), "takeAsync")
        return self._future("takeAsync", _take(prepared, num, self.getNumPartitions()))

    def _later(self, function: PartitionFunction, operation: str,
               finish: Callable[[list[Any]], R]) -> FutureAction[R]:
        prepared = self._prepare(function, operation)
        return self._future(operation, _once(prepared, self.getNumPartitions(), finish))

    def _future(self, operation: str, steps: Generator[Started, list[Any], R]) -> FutureAction[R]:
        from simspark.driver.future_action import FutureAction

        return FutureAction(operation, self.ctx, self.ctx.local_properties(), steps)


def _once(prepared: Prepared, partitions: int,
          finish: Callable[[list[Any]], R]) -> Generator[Started, list[Any], R]:
    """All partitions in one job."""
    return finish((yield prepared.start(range(partitions))))


def _take(prepared: Prepared, num: int, partitions: int) -> Generator[Started, list[Any], list[Any]]:
    """A job for each round of a take."""
    rounds = TakeRounds(num, partitions)
    while rounds.wanted:
        rounds.add((yield prepared.start(rounds.wanted)))
    return rounds.rows


def _nothing(parts: list[Any]) -> None:
    """The result of an action that has none."""
