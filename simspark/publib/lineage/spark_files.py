"""SparkFiles: where tasks, and the driver, find the files that the program added."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ClassVar

from simspark.publib.errors import ContextStopped
from simspark.publib.spark_tasks import spark_files


class SparkFiles:
    """Paths of what ``addFile``, ``addPyFile`` and ``addArchive`` of the context have added. Nothing to construct.

    >>> import os, tempfile
    >>> from simspark import SparkFiles
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     path = os.path.join(directory, "factor.txt")
    ...     with open(path, "w") as file:
    ...         _ = file.write("3")
    ...     sc.addFile(path)
    >>> def times_factor(x):
    ...     with open(SparkFiles.get("factor.txt")) as file:
    ...         return x * int(file.read())
    >>> sc.parallelize([1, 2]).map(times_factor).collect()
    [3, 6]
    """

    _root: ClassVar[Callable[[], str] | None] = None

    def __init__(self) -> None:
        raise NotImplementedError("SparkFiles has class methods only: SparkFiles.get(name)")

    @classmethod
    def get(cls, filename: str) -> str:
        """The absolute path, in this process, of a file or an unpacked archive that was added.

        Whether it is there is not looked at.

        >>> from simspark import SparkFiles
        >>> SparkFiles.get("table.csv").startswith(SparkFiles.getRootDirectory())
        True
        """
        return os.path.abspath(os.path.join(cls.getRootDirectory(), filename))

    @classmethod
    def getRootDirectory(cls) -> str:
        """The directory, in this process, that all added files are in. Raises ContextStopped without a context.

        >>> import os
        >>> from simspark import SparkFiles
        >>> os.path.isdir(SparkFiles.getRootDirectory())
        True
        """
        if cls._root is None:
            spark = spark_files()
            if spark is not None:
                return str(spark.getRootDirectory())
            raise ContextStopped("Files that a program shares are there while its SparkContext runs. (SS103)")
        return cls._root()

    @classmethod
    def _install(cls, root: Callable[[], str] | None) -> None:
        """Say where the files are in this process; None when they are gone."""
        cls._root = root
