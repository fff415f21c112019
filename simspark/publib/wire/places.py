"""Where sockets of one machine are in its file system."""

from __future__ import annotations

import os
import stat

from simspark.publib.errors import ConfigError

PATH_LIMIT_BYTES = 100


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
