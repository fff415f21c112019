"""Which partition a key belongs to.

Two partitioners by hash are equal when they place every key alike for sure: same class, same number of partitions,
same function. One by ranges equals itself only: as in Spark, two sorts are never alike, whatever their samples were.
Lineage asks that to know that two RDDs need no shuffle to meet.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from typing import Any

from simspark.publib.hashing import DIRECT_TYPES, portable_hash
from simspark.publib.optimizations import uses


class Partitioner:
    """Places keys in ``num_partitions`` partitions. Called with a key, gives the index of its partition."""

    __slots__ = ("num_partitions",)

    def __init__(self, num_partitions: int) -> None:
        self.num_partitions = num_partitions

    @property
    def numPartitions(self) -> int:
        """How many partitions."""
        return self.num_partitions

    @property
    def partitionFunc(self) -> Callable[[Any], int]:
        """A function whose remainder by the number of partitions is the partition of a key."""
        return self

    def __call__(self, key: Any) -> int:
        """The partition of a key."""
        raise NotImplementedError

    def assign(self, keys: Sequence[Any], kinds: Collection[type] = ()) -> list[int]:
        """The partition of each of many keys; ``kinds`` are all types that they may be of, where those are known."""
        return [self(key) for key in keys]

    def _identity(self) -> tuple[Any, ...]:
        return (self.num_partitions,)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Partitioner) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.num_partitions))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._identity()))})"


class HashPartitioner(Partitioner):
    """By the remainder of ``func(key)``; the default function is portable_hash."""

    __slots__ = ("func",)

    def __init__(self, num_partitions: int, func: Callable[[Any], int] = portable_hash) -> None:
        super().__init__(num_partitions)
        self.func = func

    @property
    def partitionFunc(self) -> Callable[[Any], int]:
        """The function."""
        return self.func

    def __call__(self, key: Any) -> int:
        """The partition of a key."""
        return self.func(key) % self.num_partitions

    def assign(self, keys: Sequence[Any], kinds: Collection[type] = ()) -> list[int]:
        """The partition of each of many keys; ``kinds`` are all types that they may be of, where those are known."""
        count, func = self.num_partitions, self.func
        if func is portable_hash and uses("hashes") and DIRECT_TYPES.issuperset(kinds or map(type, keys)):
            return [value % count for value in map(hash, keys)]
        return [func(key) % count for key in keys]

    def _identity(self) -> tuple[Any, ...]:
        return (self.num_partitions, self.func)


class FunctionPartitioner(HashPartitioner):
    """By a user's function, whose result is taken modulo the number of partitions."""

    __slots__ = ()

    def __init__(self, num_partitions: int, func: Callable[[Any], int]) -> None:
        super().__init__(num_partitions, func)


class RangePartitioner(Partitioner):
    """By where ``func(key)`` lies between ascending ``bounds``: one fewer than partitions, or less.

    A key equal to a bound goes below it. With ``ascending=False`` the highest keys are in partition 0.
    """

    __slots__ = ("ascending", "bounds", "func")

    def __init__(self, num_partitions: int, bounds: Sequence[Any], ascending: bool = True,
                 func: Callable[[Any], Any] | None = None) -> None:
        super().__init__(num_partitions)
        self.bounds = list(bounds)
        self.ascending = ascending
        self.func = func

    def __call__(self, key: Any) -> int:
        """The partition of a key."""
        place = bisect_left(self.bounds, key if self.func is None else self.func(key))
        return place if self.ascending else self.num_partitions - 1 - place

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = Partitioner.__hash__

    def _identity(self) -> tuple[Any, ...]:
        return (self.num_partitions, self.bounds, self.ascending, self.func)
