"""A data plane, a cache and tasks for tests: files in one directory, everything else in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from simspark.publib.blocks.segments import SegmentFile, SegmentWriter
from simspark.publib.errors import BlockError, FetchFailed
from simspark.publib.lineage.task import FileRef, SegmentRef, TaskRun


class FilesPlane:
    """Every file is in ``directory``; ``outputs`` says where map outputs are."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.outputs: dict[int, list[FileRef]] = {}
        self.scratched: list[str] = []
        self.commits_refused = False

    def read(self, refs: Sequence[SegmentRef]) -> Iterator[list[Any]]:
        for ref in refs:
            path = os.path.join(self.directory, ref.file.name)
            try:
                with SegmentFile(path) as file:
                    yield from file.batches(ref.segment)
            except BlockError as error:
                raise FetchFailed(*ref.file, ref.shuffle, ref.map_index, str(error)) from error

    def map_outputs(self, shuffle: int) -> Sequence[FileRef]:
        return self.outputs[shuffle]

    def create(self, name: str) -> SegmentWriter:
        return SegmentWriter(os.path.join(self.directory, name))

    def opened(self, name: str) -> SegmentFile:
        return SegmentFile(os.path.join(self.directory, name))

    owner = "here"

    def scratch(self) -> str:
        self.scratched.append(os.path.join(self.directory, f"scratch-{len(self.scratched)}"))
        return self.scratched[-1]

    def may_commit(self, task_id: int) -> bool:
        return not self.commits_refused


class DictCache:
    """Keeps partitions in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, int], list[Any]] = {}

    def get(self, rdd: int, partition: int) -> Iterable[Any] | None:
        return self.kept.get((rdd, partition))

    def keep(self, rdd: int, partition: int, rows: Iterator[Any], level: int, task: TaskRun) -> Iterable[Any]:
        self.kept[rdd, partition] = list(rows)
        return self.kept[rdd, partition]


def task_on(plane: FilesPlane, partition: int = 0, *, budget_bytes: int = 256 << 20, task_id: int = 1,
            cache: DictCache | None = None) -> TaskRun:
    """An attempt on this plane."""
    return TaskRun(job_id=1, stage_id=2, stage_attempt=0, partition=partition, attempt=0, task_id=task_id, data=plane,
                   cache=cache or DictCache(), memory_budget_bytes=budget_bytes)
