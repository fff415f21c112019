"""What a running task sees: its own numbers, its budget and the machine's data.

``TaskRun`` is made by the executor for each attempt and handed to the program's source, steps and sink. The two
protocols are the whole of what a program may ask of the executor; tests give their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from simspark.publib.lineage.budget import Budget
from simspark.publib.named_tuple import NamedTuple


class FileRef(NamedTuple):
    """A segment file in the application directory of its owner: a worker's id, or "driver"."""

    owner: str
    name: str


class SegmentRef(NamedTuple):
    """One numbered segment of a file. ``shuffle`` and ``map_index`` name the map output it is, or are -1."""

    file: FileRef
    segment: int
    shuffle: int = -1
    map_index: int = -1


class FileSink(Protocol):
    """Writes one segment file; see blocks.segments.SegmentWriter."""

    def append(self, segment: int, rows: list[Any]) -> int:
        """Add a batch of rows to a segment, segments ascending; bytes written."""
        ...

    def append_frame(self, segment: int, frame: bytes | memoryview) -> int:
        """Add a batch that is encoded already."""
        ...

    def commit(self) -> int:
        """Make the file visible under its name; its size in bytes."""
        ...

    def abort(self) -> None:
        """Forget it."""
        ...


class DataPlane(Protocol):
    """Files of this application, wherever they are. Called by task threads; may block."""

    def read(self, refs: Sequence[SegmentRef]) -> Iterator[list[Any]]:
        """The record batches of these segments, in this order, fetched ahead within bounds.

        Raises FetchFailed (errors) naming the first segment that is missing, corrupt or out of reach.
        """
        ...

    def map_outputs(self, shuffle: int) -> Sequence[FileRef]:
        """Where each map partition's output of a shuffle is, by map index."""
        ...

    def create(self, name: str) -> FileSink:
        """A new file of this name in this machine's application directory; there after its commit."""
        ...

    @property
    def owner(self) -> str:
        """Who keeps the files that ``create`` makes."""
        ...

    def scratch(self) -> str:
        """A path, not yet used, for a temporary file of this task; removed when the attempt ends."""
        ...

    def may_commit(self, task_id: int) -> bool:
        """Ask the driver whether this attempt, and no other, may make its output visible."""
        ...


class BlockCache(Protocol):
    """Cached partitions. Called by task threads; may block."""

    def get(self, rdd: int, partition: int) -> Iterable[Any] | None:
        """The rows, if they are cached on this machine or can be fetched from where they are."""
        ...

    def keep(self, rdd: int, partition: int, rows: Iterator[Any], level: int, task: TaskRun) -> Iterable[Any]:
        """Store the rows at a storage level (StorageLevel.code) and return them to be read once."""
        ...


class Gang(Protocol):
    """The tasks that run together with this one. ``meet`` is for the task's thread and blocks."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where each of them runs, by partition: host:port."""
        ...

    def meet(self, kind: str, text: str) -> list[str]:
        """Wait until all have come in the same way ("barrier" or "allGather"); returns what each said at a gathering.

        Raises BarrierError when they cannot meet.
        """
        ...


class TaskRun:
    """One attempt of one task, as its own code sees it. ``context`` is what was made for its user functions."""

    __slots__ = (
        "accumulated", "attempt", "batch_rows", "budget", "cache", "cached_blocks", "cancelled", "context", "cores",
        "cpu_amount", "data", "gang", "job_id", "memory_budget_bytes", "metrics", "partition", "properties",
        "stage_attempt", "stage_id", "task_id",
    )

    def __init__(self, *, job_id: int, stage_id: int, stage_attempt: int, partition: int, attempt: int, task_id: int,
                 data: DataPlane, cache: BlockCache, memory_budget_bytes: int = 256 << 20, batch_rows: int = 1000,
                 cores: int = 1, properties: dict[str, str] | None = None, cpu_amount: str = "1",
                 gang: Gang | None = None) -> None:
        self.job_id = job_id
        self.stage_id = stage_id
        self.stage_attempt = stage_attempt
        self.partition = partition
        self.attempt = attempt
        self.task_id = task_id
        self.data = data
        self.cache = cache
        self.memory_budget_bytes = memory_budget_bytes
        self.budget = Budget(memory_budget_bytes)
        self.batch_rows = batch_rows
        self.cores = cores
        self.properties = properties or {}
        self.cpu_amount = cpu_amount
        self.gang = gang
        self.context: Any = None
        self.accumulated: dict[int, Any] = {}
        self.cached_blocks: list[tuple[int, int, str, int]] = []
        self.metrics: dict[str, int] = {}
        self.cancelled = False


class MapDone(NamedTuple):
    """A map task's output is in place. ``sizes`` are bytes per reduce partition."""

    name: str
    sizes: tuple[int, ...]


class ResultValue(NamedTuple):
    """A result task's value, still an object; the executor encodes it."""

    value: Any


class Source(Protocol):
    """Where a partition's rows come from."""

    def rows(self, split: Any, task: TaskRun) -> Iterator[Any]:
        """The rows of the part that ``split`` names, lazily, the same in each attempt."""
        ...


class Sink(Protocol):
    """Where a partition's rows go."""

    def run(self, rows: Iterator[Any], task: TaskRun) -> MapDone | ResultValue:
        """Consume the rows and say what came of them."""
        ...


Rows = Iterable[Any]
