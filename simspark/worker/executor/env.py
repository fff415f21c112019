"""What all tasks of this executor share: its settings, and where the files of the application are.

The socket's thread writes the tables, task threads read them. Each change replaces a value in one step, so
a reader sees the old one or the new one, and no lock is needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import ModuleType

from simspark.publib import optimizations
from simspark.publib.blocks.app_directory import holds_token
from simspark.publib.lineage.task import FileRef
from simspark.publib.resources import cache_bytes, fetch_bytes, usable_cores, usable_memory_bytes
from simspark.publib.template_client import ExecutorStart
from simspark.publib.wire import messages
from simspark.publib.wire.messages import ExecutorSettings, Owner

FETCHED_AT_ONCE_BYTES = 3 << 20
NATIVE_THREADS = "OMP_NUM_THREADS"
"""How many threads numpy's libraries have. As Spark: with those of all cores in each executor, they wait for cores."""


class Environment:
    """One executor's settings and tables."""

    def __init__(self, start: ExecutorStart) -> None:
        self.start = start
        self.directory = start.directory
        self._settings: ExecutorSettings | None = None
        self._own = ""
        self._owners: dict[str, Owner] = {}
        self._here: dict[str, bool] = {}
        self._outputs: dict[int, tuple[int, tuple[FileRef, ...]]] = {}
        self._cached: dict[tuple[int, int], FileRef] = {}

    @property
    def settings(self) -> ExecutorSettings:
        """What the driver wants; it is the first message, so every task sees it."""
        assert self._settings is not None
        return self._settings

    def take_settings(self, settings: ExecutorSettings) -> None:
        """Make this process look to user code as the driver wants: import path, working directory, variables."""
        self._settings = settings
        os.environ.setdefault(NATIVE_THREADS, str(self.start.cores))
        os.environ.update(settings.environment)
        optimizations.do_without(optimizations.names_in(settings.properties.get(optimizations.SETTING, "")))
        self.directory = settings.owner.directory or self.directory
        self._own = settings.owner.owner
        self.take_owners((settings.owner,))
        found = [path for path in settings.import_path if os.path.exists(path)]
        sys.path[:] = [*found, *(path for path in sys.path if path not in found)]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            os.chdir(settings.working_directory)
        except OSError:
            os.chdir("/")

    # ── who keeps files ─────────────────────────────────────────────────────────────────────────────────

    def take_owners(self, owners: Sequence[Owner]) -> None:
        """Learn who keeps files."""
        for owner in owners:
            self._here.pop(owner.owner, None)
            self._owners[owner.owner] = owner

    def owners(self) -> tuple[Owner, ...]:
        """Everybody who keeps files."""
        return tuple(self._owners.values())

    def owner(self, name: str) -> Owner | None:
        """Who this is, if the driver has told."""
        return self._owners.get(name)

    def local_directory(self, name: str) -> str | None:
        """The directory of an owner if it is on this machine; this executor's own always is."""
        if name == self._own:
            return self.directory
        owner = self._owners.get(name)
        if owner is None:
            return None
        here = self._here.get(name)
        if here is None:
            here = self._here[name] = holds_token(owner.directory, owner.token)
        return owner.directory if here else None

    @property
    def own_name(self) -> str:
        """Whose directory this executor writes to."""
        return self.settings.owner.owner or self.start.worker

    # ── where blocks are ────────────────────────────────────────────────────────────────────────────────

    def take_map_outputs(self, table: messages.MapOutputs) -> None:
        """Learn where a shuffle's map outputs are; an older table than the one held changes nothing."""
        held = self._outputs.get(table.shuffle)
        if held is None or table.epoch >= held[0]:
            refs = tuple(_map_output(table, index) for index in range(len(table.places)))
            self._outputs[table.shuffle] = (table.epoch, refs)

    def map_outputs(self, shuffle: int) -> Sequence[FileRef]:
        """The map outputs of a shuffle, by map index."""
        held = self._outputs.get(shuffle)
        return held[1] if held is not None else ()

    def take_cached(self, blocks: Sequence[tuple[int, int, str, str]]) -> None:
        """Learn of cached partitions in files."""
        for rdd, partition, owner, name in blocks:
            self._cached[rdd, partition] = FileRef(owner, name)

    def cached(self, rdd: int, partition: int) -> FileRef | None:
        """The file that holds a cached partition, if one is known."""
        return self._cached.get((rdd, partition))

    def forget_cached(self, rdd: int, partition: int) -> None:
        """A cached partition turned out not to be where it was said to be."""
        self._cached.pop((rdd, partition), None)

    def drop(self, rdds: Sequence[int], shuffles: Sequence[int]) -> None:
        """Forget what is not needed any more."""
        for shuffle in shuffles:
            self._outputs.pop(shuffle, None)
        for block in [block for block in list(self._cached) if block[0] in rdds]:
            self._cached.pop(block, None)

    def fetch_ahead(self) -> int:
        """How many segments of other machines to ask for before their turn comes."""
        return max(1, fetch_bytes(self.start.memory_bytes) // FETCHED_AT_ONCE_BYTES)

    def storage_bytes(self) -> int:
        """How much this executor may keep in memory: a part of its limit, or of its share of the machine."""
        share = usable_memory_bytes() * self.start.cores // max(usable_cores(), self.start.cores)
        return cache_bytes(self.start.memory_bytes or share)


def _map_output(table: messages.MapOutputs, index: int) -> FileRef:
    position, task = table.places[index]
    owner = table.owners[position] if 0 <= position < len(table.owners) else ""
    return FileRef(owner, f"shuffle-{table.shuffle}-{index}-{task}")
