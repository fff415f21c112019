"""Programs on their way to executors: pickled by cloudpickle, and a clear word when one cannot be.

Only what executors cannot import travels by value: functions and classes of ``__main__``, and those made inside
functions. Everything in a module travels by its name, which executors find because they have the driver's import
path and working directory.

When pickling fails, the program is searched for the smallest thing that cannot be pickled, and the error names the
path to it: function, variable, attribute. That search pickles parts again and again, which only a failure pays for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

from simspark.driver.plain_programs import pickled_plainly
from simspark.publib.errors import NotSerializable, SimsparkError, UserError
from simspark.publib.named_tuple import NamedTuple

PROTOCOL = 5
TOO_DEEP = (
    "Cannot send the functions of this job: what they hold, or the RDDs' lineage, is nested too deeply to be pickled. "
    "Flatten the values; cut the lineage by saving the rows and reading them again. (SS102)"
)
_DEPTH = 32


def pickle_program(program: Any) -> bytes:
    """Pickle what executors will run; NotSerializable names function, variable and attribute that cannot be."""
    try:
        return _dumps(program)
    except Exception as error:
        if isinstance(error, UserError) and not isinstance(error, NotSerializable):
            error.add_note(_whose(program))
            raise
        if isinstance(error, RecursionError) or "recursion" in str(error):
            raise NotSerializable(TOO_DEEP) from None
        raise NotSerializable(explain(program, error)) from None


def _dumps(value: Any) -> bytes:
    plain = pickled_plainly(value)
    if plain is not None:
        return plain
    from simspark.driver.program_pickler import dumps

    return dumps(value, PROTOCOL)


class _Culprit(NamedTuple):
    """The smallest thing found that cannot be pickled, and the steps to it, such as "its variable 'x'"."""

    function: Any
    path: tuple[str, ...]
    value: Any


def explain(program: Any, error: BaseException) -> str:
    """Why this program cannot be pickled, in words for its author."""
    culprit = _search(program, None, (), _DEPTH, set())
    if culprit is None or not culprit.path:
        subject = "the program" if culprit is None else _describe(culprit.value)
        return f"Cannot send {subject} to the executors: {type(error).__name__}: {error}. (SS102)"
    why = _own_reason(culprit.value)
    return f"Cannot send {_place(culprit)} is {_kind(culprit.value)}.{why} {_advice(culprit.value)} (SS102)"


def _whose(program: Any) -> str:
    """Where in the program something is that has its own word on why it cannot travel."""
    culprit = _search(program, None, (), _DEPTH, set())
    return f"in {_place(culprit)}" if culprit is not None and culprit.path else ""


def _place(culprit: _Culprit) -> str:
    who = "the data of this RDD" if culprit.function is None else _describe(culprit.function)
    return f"{who}: {' → '.join(culprit.path)}"


def _error_of(value: Any) -> Exception | None:
    try:
        _dumps(value)
    except Exception as error:
        return error
    return None


def _own_reason(value: Any) -> str:
    """What the value's own code says, if it is that which fails."""
    error = _error_of(value)
    if error is None or isinstance(error, SimsparkError) or "pickle" in str(error):
        return ""
    return f" Pickling it raises {type(error).__name__}: {str(error)[:200]}."


def _search(value: Any, function: Any, path: tuple[str, ...], depth: int, seen: set[int]) -> _Culprit | None:
    """The first thing below ``value`` that cannot be pickled and holds nothing else that cannot."""
    if id(value) in seen or _error_of(value) is None:
        return None
    seen.add(id(value))
    if function is None and _is_users_function(value):
        function, path = value, ()
    if depth and not _is_ours(value):
        for step, part in _parts(value):
            found = _search(part, function, (*path, step) if step else path, depth - bool(step), seen)
            if found is not None:
                return found
    return _Culprit(function, path, value)


def _is_users_function(value: Any) -> bool:
    """Whether it is what the user gave to an operation: also an object that can be called."""
    if isinstance(value, (FunctionType, MethodType, partial)):
        return True
    return callable(value) and not isinstance(value, type) and not type(value).__module__.startswith("simspark.")


