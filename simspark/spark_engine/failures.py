"""What an action on Spark raises: the user's own exception, or one of ours, in place of Java's account of it.

A task that raises reaches the driver as text: Python's traceback, made in the worker, inside messages of Java
exceptions. The last exception of that text is raised again, as its own type where the type is known here and the
exception can be made from its text alone; else as a subclass of it, or as a stand-in of its name. Attributes that the
exception had are gone, which its note says. Its traceback has the frames of the task, without those of Spark.

Nothing here imports pyspark; what comes from it is told by its attributes.
"""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Iterator
from typing import Any

from simspark.driver.remote_errors import spliced
from simspark.publib.errors import ContextStopped, JobCancelled, JobFailed, NotSerializable, RemoteFailure
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.wire.messages import Frame

_HEADER = "Traceback (most recent call last):\n"
_CHAIN = re.compile(
    r"\n\n(?:The above exception was the direct cause of the following exception|"
    r"During handling of the above exception, another exception occurred):\n\n" + re.escape(_HEADER)
)
_END = re.compile(r"\n+\s*(?:SQLSTATE: \w+|at (?:org|java|scala|py4j|jdk)\.\S+\()")
_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+), in (?P<function>.*)')
_OURS = re.compile(r"[/\\](?:pyspark|simspark|cloudpickle|py4j)(?:-[^/\\]*)?(?:\.zip)?[/\\]")
_TASK = re.compile(r"Lost task (\d+)\.\d+ in stage (\d+)\.\d+ \(TID \d+\) \(([^)]*)\)")
_JAVA = {
    "org.apache.hadoop.mapred.InvalidInputException": FileNotFoundError,
    "org.apache.hadoop.mapred.FileAlreadyExistsException": FileExistsError,
}
MAX_CAUSES = 20


class RemoteTraceback(NamedTuple):
    """The last exception of a traceback: the name of its type as printed, its text, and the frames it came through."""

    type_name: str
    text: str
    frames: tuple[Frame, ...]


def translated(error: BaseException, *, stopped: bool = False) -> BaseException:
    """The error that users of simspark expect where Spark raised ``error``; the same one where it is right already.

    ``stopped`` tells that the context was stopped, of which PySpark knows only that attributes of None are missing.
    """
    if stopped and isinstance(error, (AttributeError, AssertionError)):
        return ContextStopped(
            "This SparkContext was stopped. Make a new one, and its RDDs anew; keep actions inside `with`. (SS103)"
        )
    java = getattr(error, "java_exception", None)
    if java is not None:
        return _of_java(java)
    if type(error).__name__ == "PicklingError" and str(error).startswith("Could not serialize"):
        _, ours, text = str(error).partition(f"{NotSerializable.__name__}: ")
        advice = ". Make it inside the function, or pass plain values. (SS102)"
        return NotSerializable(text if ours else str(error).rstrip(".") + advice)
    return error


def _of_java(java: Any) -> BaseException:
    """Of a Java exception and its causes: the traceback of a task, else a kind that we know, else the job's failure."""
    named = [(str(each.getClass().getName()), str(each.getMessage() or "")) for each in _causes(java)]
    for _, message in reversed(named):
        remote = parse_traceback(message)
        if remote is not None:
            return raised_in_task(remote, message)
    for name, message in named:
        if name in _JAVA:
            return _JAVA[name](message)
    message = next((text for _, text in named if text), named[0][0])
    first = _END.split(message, maxsplit=1)[0].strip().rstrip(".")
    if "cancelled" in first.lower():
        return JobCancelled(f"{first}. (SS302)")
    return JobFailed(f"Spark: {first}. (SS301)")


def _causes(java: Any) -> Iterator[Any]:
    for _ in range(MAX_CAUSES):
        if java is None:
            return
        yield java
        java = java.getCause()


def parse_traceback(text: str) -> RemoteTraceback | None:
    """The last exception of the first traceback in ``text``; None where there is none."""
    start = text.find(_HEADER)
    if start < 0:
        return None
    block = _CHAIN.split(text[start + len(_HEADER) :])[-1]
    lines = block.split("\n")
    count = next((index for index, line in enumerate(lines) if not line.startswith(" ")), None)
    if count is None:
        return None
    rest = "\n".join(lines[count:])
    name, colon, message = _END.split(rest, maxsplit=1)[0].partition(": ")
    if not colon:
        name, message = name.rstrip(": \n"), ""
    if not re.fullmatch(r"[\w.<>]+", name):
        return None
    return RemoteTraceback(name, message, tuple(_frames(lines[:count])))


def _frames(lines: list[str]) -> Iterator[Frame]:
    """The frames of the user's functions."""
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        match = _FRAME.fullmatch(line)
        if match is not None and not _OURS.search(match["file"]):
            source = following.strip() if following.startswith("    ") else ""
            yield Frame(match["file"], match["function"], int(match["line"]), int(match["line"]), -1, -1, source)


def raised_in_task(remote: RemoteTraceback, message: str) -> BaseException:
    """The exception of a task, with the task's frames; ``message`` is Spark's account, which may name the task."""
    error = _revived(remote.type_name, remote.text)
    if task := _TASK.search(message):
        error.add_note(f"task {task[2]}.{task[1]}: partition {task[1]}, on {task[3]}")
    error.add_note("raised in a task on Apache Spark; made anew from its text, so attributes of its own are not there")
    return error.with_traceback(spliced(remote.frames))


def _revived(type_name: str, text: str) -> BaseException:
    kind = _known_type(type_name)
    if kind is not None:
        made = _from_text(kind, text)
        if made is not None:
            return made
    bases = (RemoteFailure,) if kind is None else (RemoteFailure, kind)
    module, _, name = type_name.rpartition(".")
    stand_in = type(name, bases, {
        "__module__": module or "builtins", "__init__": _keep_text, "__str__": lambda _: text,
    })  # fmt: skip
    error: BaseException = stand_in(text)
    return error


def _keep_text(self: BaseException, text: str) -> None:
    self.args = (text,)


def _known_type(type_name: str) -> type[Exception] | None:
    """The class that this process knows under the name; a bare name is a builtin or the main program's."""
    module, _, name = type_name.rpartition(".")
    for home in (sys.modules.get(module),) if module else (builtins, sys.modules.get("__main__")):
        kind = getattr(home, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            return kind
    return None


def _from_text(kind: type[Exception], text: str) -> Exception | None:
    """An exception of this type that prints as the text, made the usual way; None where that does not make one.

    The class may be the user's own, which refuses one argument or prints otherwise.
    """
    import ast

    try:
        arguments = (ast.literal_eval(text),) if issubclass(kind, KeyError) else (text,) if text else ()
        made = kind(*arguments)
        return made if str(made) == text else None
    except Exception:
        return None
