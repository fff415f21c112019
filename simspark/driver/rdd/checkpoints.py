"""Lineage cut by saving the rows: checkpoints."""

from __future__ import annotations

from typing import TypeVar

from simspark.driver.checkpointing import SavedNode
from simspark.driver.node import LOCAL, RELIABLE
from simspark.driver.rdd.handle import Handle
from simspark.driver.user_errors import action
from simspark.publib.errors import UserError

T = TypeVar("T", covariant=True)


class Checkpoints(Handle[T]):
    """Rows saved so that their lineage can be forgotten."""

    @action
    def checkpoint(self) -> None:
        """Save the rows in the checkpoint directory after the next action that computes them, and cut the lineage.

        A job of its own saves them: ``cache()`` first, or they are computed twice. From then on they are read from
        there; number of partitions and partitioner stay. The nearest marked RDDs below an action are saved, not those
        that only they stand on. Raises UserError before ``setCheckpointDir``.

        >>> import tempfile
        >>> sc.setCheckpointDir(tempfile.mkdtemp())
        >>> squares = sc.parallelize([1, 2, 3], 1).map(lambda x: x * x)
        >>> squares.checkpoint()
        >>> squares.sum()
        14
        >>> print(squares.toDebugString().decode())
        (1) map[...] at ... []
         |  checkpoint[...] at ... []
        """
        if self.ctx.getCheckpointDir() is None:
            raise UserError(
                "Checkpoint directory has not been set in the SparkContext. Call sc.setCheckpointDir(path) first. "
                "(SS100)"
            )
        self.ctx._checkpoints.mark(self._node, RELIABLE)

    def localCheckpoint(self) -> None:
        """Keep the rows in the workers' files after the next action that computes them, and cut the lineage.

        Faster than ``checkpoint``, and of use where lineage grows: but a worker that ends takes its partitions along,
        and a job that needs them fails with JobFailed. They are removed with the RDD.

        >>> squares = sc.parallelize([1, 2, 3], 1).map(lambda x: x * x)
        >>> squares.localCheckpoint()
        >>> squares.sum()
        14
        >>> print(squares.toDebugString().decode())
        (1) map[...] at ... []
         |  localCheckpoint[...] at ... []
        """
        self.ctx._checkpoints.mark(self._node, LOCAL)

    @property
    def is_checkpointed(self) -> bool:
        """Whether ``checkpoint`` was called.

        >>> sc.range(3).is_checkpointed
        False
        """
        return self._node.checkpoint == RELIABLE

    def isCheckpointed(self) -> bool:
        """Tell whether its rows have been saved, by either kind of checkpoint.

        >>> rdd = sc.range(3)
        >>> rdd.localCheckpoint()
        >>> rdd.isCheckpointed()
        False
        >>> rdd.count()
        3
        >>> rdd.isCheckpointed()
        True
        """
        return self._node.saved is not None

    def isLocallyCheckpointed(self) -> bool:
        """Tell whether ``localCheckpoint`` was called.

        >>> rdd = sc.range(3)
        >>> rdd.localCheckpoint()
        >>> rdd.isLocallyCheckpointed()
        True
        """
        return self._node.checkpoint == LOCAL

    def getCheckpointFile(self) -> str | None:
        """Return the directory that its rows were saved in; None before, and for a local checkpoint.

        >>> import tempfile
        >>> sc.setCheckpointDir(tempfile.mkdtemp())
        >>> rdd = sc.range(3)
        >>> rdd.checkpoint()
        >>> rdd.count()
        3
        >>> rdd.getCheckpointFile()
        'file:.../rdd-...'
        """
        from simspark.publib.lineage.storage import shown

        saved = self._node.saved
        return shown(saved.path) if isinstance(saved, SavedNode) and saved.path else None
