"""The part of SparkContext that brings the program's files and modules to the executors."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from simspark.driver.running import Running
from simspark.driver.user_errors import action
from simspark.publib.lineage.spark_files import SparkFiles

if TYPE_CHECKING:
    from simspark.driver.conf import DriverSettings


class Shipping(Running):
    """Files, archives and Python modules for tasks."""

    PACKAGE_EXTENSIONS: Iterable[str] = (".zip", ".egg", ".jar")
    _import_paths: tuple[str, ...] = ()

    @action
    def addFile(self, path: str, recursive: bool = False) -> None:
        """Let tasks have a copy of a file; they find it with ``SparkFiles.get`` and the file's name.

        ``path`` is of the driver's machine, or a URL that fsspec knows. ``recursive``: it may be a directory; tasks get
        all that is in it. The content is what it is now; adding the path again changes nothing. Every executor has
        it, also one that starts later. Raises FileNotFoundError, and UserError when tasks know another content under
        the same name.

        >>> import os, tempfile
        >>> from simspark import SparkFiles
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     path = os.path.join(directory, "stop_words.txt")
        ...     with open(path, "w") as file:
        ...         _ = file.write("the a an")
        ...     sc.addFile(path)
        >>> def is_rare(word):
        ...     with open(SparkFiles.get("stop_words.txt")) as file:
        ...         return word not in file.read().split()
        >>> sc.parallelize(["a", "rare", "word"]).filter(is_rare).collect()
        ['rare', 'word']
        """
        self._running().shared.add_file(path, recursive)

    @action
    def addPyFile(self, path: str) -> None:
        """Let tasks import a ``.py`` file, the modules in a ``.zip`` or ``.egg``, or a package's directory.

        The driver can import it, too. The same path again changes nothing; for errors see ``addFile``.

        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     path = os.path.join(directory, "seasons.py")
        ...     with open(path, "w") as file:
        ...         _ = file.write("def name(month): return 'summer' if 6 <= month < 9 else 'not summer'")
        ...     sc.addPyFile(path)
        >>> def season(month):
        ...     import seasons
        ...     return seasons.name(month)
        >>> sc.parallelize([3, 7]).map(season).collect()
        ['not summer', 'summer']
        """
        from importlib import invalidate_caches

        shared = self._running().shared
        name = shared.add_file(path, recursive=True, python=True)
        self._import_from(shared.root())
        if name[-4:].lower() in self.PACKAGE_EXTENSIONS:
            self._import_from(f"{shared.root()}/{name}")
        invalidate_caches()

    @action
    def add_path(self, path: str) -> None:
        """Ship a package's directory or a module to the executors: what ``addPyFile`` does.

        Modules beside the script travel without it; it is for those that are elsewhere.

        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     os.mkdir(os.path.join(directory, "engine"))
        ...     with open(os.path.join(directory, "engine", "valves.py"), "w") as file:
        ...         _ = file.write("COUNT = 16")
        ...     sc.add_path(os.path.join(directory, "engine"))
        >>> def valves(engines):
        ...     from engine import valves
        ...     return engines * valves.COUNT
        >>> sc.parallelize([1, 2]).map(valves).collect()
        [16, 32]
        """
        self.addPyFile(path)

    @action
    def addArchive(self, path: str) -> None:
        """Let tasks have what is in an archive, in a directory that ``SparkFiles.get`` finds by the archive's name.

        ``path`` is a ``.zip``, ``.jar``, ``.tar``, ``.tar.gz`` or ``.tgz`` file; ``path#name`` names the directory. An
        archive with links, devices, or names that lead out of it is refused with a UserError, and so is a damaged one;
        a file that is no archive is added as it is.

        >>> import os, tempfile, zipfile
        >>> from simspark import SparkFiles
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     path = os.path.join(directory, "tables.zip")
        ...     with zipfile.ZipFile(path, "w") as archive:
        ...         archive.writestr("weights.txt", "2 3")
        ...     sc.addArchive(path + "#tables")
        >>> def weigh(x):
        ...     with open(os.path.join(SparkFiles.get("tables"), "weights.txt")) as file:
        ...         return [x * int(weight) for weight in file.read().split()]
        >>> sc.parallelize([1, 10]).map(weigh).collect()
        [[2, 3], [20, 30]]
        """
        self._running().shared.add_archive(path)

    @property
    def listFiles(self) -> list[str]:
        """The files that were added, as URIs.

        >>> sc.addFile(__import__("os").__file__)
        >>> [uri.rpartition("/")[2] for uri in sc.listFiles if uri.endswith("os.py")]
        ['os.py']
        """
        return self._running().shared.listed()

    @property
    def listArchives(self) -> list[str]:
        """The archives that were added, as URIs.

        >>> isinstance(sc.listArchives, list)
        True
        """
        return self._running().shared.archives()

    def _share_first(self, python_files: Sequence[str], settings: DriverSettings) -> None:
        """What the constructor and the settings ask for."""
        self._install_shared_root()
        for path in _paths(settings.shared_files):
            self.addFile(path, recursive=True)
        for path in _paths(settings.shared_archives):
            self.addArchive(path)
        for path in (*python_files, *_paths(settings.python_files)):
            self.addPyFile(path)

    def _install_shared_root(self) -> None:
        def root() -> str:
            return self._running().shared.root()

        SparkFiles._install(root)

    def _import_from(self, path: str) -> None:
        if path not in sys.path:
            sys.path.insert(1, path)
            self._import_paths = (*self._import_paths, path)

    def _end_sharing(self) -> None:
        SparkFiles._install(None)
        for path in self._import_paths:
            if path in sys.path:
                sys.path.remove(path)
        self._import_paths = ()


def _paths(text: str) -> list[str]:
    return [path for path in map(str.strip, text.split(",")) if path]
