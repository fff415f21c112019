"""What stands between a program and PySpark's objects: each public method, with its values and errors translated.

PySpark makes its RDDs itself, by the names of its own classes, so what comes back from a method is made one of ours by
giving it our class: a subclass without attributes of its own (PySpark's class must be its first base), so that nothing
is lost and PySpark's own code goes on using it. ``__class__`` says simspark's class, so that ``isinstance`` holds for
both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import update_wrapper
from importlib import import_module
from types import FunctionType, TracebackType
from typing import Any, ClassVar, cast

import pyspark

from simspark.driver.call_site import PACKAGE_DIRECTORY
from simspark.publib.errors import SimsparkError, SparkLacks
from simspark.spark_engine.failures import translated
from simspark.spark_engine.values import from_spark, to_spark

_SPARK_DIRECTORY = os.path.dirname(pyspark.__file__) + os.sep
_INNER = (_SPARK_DIRECTORY, PACKAGE_DIRECTORY)
# Spark's page names for a job the line that called PySpark: the last one before a file of PySpark's directory.
_SEEN_AS = _SPARK_DIRECTORY + "simspark_edge.py"


Values = tuple[Any, ...]
Named = dict[str, Any]


class Edge:
    """A subclass of one of PySpark's classes takes simspark's values and raises simspark's errors.

    ``stands_for`` is simspark's class, as module and name; ``ways`` are functions of the object that stand in for
    PySpark's methods, or that PySpark lacks. ``travels``: tasks have such objects, as PySpark's own class, and closures
    may hold a method of one, such as ``accumulator.add``; so the methods stay PySpark's.
    """

    stands_for: ClassVar[tuple[str, str]]
    ways: ClassVar[Mapping[str, Any]] = {}
    travels: ClassVar[bool] = False
    adopted: ClassVar[dict[type, type]] = {}

    def __init_subclass__(cls) -> None:
        theirs = [base for base in cls.__mro__ if base.__module__.startswith("pyspark.")]
        names = {name for base in theirs for name, value in vars(base).items() if isinstance(value, FunctionType)}
        for name in names | set(cls.ways):
            if not cls.travels and not name.startswith("_") and name not in vars(cls):
                setattr(cls, name, _edge(cls, name))
        Edge.adopted[theirs[0]] = cls

    @classmethod
    def translate(cls, _: str, values: Values, named: Named) -> tuple[Values, Named]:
        """The arguments of the method of this name, as PySpark takes them."""
        return tuple(map(to_spark, values)), {name: to_spark(value) for name, value in named.items()}

    @property  # type: ignore[misc] # read only, which object's is not
    def __class__(self) -> type:
        """Simspark's class, for ``isinstance``."""
        return _ours(self)

    def __getattr__(self, name: str) -> Any:
        ours = _ours(self)
        if not name.startswith("_") and hasattr(ours, name):
            raise SparkLacks(
                f"{ours.__name__}.{name} is simspark's own, and Apache Spark lacks it. This program's master is "
                "Spark's: do without it, or run on simspark://host:port or local[N]. (SS104)"
            )
        raise AttributeError(f"{ours.__name__!r} object has no attribute {name!r}")


def _ours(value: Edge) -> type:
    module, name = type(value).stands_for
    return cast(type, getattr(import_module(module), name))


def _edge(cls: type[Edge], name: str) -> Callable[..., Any]:
    """The method of this name in PySpark, between translations. Looked up late: PySpark adds some methods later."""
    way = cls.ways.get(name)

    def run(self: Any, *arguments: Any, **named: Any) -> Any:
        try:
            arguments, named = cls.translate(name, arguments, named)
            if way is not None:
                return adopt(way(self, *arguments, **named))
            return adopt(getattr(super(cls, self), name)(*arguments, **named))
        except Exception as error:
            made = expected(error, self)
            raise made from made.__cause__

    run.__code__ = run.__code__.replace(co_filename=_SEEN_AS, co_name=name, co_qualname=f"{cls.__name__}.{name}")
    return update_wrapper(run, way or getattr(super(cls, cls), name))


def expected(error: Exception, owner: Any) -> BaseException:
    """What users of simspark expect for an error of PySpark's that a method of ``owner`` met, to be raised."""
    context = getattr(owner, "ctx", owner)
    made = translated(error, stopped=getattr(context, "_jsc", context) is None)
    return made.with_traceback(_without_inner_frames(made))


def _without_inner_frames(error: BaseException) -> TracebackType | None:
    """The traceback from where it leaves PySpark and us on; all of it where that may be a bug of either."""
    outside = error.__traceback__
    while outside is not None and outside.tb_frame.f_code.co_filename.startswith(_INNER):
        outside = outside.tb_next
    ended = outside is None and not isinstance(error, (SimsparkError, ValueError, TypeError, RuntimeError))
    return error.__traceback__ if ended else outside


def adopt(value: Any) -> Any:
    """Make ours what PySpark made; other values stay as they are."""
    kind = Edge.adopted.get(type(value))
    if kind is not None:
        value.__class__ = kind
    elif type(value) is list and value and type(value[0]) in Edge.adopted:
        for each in value:
            adopt(each)
    return from_spark(value)
