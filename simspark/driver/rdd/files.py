"""Actions that write files."""

from __future__ import annotations

import os
from typing import TypeVar

from simspark.driver.rdd.handle import Handle
from simspark.driver.user_errors import action
from simspark.publib.errors import StorageFault
from simspark.publib.lineage.sinks import SaveTextSink, codec_suffix

T = TypeVar("T")

SUCCESS = "_SUCCESS"
TEMPORARY = "_temporary"


class FileActions(Handle[T]):
    """Partitions in, files out."""

    @action
    def saveAsTextFile(self, path: str, compressionCodecClass: str | None = None) -> None:
        """Write each row as a line, each partition as a file ``part-NNNNN`` of the directory ``path``.

        Rows that are not text are written as ``str(row)``. ``_SUCCESS`` appears when all files are there.
        Raises FileExistsError before any task if the path exists, and StorageFault if it cannot be written.

        >>> import os, tempfile
        >>> target = os.path.join(tempfile.mkdtemp(), "out")
        >>> sc.parallelize(["a", "b"], 2).saveAsTextFile(target)
        >>> sorted(os.listdir(target))
        ['_SUCCESS', 'part-00000', 'part-00001']
        """
        codec_suffix(compressionCodecClass)
        directory = local_path(path)
        _create(directory)
        job = str(self._node.id)
        try:
            sink = SaveTextSink(directory, job, compressionCodecClass or "", "saveAsTextFile")
            self.ctx.run_node(self._node, sink, None, "saveAsTextFile")
        finally:
            _remove_temporary(os.path.join(directory, TEMPORARY, job))
        with open(os.path.join(directory, SUCCESS), "wb"):
            pass


def local_path(path: str) -> str:
    """The path of a file on this machine: ``file:`` is dropped, and what is relative is made absolute."""
    for prefix in ("file://", "file:"):
        if path.startswith(prefix):
            path = path[len(prefix) :]
            break
    scheme, separator, _ = path.partition("://")
    if separator and scheme.isalnum():
        raise ValueError(f"Cannot use {path!r}: files of {scheme}:// are not supported, only paths and file://.")
    return os.path.abspath(path)


def _create(directory: str) -> None:
    try:
        os.makedirs(directory)
    except FileExistsError:
        raise FileExistsError(
            f"Output directory {directory} already exists. Remove it or choose another: nothing was written."
        ) from None
    except OSError as error:
        raise StorageFault(f"Cannot make the output directory {directory}: {error.strerror}. (SS207)") from error


def _remove_temporary(folder: str) -> None:
    """Remove what attempts left behind, and the folders if nobody else uses them."""
    try:
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
        os.rmdir(os.path.dirname(folder))
    except OSError:
        pass
