"""The examples in the docstrings of the public API run and give what they show, and nothing public is without one.

Most run on ``sc``. Those of the context's own parts, and of broadcasts, need executors and share a real context; those
that make a context of their own run alone.
"""

from __future__ import annotations

import doctest
import inspect
import re
import tempfile
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from simspark import FutureAction, SparkConf, SparkContext, StatCounter, StorageLevel
from simspark.publib.lineage.bounded_float import BoundedFloat
from simspark.sql import Row, SparkSession

from . import pyspark_names
from .conftest import HereContext

NAMED = {f"{module}.{name}": pyspark_names.attribute("simspark", module, name)
         for module, names in pyspark_names.CLASSES.items() for name in names}  # fmt: skip
OURS = {kind.__name__: kind for kind in (BoundedFloat, FutureAction, Row, SparkSession, SparkSession.Builder)}
CLASSES: dict[str, type] = {**NAMED, **OURS}
FUNCTIONS = ("simspark.rdd", "simspark.util", "simspark.join", "simspark.serializers")
NEED_EXECUTORS = ("Broadcast", "broadcast", "InheritableThread", "inheritable_thread_target")
OWN_CONTEXT = re.compile(r"SparkContext\(|SparkContext\.getOrCreate|SparkSession\b")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def own_classes(kind: type) -> Iterator[type]:
    return (base for base in kind.__mro__ if base.__module__.startswith("simspark."))


def documented() -> Iterator[tuple[type | None, doctest.DocTest]]:
    finder = doctest.DocTestFinder(recurse=True, exclude_empty=True)
    for kind in dict.fromkeys(base for each in CLASSES.values() for base in own_classes(each)):
        for test in finder.find(kind, kind.__name__, module=False, globs={}):
            yield kind, test
    for module in map(import_module, FUNCTIONS):
        for name in module.__all__:
            if inspect.isfunction(getattr(module, name)):
                yield from ((None, test) for test in finder.find(getattr(module, name), name, module=False, globs={}))


DOCUMENTED = [(kind, test) for kind, test in documented() if test.examples]
ALONE = [test for _, test in DOCUMENTED if OWN_CONTEXT.search(str(test.docstring))]
IN_CONTEXT = [
    test
    for kind, test in DOCUMENTED
    if test not in ALONE
    and (
        (kind is not None and issubclass(SparkContext, kind) and not issubclass(HereContext, kind))
        or any(name in test.name for name in NEED_EXECUTORS)
    )
]
ON_SC = [test for _, test in DOCUMENTED if test not in ALONE and test not in IN_CONTEXT]
by_name = partial(pytest.mark.parametrize, "example")


def names() -> dict[str, Any]:
    """What an example may use without importing it: the names of its own module, and a few more."""
    serializers, profiler = import_module("simspark.serializers"), import_module("simspark.profiler")
    known = [*vars(serializers).items(), *vars(profiler).items()]
    shown = {name: value for name, value in known if not name.startswith("_")}
    functions = {name: getattr(module, name) for module in map(import_module, FUNCTIONS) for name in module.__all__}
    return {**shown, **functions, "SparkConf": SparkConf, "StatCounter": StatCounter, "BoundedFloat": BoundedFloat,
            "StorageLevel": StorageLevel, "Row": Row}  # fmt: skip


def failures(example: doctest.DocTest, **more: Any) -> str:
    example.globs = {**names(), **more}
    texts: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(example, out=texts.append, clear_globs=False)
    return "".join(texts)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@by_name(ON_SC, ids=[example.name for example in ON_SC])
def test_example_gives_what_it_shows(example: doctest.DocTest, sc: Any) -> None:
    assert not failures(example, sc=sc)


@by_name(ALONE, ids=[example.name for example in ALONE])
def test_example_that_makes_its_own_context_gives_what_it_shows(example: doctest.DocTest) -> None:
    assert SparkContext._active is None
    try:
        assert not failures(example)
    finally:
        left = SparkContext._active
        if left is not None:
            left.stop()
    assert left is None, f"{example.name} leaves its context running"


def test_examples_of_contexts_and_broadcasts_give_what_they_show() -> None:
    assert len(IN_CONTEXT) > 10
    with SparkContext("local[2]", "examples") as sc:
        assert {example.name: said for example in IN_CONTEXT if (said := failures(example, sc=sc))} == {}


def is_a_seam(value: Any) -> bool:
    """A member that is there for other parts of simspark says so."""
    return (inspect.getdoc(value) or "").startswith("See ")


@pytest.mark.parametrize("named", CLASSES)
def test_every_public_class_and_method_has_an_example(named: str) -> None:
    kind = CLASSES[named]
    shown = {example.name for _, example in DOCUMENTED}
    assert any(base.__name__ in shown for base in own_classes(kind)), f"{named} has no example"
    lacking = []
    for name in pyspark_names.members(kind):
        value = inspect.getattr_static(kind, name)
        function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
        owner = next(base for base in kind.__mro__ if name in vars(base))
        if name == "__init__" or not inspect.isfunction(function) or is_a_seam(function):
            continue
        if not any(f"{base.__name__}.{name}" in shown for base in own_classes(owner)):
            lacking.append(name)
    assert lacking == []
