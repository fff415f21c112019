"""Where a cached partition is kept."""

from __future__ import annotations

from typing import ClassVar


class StorageLevel:
    """Where the partitions of an RDD are kept once computed: in memory, on disk, or both; and how many copies.

    Rows in memory are live objects here, whatever ``deserialized`` says; ``OFF_HEAP`` keeps them pickled.

    >>> StorageLevel.MEMORY_AND_DISK
    StorageLevel(True, True, False, False, 1)
    """

    NONE: ClassVar[StorageLevel]
    DISK_ONLY: ClassVar[StorageLevel]
    DISK_ONLY_2: ClassVar[StorageLevel]
    DISK_ONLY_3: ClassVar[StorageLevel]
    MEMORY_ONLY: ClassVar[StorageLevel]
    MEMORY_ONLY_2: ClassVar[StorageLevel]
    MEMORY_AND_DISK: ClassVar[StorageLevel]
    MEMORY_AND_DISK_2: ClassVar[StorageLevel]
    OFF_HEAP: ClassVar[StorageLevel]
    MEMORY_AND_DISK_DESER: ClassVar[StorageLevel]

    def __init__(self, useDisk: bool, useMemory: bool, useOffHeap: bool, deserialized: bool,
                 replication: int = 1) -> None:
        self.useDisk = useDisk
        self.useMemory = useMemory
        self.useOffHeap = useOffHeap
        self.deserialized = deserialized
        self.replication = replication

    @property
    def code(self) -> int:
        """The level as one number, for messages.

        >>> StorageLevel.from_code(StorageLevel.DISK_ONLY_2.code)
        StorageLevel(True, False, False, False, 2)
        """
        flags = (self.useDisk, self.useMemory, self.useOffHeap, self.deserialized)
        return sum(flag << bit for bit, flag in enumerate(map(bool, flags))) | self.replication << 4

    @classmethod
    def from_code(cls, code: int) -> StorageLevel:
        """The level whose ``code`` this is.

        >>> StorageLevel.from_code(StorageLevel.MEMORY_ONLY.code) == StorageLevel.MEMORY_ONLY
        True
        """
        return cls(bool(code & 1), bool(code & 2), bool(code & 4), bool(code & 8), code >> 4)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StorageLevel) and self.code == other.code

    def __hash__(self) -> int:
        return self.code

    def __repr__(self) -> str:
        return (f"StorageLevel({self.useDisk}, {self.useMemory}, {self.useOffHeap}, {self.deserialized}, "
                f"{self.replication})")

    def __str__(self) -> str:
        places = [("Disk", self.useDisk), ("Memory", self.useMemory), ("OffHeap", self.useOffHeap),
                  ("Deserialized" if self.deserialized else "Serialized", True)]
        return " ".join(name for name, used in places if used) + f" {self.replication}x Replicated"


StorageLevel.NONE = StorageLevel(False, False, False, False)
StorageLevel.DISK_ONLY = StorageLevel(True, False, False, False)
StorageLevel.DISK_ONLY_2 = StorageLevel(True, False, False, False, 2)
StorageLevel.DISK_ONLY_3 = StorageLevel(True, False, False, False, 3)
StorageLevel.MEMORY_ONLY = StorageLevel(False, True, False, False)
StorageLevel.MEMORY_ONLY_2 = StorageLevel(False, True, False, False, 2)
StorageLevel.MEMORY_AND_DISK = StorageLevel(True, True, False, False)
StorageLevel.MEMORY_AND_DISK_2 = StorageLevel(True, True, False, False, 2)
StorageLevel.OFF_HEAP = StorageLevel(True, True, True, False, 1)
StorageLevel.MEMORY_AND_DISK_DESER = StorageLevel(True, True, False, True)
