"""An exception of user code as plain data, that any process can show and none has to unpickle.

Whatever the exception does when it is printed or pickled, describing it ends, in bounded time and size: its
``str``, the ``repr`` of the element and the pickling each run guarded. Frames of simspark itself are left
out: users see their own code, and what it called.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, TracebackType
from typing import Any

from simspark.publib.lineage.program import Program, Steps
from simspark.publib.lineage.steps import LOOP, Step, at_site, code_of
from simspark.publib.wire import payload
from simspark.publib.wire.messages import Failure, Frame

TEXT_LIMIT = 8 << 10
ELEMENT_LIMIT = 200
FRAMES_LIMIT = 40
TRACEBACK_LIMIT = 32 << 10
PICKLED_LIMIT = 64 << 10
PRINT_LIMIT_S = 1.0
SIMSPARK = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
PER_ELEMENT = frozenset({"map", "flatMap", "filter", "keyBy", "mapValues", "flatMapValues", "foreach"})


class _TookTooLong(BaseException):
    """Ends user code that prints an exception or an element and does not come to an end."""


def describe(error: BaseException, program: Program | None = None, *, show_values: bool = True) -> Failure:
    """The exception with its type, text, frames of user code and notes; never raises."""
    kind = type(error)
    trace = list(_traceback(error.__traceback__))
    return Failure(
        type_name=kind.__qualname__,
        module=kind.__module__,
        text=_guarded(lambda: str(error), TEXT_LIMIT),
        frames=tuple(_described(entry) for entry in _shortened(trace)),
        notes=tuple(_notes(error, trace, program, show_values)),
        traceback=_whole_traceback(error),
        pickled=_pickled(error),
    )


def is_own_fault(error: BaseException) -> bool:
    """Whether the exception was raised by simspark's own code, not by something that user code called."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_filename.startswith(SIMSPARK)


def _traceback(trace: TracebackType | None) -> Iterator[TracebackType]:
    """The entries of a traceback that are not simspark's."""
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith((SIMSPARK, "<frozen")) and code.co_qualname != LOOP:
            yield trace
        trace = trace.tb_next


def _shortened(trace: list[TracebackType]) -> list[TracebackType]:
    """Of a deep recursion, its beginning and its end."""
    half = FRAMES_LIMIT // 2
    return trace if len(trace) <= FRAMES_LIMIT else [*trace[:half], *trace[-half:]]


def _described(entry: TracebackType) -> Frame:
    code = entry.tb_frame.f_code
    line = entry.tb_lineno or 0
    end_line, column, end_column = _columns(code, entry.tb_lasti, line)
    source = _source_line(code.co_filename, line, entry.tb_frame)
    return Frame(code.co_filename, code.co_name, line, end_line, column, end_column, source)


def _columns(code: CodeType, instruction: int, line: int) -> tuple[int, int, int]:
    for index, (_, end_line, column, end_column) in enumerate(code.co_positions()):
        if index == instruction // 2:
            known = end_line is not None and column is not None and end_column is not None
            return (end_line or line, column or 0, end_column or 0) if known else (line, -1, -1)
    return line, -1, -1


def _source_line(file: str, line: int, frame: FrameType) -> str:
    import linecache

    try:
        return linecache.getline(file, line, frame.f_globals).rstrip("\n")[:TEXT_LIMIT]
    except Exception:
        return ""


def _notes(error: BaseException, trace: list[TracebackType], program: Program | None,
           show_values: bool) -> Iterator[str]:
    """Notes that the exception has, the element that was being processed, and the step it was in."""
    own = getattr(error, "__notes__", None)
    own = own if isinstance(own, list) else []
    yield from (note[:TEXT_LIMIT] for note in own if isinstance(note, str))
    step, frame = _failing_step(trace, program)
    if step is None or frame is None:
        return
    if show_values and step.label in PER_ELEMENT:
        element = _first_argument(frame)
        if element is not None:
            yield f"while processing element: {element}"
    name = getattr(step.function, "__name__", "")
    named = f"({name})" if name and name != "<lambda>" else ""
    yield f"in {step.label}{named}{at_site(step.site)}"


def _failing_step(trace: list[TracebackType], program: Program | None) -> tuple[Step | None, FrameType | None]:
    """The step whose function is in the traceback, and the frame of that function."""
    if program is None:
        return None, None
    by_code = {}
    for step in _steps(program.source):
        code = getattr(step.function, "__code__", None)
        if code is not None:
            by_code[code] = step
    for entry in trace:
        step_of_frame = by_code.get(code_of(entry.tb_frame.f_code))
        if step_of_frame is not None:
            return step_of_frame, entry.tb_frame
    return None, None


def _steps(source: Any) -> Iterator[Step]:
    """The steps of a program, through sources that hold other sources."""
    waiting = [source]
    seen = set()
    while waiting:
        here = waiting.pop()
        if id(here) in seen or not type(here).__module__.startswith("simspark."):
            continue
        seen.add(id(here))
        if isinstance(here, Steps):
            yield from here.steps
        for value in _attributes(here):
            waiting += value if isinstance(value, (tuple, list)) else [value]


def _attributes(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        yield from value
    names = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    for name in [*names, *getattr(value, "__dict__", ())]:
        yield getattr(value, name, None)


def _first_argument(frame: FrameType) -> str | None:
    code = frame.f_code
    if not code.co_argcount:
        return None
    element = frame.f_locals.get(code.co_varnames[0])
    return _guarded(lambda: _short_repr(element), ELEMENT_LIMIT)


def _short_repr(value: Any) -> str:
    """The repr, without ever making that of a container of a million elements."""
    from reprlib import Repr

    short = Repr()
    short.maxstring = short.maxother = short.maxlong = ELEMENT_LIMIT
    short.maxlist = short.maxtuple = short.maxset = short.maxfrozenset = short.maxdict = ELEMENT_LIMIT // 4
    return short.repr(value)


def _whole_traceback(error: BaseException) -> str:
    """The traceback as Python prints it, with causes."""
    import traceback

    def printed() -> str:
        return "".join(traceback.format_exception(error, limit=-FRAMES_LIMIT))

    return _guarded(printed, TRACEBACK_LIMIT)


def _pickled(error: BaseException) -> bytes:
    """The exception itself, if it arrives as what it is; nothing for those that would end the driver."""
    if not isinstance(error, Exception):
        return b""
    import cloudpickle

    def there_and_back() -> bytes:
        data: bytes = cloudpickle.dumps(error, payload.PROTOCOL)
        same = len(data) <= PICKLED_LIMIT and type(payload.load(data)) is type(error)
        return data if same else b""

    pickled: bytes = _bounded(there_and_back, b"")
    return pickled


def _guarded(text: Callable[[], str], limit: int) -> str:
    """A text that user code makes, cut, or a word on why there is none."""
    made = _bounded(text, None)
    if not isinstance(made, str):
        return "<it cannot be printed>"
    return made if len(made) <= limit else f"{made[:limit]}..."


def _bounded(call: Callable[[], Any], otherwise: Any) -> Any:
    """What the call gives, or ``otherwise`` when it raises or, in the main thread, takes too long."""
    if threading.current_thread() is not threading.main_thread():
        try:
            return call()
        except BaseException:
            return otherwise
    before = signal.signal(signal.SIGALRM, _give_up)
    try:
        signal.setitimer(signal.ITIMER_REAL, PRINT_LIMIT_S)
        try:
            return call()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except BaseException:
        return otherwise
    finally:
        signal.signal(signal.SIGALRM, before)


def _give_up(_signal: int, _frame: FrameType | None) -> None:
    raise _TookTooLong
