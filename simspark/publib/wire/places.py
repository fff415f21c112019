"""Where sockets of one machine are in its file system, and who is at the other end of one."""

from __future__ import annotations

import os
import socket
import stat
import struct
import sys

from simspark.publib.errors import ConfigError

PATH_LIMIT_BYTES = 100

_PEER = struct.Struct("3i")


def check_place(path: str) -> None:
    """Refuse a path that is too long for a socket, or a directory that others may enter."""
    if len(os.fsencode(path)) >= PATH_LIMIT_BYTES:
        raise ConfigError(
            f"The path of a socket must be under {PATH_LIMIT_BYTES} bytes: {path}\n"
            "Set SIMSPARK_LOCAL_DIR to a directory with a shorter name, such as /tmp."
        )
    directory = os.path.dirname(path)
    try:
        found = os.stat(directory)
    except OSError as error:
        raise ConfigError(f"the directory of the socket {path}: {error.strerror}") from error
    if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.geteuid():
        raise ConfigError(f"{directory} must belong to this user alone: chmod 700 {directory}")


def reach(path: str) -> socket.socket | None:
    """Connect to somebody of this user who listens here; None when nobody is there, or may be. Does not block.

    A path that came from elsewhere may lie in another file system, be somebody else's, or be a dead listener's.
    """
    connected = socket.socket(socket.AF_UNIX)
    connected.setblocking(False)
    try:
        check_place(path)
        connected.connect(path)
        if is_same_user(connected):
            return connected
    except (ConfigError, OSError, ValueError):
        pass  # whatever it is, there is another way
    connected.close()
    return None


def is_same_user(connected: socket.socket) -> bool:
    """Whether the other end is this user's; where the system does not tell, the directory has."""
    return sys.platform != "linux" or _credentials(connected)[1] == os.geteuid()


def peer_of(connected: socket.socket) -> int:
    """The process at the other end, of a listener the one that listened; 0 when that is not told."""
    return _credentials(connected)[0] if sys.platform == "linux" else 0


def _credentials(connected: socket.socket) -> tuple[int, int, int]:
    process, user, group = _PEER.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return process, user, group
