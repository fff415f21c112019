"""The driver's own files, and the results that executors left in theirs.

Rows of ``parallelize``, broadcasts and large programs are segment files of the driver's directory. A result that
was too large for a message is a file of the worker that ran the task: on this machine it is mapped, otherwise fetched.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from simspark.driver.job import Accepted
from simspark.publib.blocks.app_directory import AppDirectory, holds_token
from simspark.publib.blocks.pieces import write_parts, write_value
from simspark.publib.blocks.segments import PIECE_BYTES, SegmentFile, SegmentWriter, decode_inline, write_rows
from simspark.publib.errors import BlockError, FetchFailed
from simspark.publib.wire.messages import Owner

BATCH_ROWS = 1000
WHOLE = 1 << 62
"""The size of the only piece of a value that is not cut."""


class DriverFiles:
    """Writes what executors read from the driver. Any thread."""

    def __init__(self, directory: AppDirectory) -> None:
        self.directory = directory

    def put_data(self, name: str, rows: list[Any], cuts: Sequence[tuple[int, int]]) -> None:
        """A segment file with one segment for each cut: where it starts in the rows and stops."""
        writer = SegmentWriter(self.directory.file(name))
        try:
            for index, cut in enumerate(cuts):
                write_rows(writer, index, rows, BATCH_ROWS, cut)
            writer.commit()
        except BaseException:
            writer.abort()
            raise

    def put_value(self, name: str, value: Any, piece_bytes: int = PIECE_BYTES) -> int:
        """A value cut into pieces; how many."""
        return write_value(self.directory.file(name), value, piece_bytes)

    def put_encoded(self, name: str, parts: Sequence[bytes | memoryview], piece_bytes: int = PIECE_BYTES) -> int:
        """The same for a value that has been encoded."""
        return write_parts(self.directory.file(name), parts, piece_bytes)

    def remove(self, name: str) -> None:
        """Remove one file, if it is there."""
        try:
            os.unlink(self.directory.file(name))
        except FileNotFoundError:
            pass


class ResultReader:
    """Turns accepted results into values. In the thread that waits for the job."""

    def __init__(self, owner: Callable[[str], Owner | None], fetch: Callable[[Owner, str], Any] | None) -> None:
        self._owner = owner
        self._fetch = fetch
        self._same_machine: dict[str, bool] = {}

    def read(self, accepted: Accepted) -> Any:
        """The value of one partition. FetchFailed when its file is gone or damaged.

        A file of this machine is removed as soon as it has been read: others are written in its place meanwhile.
        """
        report = accepted.report
        if not report.name:
            return decode_inline(report.payload)
        owner = self._owner(accepted.worker)
        if owner is None:
            raise FetchFailed(accepted.worker, report.name, -1, -1, "its worker is gone")
        if self._is_here(owner):
            return self._map(owner, report.name)
        if self._fetch is None:
            raise FetchFailed(accepted.worker, report.name, -1, -1, "it is on another machine")
        return self._fetch(owner, report.name)

    def _is_here(self, owner: Owner) -> bool:
        if owner.token not in self._same_machine:
            self._same_machine[owner.token] = holds_token(owner.directory, owner.token)
        return self._same_machine[owner.token]

    def _map(self, owner: Owner, name: str) -> Any:
        path = f"{owner.directory}/{name}"
        try:
            value = decode_inline(SegmentFile(path).whole(), path)
        except BlockError as error:
            raise FetchFailed(owner.owner, name, -1, -1, str(error)) from None
        try:
            os.unlink(path)
        except OSError:
            pass  # it goes with the job's
        return value


