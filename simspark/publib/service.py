"""The one loop: wait, decode, handle, perform. It serves the daemons, the driver's thread and each executor's.

One thread runs it and decides. Any thread may ``post``; everything else is for the loop's own thread, or for
whoever sets it up before ``run``. A turn takes what is ready, lets the handlers decide, runs what was posted and the
timers that are due, and only then sends: what goes to one peer within a turn leaves together. A loop with nothing to
do sleeps until its next timer.

A handler that raises is a bug: the loop ends, closes what it has and reports, through ``on_crash`` or out of ``run``.
"""

from __future__ import annotations

import heapq
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any, Protocol

from simspark.publib.clock import Clock

Handler = Callable[[Any], None]

LONGEST_SLEEP_S = 3600.0
READABLE = 1  # to poll and to zmq


class Endpoint(Protocol):
    """A Listener or a Dialer. All calls come from the loop's thread and must not block."""

    def attach(self, loop: Loop, handler: Handler) -> None:
        """Begin to work: register sockets and timers with the loop."""
        ...

    def flush(self) -> None:
        """Send what this turn has queued; called at its end after ``flush_soon``."""
        ...

    def close(self) -> None:
        """Say goodbye, unregister everything and close the sockets, with a bounded linger. Twice is harmless."""
        ...


class OneAtATime:
    """Hands events to a core one after another, also when performing what it decides brings the next about."""

    def __init__(self, take: Handler) -> None:
        self._take = take
        self._events: deque[Any] = deque()
        self._taking = False

    def __call__(self, event: Any) -> None:
        """Take an event now, or after the one that is being taken. Of the loop's thread alone."""
        self._events.append(event)
        if self._taking:
            return
        self._taking = True
        try:
            while self._events:
                self._take(self._events.popleft())
        finally:
            self._taking = False


