"""What to say when a worker lacks a module that the driver has. Only a failure loads this."""

from __future__ import annotations

import os
import sys

from simspark.driver.local_modules import is_installed, script_folder


def explained(error: ModuleNotFoundError, worker: str) -> ModuleNotFoundError:
    """The error with the driver's knowledge of the module; the error itself where the driver has none."""
    name = error.name or ""
    top = name.partition(".")[0]
    file = _file_here(top)
    if not top or not file:
        return error
    who = "An executor" if worker in ("", "local") else f"Worker {worker}"
    if is_installed(file):
        text = (
            f"{who} has no module {name!r}, which is installed here. Install it there, for the Python that runs "
            f"simspark-worker: pip install {top}"
        )
    else:
        path = os.path.dirname(file) if os.path.basename(file).startswith("__init__.") else file
        place, given = _places(path)
        text = f'{who} has no module {name!r} (your {place}). Ship it: sc.add_path("{given}")'
    return ModuleNotFoundError(text, name=error.name, path=error.path)


def _places(path: str) -> tuple[str, str]:
    """Where it is, in words, and how to name it in the program."""
    folder = script_folder()
    if not path.startswith(folder + os.sep):
        return f"program has it at {path}", path
    inside = os.path.relpath(path, folder)
    return f"script has it at ./{inside}", inside if folder == os.getcwd() else path


def _file_here(top: str) -> str:
    from importlib.util import find_spec

    file = getattr(sys.modules.get(top), "__file__", None)
    if file is None and top and top not in sys.modules:
        try:
            spec = find_spec(top)
        except (ImportError, ValueError):
            spec = None
        file = None if spec is None or not spec.has_location else spec.origin
    return os.path.abspath(file) if isinstance(file, str) else ""
