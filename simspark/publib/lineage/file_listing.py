"""Which files a path means: directories, globs, lists, in the order of Hadoop.

Hadoop lists a directory as its disk does, in no order; here it is sorted. What a glob matches is sorted in both.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from simspark.publib.lineage.storage import Status, Storage, is_url, name_of, settled, storage_of

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
_MAGIC = "*?[{"


def list_files(paths: Paths, *, nested: bool = False) -> list[Status]:
    """The files that a path means, with their sizes in bytes, sorted within each path.

    A path may be a file, a directory (its files, not those whose names begin with ``_`` or ``.``), a glob with
    ``* ? [] {}``, several of them separated by commas, or an iterable of such; of this machine, or behind a URL that
    fsspec knows. Raises FileNotFoundError naming what is not there, with what it may have meant, and
    IsADirectoryError for a directory that has directories in it, unless ``nested`` passes over those.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [part for part in _choices(os.fspath(paths)) if part]
    return [file for path in paths for file in _files_of(os.fspath(path), nested=nested)]


def _choices(text: str) -> list[str]:
    """``text`` cut at the commas that are not within braces."""
    parts, depth = [""], 0
    for char in text:
        depth += (char == "{") - (char == "}")
        if char == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _files_of(path: str, *, nested: bool) -> list[Status]:
    if not path:
        raise ValueError("The path of a file cannot be empty.")
    path = settled(path)
    storage = storage_of(path)
    found = storage.status(path)
    if found is not None:
        return _files_in(storage, found.path, nested=nested) if found.is_directory else [found]
    if not any(char in path for char in _MAGIC):
        raise FileNotFoundError(f"no such file or directory: {path}{_suggestion(path)}")
    matches = sorted({match for pattern in _expand_braces(path) for match in _matches(storage, pattern)})
    if not matches:
        raise FileNotFoundError(f"no file matches {path}")
    return [
        file
        for match in matches
        for file in (_files_in(storage, match.path, nested=nested) if match.is_directory else [match])
    ]


def _matches(storage: Storage, pattern: str) -> Iterator[Status]:
    pattern = pattern.replace("[^", "[!")
    if any(char in pattern for char in _MAGIC):
        return (match for match in storage.matches(pattern) if not _is_hidden(match.path))
    found = storage.status(pattern)
    return iter(() if found is None else (found,))


def _files_in(storage: Storage, directory: str, *, nested: bool) -> list[Status]:
    entries = [entry for entry in storage.entries(directory) if not _is_hidden(entry.path)]
    for entry in entries:
        if entry.is_directory and not nested:
            raise IsADirectoryError(
                f"{entry.path} is a directory inside of {directory}: name the files with a glob, "
                f"such as {entry.path}/*"
            )
    return [entry for entry in entries if not entry.is_directory]


def _is_hidden(path: str) -> bool:
    return name_of(path).startswith(("_", "."))


def _expand_braces(pattern: str) -> list[str]:
    """The patterns that one with ``{a,b}`` stands for; braces may be within braces."""
    start = pattern.find("{")
    stop = _closing(pattern, start)
    if start < 0 or stop < 0:
        return [pattern]
    choices = _choices(pattern[start + 1 : stop])
    return [each for choice in choices for each in _expand_braces(pattern[:start] + choice + pattern[stop + 1 :])]


def _closing(pattern: str, start: int) -> int:
    depth = 0
    for at in range(max(start, 0), len(pattern)):
        depth += (pattern[at] == "{") - (pattern[at] == "}")
        if pattern[at] == "}" and not depth:
            return at
    return -1


def _suggestion(path: str) -> str:
    from difflib import get_close_matches

    parent = os.path.dirname(path)
    if is_url(path):
        return ""
    if not os.path.isdir(parent):
        return f" (there is no directory {parent})"
    near = get_close_matches(os.path.basename(path), os.listdir(parent), 3)
    return f"; did you mean {' or '.join(os.path.join(parent, name) for name in near)}?" if near else ""
