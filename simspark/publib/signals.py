"""Signals as events of a loop: the first asks to leave, a second one insists.

A handler of Python's runs between any two instructions of the main thread and must not touch what they are at. So
the handler here does nothing: the interpreter writes the signal's number to a pipe, which the loop reads.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from simspark.publib.service import Loop

LEAVE = (signal.SIGTERM, signal.SIGINT)


class LeaveSignals:
    """While it is open, TERM and INT call ``on_first`` and then ``on_second``, in the loop. Main thread only.

    In another thread it does nothing: whoever runs a daemon there stops the loop himself.
    """

    def __init__(self, loop: Loop, on_first: Callable[[], None], on_second: Callable[[], None]) -> None:
        self._loop = loop
        self._calls = [on_second, on_first]
        self._old: dict[signal.Signals, Any] = {}
        self._read = self._write = -1
        if threading.current_thread() is threading.main_thread():
            self._open()

    def _open(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in LEAVE:
            ignored = signal.getsignal(number) is signal.SIG_IGN
            if not ignored:
                self._old[number] = signal.signal(number, _nothing)
        self._loop.add_fd(self._read, self._handle_readable)

    def _handle_readable(self) -> None:
        for number in os.read(self._read, 64):
            if number in LEAVE and self._calls:
                self._calls.pop()()

    def close(self) -> None:
        """Put everything back. Twice is harmless."""
        if self._read < 0:
            return
        self._loop.remove_fd(self._read)
        signal.set_wakeup_fd(-1)
        for number, handler in self._old.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)
        self._read = self._write = -1


def _nothing(number: int, frame: Any) -> None:
    """Being there is enough: the number goes to the pipe."""
