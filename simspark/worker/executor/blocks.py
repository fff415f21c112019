"""The data plane of one attempt: reads segments wherever they are, writes files into the own directory.

On the machine that has the file it is mapped; from elsewhere it is fetched, several segments ahead, and consumed
in the order that was asked for. Whatever is missing, damaged or out of reach is a FetchFailed that names it, so
the driver can have it made again. A full or broken disk of this machine is a StorageFault: the node's fault. What
an attempt leaves unfinished is removed when it ends.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from simspark.publib import failpoints
from simspark.publib.blocks.app_directory import checked_name
from simspark.publib.blocks.segments import SegmentFile, SegmentWriter, decode_batches, decode_inline, encode_batch
from simspark.publib.errors import BlockError, FetchFailed, MissingBlock
from simspark.publib.lineage.task import FileRef, SegmentRef
from simspark.publib.wire.messages import Owner
from simspark.worker.executor.env import Environment

Raw = memoryview | bytes | bytearray


class PendingFetch(Protocol):
    """A segment on its way from another machine."""

    def wait(self) -> Raw:
        """The bytes; BlockError, in bounded time, when they cannot be had. Task threads."""
        ...

    def cancel(self) -> None:
        """Nobody wants it any more. Harmless when it is there already."""
        ...


class Fetcher(Protocol):
    """Brings segments from other machines. Any thread; does not block."""

    def fetch(self, owner: Owner, name: str, segment: int) -> PendingFetch:
        """Start fetching one segment."""
        ...


Batches = Callable[[], Iterator[list[Any]]]
_Located = tuple[SegmentRef, Batches, PendingFetch | None]


class TaskData:
    """One attempt's view of the files of the application (publib.lineage.task.DataPlane)."""

    def __init__(self, environment: Environment, fetcher: Fetcher, ask_commit: Callable[[int], bool],
                 task_id: int) -> None:
        self._environment = environment
        self._fetcher = fetcher
        self._ask_commit = ask_commit
        self._task_id = task_id
        self._writers: list[SegmentWriter] = []
        self._scratch: list[str] = []

    def read(self, refs: Sequence[SegmentRef]) -> Iterator[list[Any]]:
        """The record batches of these segments, in this order, fetched ahead within bounds."""
        for ref, batches in self._ahead(refs):
            if failpoints.armed is not None:
                failpoints.hit("p8")
            try:
                yield from batches()
            except BlockError as error:
                raise _failed(ref, error) from error

    def map_outputs(self, shuffle: int) -> Sequence[FileRef]:
        """Where each map partition's output of a shuffle is, by map index."""
        return self._environment.map_outputs(shuffle)

    def create(self, name: str) -> SegmentWriter:
        """A new file of this name in this machine's application directory; there after its commit."""
        kind = SegmentWriter if failpoints.armed is None else _TriedWriter
        writer = kind(os.path.join(self._environment.directory, checked_name(name)))
        self._writers.append(writer)
        return writer

    @property
    def owner(self) -> str:
        """Who keeps the files that ``create`` makes."""
        return self._environment.own_name

    def scratch(self) -> str:
        """A path, not yet used, for a temporary file of this attempt; removed when it ends."""
        name = f"scratch-{self._task_id}-{len(self._scratch)}"
        self._scratch.append(os.path.join(self._environment.directory, name))
        return self._scratch[-1]

    def may_commit(self, task_id: int) -> bool:
        """Ask the driver whether this attempt, and no other, may make its output visible. Blocks."""
        return self._ask_commit(task_id)

    def end(self) -> None:
        """Remove what the attempt left unfinished."""
        for writer in self._writers:
            writer.abort()
        for path in self._scratch:
            try:
                os.unlink(path)
            except OSError:
                continue

    def _ahead(self, refs: Sequence[SegmentRef]) -> Iterator[tuple[SegmentRef, Batches]]:
        """Each segment with how to get it; remote ones are asked for before their turn comes."""
        waiting: deque[_Located] = deque()
        ahead = self._environment.fetch_ahead()
        try:
            for ref in refs:
                waiting.append(self._locate(ref))
                if len(waiting) > ahead:
                    yield waiting.popleft()[:2]
            while waiting:
                yield waiting.popleft()[:2]
        finally:
            for _, _, pending in waiting:
                if pending is not None:
                    pending.cancel()

    def _locate(self, ref: SegmentRef) -> _Located:
        directory = self._environment.local_directory(ref.file.owner)
        if directory is not None:
            path = os.path.join(directory, checked_name(ref.file.name))
            return ref, lambda: SegmentFile(path).batches(ref.segment), None
        owner = self._environment.owner(ref.file.owner)
        if owner is None or not owner.endpoint:
            return ref, lambda: decode_batches(_nowhere(ref)), None
        pending = self._fetcher.fetch(owner, ref.file.name, ref.segment)
        return ref, lambda: decode_batches(pending.wait(), ref.file.name), pending


class _TriedWriter(SegmentWriter):
    """A writer that fails where a test wants it to."""

    def append(self, segment: int, rows: list[Any]) -> int:
        frame = b"".join(encode_batch(rows)) if rows else b""
        return self.append_frame(segment, frame)

    def append_frame(self, segment: int, frame: bytes | memoryview) -> int:
        spoiled = len(frame) > 0 and failpoints.hit("p4")
        return super().append_frame(segment, failpoints.spoil(bytes(frame)) if spoiled else frame)


def read_program(environment: Environment, fetcher: Fetcher, name: str) -> bytes:
    """A stage's program that was too large for a message: a file of the driver with one value."""
    directory = environment.local_directory("driver")
    if directory is not None:
        return bytes(_whole(os.path.join(directory, checked_name(name))))
    return bytes(decode_inline(_fetch_from_driver(environment, fetcher, name, 0), name))


def _whole(path: str) -> Any:
    return decode_inline(SegmentFile(path).whole(), path)


def _fetch_from_driver(environment: Environment, fetcher: Fetcher, name: str, segment: int) -> Any:
    ref = SegmentRef(FileRef("driver", name), segment)
    owner = environment.owner("driver")
    try:
        return _nowhere(ref) if owner is None else fetcher.fetch(owner, name, segment).wait()
    except BlockError as error:
        raise _failed(ref, error) from error


def _nowhere(ref: SegmentRef) -> Raw:
    owner = ref.file.owner or "nobody"
    raise MissingBlock(f"{ref.file.name}: {owner} keeps it, and nobody can say where that is")


def _failed(ref: SegmentRef, error: BlockError) -> FetchFailed:
    if isinstance(error, FetchFailed):
        return error
    return FetchFailed(ref.file.owner, ref.file.name, ref.shuffle, ref.map_index, str(error))
