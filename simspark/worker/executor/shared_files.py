"""What the program shares with its tasks, brought here before the first attempt that may ask for it.

The socket's thread learns what there is; the thread of an attempt brings it, and waits for nothing else: so what cannot
be had is that attempt's failed fetch, or this machine's full disk, and is judged as such. Where the driver's files are
on this machine, tasks see the driver's own directory. Elsewhere each machine has one copy below the application's
directory, there complete or not at all, and verified against the digest that the driver named.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from typing import Any

from simspark.publib.blocks.segments import storage_fault
from simspark.publib.digest import blake2b
from simspark.publib.errors import FetchFailed, UserError
from simspark.publib.wire.messages import SharedFile
from simspark.worker.executor.blocks import Fetcher
from simspark.worker.executor.broadcasts import DRIVER, only_one_here, read_value, remove_file
from simspark.worker.executor.env import Environment

ROOT = "userfiles"


class SharedCopies:
    """The files, archives and modules of the application in this executor."""

    def __init__(self, environment: Environment, fetcher: Fetcher) -> None:
        self._environment = environment
        self._fetcher = fetcher
        self._told: tuple[SharedFile, ...] = ()
        self._brought: tuple[SharedFile, ...] = ()
        self._have: set[SharedFile] = set()
        self._lock = threading.Lock()
        self._modules_path = ""
        self._versions: dict[str, str] = {}

    def take(self, files: tuple[SharedFile, ...]) -> None:
        """Learn of more. The socket's thread."""
        new = {(file.kind, file.name) for file in files}
        self._told = (*(file for file in self._told if (file.kind, file.name) not in new), *files)

    def root(self) -> str:
        """The directory that SparkFiles names."""
        directory = self._environment.local_directory(DRIVER) or self._environment.directory
        path = os.path.join(directory, ROOT)
        os.makedirs(path, 0o700, exist_ok=True)
        return path

    def bring(self) -> None:
        """Make all that is known of available. Any task thread, before an attempt; nothing to do costs nothing.

        FetchFailed when something cannot be had, StorageFault when there is no room, UserError when it was not sent.
        """
        told = self._told
        if told is self._brought:
            return
        with self._lock:
            for file in told:
                if file not in self._have:
                    self._bring(file)
                    self._have.add(file)
            self._brought = told

    def _bring(self, file: SharedFile) -> None:
        here = self._environment.local_directory(DRIVER) is not None
        if file.kind == "modules":
            if not here:
                self._bring_modules(file)
            self._import_changed(file.modules, not here)
        else:
            path = os.path.join(self.root(), file.name)
            if not here and not os.path.exists(path):
                self._copy(file, path)
            self._import_from(self.root())
            if file.kind == "python" and not file.name.endswith(".py"):
                self._import_from(path)
        _forget_directories()

    def _bring_modules(self, file: SharedFile) -> None:
        if file.problem:
            raise UserError(file.problem)
        path = os.path.join(self._environment.directory, f"modules-{file.digest}")
        if not os.path.exists(path):
            self._copy(file, path)
        if self._modules_path in sys.path:
            sys.path.remove(self._modules_path)
        self._modules_path = path
        sys.path.insert(0, path)

    def _import_changed(self, modules: tuple[str, ...], copied: bool) -> None:
        """Forget modules of other versions; of those that were copied, also what has been found elsewhere so far."""
        versions = dict(module.split("=", 1) for module in modules)
        changed = {name for name, version in versions.items() if self._versions.get(name, "" if copied else version)
                   != version}  # fmt: skip
        self._versions = versions
        for name in [name for name in sys.modules if name.partition(".")[0] in changed]:
            sys.modules.pop(name, None)

    def _import_from(self, path: str) -> None:
        if path not in sys.path:
            sys.path.insert(1 if self._modules_path in sys.path else 0, path)

    def _copy(self, file: SharedFile, path: str) -> None:
        """Make this machine's copy under its name, by one executor while the others wait."""
        fresh = os.path.join(self._environment.directory, f"{file.block}.new")
        with only_one_here(f"{fresh}.lock"):
            if os.path.exists(path):
                return
            content = self._content(file)
            try:
                _place(content, file.form, path, fresh)
            except OSError as error:
                raise storage_fault(error, path) from error

    def _content(self, file: SharedFile) -> Any:
        content = memoryview(read_value(self._environment, self._fetcher, file.block, file.pieces))
        if blake2b(content, digest_size=16).hexdigest() != file.digest:
            remove_file(os.path.join(self._environment.directory, file.block))
            raise FetchFailed(DRIVER, file.block, -1, -1, f"{file.name} is not what the driver added")
        return content


def _place(content: memoryview, form: str, path: str, fresh: str) -> None:
    if form:
        from simspark.publib.archives import unpack

        unpack(io.BytesIO(content), form, path, fresh)
        return
    with open(fresh, "wb") as out:
        out.write(content)
    os.rename(fresh, path)


def _forget_directories() -> None:
    """What the import system remembers of directories is from before."""
    from importlib import invalidate_caches

    invalidate_caches()
