"""The driver's side of what a program shares with its tasks: files, archives, and modules.

What is added is copied at once into the directory that SparkFiles names in the driver, so that later changes of the
original change nothing; executors on this machine read it there. For others it is also a segment file, named by the
digest of its content, that the block server serves, and which each machine copies once. A name stands for one content
for the life of the application: what a task reads never depends on when it runs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import quote, unquote

from simspark.driver.files import DriverFiles
from simspark.publib.archives import archive_form, pack, tree, unpack
from simspark.publib.blocks.app_directory import remove_tree
from simspark.publib.digest import blake2b
from simspark.publib.errors import UserError
from simspark.publib.lineage.storage import Storage, is_url, name_of, settled, storage_of
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.wire.messages import SharedFile

ROOT = "userfiles"
CHUNK_BYTES = 1 << 20


class _Source(NamedTuple):
    """What is to be added: where it is on this machine, its name, and how it is listed."""

    local: str
    name: str
    uri: str


class SharedFiles:
    """What was added. Any user thread. ``travels``: there may be executors on other machines."""

    def __init__(self, files: DriverFiles, announce: Callable[[SharedFile], None], travels: bool) -> None:
        self._files = files
        self._announce = announce
        self._travels = travels
        self._lock = threading.RLock()
        self._added: dict[str, SharedFile] = {}
        self._listed: dict[str, str] = {}
        self._archives: dict[str, str] = {}
        self._temporary = 0

    def root(self) -> str:
        """The directory that everything is in, for the driver and for executors on this machine."""
        path = os.path.join(self._files.directory.path, ROOT)
        os.makedirs(path, 0o700, exist_ok=True)
        return path

    def listed(self) -> list[str]:
        """The URIs of the files that were added."""
        return list(self._listed)

    def archives(self) -> list[str]:
        """The URIs of the archives that were added."""
        return list(self._archives)

    def add_file(self, path: str, recursive: bool, python: bool = False) -> str:
        """Add a file, or all of a directory; its name in the root. A path that was added before changes nothing."""
        with self._lock:
            uri = _uri(path)
            known = next((self._listed[each] for each in (uri, f"{uri}/") if each in self._listed), None)
            if known is None:
                with self._source(path, uri) as source:
                    if os.path.isdir(source.local):
                        if not recursive:
                            raise UserError(
                                f"{path} is a directory. addFile(path, recursive=True) adds all that is in it. (SS100)"
                            )
                        source = source._replace(uri=f"{uri}/")  # noqa: PLW2901 (the same, named as Spark names it)
                    known = self._listed[source.uri] = self._add_source(source.name, source, python)
            added = self._added[known]
            if python and added.kind == "file":
                self._added[known] = added._replace(kind="python")
                self._announce(self._added[known])
            return known

    def add_archive(self, path: str) -> str:
        """Add an archive, unpacked under its name or the one after ``#``; its name in the root."""
        with self._lock:
            plain, _, alias = path.partition("#")
            uri = _uri(plain) + (f"#{alias}" if alias else "")
            if uri not in self._archives:
                with self._source(plain, uri) as source:
                    self._archives[uri] = self._add_source(alias or source.name, source, False, unpacked=True)
            return self._archives[uri]

    def share_modules(self, entries: Iterable[tuple[str, str]], modules: tuple[str, ...], problem: str) -> None:
        """Let executors elsewhere import these files; all executors import the ``modules`` anew."""
        with self._lock:
            block, pieces, digest = "", 0, ""
            if self._travels and not problem:
                fresh = self._fresh()
                try:
                    digest = _write_hashed(fresh, lambda out: pack(entries, out))
                    block, pieces = self._block(fresh, digest)
                finally:
                    _remove(fresh)
            self._announce(SharedFile("modules", "modules", "zip", block, pieces, digest, modules, problem))

    # ── the parts of it ──────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _source(self, path: str, uri: str) -> Iterator[_Source]:
        """What is to be added, on this machine: for the time being, if it is brought from elsewhere."""
        if not is_url(path):
            local = _local(path)
            if not os.path.exists(local):
                raise FileNotFoundError(f"There is no {path} (from {os.getcwd()}).")
            yield _Source(local, os.path.basename(local), uri)
            return
        fresh = self._fresh()
        try:
            _download(storage_of(path), settled(path), fresh)
            yield _Source(fresh, name_of(path), uri)
        finally:
            remove_tree(fresh)
            _remove(fresh)

    def _add_source(self, name: str, source: _Source, python: bool, unpacked: bool = False) -> str:
        if name in ("", ".", "..") or "/" in name:
            raise UserError(f"What tasks share needs a name of one word, not {name!r}. (SS100)")
        local = source.local
        if os.path.isdir(local):
            self._add(name, "archive", "zip", source.uri, lambda out: pack(tree(local, code_only=python), out))
            return name
        form = archive_form(source.name) if unpacked else ""
        kind = "archive" if form else "python" if python else "file"
        self._add(name, kind, form, source.uri, lambda out: _copy_file(local, out))
        return name

    def _add(self, name: str, kind: str, form: str, uri: str, write: Callable[[IO[bytes]], None]) -> None:
        fresh = self._fresh()
        try:
            digest = _write_hashed(fresh, write)
            known = self._added.get(name)
            if known is not None:
                if (known.digest, known.form) != (digest, form):
                    raise UserError(
                        f"Tasks know another content as {name!r}, so {uri} cannot be added under this name. "
                        "Rename it; an archive can be added as 'path#name'. (SS100)"
                    )
                return
            target = os.path.join(self.root(), name)
            block, pieces = self._block(fresh, digest) if self._travels else ("", 0)
            if form:
                with open(fresh, "rb") as packed:
                    unpack(packed, form, target, f"{fresh}.new")
            else:
                os.rename(fresh, target)
            self._added[name] = SharedFile(name, kind, form, block, pieces, digest, (), "")
            self._announce(self._added[name])
        finally:
            _remove(fresh)

    def _fresh(self) -> str:
        self._temporary += 1
        return self._files.directory.file(f"shared-new-{self._temporary}")

    def _block(self, path: str, digest: str) -> tuple[str, int]:
        """The content as a segment file for other machines: its name and in how many pieces."""
        import mmap
        from pickle import PickleBuffer

        name = f"shared-{digest}"
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return name, self._files.put_value(name, b"")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                content = PickleBuffer(mapped)
                try:
                    return name, self._files.put_value(name, content)
                finally:
                    content.release()