class Loop:
    """See the top of the module."""

    def __init__(self, clock: Clock, on_crash: Callable[[BaseException], None] | None = None) -> None:
        self.clock = clock
        self._on_crash = on_crash
        self._poller: Any = select.poll()
        self._takes_bytes = select.POLLOUT
        self._polls_zmq = False
        self._callbacks: dict[Any, Callable[[], None]] = {}
        self._writable: dict[Any, Callable[[], None]] = {}
        self._endpoints: list[Endpoint] = []
        self._dirty: dict[Endpoint, None] = {}
        self._posted: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, str]] = []
        self._calls: dict[str, tuple[int, Callable[[], None]]] = {}
        self._order = count()
        self._awake = False
        self._stopping = False
        self._closed = False
        self.is_over = False
        self._thread: int | None = None
        self._wake_lock = threading.RLock()  # a finalizer that posts may run inside a post of its own thread
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self.add_fd(self._wake_read, self._drain_wakes)

    # ── for any thread ───────────────────────────────────────────────────────────────────────────────────────────

    def post(self, call: Callable[[], None]) -> None:
        """Have the loop call this soon, in the order of posting. Never blocks; after the loop's end, does nothing."""
        self._posted.append(call)
        if not self._awake and threading.get_ident() != self._thread:
            self._wake()

    def stop(self) -> None:
        """End the loop after this turn. What was sent before leaves within the linger."""
        self._stopping = True
        self._wake()

    # ── for the loop's thread, or before it runs ─────────────────────────────────────────────────────────────────

    def add(self, endpoint: Endpoint, handler: Handler) -> None:
        """Let an endpoint work; its events go to the handler. From another thread while running, it is posted."""
        if self._thread is not None and threading.get_ident() != self._thread:
            self.post(lambda: self.add(endpoint, handler))
            return
        self._endpoints.append(endpoint)
        endpoint.attach(self, handler)

    def remove(self, endpoint: Endpoint) -> None:
        """Close an endpoint; its handler hears no more. Twice is harmless."""
        if endpoint in self._endpoints:
            self._endpoints.remove(endpoint)
            self._dirty.pop(endpoint, None)
            endpoint.close()

    def add_fd(self, fd: Any, callback: Callable[[], None]) -> None:
        """Call back whenever a descriptor (or zmq socket) is readable."""
        if not (self._polls_zmq or isinstance(fd, int)):
            self._poll_zmq()
        self._callbacks[fd] = callback
        self._poller.register(fd, READABLE)

    def remove_fd(self, fd: Any) -> None:
        """Forget a descriptor. Twice is harmless; it must not be closed yet."""
        self._writable.pop(fd, None)
        if self._callbacks.pop(fd, None) is not None:
            self._poller.unregister(fd)

    def when_writable(self, fd: int, callback: Callable[[], None]) -> None:
        """Call back once when a descriptor that was added takes bytes again."""
        self._writable[fd] = callback
        self._poller.register(fd, READABLE | self._takes_bytes)

    def call_at(self, name: str, when: float, call: Callable[[], None]) -> None:
        """Call at a moment of the clock. A timer of the same name is replaced."""
        order = next(self._order)
        self._calls[name] = (order, call)
        heapq.heappush(self._timers, (when, order, name))
        if len(self._timers) > 64 + 4 * len(self._calls):
            self._drop_cancelled()

    def cancel(self, name: str) -> None:
        """Forget a timer, if there is one."""
        self._calls.pop(name, None)

    def has_timer(self, name: str) -> bool:
        """Whether a timer of this name waits."""
        return name in self._calls

    def flush_soon(self, endpoint: Endpoint) -> None:
        """Call the endpoint's ``flush`` at the end of this turn."""
        self._dirty[endpoint] = None

    def run(self) -> None:
        """Work until ``stop``; close all endpoints on the way out. From then on it ``is_over``."""
        self._thread = threading.get_ident()
        try:
            while not self._stopping:
                self._turn()
            self.is_over = True  # who posts from here on sees it, and what was posted before is run
            self._run_posted()
            self._flush()
        except BaseException as crash:
            if self._on_crash is None or not isinstance(crash, Exception):
                raise
            self._on_crash(crash)
        finally:
            self.is_over = True
            self._close()

    # ── one turn ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _turn(self) -> None:
        for fd, ready in self._poller.poll(self._sleep_ms()):
            if ready & self._takes_bytes:
                self._tell_writable(fd)
            callback = self._callbacks.get(fd)
            if callback is not None and ready != self._takes_bytes:
                callback()
        if self._posted:
            self._run_posted()
        if self._timers and self._timers[0][0] <= self.clock.now():
            self._run_timers()
        if self._dirty:
            self._flush()

    def _tell_writable(self, fd: int) -> None:
        callback = self._writable.pop(fd, None)
        if callback is not None:
            self._poller.register(fd, READABLE)
            callback()

    def _poll_zmq(self) -> None:
        """From the first socket of zmq on, zmq waits, for descriptors, too. Who has none need not import it."""
        import zmq

        self._polls_zmq = True
        self._poller = zmq.Poller()
        self._takes_bytes = zmq.POLLOUT
        for fd in self._callbacks:
            self._poller.register(fd, READABLE | (zmq.POLLOUT if fd in self._writable else 0))

    def _sleep_ms(self) -> int:
        if self._posted or self._dirty or self._stopping:
            return 0
        while self._timers:
            _, order, name = self._timers[0]
            call = self._calls.get(name)
            if call is not None and call[0] == order:
                break
            heapq.heappop(self._timers)  # it was cancelled
        if not self._timers:
            return -1
        seconds = self._timers[0][0] - self.clock.now()
        return max(0, int(min(seconds, LONGEST_SLEEP_S) * 1000) + 1) if seconds > 0 else 0

    def _run_posted(self) -> None:
        # As many as there are now: what these post in turn waits for the next turn, so that sockets have theirs.
        for _ in range(len(self._posted)):
            self._posted.popleft()()

    def _run_timers(self) -> None:
        now = self.clock.now()
        while self._timers and self._timers[0][0] <= now:
            entry = heapq.heappop(self._timers)
            if not self._is_cancelled(entry):
                self._calls.pop(entry[2])[1]()

    def _is_cancelled(self, entry: tuple[float, int, str]) -> bool:
        call = self._calls.get(entry[2])
        return call is None or call[0] != entry[1]

    def _drop_cancelled(self) -> None:
        self._timers = [entry for entry in self._timers if not self._is_cancelled(entry)]
        heapq.heapify(self._timers)

    def _flush(self) -> None:
        while self._dirty:
            dirty, self._dirty = self._dirty, {}
            for endpoint in dirty:
                endpoint.flush()

    # ── waking and ending ────────────────────────────────────────────────────────────────────────────────────────

    def _wake(self) -> None:
        """One byte in the pipe. Two threads may both write one; the loop drains them all."""
        self._awake = True
        with self._wake_lock:
            if not self._closed:
                try:
                    os.write(self._wake_write, b"\0")
                except BlockingIOError:
                    pass  # the pipe is full of wakes

    def _drain_wakes(self) -> None:
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            pass
        # Before anything posted is looked at: who posts after this line wakes again, who posted before is seen.
        self._awake = False

    def _close(self) -> None:
        for endpoint in reversed(self._endpoints):
            endpoint.close()
        self._endpoints.clear()
        with self._wake_lock:
            self._closed = True
            self.remove_fd(self._wake_read)
            os.close(self._wake_read)
            os.close(self._wake_write)
        self._posted.clear()
        self._calls.clear()
