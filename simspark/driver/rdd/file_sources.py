"""The part of SparkContext that makes RDDs of files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from simspark.driver.rdd.checkpoint_directories import CheckpointDirectories
from simspark.driver.user_errors import action

if TYPE_CHECKING:
    from simspark.driver.rdd.core import RDD
    from simspark.publib.lineage.task import Source

Path = str | os.PathLike[str]
Paths = Path | Iterable[Path]


class FileSources(CheckpointDirectories):
    """RDDs whose rows are in files.

    A path is a file, a directory (its files, but for names that begin with ``_`` or ``.``), a glob with ``* ? [] {}``,
    several of them with commas, or a list of such; plain or ``file://``. Any other URL is read through fsspec, which
    ``pip install "simspark[fs]"`` brings, and which every machine of a cluster needs.
    """

    @action
    def textFile(self, name: Paths, minPartitions: int | None = None, use_unicode: bool = True) -> RDD[str]:
        r"""Make an RDD of the lines of text files, without their ends.

        ``name`` is a path, a directory, a glob, several with commas, or a list of such; any URL that fsspec knows.
        ``.gz``, ``.bz2`` and ``.xz`` are read as what they hold, one partition a file. Raises FileNotFoundError at
        once. Lines are bytes without ``use_unicode``.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "words.txt")
        >>> with open(path, "w") as file:
        ...     _ = file.write("to be\nor not\n")
        >>> sc.textFile(path).collect()
        ['to be', 'or not']
        """
        from simspark.publib.lineage.file_listing import list_files
        from simspark.publib.lineage.text_files import TextSource, plan_text_splits

        splits = plan_text_splits(list_files(name), minPartitions or self.defaultMinPartitions)
        return self._files("textFile", TextSource(use_unicode), splits, name)

    @action
    def wholeTextFiles(self, path: Paths, minPartitions: int | None = None,
                       use_unicode: bool = True) -> RDD[tuple[str, str]]:
        """Make an RDD of (path, text), a row for each file; small files share a partition.

        Paths begin with ``file:``, or are the URL. Compressed files are read as what they hold. Directories inside of
        the one that is named are passed over. Without ``use_unicode``, path and text are bytes.

        >>> import os, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> for name in ("1.txt", "2.txt"):
        ...     with open(os.path.join(folder, name), "w") as file:
        ...         _ = file.write(name[0])
        >>> sc.wholeTextFiles(folder).map(lambda row: (os.path.basename(row[0]), row[1])).collect()
        [('1.txt', '1'), ('2.txt', '2')]
        """
        from simspark.publib.lineage.file_listing import list_files
        from simspark.publib.lineage.whole_files import WholeFileSource, pack_files, text_packing_bytes

        files = list_files(path, nested=True)
        splits = pack_files(files, text_packing_bytes(files, minPartitions or self.defaultMinPartitions))
        return self._files("wholeTextFiles", WholeFileSource(True, use_unicode), splits, path)

    @action
    def binaryFiles(self, path: Paths, minPartitions: int | None = None) -> RDD[tuple[str, bytes]]:
        r"""Make an RDD of (path, bytes), a row for each file as it is; files share a partition up to 128 MiB.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "data")
        >>> with open(path, "wb") as file:
        ...     _ = file.write(bytes([1, 2]))
        >>> sc.binaryFiles(path).values().collect()
        [b'\x01\x02']
        """
        from simspark.publib.lineage.file_listing import list_files
        from simspark.publib.lineage.whole_files import WholeFileSource, binary_packing_bytes, pack_files

        files = list_files(path, nested=True)
        least = minPartitions or self.defaultMinPartitions
        splits = pack_files(files, binary_packing_bytes(files, least, self.defaultParallelism))
        return self._files("binaryFiles", WholeFileSource(False), splits, path)

    @action
    def binaryRecords(self, path: Paths, recordLength: int) -> RDD[bytes]:
        """Make an RDD of records of ``recordLength`` bytes each.

        Raises ValueError for a length below 1 or a compressed file; the job fails with EOFError when a file ends within
        a record.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "records")
        >>> with open(path, "wb") as file:
        ...     _ = file.write(b"abcdef")
        >>> sc.binaryRecords(path, 2).collect()
        [b'ab', b'cd', b'ef']
        """
        from simspark.publib.lineage.file_listing import list_files
        from simspark.publib.lineage.whole_files import RecordSource, plan_record_splits

        if recordLength < 1:
            raise ValueError(f"The length of a record must be at least 1 byte, not {recordLength}.")
        splits = plan_record_splits(list_files(path), recordLength)
        return self._files("binaryRecords", RecordSource(recordLength), splits)

    @action
    def pickleFile(self, name: Paths, minPartitions: int | None = None) -> RDD[Any]:
        """Make an RDD of the rows that ``saveAsPickleFile`` wrote. Large files are several partitions.

        To read is to unpickle: name only files whose writer may run code here. Raises ValueError for other files than
        simspark's; the job fails with CorruptBlock at one that is damaged.

        >>> import os, tempfile
        >>> target = os.path.join(tempfile.mkdtemp(), "rows")
        >>> sc.parallelize(range(4), 2).saveAsPickleFile(target)
        >>> sc.pickleFile(target, 3).collect()
        [0, 1, 2, 3]
        """
        from simspark.publib.lineage.file_listing import list_files
        from simspark.publib.lineage.pickle_files import PickleSource, check_pickle_file, plan_pickle_splits

        files = list_files(name)
        for file in files[:1]:
            check_pickle_file(file.path)
        return self._files(
            "pickleFile", PickleSource(), plan_pickle_splits(files, minPartitions or self.defaultMinPartitions)
        )

    def _files(self, operation: str, source: Source, splits: Sequence[Any], name: Paths | None = None) -> RDD[Any]:
        """An RDD of files; it has the name of its path, as in Spark."""
        made = self._made(operation, source, splits, self.next_id("rdd"))
        if isinstance(name, (str, os.PathLike)):
            made._node.name = os.fspath(name)
        return made