def _local(path: str) -> str:
    return os.path.realpath(unquote(settled(path)) if path.startswith("file:") else path)


def _uri(path: str) -> str:
    """How a path is listed."""
    return settled(path) if is_url(path) else f"file:{quote(_local(path))}"


def _download(storage: Storage, url: str, target: str) -> None:
    """Copy a file or a directory from elsewhere."""
    found = storage.status(url)
    if found is None:
        raise FileNotFoundError(f"There is no {url}.")
    if found.is_directory:
        os.mkdir(target, 0o700)
        for entry in storage.entries(url):
            _download(storage, entry.path, os.path.join(target, os.path.basename(name_of(entry.path))))
        return
    with storage.open(url) as source, open(target, "wb") as out:
        _copy(source, out)


def _copy_file(path: str, out: IO[bytes]) -> None:
    with open(path, "rb") as file:
        _copy(file, out)


def _copy(source: IO[bytes], out: IO[bytes]) -> None:
    while chunk := source.read(CHUNK_BYTES):
        out.write(chunk)


def _write_hashed(path: str, write: Callable[[IO[bytes]], None]) -> str:
    """Write a file and return the digest of what is in it then."""
    with open(path, "wb+") as file:
        write(file)
        file.seek(0)
        return content_digest(iter(lambda: file.read(CHUNK_BYTES), b""))


def content_digest(chunks: Iterable[Any]) -> str:
    """The name of a content."""
    digest = blake2b(digest_size=16)
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
