"""The future of an asynchronous action.

The action's functions are pickled and its first job is submitted where it is called, so errors of the call are raised
there and later changes of variables do not reach it. A thread of its own then waits, decodes, goes on with further jobs
(``takeAsync``) and runs the callbacks. It is a daemon thread that the context's ``stop`` waits for.

Guaranteed: when ``cancel`` has returned True, ``result`` raises JobCancelled, even if the jobs had succeeded by then; a
job that was about to be submitted is not, or is cancelled at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from typing import Any, Generic, TypeVar

from simspark.driver.engine import Engine, Started
from simspark.driver.user_errors import action
from simspark.publib.errors import JobCancelled

T = TypeVar("T")

Steps = Generator[Started, list[Any], T]
"""Yields jobs under way, is sent what each partition gave, and returns the result of the action."""

INTERRUPT_WAIT_S = 2.0


class FutureAction(Generic[T]):
    """The result of an action that runs while the program goes on.

    ``result()`` waits for it; ``await future`` does the same in a coroutine. Nothing is printed about a future that
    nobody asks.

    >>> future = sc.parallelize([1, 2, 3], 2).countAsync()
    >>> future.result()
    3
    >>> future.done(), future.cancelled(), len(future.jobIds)
    (True, False, 1)
    """

    def __init__(self, name: str, context: Engine, properties: Mapping[str, str], steps: Steps[T]) -> None:
        self.properties = properties
        self._name = name
        self._context = context
        self._steps = steps
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._callbacks: list[Callable[[FutureAction[T]], object]] = []
        self._jobs: list[int] = []
        self._reason = ""
        self._started: Started | None = None
        self._result: T
        self._error: BaseException | None = None
        self._traceback: Any = None
        self._thread: threading.Thread | None = None
        self._begin()

    def _begin(self) -> None:
        try:
            self._track(next(self._steps))
        except StopIteration as end:
            self._result = end.value
            self._finish(None)
            return
        self._thread = threading.Thread(target=self._run, name=f"simspark-{self._name}", daemon=True)
        self._context.follow(self)
        self._thread.start()

    # ── for the program ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def jobIds(self) -> list[int]:
        """The numbers of the jobs that it has submitted so far.

        >>> future = sc.parallelize([1, 2], 2).countAsync()
        >>> future.result(), len(future.jobIds)
        (2, 1)
        """
        return list(self._jobs)

    @action
    def result(self, timeout: float | None = None) -> T:
        """Wait for the result and return it.

        Raises what the synchronous action would raise, JobCancelled if it was cancelled, and TimeoutError when
        ``timeout`` seconds have passed; the action goes on then. Ctrl-C while waiting cancels the action.

        >>> sc.parallelize([1, 2, 3]).collectAsync().result(timeout=60)
        [1, 2, 3]
        """
        self._wait(timeout)
        if self._error is not None:
            raise self._error.with_traceback(self._traceback)
        return self._result

    @action
    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end; what ``result`` would raise, or None. A cancelled action gives its JobCancelled.

        >>> print(sc.range(3).countAsync().exception())
        None
        """
        self._wait(timeout)
        return self._error

    def done(self) -> bool:
        """Tell whether it has ended: with a result, an error or by being cancelled.

        >>> future = sc.parallelize([1, 2]).countAsync()
        >>> future.result(), future.done()
        (2, True)
        """
        return self._done.is_set()

    def cancelled(self) -> bool:
        """Tell whether it has ended because somebody cancelled it, its job group or one of its tags.

        >>> future = sc.parallelize([1, 2]).countAsync()
        >>> future.result(), future.cancelled()
        (2, False)
        """
        return self.done() and isinstance(self._error, JobCancelled)

    def cancel(self, reason: str = "") -> bool:
        """Cancel its jobs on the executors; ``result`` raises JobCancelled soon after. False if it is done.

        >>> future = sc.range(3).countAsync()
        >>> count = future.result()
        >>> future.cancel()
        False
        """
        with self._lock:
            if self.done():
                return False
            self._reason = self._reason or reason or "its future was cancelled"
            started = self._started
        if started is not None:
            started.cancel(self._reason)
        return True

    def add_done_callback(self, fn: Callable[[FutureAction[T]], object]) -> None:
        """Have ``fn(future)`` called when it has ended: in its thread, or at once, here, if it has ended.

        An exception that ``fn`` raises goes to the logger ``simspark``.

        >>> results = []
        >>> future = sc.parallelize([1, 2]).countAsync()
        >>> _ = future.result()
        >>> future.add_done_callback(lambda future: results.append(future.result()))
        >>> results
        [2]
        """
        with self._lock:
            if not self.done():
                self._callbacks.append(fn)
                return
        self._call(fn)

    def __await__(self) -> Generator[Any, None, T]:
        """Wait in a coroutine. Cancelling the task that waits cancels the action."""
        from asyncio import CancelledError, get_running_loop

        loop = get_running_loop()
        woken = loop.create_future()
        self.add_done_callback(lambda _: _wake(loop, woken))
        try:
            yield from woken
        except CancelledError:
            self.cancel()
            raise
        return self.result()

    def __repr__(self) -> str:
        state = "under way" if not self.done() else "done" if self._error is None else type(self._error).__name__
        return f"<FutureAction {self._name}, jobs {self._jobs}: {state}>"

    # ── its thread ───────────────────────────────────────────────────────────────────────────────────────────────

    def join(self, timeout_s: float) -> None:
        """See engine.Following."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._finish(self._go_on())
        finally:
            self._context.unfollow(self)

    def _go_on(self) -> BaseException | None:
        """Go from job to job until the result is there, or nobody wants it; what it failed with, of whatever kind."""
        try:
            while self._started is not None:
                values = self._started.wait()
                if self._reason or not self._step(values):
                    return None
        except BaseException as error:
            return error
        return None

    def _step(self, values: list[Any]) -> bool:
        """Submit the next job, or take the result when there is none."""
        try:
            self._track(self._steps.send(values))
        except StopIteration as end:
            self._result = end.value
            return False
        return True

    def _track(self, started: Started) -> None:
        with self._lock:
            self._jobs.append(started.job)
            self._started = started
            reason = self._reason
        if reason:
            started.cancel(reason)

    def _finish(self, error: BaseException | None) -> None:
        with self._lock:
            if self._reason and not isinstance(error, JobCancelled):
                error = JobCancelled(f"{self._name} was cancelled: {self._reason}. (SS302)")
            self._error = error
            self._traceback = None if error is None else error.__traceback__
            self._started = None
            self._steps.close()
            self._done.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            self._call(callback)

    def _call(self, callback: Callable[[FutureAction[T]], object]) -> None:
        try:
            callback(self)
        except Exception:
            import logging

            logging.getLogger("simspark").exception("a callback of %r raised", self)

    def _wait(self, timeout: float | None) -> None:
        try:
            if not self._done.wait(timeout):
                raise TimeoutError(f"{self._name} is not done after {timeout} s")
        except KeyboardInterrupt:
            raise self._interrupted() from None

    def _interrupted(self) -> KeyboardInterrupt:
        started = self._started
        self.cancel("interrupted")
        interrupt = KeyboardInterrupt(f"{self._name} was done") if started is None else started.interrupted()
        self._done.wait(INTERRUPT_WAIT_S)
        return interrupt


def _wake(loop: Any, woken: Any) -> None:
    """Called in the future's thread: the coroutine that waits goes on, if its loop still runs."""

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    try:
        loop.call_soon_threadsafe(wake)
    except RuntimeError:
        pass  # the event loop was closed, so nobody waits
