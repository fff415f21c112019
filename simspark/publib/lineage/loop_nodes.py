"""Nodes of a loop's syntax tree: the loop's own, and users' expressions on their way into it.

Where a node came from is in its place: see fused_loop.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard, TypeVar

from simspark.publib.lineage.expressions import Expression

OWN_LINE = 1
NO_INSTRUCTION = 1 << 20  # the column of what the loop itself does for a function: calls it, asks for its truth
NEST_LINES = 1000  # from a function's line to those of what is inside its comprehensions
PAIR = 2
OWN: dict[str, Any] = {"lineno": OWN_LINE, "end_lineno": OWN_LINE, "col_offset": 0, "end_col_offset": 0}

N = TypeVar("N", bound=ast.AST)


def named(name: str, *, store: bool = False) -> ast.Name:
    """A variable of the loop's."""
    return ast.Name(name, ast.Store() if store else ast.Load(), **OWN)


def for_function(number: int, node: N) -> N:
    """A node of the loop's own that it has for one of the functions."""
    place: Any = node
    place.lineno = place.end_lineno = number + OWN_LINE + 1
    place.col_offset = place.end_col_offset = NO_INSTRUCTION
    return node


def item_of(value: ast.expr, index: int, number: int) -> ast.expr:
    """An item that the loop takes for a function."""
    return for_function(number, ast.Subscript(value, ast.Constant(index, **OWN), ast.Load(), **OWN))


def pair_of(key: ast.expr, value: ast.expr) -> ast.expr:
    """A tuple of two."""
    return ast.Tuple([key, value], ast.Load(), **OWN)


def function_node(name: str, given: Sequence[str], body: list[ast.stmt]) -> ast.FunctionDef:
    """A function with these arguments."""
    arguments = ast.arguments([], [ast.arg(each, **OWN) for each in given], None, [], [], None, [])
    made = ast.FunctionDef(name, arguments, body, [], None, **OWN)
    if "type_params" in ast.FunctionDef._fields:
        made.type_params = []  # type: ignore[attr-defined]
    return made


def is_pair(value: Any) -> TypeGuard[ast.Tuple]:
    """Whether a tree is a display of two, that is made or assigned to."""
    return isinstance(value, ast.Tuple) and len(value.elts) == PAIR and not any(
        isinstance(each, ast.Starred) for each in value.elts)


def names_in(tree: ast.AST) -> list[ast.Name]:
    """All names of a tree."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.Name)]


def scope_of(node: ast.Name) -> str:
    """What a name is in its function: see expressions; or "loop" for a variable of the loop's that stands in it."""
    return getattr(node, "scope", "local")


def copied(node: Any) -> Any:
    """A copy of a tree, with the names' scopes."""
    from copy import deepcopy

    return deepcopy(node)


def moved(node: ast.expr, place: ast.expr) -> ast.expr:
    """A copy of a name, a constant or a pair of them at another place."""
    made = copied(node)
    for each in ast.walk(made):
        if isinstance(each, ast.expr):
            each.lineno, each.end_lineno = place.lineno, place.end_lineno
            each.col_offset, each.end_col_offset = place.col_offset, place.end_col_offset
    return made  # type: ignore[no-any-return]


def picked(value: ast.expr, item: int, number: int) -> ast.expr:
    """An item of a value: that of a pair is there without the pair."""
    if isinstance(value, ast.Tuple) and 0 <= item < len(value.elts):
        return value.elts[item]
    return item_of(value, item, number)


def takes_only_items(expression: Expression) -> bool:
    """Whether the only use of the parameter is to take its items 0 and 1, or both at once."""
    parameter = expression.parameters[0]

    def is_parameter(node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id == parameter and scope_of(node) == "local"

    uses = taken = 0
    for node in (node for tree in expression.trees() for node in ast.walk(tree)):
        uses += is_parameter(node)
        if isinstance(node, ast.Subscript) and is_parameter(node.value):
            index = node.slice
            taken += isinstance(index, ast.Constant) and type(index.value) is int and index.value in {0, 1}
        elif isinstance(node, ast.Assign) and is_parameter(node.value):
            taken += len(node.targets) == 1 and is_pair(node.targets[0])
    return uses == taken


class Inliner(ast.NodeTransformer):
    """Gives names what they stand for, takes items of pairs that are not made, and marks each node's origin."""

    def __init__(self, named: Callable[[ast.Name], ast.expr], number: int) -> None:
        self._named = named
        self._line = number + OWN_LINE + 1

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Every node: its line is the number of its function."""
        return super().generic_visit(self.placed(node))

    def placed(self, node: N) -> N:
        """The node, if it has a place, in the function's line or that of what is inside its comprehensions."""
        place: Any = node
        if "lineno" in node._attributes:
            place.lineno = place.end_lineno = self._line + NEST_LINES * getattr(node, "nest", 0)
            place.col_offset = place.end_col_offset = getattr(node, "col_offset", NO_INSTRUCTION)
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """What it stands for."""
        made: ast.expr = self._named(self.placed(node))
        return made

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """An item of a pair is the value itself."""
        of_row = isinstance(node.value, ast.Name) and scope_of(node.value) == "local"
        made = self.generic_visit(node)
        if of_row and isinstance(node.value, ast.Tuple):
            assert isinstance(node.slice, ast.Constant)
            assert isinstance(node.slice.value, int)
            return node.value.elts[node.slice.value]
        return made


def recipe(value: ast.expr) -> Any:
    """How the argument is made again of the loop's variables."""
    if isinstance(value, ast.Tuple):
        return ("pair", *map(recipe, value.elts))
    assert isinstance(value, ast.Name)
    return ("name", value.id)
