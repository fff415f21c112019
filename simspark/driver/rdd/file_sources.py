"""The part of SparkContext that makes RDDs of files."""

from __future__ import annotations

import os
from collections.abc import Iterable

from simspark.driver.call_site import call_site
from simspark.driver.node import DataNode
from simspark.driver.rdd.core import RDD
from simspark.driver.rdd.sources import Sources
from simspark.driver.user_errors import action


class FileSources(Sources):
    """RDDs whose rows are in files."""

    @action
    def textFile(self, name: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
                 minPartitions: int | None = None, use_unicode: bool = True) -> RDD[str]:
        r"""Make an RDD of the lines of text files, without their ends.

        ``name`` is a path, a directory, a glob, several with commas, or a list of such; ``.gz``, ``.bz2`` and ``.xz``
        are read as what they hold, one partition a file. Raises FileNotFoundError at once. Lines are bytes
        without ``use_unicode``.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "words.txt")
        >>> with open(path, "w") as file:
        ...     _ = file.write("to be\nor not\n")
        >>> sc.textFile(path).collect()
        ['to be', 'or not']
        """
        from simspark.publib.lineage.text_files import TextSource, list_text_files, plan_text_splits

        least = self.defaultMinPartitions if minPartitions is None else max(1, int(minPartitions))
        files = [(os.path.abspath(path), size) for path, size in list_text_files(name)]
        splits = plan_text_splits(files, least)
        node = DataNode(self.next_id("rdd"), "textFile", call_site(), TextSource(use_unicode), splits)
        return RDD(node, self)
