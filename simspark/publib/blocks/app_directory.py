"""The directory that holds one application's files on one machine.

``<root>/<application>``, 0700, with a file ``.owner`` that holds a token, by which others on the machine
know that they see the same directory, and the process that owns it, by which the next start knows what the
dead left behind. The directory appears with its ``.owner`` in it, by one rename. Every name that comes from
outside is checked here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from simspark.publib.errors import ProtocolError, StorageFault

OWNER_FILE = ".owner"
NAME_LIMIT_BYTES = 128
OWNER_LIMIT_BYTES = 4096
_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


class AppDirectory:
    """One application's directory. ``token`` names this very directory, not its path."""

    def __init__(self, path: str, token: str) -> None:
        self.path = path
        self.token = token

    @classmethod
    def create(cls, root: str, application: str) -> AppDirectory:
        """Make it; raises StorageFault when that cannot be, or when somebody else's is there."""
        path = os.path.join(root, checked_name(application))
        token = os.urandom(16).hex()
        fresh = os.path.join(root, f".new-{os.getpid()}-{token}")
        try:
            _make_private(root)
            os.mkdir(fresh, 0o700)
            _write_owner(fresh, token)
            os.rename(fresh, path)
        except OSError as error:
            remove_tree(fresh)
            raise StorageFault(error.errno, f"cannot make the directory {path}: {error.strerror}") from error
        return cls(path, token)

    def file(self, name: str) -> str:
        """The path of a file of this name; ProtocolError when it is not a plain name."""
        return os.path.join(self.path, checked_name(name))

    def remove_matching(self, prefixes: Iterable[str]) -> int:
        """Remove the files whose names start with one of these; returns how many."""
        wanted = tuple(checked_name(prefix) for prefix in prefixes)
        return remove_matching(self.path, wanted)

    def free_bytes(self) -> int:
        """What an ordinary user may still write here."""
        return free_bytes(self.path)

    def remove(self) -> None:
        """Remove it and all that is in it."""
        remove_tree(self.path)


def checked_name(name: str) -> str:
    """The name itself if it is a plain file name of ours; ProtocolError otherwise."""
    if not name or name.startswith(".") or len(name) > NAME_LIMIT_BYTES or not _ALLOWED.issuperset(name):
        raise ProtocolError(f"not a file name: {name[:NAME_LIMIT_BYTES]!r}")
    return name


def holds_token(directory: str, token: str) -> bool:
    """Whether ``directory``, seen from this process, is the one that was given this token."""
    owner = _read_owner(directory)
    return bool(token) and bool(owner) and owner[0] == token


def free_bytes(path: str) -> int:
    """What an ordinary user may still write to the file system of ``path``."""
    room = os.statvfs(path)
    return room.f_bavail * room.f_frsize


def remove_matching(directory: str, prefixes: tuple[str, ...]) -> int:
    """Remove the files of a directory whose names start with one of these; returns how many.

    A prefix that ends with a digit stands for that number: ``broadcast-1`` is not the start of ``broadcast-12``.
    """
    if not prefixes:
        return 0
    numbered = {prefix for prefix in prefixes if prefix[-1:].isdigit()}
    others = tuple(prefix for prefix in prefixes if prefix not in numbered)
    removed = 0
    for name in os.listdir(directory):
        if name != OWNER_FILE and (name.startswith(others) or not numbered.isdisjoint(_up_to_numbers(name))):
            removed += _unlink(os.path.join(directory, name))
    return removed


def _up_to_numbers(name: str) -> list[str]:
    """The name up to the end of each number in it."""
    return [name[:at] for at in range(1, len(name) + 1) if name[at - 1].isdigit() and not name[at : at + 1].isdigit()]


def remove_tree(path: str) -> None:
    """Remove a directory and all below it, without following links; what cannot be removed stays."""
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    remove_tree(entry.path)
                else:
                    _unlink(entry.path)
        os.rmdir(path)
    except OSError:
        return


def sweep_dead(root: str) -> list[str]:
    """Remove the directories under ``root`` whose owners have ended; returns their paths."""
    try:
        names = os.listdir(root)
    except OSError:
        return []
    dead = [path for path in (os.path.join(root, name) for name in names) if _owner_is_dead(path)]
    for path in dead:
        remove_tree(path)
    return dead


def process_start(process: int) -> str:
    """When a process started, in the system's own unit; "" when it has ended, "?" when that is not told."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return "" if fields[0] == b"Z" else fields[19].decode()
    except FileNotFoundError:
        return _alive_without_proc(process)
    except (OSError, IndexError):
        return ""


def _alive_without_proc(process: int) -> str:
    if os.path.exists("/proc/self/stat"):
        return ""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        return "?"
    return "?"


def _make_private(root: str) -> None:
    """Make the root, 0700; one that somebody else owns or may write to is refused."""
    os.makedirs(root, 0o700, exist_ok=True)
    found = os.stat(root, follow_symlinks=True)
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(13, "it belongs to or is writable by other users")


def _write_owner(directory: str, token: str) -> None:
    process = os.getpid()
    path = os.path.join(directory, OWNER_FILE)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, f"{token} {process} {process_start(process)}\n".encode())
    finally:
        os.close(fd)


def _read_owner(directory: str) -> list[str]:
    """Token, process and its start time; empty when there is no such file, or another kind of file."""
    try:
        with open(os.path.join(directory, OWNER_FILE), "rb") as file:
            words = file.read(OWNER_LIMIT_BYTES).decode("ascii", "replace").split()
    except OSError:
        return []
    return words if len(words) == 3 else []


def _owner_is_dead(path: str) -> bool:
    owner = _read_owner(path)
    if not owner or not owner[1].isdigit():
        return False
    started = process_start(int(owner[1]))
    return started not in {owner[2], "?"}


def _unlink(path: str) -> int:
    try:
        os.unlink(path)
    except OSError:
        return 0
    return 1
