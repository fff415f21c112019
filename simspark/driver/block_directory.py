"""Where the blocks of an application are: map outputs of shuffles and cached partitions.

Map outputs and cached files belong to the worker and outlive the executor that wrote them; cached partitions in
memory die with it. The first output committed for a map partition stays until it is lost. Whether its updates of
accumulators were counted is remembered for the life of the shuffle, also when the output is made again.
"""

from __future__ import annotations

from collections.abc import Callable

from simspark.driver.scheduling import Outputs
from simspark.publib.errors import InternalError
from simspark.publib.named_tuple import NamedTuple

NOWHERE = ("", -1)


class _Shuffle:
    __slots__ = ("counted", "epoch", "missing", "places", "snapshot", "workers")

    def __init__(self, partitions: int) -> None:
        self.places: list[tuple[str, int]] = [NOWHERE] * partitions
        self.counted = bytearray(partitions)
        self.missing = partitions
        self.epoch = 1
        self.workers: dict[str, int] = {}
        self.snapshot: Outputs | None = None

    def changed(self) -> None:
        self.epoch += 1
        self.snapshot = None

    def put(self, index: int, worker: str, task: int) -> None:
        self.places[index] = (worker, task)
        self.workers[worker] = self.workers.get(worker, 0) + 1
        self.missing -= 1
        self.changed()

    def remove(self, index: int) -> None:
        worker = self.places[index][0]
        self.places[index] = NOWHERE
        self.missing += 1
        self.workers[worker] -= 1
        if not self.workers[worker]:
            del self.workers[worker]
        self.changed()


class MapOutputs:
    """The outputs of every shuffle that is not forgotten."""

    def __init__(self) -> None:
        self._shuffles: dict[int, _Shuffle] = {}

    def open(self, shuffle: int, partitions: int) -> None:
        """A shuffle with so many map partitions may get outputs; again is harmless."""
        known = self._shuffles.get(shuffle)
        if known is None:
            self._shuffles[shuffle] = _Shuffle(partitions)
        elif len(known.places) != partitions:
            raise InternalError(f"shuffle {shuffle} has {len(known.places)} map partitions, not {partitions}")

    def knows(self, shuffle: int) -> bool:
        """Whether the shuffle was opened and not forgotten."""
        return shuffle in self._shuffles

    def partitions(self, shuffle: int) -> int:
        """How many map partitions the shuffle has; -1 when it is not known."""
        known = self._shuffles.get(shuffle)
        return -1 if known is None else len(known.places)

    def is_complete(self, shuffle: int) -> bool:
        """Whether every map partition has an output."""
        known = self._shuffles.get(shuffle)
        return known is not None and not known.missing

    def missing(self, shuffle: int) -> list[int]:
        """The map partitions without an output."""
        return [index for index, place in enumerate(self._shuffles[shuffle].places) if place is NOWHERE]

    def commit(self, shuffle: int, index: int, worker: str, task: int) -> bool:
        """Take an output, unless the partition has one."""
        known = self._shuffles[shuffle]
        if known.places[index] is not NOWHERE:
            return False
        known.put(index, worker, task)
        return True

    def count_once(self, shuffle: int, index: int) -> bool:
        """True the first time: then the updates of accumulators of this map partition count."""
        counted = self._shuffles[shuffle].counted
        if counted[index]:
            return False
        counted[index] = 1
        return True

    def snapshot(self, shuffle: int) -> Outputs:
        """The table at its epoch; a missing output is at ("", -1). Costs nothing until the next change."""
        known = self._shuffles.get(shuffle)
        if known is None:
            return Outputs(shuffle, 0, ())
        if known.snapshot is None:
            known.snapshot = Outputs(shuffle, known.epoch, tuple(known.places))
        return known.snapshot

    def fail(self, shuffle: int, index: int, worker: str, task: int) -> bool:
        """A reader could not have an output. Removes it if it is the very one that is registered."""
        known = self._shuffles.get(shuffle)
        if known is None or not 0 <= index < len(known.places) or known.places[index] != (worker, task):
            return False
        known.remove(index)
        return True

    def lose_worker(self, worker: str) -> list[int]:
        """All outputs on a worker are gone; returns the shuffles that miss some now."""
        changed = []
        for shuffle, known in self._shuffles.items():
            if worker in known.workers:
                for index, place in enumerate(known.places):
                    if place[0] == worker:
                        known.remove(index)
                changed.append(shuffle)
        return changed

    def clear(self, shuffle: int) -> dict[str, list[str]]:
        """The outputs of a shuffle go, but not what was counted; returns their files' names by worker."""
        files: dict[str, list[str]] = {}
        known = self._shuffles.get(shuffle)
        for index, place in enumerate(known.places if known is not None else ()):
            if known is not None and place is not NOWHERE:
                worker, task = place
                files.setdefault(worker, []).append(f"shuffle-{shuffle}-{index}-{task}")
                known.remove(index)
        return files

    def forget(self, shuffle: int) -> bool:
        """Nobody reads the shuffle any more; False when it was not known."""
        return self._shuffles.pop(shuffle, None) is not None

    def __len__(self) -> int:
        return len(self._shuffles)


