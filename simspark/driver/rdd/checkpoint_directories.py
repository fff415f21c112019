"""The part of SparkContext that says where checkpoints are."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from simspark.driver.rdd.sources import Sources
from simspark.driver.user_errors import action
from simspark.publib.errors import StorageFault

if TYPE_CHECKING:
    from simspark.driver.checkpointing import Checkpoints


class CheckpointDirectories(Sources):
    """The directory of reliable checkpoints."""

    @action
    def setCheckpointDir(self, dirName: str | os.PathLike[str] | None) -> None:
        """Keep checkpoints in a new directory inside of ``dirName``; None: nowhere.

        Every machine of a cluster must see it: a shared file system, or a URL that fsspec knows. Raises StorageFault if
        it cannot be made. What is in it stays when the program ends.

        >>> import tempfile
        >>> sc.setCheckpointDir(tempfile.mkdtemp())
        >>> sc.getCheckpointDir()
        'file:...'
        """
        self._checkpoints.directory = None if dirName is None else _new_directory(dirName)

    def getCheckpointDir(self) -> str | None:
        """Return the directory that ``setCheckpointDir`` made; None without one.

        >>> sc.setCheckpointDir(None)
        >>> print(sc.getCheckpointDir())
        None
        """
        from simspark.publib.lineage.storage import shown

        directory = self._checkpoints.directory
        return None if directory is None else shown(directory)

    @cached_property
    def _checkpoints(self) -> Checkpoints:
        from simspark.driver.checkpointing import Checkpoints

        return Checkpoints(self)


def _new_directory(parent: str | os.PathLike[str]) -> str:
    from uuid import uuid4

    from simspark.publib.lineage.storage import below, settled, storage_of

    directory = below(settled(parent), str(uuid4()))
    try:
        storage_of(directory).make_directory(directory)
    except OSError as error:
        raise StorageFault(
            f"Cannot make the checkpoint directory {directory}: {error.strerror or error}. (SS207)"
        ) from error
    return directory
