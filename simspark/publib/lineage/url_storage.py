"""Files behind URLs, as fsspec serves them: object stores, HDFS, HTTP, memory.

One object serves one URL and what is below it. Settings such as keys and endpoints are fsspec's own: its files and
variables, which every machine of a cluster must have. Listings are asked for anew each time: fsspec would keep them.
"""

from __future__ import annotations

from typing import IO, Any

from simspark.publib.lineage.storage import UNKNOWN_SIZE, NewFile, Status

INSTALL = 'pip install "simspark[fs]"'


class UrlStorage:
    """See Storage."""

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs  # type: ignore[import-untyped, unused-ignore]
        except ImportError:
            raise ImportError(f"Files at {url} need fsspec, which is not installed: {INSTALL}") from None
        try:
            self._fs, path = url_to_fs(url)
        except ImportError as error:
            raise ImportError(f"Files at {url} need another package: {error}") from error
        except ValueError as error:
            raise ValueError(f"Cannot use {url}: {error}") from None
        scheme = url.partition("://")[0]
        self._prefix = url.removesuffix(path) if url.endswith(path) else f"{scheme}://"

    def status(self, path: str) -> Status | None:
        """See Storage."""
        inside = self._inside(path)
        self._fs.invalidate_cache()
        try:
            return self._status(self._fs.info(inside))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def entries(self, directory: str) -> list[Status]:
        """See Storage."""
        inside = self._inside(directory)
        self._fs.invalidate_cache()
        found = [self._status(info) for info in self._fs.ls(inside, detail=True) if not _is_same(info, inside)]
        return sorted(found)

    def matches(self, pattern: str) -> list[Status]:
        """See Storage."""
        self._fs.invalidate_cache()
        return sorted(map(self._status, self._fs.glob(self._inside(pattern), detail=True).values()))

    def open(self, path: str) -> IO[bytes]:
        """See Storage."""
        opened: IO[bytes] = self._fs.open(self._inside(path), "rb")
        return opened

    def make_directory(self, path: str, *, new: bool = False) -> None:
        """See Storage."""
        self._fs.makedirs(self._inside(path), exist_ok=not new)

    def create(self, path: str) -> NewFile:
        """See Storage."""
        opened: NewFile = self._fs.open(self._inside(path), "wb")
        return opened

    def move(self, source: str, target: str) -> None:
        """See Storage."""
        self._fs.mv(self._inside(source), self._inside(target))

    def remove(self, path: str) -> None:
        """See Storage."""
        try:
            self._fs.rm_file(self._inside(path))
        except Exception:  # each store has errors of its own
            pass

    def remove_tree(self, directory: str) -> None:
        """See Storage."""
        try:
            self._fs.rm(self._inside(directory), recursive=True)
        except Exception:
            pass

    def _inside(self, path: str) -> str:
        inside: str = self._fs._strip_protocol(path)
        return inside

    def _status(self, info: dict[str, Any]) -> Status:
        name = info["name"].rstrip("/")
        size = info.get("size")
        path = name if "://" in name else self._prefix + name
        return Status(path, UNKNOWN_SIZE if size is None else int(size), info["type"] == "directory")


def _is_same(info: dict[str, Any], directory: str) -> bool:
    """Object stores list the directory itself, where somebody has made an empty object of its name."""
    return bool(info["name"].rstrip("/") == directory.rstrip("/"))
