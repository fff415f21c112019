"""Simspark as one file for the workers of another engine, whose closures mention its classes."""

from __future__ import annotations

import os
from zipfile import ZIP_DEFLATED, ZipFile

from simspark._version import __version__
from simspark.driver.call_site import PACKAGE_DIRECTORY


def write_bundle(directory: str) -> str:
    """Write the package into a zip there; its path. What tasks need of it imports the standard library only."""
    root = os.path.dirname(PACKAGE_DIRECTORY.rstrip(os.sep))
    path = os.path.join(directory, f"simspark-{__version__}.zip")
    with ZipFile(path, "w", ZIP_DEFLATED, compresslevel=1) as bundle:
        for folder, _, names in sorted(os.walk(PACKAGE_DIRECTORY)):
            for name in sorted(names):
                if name.endswith(".py"):
                    file = os.path.join(folder, name)
                    bundle.write(file, os.path.relpath(file, root))
    return path
