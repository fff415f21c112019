"""What programs import of PySpark's module of this name."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from simspark.driver.threads import InheritableThread, inheritable_thread_target

P = ParamSpec("P")
R = TypeVar("R")

__all__ = [
    "InheritableThread",
    "VersionUtils",
    "fail_on_stopiteration",
    "inheritable_thread_target",
    "is_remote_only",
]


class VersionUtils:
    """Versions in parts."""

    @staticmethod
    def majorMinorVersion(sparkVersion: str) -> tuple[int, int]:
        """The first two numbers of a version. Raises ValueError when it does not start with two.

        >>> VersionUtils.majorMinorVersion("4.3.0-SNAPSHOT")
        (4, 3)
        """
        found = re.match(r"(\d+)\.(\d+)(\..*)?$", sparkVersion)
        if found is None:
            raise ValueError(f"{sparkVersion!r} does not start with two numbers, as in 4.3 or 4.3.1. (SS100)")
        return int(found.group(1)), int(found.group(2))


def fail_on_stopiteration(f: Callable[P, R]) -> Callable[P, R]:
    """The same function, whose StopIteration becomes a RuntimeError instead of ending the loop that called it.

    >>> list(map(fail_on_stopiteration(next), [iter([1])]))
    [1]
    """

    @wraps(f)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return f(*args, **kwargs)
        except StopIteration as error:
            raise RuntimeError("Caught StopIteration thrown from user's code; failing the task") from error

    return called


def is_remote_only() -> bool:
    """Whether only the client of a remote server is installed; never so here.

    >>> is_remote_only()
    False
    """
    return False