class CachedPlace(NamedTuple):
    """A copy of a cached partition: in the memory of ``executor``, or in the file ``name`` of ``worker``."""

    executor: str
    worker: str
    name: str


class CachedBlocks:
    """Cached partitions of RDDs, by (rdd, partition), by the executor or worker that they die with."""

    def __init__(self) -> None:
        self._places: dict[int, dict[int, tuple[CachedPlace, ...]]] = {}
        self._with_executor: dict[str, dict[tuple[int, int], None]] = {}
        self._with_worker: dict[str, dict[tuple[int, int], None]] = {}

    def add(self, rdd: int, partition: int, place: CachedPlace) -> bool:
        """A copy is there; False when it was known."""
        places = self._places.setdefault(rdd, {})
        known = places.get(partition, ())
        if place in known:
            return False
        places[partition] = (*known, place)
        index, home = self._home(place)
        index.setdefault(home, {})[rdd, partition] = None
        return True

    def places(self, rdd: int, partition: int) -> tuple[CachedPlace, ...]:
        """Where copies of a partition are."""
        places = self._places.get(rdd)
        return () if places is None else places.get(partition, ())

    def has_rdd(self, rdd: int) -> bool:
        """Whether any partition of the RDD is cached."""
        return rdd in self._places

    def is_holder(self, executor: str) -> bool:
        """Whether cached partitions would be lost with this executor."""
        return executor in self._with_executor

    def drop(self, executor: str, rdd: int, partition: int) -> None:
        """An executor no longer has the copy that it made."""
        self._keep(rdd, partition, lambda place: place.executor != executor)

    def lose_executor(self, executor: str) -> None:
        """Copies in an executor's memory are gone."""
        for rdd, partition in list(self._with_executor.get(executor, ())):
            self._keep(rdd, partition, lambda place: bool(place.name) or place.executor != executor)

    def lose_worker(self, worker: str) -> None:
        """Copies in a worker's files are gone."""
        for rdd, partition in list(self._with_worker.get(worker, ())):
            self._keep(rdd, partition, lambda place: not place.name or place.worker != worker)

    def lose_file(self, worker: str, name: str) -> None:
        """A reader could not have a file."""
        for rdd, partition in list(self._with_worker.get(worker, ())):
            self._keep(rdd, partition, lambda place: (place.worker, place.name) != (worker, name))

    def forget(self, rdd: int) -> bool:
        """The RDD is not cached any more; False when no partition was."""
        partitions = self._places.get(rdd)
        if partitions is None:
            return False
        for partition in list(partitions):
            self._keep(rdd, partition, lambda _: False)
        return True

    def __len__(self) -> int:
        return sum(len(partitions) for partitions in self._places.values())

    def _home(self, place: CachedPlace) -> tuple[dict[str, dict[tuple[int, int], None]], str]:
        return (self._with_worker, place.worker) if place.name else (self._with_executor, place.executor)

    def _keep(self, rdd: int, partition: int, wanted: Callable[[CachedPlace], bool]) -> None:
        known = self.places(rdd, partition)
        kept = tuple(place for place in known if wanted(place))
        if len(kept) == len(known):
            return
        if kept:
            self._places[rdd][partition] = kept
        else:
            del self._places[rdd][partition]
            if not self._places[rdd]:
                del self._places[rdd]
        self._reindex(rdd, partition, known, kept)

    def _reindex(self, rdd: int, partition: int, known: tuple[CachedPlace, ...],
                 kept: tuple[CachedPlace, ...]) -> None:
        homes = [self._home(place) for place in kept]
        for index, home in [self._home(place) for place in known]:
            if any(index is other and home == name for other, name in homes):
                continue
            blocks = index.get(home)
            if blocks is not None:
                blocks.pop((rdd, partition), None)
                if not blocks:
                    del index[home]
