"""Where in the user's program something was called: the first frame outside simspark."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from types import FrameType

from simspark.publib.named_tuple import NamedTuple

PACKAGE_DIRECTORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

_base_name = lru_cache(maxsize=1024)(os.path.basename)


class CallSite(NamedTuple):
    """A line of the user's program. ``function`` is "<module>" outside functions."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{_base_name(self.file)}:{self.line}"


NOWHERE = CallSite("", 0, "")


def call_site() -> CallSite:
    """The call of simspark that is going on, as the user's program made it."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE_DIRECTORY):
        frame = frame.f_back
    if frame is None:
        return NOWHERE
    return CallSite(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def function_name(function: object) -> str:
    """What to call a function before people: its name, "lambda", or its type's name."""
    name = getattr(function, "__name__", None) or type(function).__name__
    return "lambda" if name == "<lambda>" else str(name)
