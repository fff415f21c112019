"""Machines' disks: application directories of files that appear by rename, and a master's journal.

A file has segments of small integers. It may be corrupt, which a reader notices by its checksum, or gone. A machine
that loses its power loses what was not synced: application files are not, so they are torn or gone.
"""

from __future__ import annotations

import random
from typing import Any


class NoSpace(OSError):
    """The disk is full."""


class File:
    """A committed file."""

    __slots__ = ("corrupt", "name", "segments")

    def __init__(self, name: str, segments: dict[int, list[int]]) -> None:
        self.name = name
        self.segments = segments
        self.corrupt = False


class Disk:
    """One machine's. Directories are named by owner and application."""

    def __init__(self) -> None:
        self.directories: dict[str, dict[str, File]] = {}
        self.temporary: dict[str, set[str]] = {}
        self.full = False

    def make(self, directory: str) -> None:
        self.directories.setdefault(directory, {})
        self.temporary.setdefault(directory, set())

    def begin(self, directory: str, name: str) -> None:
        """A temporary file is open; its writer may die now."""
        if self.full:
            raise NoSpace(28, "No space left on device", name)
        if directory not in self.directories:
            raise FileNotFoundError(2, "No such directory", directory)
        self.temporary[directory].add(name)

    def commit(self, directory: str, name: str, segments: dict[int, list[int]]) -> None:
        """Write the rest, rename."""
        if self.full:
            self.temporary.get(directory, set()).discard(name)
            raise NoSpace(28, "No space left on device", name)
        if directory not in self.directories:
            raise FileNotFoundError(2, "No such directory", directory)
        self.temporary[directory].discard(name)
        self.directories[directory][name] = File(name, segments)

    def read(self, directory: str, name: str, segment: int) -> list[int]:
        """A segment's rows; an error names what is wrong with the file."""
        file = self.directories.get(directory, {}).get(name)
        if file is None:
            raise FileNotFoundError(2, "missing", name)
        if file.corrupt:
            raise ValueError(f"corrupt: checksum of {name}")
        return file.segments.get(segment, [])

    def remove(self, directory: str, prefixes: tuple[str, ...]) -> None:
        for names in (self.directories.get(directory, {}),):
            for name in [name for name in names if name.startswith(prefixes)]:
                del names[name]
        unfinished = self.temporary.get(directory, set())
        unfinished -= {name for name in unfinished if name.startswith(prefixes)}

    def remove_directory(self, directory: str) -> None:
        self.directories.pop(directory, None)
        self.temporary.pop(directory, None)

    def lose_power(self, draw: random.Random) -> None:
        """What was not synced is gone or torn."""
        for names in self.directories.values():
            for name in list(names):
                if draw.random() < 0.5:
                    del names[name]
                else:
                    names[name].corrupt = True


class Journal:
    """The master's records on disk: what was synced stays; the tail that was not may be lost or torn."""

    def __init__(self) -> None:
        self.synced: list[Any] = []
        self.waiting: list[Any] = []

    def append(self, record: Any) -> None:
        self.waiting.append(record)

    def sync(self) -> None:
        self.synced += self.waiting
        self.waiting = []

    def crash(self, draw: random.Random) -> None:
        """Some of the unsynced tail has reached the disk; the last of it is torn and will be dropped."""
        kept = draw.randrange(len(self.waiting) + 1)
        self.synced += self.waiting[:kept]
        self.waiting = []

    def replay(self) -> list[Any]:
        return list(self.synced)
