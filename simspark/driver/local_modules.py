"""The program's own modules: those beside its script, which executors elsewhere do not have.

Functions of ``__main__`` travel by value, all others by the name of their module. What is installed has that name on
every machine; a module from the script's folder has it only where the folder is. So before a job the modules that the
program has imported from its folder are looked at, and when there are new or changed ones all of them travel as one
archive: packages whole, named by its digest, before all else on the executors' import path.

The look costs a few microseconds as long as no module was imported and no file has changed. Nothing is read or packed
where every executor sees the driver's files; those only hear which modules have changed, to import them anew.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from zlib import crc32

from simspark.driver.call_site import PACKAGE_DIRECTORY
from simspark.publib.named_tuple import NamedTuple

LARGEST_NAMED = 3
INSTALLED = ("site-packages", "dist-packages")

Share = Callable[[list[tuple[str, str]], tuple[str, ...], str], None]
"""Called with (name in the archive, path), the modules with their versions, and why they cannot be sent."""


class _Part(NamedTuple):
    """A file, or a package's directory, of the program, and its place in the archive."""

    name: str
    path: str


class LocalModules:
    """Looks before each job, in the caller's thread. ``travels``: there may be executors that lack the files."""

    def __init__(self, share: Share, max_bytes: int, travels: bool) -> None:
        self._share = share
        self._max_bytes = max_bytes
        self._travels = travels
        self._lock = threading.Lock()
        self._looked_at: tuple[int, str] = (0, "")
        self._files: dict[str, str] = {}
        self._state: tuple[tuple[str, str, int, int], ...] = ()

    def refresh(self) -> None:
        """Share the modules if they are others than at the last job."""
        with self._lock:
            imported = _imported_so_far()
            if imported != self._looked_at or not imported[0]:
                self._files = dict(imported_from(script_folder()))
                self._looked_at = imported
            if self._files or self._state:
                self._maybe_share()

    def _maybe_share(self) -> None:
        state = tuple(_states(self._files))
        if state == self._state:
            return
        entries: list[tuple[str, str]] = []
        problem = ""
        if self._travels:
            try:
                entries = list(_entries(self._files))
                problem = _too_large(entries, self._max_bytes)
            except OSError as error:
                problem = f"The modules beside the script cannot be read: {error}. (SS100)"
        self._share(entries, _versions(state), problem)
        self._state = state


def _imported_so_far() -> tuple[int, str]:
    """What changes with each import: how many modules there are, and which is the last."""
    try:
        return len(sys.modules), next(reversed(sys.modules))
    except RuntimeError:  # another thread imports right now
        return 0, ""


def script_folder() -> str:
    """Where the program's own modules are: the folder of its script, or the working directory where there is none."""
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if not isinstance(file, str) or not os.path.isfile(file):
        return os.getcwd()
    folder = os.path.dirname(os.path.abspath(file))
    package = getattr(getattr(main, "__spec__", None), "parent", None)
    for _ in package.split(".") if package else ():  # started with -m: where the outermost package is
        folder = os.path.dirname(folder)
    return os.getcwd() if is_installed(folder + os.sep) else folder


def is_installed(path: str) -> bool:
    """Whether a file came with Python, with a package installer or with simspark, so that other machines have it."""
    parts = path.split(os.sep)
    if any(name in parts for name in INSTALLED) or path.startswith((PACKAGE_DIRECTORY, _standard_library())):
        return True
    in_environment = sys.prefix != sys.base_prefix and path.startswith(sys.prefix + os.sep)
    return in_environment or ".venv" in parts


def _standard_library() -> str:
    return os.path.dirname(os.__file__) + os.sep


def imported_from(folder: str) -> Iterator[tuple[str, str]]:
    """The modules that this process has imported from files below a folder: name and file."""
    below = folder.rstrip(os.sep) + os.sep
    if below == os.sep:
        return
    for name, module in list(sys.modules.items()):
        file = _file_of(module)
        if file.startswith(below) and name not in ("__main__", "__mp_main__") and not is_installed(file):
            yield name, file


def _file_of(module: object) -> str:
    """Its file's path, "" for a module without one. Odd things in sys.modules are not asked, only looked at."""
    file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
    return os.path.abspath(file) if isinstance(file, str) else ""


def _states(files: dict[str, str]) -> Iterator[tuple[str, str, int, int]]:
    for name, file in files.items():
        try:
            found = os.stat(file)
        except OSError:
            continue
        yield name, file, found.st_mtime_ns, found.st_size


def _versions(state: tuple[tuple[str, str, int, int], ...]) -> tuple[str, ...]:
    """Each outermost module with a word that changes when one of its files does: "engine=1f3a"."""
    versions: dict[str, int] = {}
    for name, *rest in state:
        top = name.partition(".")[0]
        versions[top] = crc32(repr((name, rest)).encode(), versions.get(top, 0))
    return tuple(f"{top}={version:x}" for top, version in versions.items())


def _entries(files: dict[str, str]) -> Iterator[tuple[str, str]]:
    """All files to pack. Packages come whole; of a folder that is no package only what was imported."""
    from simspark.publib.archives import tree

    for part in dict.fromkeys(_part(name, file) for name, file in files.items()):
        if os.path.isdir(part.path):
            yield from tree(part.path, part.name + "/", code_only=True)
        elif os.path.isfile(part.path):
            yield part


def _part(name: str, file: str) -> _Part:
    names = name.split(".")
    for depth in range(1, len(names) + 1):
        outer = _file_of(sys.modules.get(".".join(names[:depth])))
        if os.path.basename(outer).startswith("__init__."):
            return _Part("/".join(names[:depth]), os.path.dirname(outer))
    end = os.path.basename(file).partition(".")[2]
    return _Part("/".join(names) + "." + end, file)


def _too_large(entries: list[tuple[str, str]], max_bytes: int) -> str:
    """Why the modules are not sent; "" when they are not too large."""
    sizes = sorted(((os.path.getsize(path), name) for name, path in entries), reverse=True)
    total = sum(size for size, _ in sizes)
    if total <= max_bytes:
        return ""
    largest = ", ".join(f"{name} ({_mib(size)})" for size, name in sizes[:LARGEST_NAMED])
    return (
        f"The modules beside the script are {_mib(total)}, more than spark.simspark.ship.maxSize={_mib(max_bytes)}; "
        f"the largest files: {largest}.\nMove data elsewhere (sc.addFile), raise the limit, or install the modules on "
        "the workers and set spark.simspark.ship.localModules=false. (SS100)"
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
