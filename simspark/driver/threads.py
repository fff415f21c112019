"""Threads whose jobs have the local properties of the thread that made them: job group, tags, pool and all others.

A plain thread starts with none. ``InheritableThread`` copies them when it is started, ``inheritable_thread_target``
when it wraps a function. Both give a copy: what either thread sets later does not reach the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


class InheritableThread(threading.Thread):
    """A thread that starts with the local properties of the one that starts it.

    ``target`` and the other arguments are those of ``threading.Thread``; ``session`` is for programs written for Spark.

    >>> from simspark import InheritableThread
    >>> sc.setJobGroup("evening", "sums")
    >>> groups = []
    >>> thread = InheritableThread(target=lambda: groups.append(sc.getLocalProperty("spark.jobGroup.id")))
    >>> thread.start()
    >>> thread.join()
    >>> groups
    ['evening']
    >>> sc.setLocalProperty("spark.jobGroup.id", None)
    """

    def __init__(self, target: Callable[..., Any], *args: Any, session: Any = None, **kwargs: Any) -> None:
        self._inherited: dict[str, str] = {}

        def inherit_and_run(*given: Any, **named: Any) -> Any:
            _take_over(self._inherited)
            return target(*given, **named)

        kwargs["target"] = inherit_and_run
        super().__init__(*args, **kwargs)

    def start(self) -> None:
        """Start it, with a copy of this thread's local properties.

        >>> from simspark import InheritableThread
        >>> thread = InheritableThread(target=sc.getJobTags)
        >>> thread.start()
        >>> thread.join()
        """
        self._inherited = _own_properties()
        super().start()


def inheritable_thread_target(f: Any) -> Any:
    """Wrap a function so that it runs with the local properties that the wrapping thread has now.

    As a decorator, ``@inheritable_thread_target``, or with a session, ``@inheritable_thread_target(session)``, for
    programs written for Spark. The thread's own properties are back when the function returns.

    >>> from threading import Thread
    >>> from simspark import inheritable_thread_target
    >>> sc.addJobTag("evening")
    >>> tags = []
    >>> thread = Thread(target=inheritable_thread_target(lambda: tags.extend(sc.getJobTags())))
    >>> sc.clearJobTags()
    >>> thread.start()
    >>> thread.join()
    >>> tags
    ['evening']
    """
    return _inheriting(f) if callable(f) else _inheriting


def _inheriting(function: F) -> F:
    inherited = _own_properties()

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        before = _take_over(inherited)
        try:
            return function(*args, **kwargs)
        finally:
            _take_over(before)

    return cast(F, run)


def _own_properties() -> dict[str, str]:
    """A copy of this thread's properties in the running context; none without one."""
    from simspark.driver.context import SparkContext

    context = SparkContext._active
    return {} if context is None else context.local_properties()


def _take_over(properties: dict[str, str]) -> dict[str, str]:
    """Give this thread a copy of these properties; what it had before."""
    from simspark.driver.context import SparkContext

    context = SparkContext._active
    if context is None:
        return {}
    before = context.local_properties()
    context.replace_local_properties(properties)
    return before
