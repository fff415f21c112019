"""Functions that are sure to return, and to do nothing else, whatever text they are given.

What such steps make of a line needs to be computed only where somebody wants to know: that others were left out, nobody
can tell. Few functions are known to be so, as it must be proved: the expression is read from the code (see
expressions), and all that happens in it is known not to fail for the kinds of values that it happens to. A kind is an
exact type, a tuple of kinds, or Pieces.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence
from types import FunctionType
from typing import Any

from simspark.publib.lineage.expressions import Expression
from simspark.publib.lineage.loop_block import read_code
from simspark.publib.lineage.loop_nodes import scope_of
from simspark.publib.lineage.steps import KeyBy, Map, MapValues, Step
from simspark.publib.named_tuple import NamedTuple

Kind = Any
_SIMPLE = frozenset((str, int, bool, type(None)))
_CASES = frozenset(("lower", "upper", "casefold", "swapcase", "capitalize", "title"))
_STRIPS = frozenset(("strip", "lstrip", "rstrip"))
_TESTS = frozenset(("isalnum", "isalpha", "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "isupper"))
_ENDS = frozenset(("startswith", "endswith", "removeprefix", "removesuffix"))


class Pieces(NamedTuple):
    """A list of texts, at least so many."""

    least: int


class _Unsure(Exception):
    """Nobody knows what a function may do."""


def sure_kind(steps: Sequence[Step], row: Kind) -> Kind | None:
    """What kind of row these steps make of one of that kind; None unless they are sure to."""
    try:
        for step in steps:
            row = _after(step, row)
    except _Unsure:
        return None
    return row


def _after(step: Step, row: Kind) -> Kind:
    kind = type(step)
    if kind is Map:
        return _given(step.function, row)
    if kind is KeyBy:
        return (_given(step.function, row), row)
    if kind is MapValues and type(row) is tuple and len(row) > 1:
        return (row[0], _given(step.function, row[1]))
    raise _Unsure


def _given(function: Any, argument: Kind) -> Kind:
    """The kind of what a function returns."""
    if type(function) is not FunctionType or function.__code__.co_argcount != 1 or function.__kwdefaults__:
        raise _Unsure
    expression = read_code(function.__code__)
    if expression is None or expression.statements:
        raise _Unsure
    return _Reader(function, expression, argument).kind(expression.body)


class _Reader:
    """The kinds of a function's expressions."""

    def __init__(self, function: FunctionType, expression: Expression, argument: Kind) -> None:
        self._function = function
        self._parameter = expression.parameters[0]
        self._argument = argument

    def kind(self, node: ast.expr) -> Kind:
        """The kind of an expression's value. Raises _Unsure if it may fail, or is none that is known."""
        match node:
            case ast.Constant(value):
                return _kind_of(value)
            case ast.Name():
                return self._kind_of_name(node)
            case ast.Tuple(elements):
                return tuple(map(self.kind, elements))
            case ast.Subscript(value, ast.Slice(lower, upper, None)):
                if self.kind(value) is str and all(self._is_bound(bound) for bound in (lower, upper)):
                    return str
            case ast.Subscript(value, ast.Constant(int(index))):
                return _kind_of_item(self.kind(value), index)
            case ast.Call(ast.Attribute(value, name), arguments, []):
                if self.kind(value) is str:
                    return _kind_of_method(name, [_constant(each) for each in arguments])
            case ast.Call(ast.Name() as called, [argument], []):
                if self._is_len(called) and (self.kind(argument) is str or type(self.kind(argument)) is Pieces):
                    return int
            case ast.BinOp(left, ast.Add(), right):
                if self.kind(left) is str and self.kind(right) is str:
                    return str
        raise _Unsure

    def _is_bound(self, bound: ast.expr | None) -> bool:
        return bound is None or self.kind(bound) in (int, type(None))

    def _kind_of_name(self, name: ast.Name) -> Kind:
        scope = scope_of(name)
        if scope == "local" and name.id == self._parameter:
            return self._argument
        if scope == "global":
            return _kind_of(self._function.__globals__.get(name.id, _Unsure))
        if scope == "free":
            cell = (self._function.__closure__ or ())[self._function.__code__.co_freevars.index(name.id)]
            try:
                return _kind_of(cell.cell_contents)
            except ValueError:
                pass
        raise _Unsure

    def _is_len(self, name: ast.Name) -> bool:
        theirs: Any = self._function.__builtins__  # type: ignore[attr-defined, unused-ignore]
        return (scope_of(name) == "global" and name.id == "len" and "len" not in self._function.__globals__
                and theirs.get("len") is builtins.len)


def _kind_of(value: Any) -> Kind:
    kind = type(value)
    if kind is tuple:
        return tuple(map(_kind_of, value))
    if kind not in _SIMPLE:
        raise _Unsure
    return kind


def _kind_of_item(kind: Kind, index: int) -> Kind:
    if type(kind) is tuple and -len(kind) <= index < len(kind):
        return kind[index]
    if type(kind) is Pieces and -kind.least <= index < kind.least:
        return str
    raise _Unsure


def _kind_of_method(name: str, given: list[str]) -> Kind:
    """The kind of what a method of text gives for these constants."""
    match name, given:
        case _, [] if name in _CASES or name in _STRIPS:
            return str
        case _, [_] if name in _STRIPS or name in _ENDS:
            return bool if name.endswith("swith") else str
        case _, [] if name in _TESTS:
            return bool
        case "split" | "rsplit", []:
            return Pieces(0)
        case "split" | "rsplit", [separator] if separator:
            return Pieces(1)
        case "partition" | "rpartition", [separator] if separator:
            return (str, str, str)
    raise _Unsure


def _constant(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and type(node.value) is str:
        return node.value
    raise _Unsure
