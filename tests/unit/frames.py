"""Counts Python frames: what code costs, whatever the machine has to do beside it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


class Frames:
    """How many frames of Python functions are entered."""

    def __init__(self) -> None:
        self.entered = 0

    def of(self, call: Callable[..., Any], *given: Any) -> Any:
        gc.disable()  # or finalizers of what other tests have left would be among them
        sys.setprofile(self._note)
        try:
            return call(*given)
        finally:
            sys.setprofile(None)
            gc.enable()

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        self.entered += event == "call" and frame.f_code.co_name != "of"
