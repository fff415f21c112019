"""How a job ended badly, as an exception: the user's own, or one of ours that says what to do.

An exception of user code arrives as plain data, and pickled where it survives the journey. It is raised with its own
type; where it did not survive, a class of its name stands in. Its traceback gets the frames of the task: for each a
code object is made that raises at the remote file, line and columns, so that Python prints source and markers
as if it had been raised here. Notes say which task, which element and which operation.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import CodeType, FunctionType, MethodType, TracebackType
from typing import Any

from simspark.driver.call_site import function_name
from simspark.driver.scheduling import JobEnded, JobSpec, StageSpec
from simspark.driver.stages import Operation
from simspark.publib import errors
from simspark.publib.errors import JobCancelled, JobFailed, RemoteFailure, SimsparkError
from simspark.publib.wire import payload
from simspark.publib.wire.messages import Failure, Frame

_ADVICE = {
    "WorkerLost": " Use more partitions, or more memory: spark.executor.memory.",
    "NotEnoughResources": " Ask for less, or start workers that have it: simspark-worker start.",
}


def job_error(ended: JobEnded, spec: JobSpec | None = None,
              operations: Mapping[int, Sequence[Operation]] | None = None, *, full: bool = False) -> BaseException:
    """The exception that an action raises for a job that failed or was cancelled.

    ``spec`` and ``operations`` (of CompiledJob) tell the task's place and the operation; ``full`` adds the remote
    traceback as Python printed it there.
    """
    if ended.outcome == "cancelled":
        return JobCancelled(f"Job {ended.job} was cancelled: {ended.text or 'somebody asked'}. (SS302)")
    failure = None if ended.report is None else ended.report.failure
    if failure is None:
        return _our_error(ended)
    error = _revived(failure)
    if isinstance(error, ModuleNotFoundError):
        from simspark.driver.missing_modules import explained

        error = explained(error, ended.worker)
    known = set(getattr(error, "__notes__", ()))
    given = [note for note in failure.notes if note not in known]
    notes = [_task_note(ended, spec), *given]
    if not any(note.startswith("in ") for note in given):
        notes += _operation_note(failure, (operations or {}).get(ended.stage, ()))
    if ended.failures > 1:
        notes.append(f"and {ended.failures - 1} more task{'s' * (ended.failures > 2)} of this job failed")
    if full:
        notes.append(f"remote traceback, all of it:\n{failure.traceback}")
    for note in filter(None, notes):
        error.add_note(note)
    return error.with_traceback(spliced(failure.frames))


def _our_error(ended: JobEnded) -> SimsparkError:
    kind = getattr(errors, ended.error, JobFailed)
    if kind is errors.FetchFailed or not issubclass(kind, SimsparkError):
        kind = JobFailed
    text = ended.text.strip().rstrip(".") or "it failed, and nothing is known of the cause"
    made: SimsparkError = kind(f"{text[0].upper()}{text[1:]}.{_ADVICE.get(ended.error, '')} ({kind.code})")
    return made


def _task_note(ended: JobEnded, spec: JobSpec | None) -> str:
    where = f", worker {ended.worker}" if ended.worker not in {"", "local"} else ""
    stage = _stage(ended, spec)
    of = "" if stage is None else f" of {stage.partitions}"
    tries = "" if spec is None or spec.max_failures <= 1 else f", attempt {ended.attempt + 1} of {spec.max_failures}"
    return f"task {ended.stage}.{ended.partition}: partition {ended.partition}{of}{tries}{where}"


def _stage(ended: JobEnded, spec: JobSpec | None) -> StageSpec | None:
    stages = () if spec is None else spec.stages
    return next((stage for stage in stages if stage.stage == ended.stage), None)


# ── the exception itself ─────────────────────────────────────────────────────────────────────────


def _revived(failure: Failure) -> BaseException:
    """The exception that was raised, or one of a class that looks like its own."""
    if failure.pickled:
        try:
            error = payload.load(failure.pickled)
        except Exception:
            error = None
        if isinstance(error, BaseException):
            return error
    name = failure.type_name.rpartition(".")[2] or "RemoteFailure"
    stand_in = type(name, (RemoteFailure,), {"__module__": failure.module, "__qualname__": failure.type_name})
    made: BaseException = stand_in(failure.text)
    return made


def spliced(frames: Sequence[Frame]) -> TracebackType | None:
    """A traceback through these frames, the outermost first."""
    below: TracebackType | None = None
    for frame in reversed(frames):
        entry = _entry(frame)
        if entry is not None:
            below = TracebackType(below, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return below


def _entry(frame: Frame) -> TracebackType | None:
    """One entry of a traceback, made by raising at the frame's place."""
    _show_source(frame)
    marker = RemoteFailure()
    try:
        exec(_raising_code(frame), {"marker": marker, "__name__": frame.function})  # noqa: S102 (our own code)
    except RemoteFailure as raised:
        own = raised.__traceback__
        return None if own is None else own.tb_next
    return None


def _raising_code(frame: Frame) -> CodeType:
    """Code that raises ``marker`` where the frame did; Python marks no columns where they are the whole line."""
    line = max(1, frame.line)
    known = frame.column >= 0 and frame.end_column >= 0 and frame.end_line >= line
    source = frame.source.rstrip()
    place = {
        "lineno": line,
        "end_lineno": frame.end_line if known else line,
        "col_offset": frame.column if known else len(source) - len(source.lstrip()),
        "end_col_offset": frame.end_column if known else len(source.encode()),
    }
    statement = ast.Raise(ast.Name("marker", ast.Load(), **place), None, **place)
    code = compile(ast.Module([statement], []), frame.file or "<unknown>", "exec")
    return code.replace(co_name=frame.function, co_qualname=frame.function)


def _show_source(frame: Frame) -> None:
    """Let Python find the line of a file that is not on this machine."""
    import linecache

    if not frame.source or frame.line < 1 or os.path.exists(frame.file):
        return
    cached = linecache.cache.get(frame.file)
    lines = list(cached[2]) if cached is not None and len(cached) > 1 else []
    lines += ["\n"] * (frame.line - len(lines))
    lines[frame.line - 1] = f"{frame.source}\n"
    linecache.cache[frame.file] = (sum(map(len, lines)), None, lines, frame.file)


# ── which operation it was ───────────────────────────────────────────────────────────────────────


def _operation_note(failure: Failure, operations: Sequence[Operation]) -> list[str]:
    """In which operation it was raised: the first whose function's code is in the traceback."""
    for frame in failure.frames:
        for operation in operations:
            for function in _functions(operation.function):
                if _is_in(frame, function.__code__):
                    name = function_name(function)
                    site = f" at {operation.site}" if operation.site else ""
                    return [f"in {operation.label}({name}){site}"]
    return []


def _functions(value: Any) -> Iterator[FunctionType]:
    """The Python functions that a callable is, or is made of."""
    if isinstance(value, FunctionType):
        yield value
    elif isinstance(value, MethodType):
        yield from _functions(value.__func__)
    elif isinstance(value, partial):
        yield from _functions(value.func)
        for argument in value.args:
            yield from _functions(argument)
    elif isinstance(value, tuple):
        for part in value:
            yield from _functions(part)


def _is_in(frame: Frame, code: CodeType) -> bool:
    return frame.file == code.co_filename and frame.function == code.co_name and (
        code.co_firstlineno <= frame.line <= max((line for *_, line in code.co_lines() if line), default=0)
    )
