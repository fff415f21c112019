"""Checkpoints: after the first action that computes a marked RDD, a job saves its rows and its lineage is cut.

As in Spark: the nearest marked RDDs below the action's are saved, not those that only they stand on. Rows of a
reliable checkpoint are pickle files in the checkpoint directory, which every machine must see; those of a local one are
files of the workers, as cached partitions on disk are, and end with their worker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from simspark.driver.call_site import CallSite
from simspark.driver.engine import Engine, Prepared, Started
from simspark.driver.lifeline import Lifeline
from simspark.driver.node import LINEAGE, LOCAL, DataNode, Node
from simspark.publib.errors import StorageFault
from simspark.publib.lineage.task import Source


class SavedNode(DataNode):
    """Rows that a checkpoint saved. ``path`` is their directory, "" of a local one."""

    __slots__ = ("path",)

    def __init__(self, number: int, operation: str, site: CallSite, source: Source, splits: Sequence[Any],
                 path: str = "", files: Lifeline | None = None) -> None:
        super().__init__(number, operation, site, source, splits, (), files)
        self.path = path

    @property
    def is_kept(self) -> bool:
        """Whether it is in files of workers."""
        return super().is_kept or not self.path


class Checkpoints:
    """The checkpoints of one context. Any thread."""

    def __init__(self, engine: Engine) -> None:
        self.directory: str | None = None
        self.clean = False
        self._engine = engine
        self._marked = 0
        self._saving: set[Node] = set()
        self._files: dict[int, str] = {}
        self._dropped: deque[int] = deque()

    def mark(self, node: Node, kind: str) -> None:
        """Save the rows of a node after the next action that computes it."""
        with LINEAGE:
            if node.saved is None and node.checkpoint != LOCAL:
                self._marked += not node.checkpoint
                node.checkpoint = kind

    def then(self, prepared: Prepared, node: Node) -> Prepared:
        """The same action; when it has run, what is marked below it is saved."""
        return _Then(prepared, node, self) if self._marked or self._dropped else prepared

    def save_below(self, root: Node) -> None:
        """Save what is marked and was computed by an action on ``root``."""
        while self._dropped:
            _remove(self._files.pop(self._dropped.popleft()))
        for node in list(_marked_below(root)) if self._marked else ():
            if self._claim(node):
                try:
                    self._save(node)
                finally:
                    self._saving.remove(node)

    def _claim(self, node: Node) -> bool:
        """Whether this thread is the one to save a node."""
        with LINEAGE:
            if node in self._saving or node.saved is not None:
                return False
            self._saving.add(node)
            return True

    def _save(self, node: Node) -> None:
        saved = self._saved_locally(node) if node.checkpoint == LOCAL else self._saved(node)
        with LINEAGE:
            node.cut(saved)
            self._marked -= 1

    def _saved(self, node: Node) -> Node:
        from simspark.publib.lineage.pickle_files import WHOLE_FILE, PickleSource, SavePickleSink
        from simspark.publib.lineage.saved_files import Output
        from simspark.publib.lineage.storage import below, storage_of

        path = below(str(self.directory), f"rdd-{node.id}")
        output = Output(path, "checkpoint")
        output.begin()
        try:
            self._engine.run_node(node, SavePickleSink(output, 0), None, "checkpoint")
        finally:
            output.end()
        parts = [below(path, f"part-{partition:05d}") for partition in range(node.partitions)]
        seen = {entry.path for entry in storage_of(path).entries(path)} if parts else set()
        if len(seen) < len(parts):
            raise StorageFault(
                f"The checkpoint in {path} has {len(seen)} of {len(parts)} partitions here: other machines have saved "
                "to disks of their own. Name a directory that all machines share. (SS207)"
            )
        splits = [(part, 0, WHOLE_FILE) for part in parts]
        number = self._engine.next_id("rdd")
        files = None
        if self.clean:
            self._files[number] = path
            files = Lifeline(self._drop, "checkpoint", number)
        return SavedNode(number, "checkpoint", node.site, PickleSource(), splits, path, files)

    def _drop(self, _: str, number: int) -> None:
        """Nothing refers to a checkpoint any more. A finalizer: the next action removes it."""
        self._dropped.append(number)

    def _saved_locally(self, node: Node) -> Node:
        from simspark.publib.lineage.sinks import KeepSink
        from simspark.publib.lineage.sources import KeptSource

        number = self._engine.next_id("rdd")
        files = Lifeline(self._engine.forget, "cached", number)
        kept = self._engine.run_node(node, KeepSink(number), None, "localCheckpoint")
        return SavedNode(number, "localCheckpoint", node.site, KeptSource(node.id), kept, "", files)


def _marked_below(root: Node) -> Iterator[Node]:
    """The nearest nodes that are marked and not saved."""
    seen = {root}
    stack = [root]
    while stack:
        node = stack.pop()
        if node.checkpoint and node.saved is None:
            yield node
            continue
        with LINEAGE:
            below = [dependency.node for dependency in node.dependencies if dependency.node not in seen]
        seen.update(below)
        stack.extend(below)


def _remove(path: str) -> None:
    from simspark.publib.lineage.storage import storage_of

    storage_of(path).remove_tree(path)


class _Then:
    """See engine.Prepared."""

    def __init__(self, prepared: Prepared, node: Node, checkpoints: Checkpoints) -> None:
        self._prepared = prepared
        self._node = node
        self._checkpoints = checkpoints

    def start(self, partitions: Sequence[int]) -> Started:
        """See engine.Prepared."""
        return _StartedThen(self._prepared.start(partitions), self._node, self._checkpoints)


class _StartedThen:
    """See engine.Started."""

    def __init__(self, started: Started, node: Node, checkpoints: Checkpoints) -> None:
        self._started = started
        self._node = node
        self._checkpoints = checkpoints

    @property
    def job(self) -> int:
        """See engine.Started."""
        return self._started.job

    def wait(self) -> list[Any]:
        """See engine.Started."""
        values = self._started.wait()
        self._checkpoints.save_below(self._node)
        return values

    def wait_partially(self, timeout_s: float) -> dict[int, Any]:
        """See engine.Started."""
        return self._started.wait_partially(timeout_s)

    def cancel(self, reason: str) -> None:
        """See engine.Started."""
        self._started.cancel(reason)

    def interrupted(self) -> KeyboardInterrupt:
        """See engine.Started."""
        return self._started.interrupted()
