"""What the user sees of an error that an action raises: his own frames, and one of simspark's."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from types import FunctionType, TracebackType
from typing import Any, TypeVar, cast

from simspark.driver.call_site import PACKAGE_DIRECTORY
from simspark.publib.errors import InternalError, SimsparkError

F = TypeVar("F", bound=Callable[..., Any])

_PLAIN = (SimsparkError, KeyboardInterrupt, ValueError, TypeError, TimeoutError, ImportError)
"""What simspark raises to say something to the user: the way there does not interest him."""


def action(method: F) -> F:
    """Let errors of ``method`` show the user's frames, before the call and in tasks, and this one between them."""

    def run(*arguments: Any, **named: Any) -> Any:
        try:
            return method(*arguments, **named)
        except BaseException as error:
            raise error.with_traceback(without_our_frames(error))  # noqa: B904 (it is the same exception)

    wrapper = update_wrapper(run, method)
    named = cast(FunctionType, wrapper)
    named.__code__ = named.__code__.replace(co_name=method.__name__, co_qualname=method.__qualname__)
    return cast(F, wrapper)


def without_our_frames(error: BaseException) -> TracebackType | None:
    """The traceback from where it leaves simspark on; all of it when the fault is ours."""
    traceback = error.__traceback__
    if isinstance(error, InternalError):
        return traceback
    outside = traceback
    while outside is not None and outside.tb_frame.f_code.co_filename.startswith(PACKAGE_DIRECTORY):
        outside = outside.tb_next
    if outside is None and not isinstance(error, _PLAIN):
        return traceback
    return outside