def _is_ours(value: Any) -> bool:
    from simspark.driver.node import Node

    return isinstance(value, Node) or type(value).__name__ in {"RDD", "SparkContext", "SimContext", "PipelinedRDD"}


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value is made of, with how to name each part before people; "" for parts of simspark's own objects."""
    if isinstance(value, FunctionType):
        yield from _function_parts(value)
    elif isinstance(value, partial):
        yield "its function", value.func
        for item in value.args:
            yield "one of its arguments", item
        for name, item in value.keywords.items():
            yield f"its argument {name!r}", item
    elif isinstance(value, MethodType):
        yield f"its object ({_with_article(type(value.__self__).__name__)})", value.__self__
        yield "", value.__func__
    elif isinstance(value, type):
        yield from _class_parts(value)
    elif isinstance(value, (list, tuple, set, frozenset)):
        own = hasattr(value, "_fields") and type(value).__module__.startswith("simspark.")
        for index, item in enumerate(value):
            yield "" if own else f"its element {index}", item
    elif isinstance(value, dict):
        for key, item in value.items():
            yield f"its key {key!r:.40}", key
            yield f"its value for {key!r:.40}", item
    else:
        yield from _object_parts(value)


def _function_parts(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield f"its variable {name!r}", cell.cell_contents
        except ValueError:  # a variable that has no value yet
            continue
    for name in global_names(function.__code__):
        if name in function.__globals__ and not isinstance(function.__globals__[name], ModuleType):
            yield f"its variable {name!r}", function.__globals__[name]
    code, defaults = function.__code__, function.__defaults__ or ()
    named = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
    for name, item in (*zip(named, defaults, strict=False), *(function.__kwdefaults__ or {}).items()):
        yield f"the default of its argument {name!r}", item
    for name, item in function.__dict__.items():
        yield f"its attribute {name!r}", item


def global_names(code: CodeType) -> Iterator[str]:
    """The names that a function and those inside of it may look up in its module; attributes' names are among them."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from global_names(constant)


def is_by_reference(value: FunctionType | type) -> bool:
    """Whether a function or class travels by its name, because executors can import it."""
    if not isinstance(value.__module__, str) or value.__module__ == "__main__":
        return False
    found: Any = sys.modules.get(value.__module__)
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value


def _object_parts(value: Any) -> Iterator[tuple[str, Any]]:
    ours = type(value).__module__.startswith("simspark.")
    slots = [name for kind in type(value).__mro__ for name in slot_names(kind)]
    for name in [*getattr(value, "__dict__", ()), *slots]:
        try:
            part = getattr(value, name)
        except AttributeError:
            continue
        yield "" if ours else f"its attribute {_as_written(name, type(value))!r}", part
    if not ours and not is_by_reference(type(value)):
        yield "its class", type(value)


def _class_parts(kind: type) -> Iterator[tuple[str, Any]]:
    """What a class that travels by value brings along."""
    if is_by_reference(kind):
        return
    for base in kind.__bases__:
        yield f"its base {base.__name__}", base
    for name, item in vars(kind).items():
        if isinstance(item, (GetSetDescriptorType, MemberDescriptorType)):
            continue
        inner = item.__func__ if isinstance(item, (staticmethod, classmethod)) else item
        inner = inner.fget if isinstance(inner, property) else inner
        yield f"its {'method' if isinstance(inner, FunctionType) else 'attribute'} {name!r}", inner


def _as_written(name: str, kind: type) -> str:
    """The name of an attribute as its class's code has it: "__lock", not "_Model__lock"."""
    for each in kind.__mro__:
        private = f"_{each.__name__.lstrip('_')}__"
        if name.startswith(private):
            return name[len(private) - 2 :]
    return name


def slot_names(kind: type) -> tuple[str, ...]:
    """The names in a class's own ``__slots__``, as attributes are looked up by them."""
    slots = kind.__dict__.get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    private = f"_{kind.__name__.lstrip('_')}"
    return tuple(f"{private}{name}" if name[:2] == "__" != name[-2:] else name for name in names)


def _describe(value: Any) -> str:
    if isinstance(value, FunctionType):
        place = f"{os.path.basename(value.__code__.co_filename)}:{value.__code__.co_firstlineno}"
        return f"the lambda at {place}" if value.__name__ == "<lambda>" else f"{value.__name__}() at {place}"
    if isinstance(value, partial):
        return f"partial({getattr(value.func, '__name__', '...')}, ...)"
    if isinstance(value, (MethodType, BuiltinFunctionType)):
        return f"{value.__qualname__}()"
    return _kind(value)


def _kind(value: Any) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    name = {"simspark.driver.context.SparkContext": "the SparkContext"}.get(name, name)
    if name.startswith("simspark.driver.rdd."):
        return "an RDD"
    if name.startswith("the "):
        return name
    return _with_article(name)


def _with_article(name: str) -> str:
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _advice(value: Any) -> str:
    if type(value).__name__ in {"SparkContext", "SimContext"}:
        return "Contexts work in the driver only: make RDDs outside of functions that run in tasks."
    if _is_ours(value):
        return "RDDs cannot be used inside functions of RDDs: join them, or collect() it first and use the result."
    return "Create it inside the function, or once per partition in mapPartitions()."
