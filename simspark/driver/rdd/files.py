"""Actions that write files."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from simspark.driver.rdd.handle import Handle
from simspark.driver.user_errors import action

if TYPE_CHECKING:
    from simspark.publib.lineage.saved_files import Output
    from simspark.publib.lineage.task import Sink

T = TypeVar("T", covariant=True)


class FileActions(Handle[T]):
    """Partitions in, files out."""

    @action
    def saveAsTextFile(self, path: str | os.PathLike[str], compressionCodecClass: str | None = None) -> None:
        """Write each row as a line, each partition as a file ``part-NNNNN`` of the directory ``path``.

        Rows that are not text are written as ``str(row)``. ``path`` is of this machine or a URL that fsspec knows. The
        codec is "gzip", "bz2" or "xz", or Hadoop's class name of one. Each file appears once and whole, ``_SUCCESS``
        when all are there; a store that cannot rename in one step shows whole files to those who wait for it.
        Raises FileExistsError before any task if the path exists, ValueError for an unknown codec, and StorageFault
        if it cannot be written.

        >>> import os, tempfile
        >>> target = os.path.join(tempfile.mkdtemp(), "out")
        >>> sc.parallelize(["a", "b"], 2).saveAsTextFile(target)
        >>> sorted(os.listdir(target))
        ['_SUCCESS', 'part-00000', 'part-00001']
        """
        from simspark.publib.lineage.compression import codec_suffix
        from simspark.publib.lineage.saved_files import SaveTextSink

        codec_suffix(compressionCodecClass)
        self._save(path, lambda output: SaveTextSink(output, compressionCodecClass or ""), "saveAsTextFile")

    @action
    def saveAsPickleFile(self, path: str | os.PathLike[str], batchSize: int = 10) -> None:
        """Write rows of any kind that can be pickled, for ``pickleFile`` to read, ``batchSize`` rows at a time.

        With 0 or less a batch has a good size by itself. The format is simspark's own, checked by length and checksum;
        otherwise as ``saveAsTextFile``.

        >>> import os, tempfile
        >>> target = os.path.join(tempfile.mkdtemp(), "rows")
        >>> sc.parallelize([1, ("a", None)], 2).saveAsPickleFile(target)
        >>> sc.pickleFile(target).collect()
        [1, ('a', None)]
        """
        from simspark.publib.lineage.pickle_files import SavePickleSink

        self._save(path, lambda output: SavePickleSink(output, batchSize), "saveAsPickleFile")

    def _save(self, path: str | os.PathLike[str], make_sink: Callable[[Output], Sink], operation: str) -> None:
        from simspark.publib.lineage.saved_files import Output
        from simspark.publib.lineage.storage import settled

        output = Output(settled(path), str(self._node.id))
        output.begin()
        try:
            self.ctx.run_node(self._node, make_sink(output), None, operation)
        finally:
            output.end()
        output.succeed()
