"""How an RDD depends on another: narrow, where a partition needs few of the parent's, or through a shuffle.

Which of the two it is decides where lineage is cut into stages, and it is a matter of type. Each dependency gives the
stage that reads it one input: the parent's own source when it is narrow, a read of the shuffle when it is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simspark.driver.lifeline import Lifeline
from simspark.publib.errors import NotSerializable

if TYPE_CHECKING:
    from simspark.driver.node import Node
    from simspark.publib.lineage.partitioner import Partitioner
    from simspark.publib.lineage.shuffle_read import ShuffleRead
    from simspark.publib.lineage.task import Sink


class NarrowDependency:
    """Each partition needs some partitions of the parent, computed in the same task."""

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        self.node = node


class OneToOne(NarrowDependency):
    """Partition i needs partition i of the parent."""

    __slots__ = ()


class ShuffleDependency:
    """Each partition needs rows of all partitions of the parent, which its tasks wrote apart by key.

    ``sink`` writes the map side, ``read`` reads one partition of it. ``program`` is the map stage's pickled program
    with what it was pickled for; the outputs are made once for all jobs that name the shuffle.
    """

    __slots__ = ("lifeline", "node", "partitioner", "program", "read", "shuffle", "sink", "stage")

    def __init__(self, node: Node, shuffle: int, stage: int, partitioner: Partitioner, sink: Sink, read: ShuffleRead,
                 lifeline: Lifeline) -> None:
        self.node = node
        self.shuffle = shuffle
        self.stage = stage
        self.partitioner = partitioner
        self.sink = sink
        self.read = read
        self.program: tuple[object, bytes] | None = None
        self.lifeline = lifeline

    def __reduce__(self) -> str:
        raise NotSerializable("A shuffle dependency stays in the driver; only compiled programs travel. (SS102)")


Dependency = NarrowDependency | ShuffleDependency
