"""Where files are: on this machine, or wherever a URL that fsspec knows leads.

Readers and sinks name files by paths and ask ``storage_of(path)``. Paths of this machine, plain or ``file:``, never
load fsspec; every other URL needs it (the extra ``fs``), and is served by ``url_storage``. Paths that are answered
can be asked for again, in any process.
"""

from __future__ import annotations

import os
import re
from typing import IO, Any, Protocol

from simspark.publib.blocks.segments import WRITE_BUFFER_BYTES, storage_fault
from simspark.publib.named_tuple import NamedTuple

UNKNOWN_SIZE = -1
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.:-]*://")
_ROUNDS = 100


class Status(NamedTuple):
    """A file or directory. ``size`` is in bytes, UNKNOWN_SIZE where a store does not say."""

    path: str
    size: int
    is_directory: bool


class NewFile(Protocol):
    """A file on its way. Any failure of a disk is a StorageFault."""

    def write(self, data: bytes | memoryview, /) -> int:
        """Add bytes; how many."""
        ...

    def flush(self) -> None:
        """Nothing: the close is what counts."""
        ...

    def close(self) -> None:
        """Everything is where it survives this process, and this machine as far as the store can. Twice is harmless."""
        ...


class Storage(Protocol):
    """The files of one kind of place. Any thread; every call may block."""

    def status(self, path: str) -> Status | None:
        """What is there; None if nothing is."""
        ...

    def entries(self, directory: str) -> list[Status]:
        """What is in a directory, sorted."""
        ...

    def matches(self, pattern: str) -> list[Status]:
        """What a glob with ``* ? []`` matches, sorted."""
        ...

    def open(self, path: str) -> IO[bytes]:
        """The bytes of a file, from any offset."""
        ...

    def make_directory(self, path: str, *, new: bool = False) -> None:
        """Make a directory, and those above it. One that is there is an error if ``new`` says so and the store can."""
        ...

    def create(self, path: str) -> NewFile:
        """Write a new file, in a directory that is there; where there are directories, one that is gone is an error."""
        ...

    def move(self, source: str, target: str) -> None:
        """Give a file another name, over what has it; in one step if the store can."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file. Harmless if it is gone; a failure is nobody's business."""
        ...

    def remove_tree(self, directory: str) -> None:
        """Remove a directory with all that is in it, as ``remove`` does."""
        ...


def is_url(path: str) -> bool:
    """Whether a path is no path of this machine."""
    return _URL.match(path) is not None and not path.startswith("file://")


def storage_of(path: str) -> Storage:
    """The storage of a path. Raises ImportError when it needs fsspec and that, or what it needs, is not there."""
    if "://" in path and is_url(path):
        from simspark.publib.lineage.url_storage import UrlStorage

        return UrlStorage(path)
    return LOCAL


def settled(path: str | os.PathLike[str]) -> str:
    """The path as any process can use it: absolute, without ``file:``; a URL stays what it is."""
    text = os.fspath(path)
    if is_url(text):
        return text.rstrip("/") if not text.endswith("://") else text
    return os.path.abspath(_without_scheme(text))


def _without_scheme(path: str) -> str:
    if path.startswith("file://"):
        rest = path.removeprefix("file://")
        return rest[rest.find("/") :] if "/" in rest else rest
    return path.removeprefix("file:") if path.startswith("file:/") else path


def shown(path: str) -> str:
    """A settled path as Spark shows it: with its scheme."""
    return path if is_url(path) else f"file:{path}"


def below(directory: str, name: str) -> str:
    """The path of ``name`` in a directory."""
    return f"{directory.rstrip('/')}/{name}"


def name_of(path: str) -> str:
    """The last part of a path."""
    return path.rstrip("/").rpartition("/")[2]


class LocalStorage:
    """This machine's files."""

    def status(self, path: str) -> Status | None:
        """See Storage."""
        from stat import S_ISDIR

        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Status(path, found.st_size, S_ISDIR(found.st_mode))

    def entries(self, directory: str) -> list[Status]:
        """See Storage."""
        found = (self.status(os.path.join(directory, name)) for name in sorted(os.listdir(directory)))
        return [status for status in found if status is not None]

    def matches(self, pattern: str) -> list[Status]:
        """See Storage."""
        from glob import glob

        found = (self.status(path) for path in sorted(glob(pattern)))
        return [status for status in found if status is not None]

    def open(self, path: str) -> IO[bytes]:
        """See Storage."""
        return open(path, "rb", 0)

    def make_directory(self, path: str, *, new: bool = False) -> None:
        """See Storage."""
        os.makedirs(path, exist_ok=not new)

    def create(self, path: str) -> NewFile:
        """See Storage."""
        return _LocalFile(path)

    def move(self, source: str, target: str) -> None:
        """See Storage."""
        try:
            os.replace(source, target)
        except OSError as error:
            raise storage_fault(error, target) from error

    def remove(self, path: str) -> None:
        """See Storage."""
        try:
            os.unlink(path)
        except OSError:
            pass

    def remove_tree(self, directory: str) -> None:
        """See Storage.

        The directory first loses its name, so that nobody can put anything new into it: what was about to appear
        there when it did is found in one more round.
        """
        gone = f"{directory}.{os.getpid()}.gone"
        try:
            os.rename(directory, gone)
        except OSError:
            return
        for _ in range(_ROUNDS):
            for path, directories, files in os.walk(gone, topdown=False):
                _each(os.unlink, path, files)
                _each(os.rmdir, path, directories)
            try:
                os.rmdir(gone)
            except OSError:
                continue
            return


def _each(call: Any, directory: str, names: list[str]) -> None:
    for name in names:
        try:
            call(os.path.join(directory, name))
        except OSError:
            pass


class _LocalFile:
    """See NewFile."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._file = open(path, "xb", WRITE_BUFFER_BYTES)  # noqa: SIM115 - closed by close
        except OSError as error:
            raise storage_fault(error, path) from error

    def write(self, data: bytes | memoryview, /) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            raise storage_fault(error, self._path) from error

    def flush(self) -> None:
        pass

    def close(self) -> None:
        if self._file.closed:
            return
        try:
            with self._file as file:
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise storage_fault(error, self._path) from error


LOCAL = LocalStorage()
