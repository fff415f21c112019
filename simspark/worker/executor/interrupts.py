"""Which attempt runs in which thread, and how one that nobody wants any more is stopped.

An interrupt is raised only while the attempt that it is meant for runs: in the main thread by a signal, in others by an
exception set in the thread.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType


class TaskCancelled(KeyboardInterrupt):
    """Raised in user code whose attempt is not wanted any more."""


class Interrupts:
    """Which attempt runs in which thread, and which of them are not wanted any more."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._running: dict[int, int] = {}
        self._waiting: set[int] = set()
        self._cancelled: set[int] = set()
        self._to_raise: set[int] = set()
        self._main = threading.main_thread().ident or 0

    def install(self) -> None:
        """Take SIGINT. In the main thread."""
        signal.signal(signal.SIGINT, self._on_signal)

    def accept(self, task: int) -> None:
        """An attempt waits for its turn."""
        self._waiting.add(task)

    def begin(self, task: int) -> bool:
        """This thread starts an attempt: False when it is cancelled already."""
        with self._lock:
            self._waiting.discard(task)
            if task in self._cancelled:
                return False
            self._running[threading.get_ident()] = task
            return True

    def end(self, task: int) -> bool:
        """The attempt has ended: True when it was cancelled. Nothing is raised for it from here on."""
        ident = threading.get_ident()
        with self._lock:
            self._running.pop(ident, None)
            if task in self._to_raise and ident != self._main:
                _take_back()
            self._to_raise.discard(task)
            cancelled = task in self._cancelled
            self._cancelled.discard(task)
            return cancelled

    def cancel(self, task: int) -> None:
        """Stop an attempt that runs, or that waits. Of others nothing is known, and nothing happens."""
        with self._lock:
            thread = next((thread for thread, running in self._running.items() if running == task), None)
            if thread is None and task not in self._waiting:
                return
            self._cancelled.add(task)
            if thread is None:
                return
            self._to_raise.add(task)
            if thread == self._main:
                signal.pthread_kill(thread, signal.SIGINT)
            else:
                _raise_in(thread, TaskCancelled)

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        task = self._running.get(self._main)
        if task in self._to_raise:
            self._to_raise.discard(task)
            raise TaskCancelled


def _raise_in(thread: int, kind: type[BaseException]) -> None:
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))


def _take_back() -> None:
    """Let what is to be raised in this thread be raised here.

    It must not be unset instead: Python 3.11 would go on looking for it at each jump, and never come to an end in a
    function that is traced or profiled.
    """
    try:
        _raise_in(threading.get_ident(), TaskCancelled)
        while True:
            pass
    except TaskCancelled:
        pass
