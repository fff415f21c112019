"""Archives: packed the same way each time, and unpacked without ever leaving the target.

Whoever wrote an archive decides what its members are called. So a member is unpacked only if it is a plain file or a
directory and its name, part by part, stays below the target; links and devices are refused, and no link is ever made,
so no later member can be led out by an earlier one. (The filter that ``tarfile`` itself offers is not relied upon: in
Python 3.11 it can be led out of the target.) A target appears by one rename, complete or not at all.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from typing import IO, Any

from simspark.publib.blocks.app_directory import remove_tree
from simspark.publib.errors import UserError
from simspark.publib.named_tuple import NamedTuple

CHUNK_BYTES = 1 << 20
FORMS = (
    (".zip", "zip"), (".jar", "zip"), (".egg", "zip"), (".tar.gz", "tar"), (".tgz", "tar"), (".tar", "tar"),
)  # fmt: skip
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)


class _Member(NamedTuple):
    """One entry of an archive: its name there, its mode, and how to read it (None: a directory)."""

    name: str
    mode: int
    content: IO[bytes] | None


def archive_form(path: str) -> str:
    """"zip" or "tar", by the end of the name; "" for what is no archive."""
    lower = path.lower()
    return next((form for end, form in FORMS if lower.endswith(end)), "")


def unpack(source: IO[bytes], form: str, target: str, fresh: str) -> None:
    """Unpack an archive as the directory ``target``, made under the name ``fresh`` first. There already: nothing to do.

    UserError when the archive is damaged or one of its members may not be unpacked.
    """
    if os.path.isdir(target):
        return
    remove_tree(fresh)
    os.mkdir(fresh, 0o700)
    try:
        members = _zip_members(source) if form == "zip" else _tar_members(source)
        for member in members:
            _place(member, fresh)
        os.rename(fresh, target)
    except BaseException as error:
        remove_tree(fresh)
        if isinstance(error, OSError) and os.path.isdir(target):
            return  # another process of this machine was faster
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if isinstance(error, Exception) and not isinstance(error, (UserError, MemoryError)):
            raise UserError(f"This archive cannot be unpacked: {error}. (SS100)") from error
        raise


def pack(entries: Iterable[tuple[str, str]], out: IO[bytes]) -> None:
    """Write a zip of (name in it, path of the file): the same bytes for the same files, whenever they were written."""
    from zipfile import ZIP_STORED, ZipFile, ZipInfo

    with ZipFile(out, "w", ZIP_STORED) as archive:
        for name, path in sorted(entries):
            info = ZipInfo(name, _FIRST_DATE)
            with open(path, "rb") as file:
                found = os.fstat(file.fileno())
                info.external_attr = (stat.S_IFREG | (found.st_mode & 0o755)) << 16
                info.file_size = found.st_size
                with archive.open(info, "w") as member:
                    _copy(file, member)


def tree(directory: str, below: str = "", *, code_only: bool = False) -> Iterator[tuple[str, str]]:
    """The files below a directory as entries whose names begin with ``below``; links to directories are not followed.

    ``code_only`` leaves caches of byte code and hidden files out.
    """
    for place, directories, files in os.walk(directory):
        if code_only:
            directories[:] = [each for each in directories if each != "__pycache__" and each[0] != "."]
        inside = place[len(directory) :].lstrip(os.sep)
        for file in files:
            path = os.path.join(place, file)
            hidden = file[0] == "." or file.endswith((".pyc", ".pyo"))
            if os.path.isfile(path) and not (code_only and hidden):
                yield f"{below}{os.path.join(inside, file)}", path


def _zip_members(source: IO[bytes]) -> Iterator[_Member]:
    from zipfile import ZipFile

    with ZipFile(source) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(info.filename, "is a link or a device")
            if info.is_dir():
                yield _Member(info.filename, mode, None)
                continue
            with archive.open(info) as content:
                yield _Member(info.filename, mode, content)


def _tar_members(source: IO[bytes]) -> Iterator[_Member]:
    import tarfile

    with tarfile.open(fileobj=source, mode="r:*") as archive:
        for info in archive:
            if not (info.isreg() or info.isdir()):
                raise _refused(info.name, "is a link or a device")
            yield _Member(info.name, info.mode, archive.extractfile(info) if info.isreg() else None)


def _place(member: _Member, target: str) -> None:
    path = os.path.join(target, *_parts(member.name))
    if member.content is None:
        os.makedirs(path, 0o700, exist_ok=True)
        return
    if path == target:
        raise _refused(member.name, "has no name")
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600 | (member.mode & 0o755)), "wb") as file:
        _copy(member.content, file)


def _parts(name: str) -> list[str]:
    """The parts of a member's name; UserError when it would lead out."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise _refused(name, "would be outside of it")
    return parts


def _refused(name: str, why: str) -> UserError:
    return UserError(f"This archive cannot be unpacked: {name[:200]!r} {why}. Pack it without. (SS100)")


def _copy(source: Any, target: Any) -> None:
    while chunk := source.read(CHUNK_BYTES):
        target.write(chunk)
