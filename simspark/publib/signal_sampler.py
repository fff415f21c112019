"""What the main thread does, seen by a signal while it computes and by another thread while it waits.

A thread that looks needs the interpreter's lock, and gets it soonest where the watched thread gives it up by itself; so
calls that do, as checksums, are seen too often. A signal needs no lock: its handler runs in the watched thread, between
two instructions, and sees what that computes. It comes by the process's own processor time, so nothing that waits is
ever interrupted. Each counts for the processor time since the one before: of a long function of C, at its end.

The time that is left, which the main thread spends neither on a processor nor waiting for one, belongs to a call that
waits: the other thread sees that one, a few times a second, with nobody to wait for.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import CodeType, FrameType

from simspark.publib import clock
from simspark.publib.clock import Clock, thread_cpu_s
from simspark.publib.stack_sampler import StackSampler
from simspark.publib.wire.messages import TaskSamples

LOOKS_HZ = 20.0
NANOSECOND_S = 1e-9
OWN_FILES = frozenset({__file__, clock.__file__})
SCHEDULE = "/proc/self/task/{}/schedstat"


def works_here() -> bool:
    """Whether the system tells what a thread's time was, and the signal is nobody else's."""
    return os.path.exists(SCHEDULE.format(threading.get_native_id())) and (
        signal.getsignal(signal.SIGPROF) == signal.SIG_DFL
    )


class SignalSampler(StackSampler):
    """Watches the main thread, which says ``begin`` and ``end``."""

    def __init__(self, rate_hz: float, clock: Clock, send: Callable[[TaskSamples], None],
                 outermost: CodeType | None = None) -> None:
        super().__init__(min(rate_hz, LOOKS_HZ), clock, send, outermost, soon_s=1.0)
        self._sample_s = 1 / rate_hz
        self._computed_s = 0.0
        self._left_s = 0.0
        self._waited_s = 0.0
        self._idle_s = 0.0
        self._idle_from: float | None = None
        self._main = 0
        self._schedule = -1

    def begin(self, stage: int) -> None:
        """See StackSampler. The first time, the signal begins to come."""
        if not self._main:
            self._install()
        if self._idle_from is not None:
            self._idle_s += self._clock.now() - self._idle_from
            self._idle_from = None
        self._computed_s = thread_cpu_s() - self._left_s
        super().begin(stage)

    def end(self) -> None:
        """See StackSampler."""
        super().end()
        self._idle_from = self._clock.now()
        self._left_s = thread_cpu_s() - self._computed_s

    def stop(self) -> None:
        """See StackSampler. In the main thread."""
        if self._main:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, signal.SIG_IGN)  # one may be on its way
        super().stop()

    def look(self, now: float) -> None:
        """Count for how long the main thread has waited, where it is now."""
        if now < self._due:
            return
        self._due = now + self._period_s
        times = int(self._waiting_s(now) / self._sample_s)
        watched = self._watched.get(self._main)
        if times > 0 and watched is not None:
            frame = self._stacks().get(self._main)
            with self._lock:
                self._waited_s += times * self._sample_s
                self._count(watched[0], frame, times)
        self._maybe_flush(now)

    def _run(self) -> None:
        super()._run()
        if self._schedule >= 0:
            os.close(self._schedule)

    def _install(self) -> None:
        self._main = threading.get_ident()
        self._schedule = os.open(SCHEDULE.format(threading.get_native_id()), os.O_RDONLY | os.O_CLOEXEC)
        self._waited_s = self._waiting_s(self._clock.now())
        signal.signal(signal.SIGPROF, self._on_signal)
        signal.siginterrupt(signal.SIGPROF, False)
        signal.setitimer(signal.ITIMER_PROF, self._sample_s, self._sample_s)

    def _waiting_s(self, now: float) -> float:
        """For how long the main thread has waited in tasks and was not counted."""
        idle_from = self._idle_from
        idle_s = self._idle_s + (now - idle_from if idle_from is not None else 0.0)
        on_processor, for_processor, _ = os.pread(self._schedule, 100, 0).split()
        return now - idle_s - (int(on_processor) + int(for_processor)) * NANOSECOND_S - self._waited_s

    def _on_signal(self, _signal: int, frame: FrameType | None) -> None:
        """In the main thread, which may be at work for this sampler itself: the next signal then counts for both."""
        if frame is None or frame.f_code.co_filename in OWN_FILES:
            return
        watched = self._watched.get(self._main)
        times = int((thread_cpu_s() - self._computed_s) / self._sample_s)
        if watched is None or times < 1 or not self._lock.acquire(blocking=False):
            return
        try:
            self._computed_s += times * self._sample_s
            self._count(watched[0], frame, times)
        finally:
            self._lock.release()
