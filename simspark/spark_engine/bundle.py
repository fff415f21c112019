"""What Spark's workers need beside the closures themselves: simspark, and the program's own modules, as zips.

A closure that mentions a class of simspark's, or a function of a module beside the script, has only its name.
"""

from __future__ import annotations

import os
from typing import Any

from simspark._version import __version__
from simspark.driver.call_site import PACKAGE_DIRECTORY
from simspark.driver.conf import KNOWN
from simspark.driver.local_modules import LocalModules
from simspark.publib.archives import tree
from simspark.publib.errors import UserError


def write_bundle(directory: str) -> str:
    """Write simspark into a zip there; its path. What tasks need of it imports the standard library only."""
    return write_package(directory, PACKAGE_DIRECTORY, f"simspark-{__version__}.zip")


def write_package(directory: str, package: str, name: str) -> str:
    """Write a package's directory into a zip of this name there; its path."""
    package = package.rstrip(os.sep)
    return _write(os.path.join(directory, name), list(tree(package, os.path.basename(package) + "/", code_only=True)))


def _write(path: str, entries: list[tuple[str, str]]) -> str:
    """Write a zip that Python imports from: its folders need entries, or those without __init__ are no packages."""
    from zipfile import ZIP_DEFLATED, ZipFile

    folders = {name[: at + 1] for name, _ in entries for at, letter in enumerate(name) if letter == "/"}
    with ZipFile(path, "w", ZIP_DEFLATED, compresslevel=1) as out:
        for folder in sorted(folders):
            out.writestr(folder, b"")
        for name, file in sorted(entries):
            out.write(file, name)
    return path


class ModulesBesideScript:
    """Adds the program's own modules to its context on Spark: before closures are pickled, those imported by then."""

    def __init__(self, context: Any, directory: str) -> None:
        setting = KNOWN["spark.simspark.ship.maxSize"]
        most = setting.kind.parse(context._conf.get(setting.key, setting.default))
        self._wanted = context._conf.get("spark.simspark.ship.localModules", "true") == "true"
        self._modules = LocalModules(self._share, most, travels=True)
        self._context = context
        self._directory = directory
        self._written = 0

    def refresh(self) -> None:
        """Add them if they are others than at the last job. Any user thread."""
        if self._wanted:
            self._modules.refresh()

    def _share(self, entries: list[tuple[str, str]], _: tuple[str, ...], problem: str) -> None:
        if problem:
            raise UserError(problem)
        if entries:
            self._written += 1
            self._context.addPyFile(_write(os.path.join(self._directory, f"modules-{self._written}.zip"), entries))
