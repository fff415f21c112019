"""Files that a job saves: each partition's file appears under its name once, whole, and ``_SUCCESS`` after them all.

The driver makes the directory and ``_temporary/<job>`` in it. An attempt writes ``<partition>.<task>`` there, makes
that durable and asks the driver; one attempt has leave and moves its file to its name. At the end of the job the
driver removes ``_temporary``: attempts never make it, so one that is late cannot bring it back. What fails leaves no
``_SUCCESS``, and names that have appeared.

The move is one step on this machine and in stores that copy objects whole (S3, Google, Azure): no reader ever sees part
of a file. Elsewhere a reader who does not wait for ``_SUCCESS`` may. Where there are no directories (object stores), an
attempt that is killed after the end of its job may leave its file in ``_temporary``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from simspark.publib import failpoints
from simspark.publib.blocks.segments import storage_fault
from simspark.publib.errors import StorageFault
from simspark.publib.lineage.compression import codec_suffix, writer
from simspark.publib.lineage.storage import NewFile, below, storage_of
from simspark.publib.lineage.task import ResultValue, TaskRun
from simspark.publib.named_tuple import NamedTuple

SUCCESS = "_SUCCESS"
TEMPORARY = "_temporary"


class Output(NamedTuple):
    """The directory that a job saves to; ``job`` is a name for it there."""

    directory: str
    job: str

    # ── in the driver ────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self) -> None:
        """Make the directory. Raises FileExistsError if something has its name, StorageFault if it cannot be."""
        storage = storage_of(self.directory)
        try:
            if storage.status(self.directory) is not None:
                raise FileExistsError
            storage.make_directory(self.directory, new=True)
            storage.make_directory(self._folder())
        except FileExistsError:
            raise FileExistsError(
                f"Output directory {self.directory} already exists. Remove it or choose another: nothing was written."
            ) from None
        except OSError as error:
            reason = error.strerror or error
            raise StorageFault(f"Cannot make the output directory {self.directory}: {reason}. (SS207)") from error

    def end(self) -> None:
        """Remove what attempts have left behind, also when some still run."""
        storage_of(self.directory).remove_tree(below(self.directory, TEMPORARY))

    def succeed(self) -> None:
        """Say that everything is there."""
        storage_of(self.directory).create(below(self.directory, SUCCESS)).close()

    # ── in tasks ─────────────────────────────────────────────────────────────────────────────────────────────────

    def save(self, task: TaskRun, suffix: str, write: Callable[[NewFile], Any]) -> ResultValue:
        """Let ``write`` make this attempt's file; the value is whether it is the one that appears."""
        storage = storage_of(self.directory)
        path = below(self._folder(), f"{task.partition}.{task.task_id}")
        try:
            with _Closing(self._create(path)) as file:
                write(file)
            if not task.data.may_commit(task.task_id):
                return ResultValue(False)
            failpoints.hit("commit")
            storage.move(path, below(self.directory, f"part-{task.partition:05d}{suffix}"))
            failpoints.hit("p5")
            return ResultValue(True)
        finally:
            storage.remove(path)

    def _create(self, path: str) -> NewFile:
        try:
            return storage_of(path).create(path)
        except (StorageFault, FileNotFoundError) as error:
            if isinstance(error, StorageFault) and not isinstance(error.__cause__, FileNotFoundError):
                raise
            raise StorageFault(
                f"Cannot save to {self.directory}: this machine does not see the directory that the driver made. "
                "Save to one that all machines share. (SS207)"
            ) from error

    def _folder(self) -> str:
        return below(below(self.directory, TEMPORARY), self.job)


class _Closing:
    """Closes a file; an error of that counts only if it is the first."""

    def __init__(self, file: NewFile) -> None:
        self._file = file

    def __enter__(self) -> NewFile:
        return self._file

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            self._file.close()
        except Exception:
            if error is None:
                raise


class SaveTextSink(NamedTuple):
    """Saves rows as lines of ``part-NNNNN<suffix>``; the value is whether this attempt's file is there.

    ``codec`` is "", or what ``codec_suffix`` takes. Rows that are not str or bytes are written as str(row).
    """

    output: Output
    codec: str = ""

    def run(self, rows: Iterator[Any], task: TaskRun) -> ResultValue:
        """Write the file. Raises StorageFault."""
        suffix = codec_suffix(self.codec)

        def write(raw: NewFile) -> None:
            file = writer(raw, suffix)
            while batch := [_line(row) for row in islice(rows, task.batch_rows)]:
                batch.append(b"")
                at_write(self.output.directory)
                file.write(b"\n".join(batch))
            if file is not raw:
                file.close()

        return self.output.save(task, suffix, write)


def at_write(directory: str) -> None:
    """Before each write: where a test may have the disk fail."""
    try:
        failpoints.hit("p4")
    except OSError as error:
        raise storage_fault(error, directory) from error


def _line(row: Any) -> bytes:
    if isinstance(row, bytes):
        return row
    return (row if isinstance(row, str) else str(row)).encode()
