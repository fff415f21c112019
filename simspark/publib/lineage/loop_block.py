"""What a loop does with a row, statement by statement: users' functions built in, or called."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

from simspark.publib.lineage.expressions import Expression, read
from simspark.publib.lineage.inlining import Inlined
from simspark.publib.lineage.loop_nodes import (
    OWN,
    for_function,
    is_pair,
    item_of,
    moved,
    named,
    names_in,
    pair_of,
    picked,
    scope_of,
    takes_only_items,
)
from simspark.publib.named_tuple import NamedTuple

CALL_ONLY = -1
Arguments = tuple[int, tuple[Any, ...]]
"""Behind which instruction of a function's, and of what variables its arguments are made again."""


class Part(NamedTuple):
    """A step as the loop sees it: what it does with a row, and the code of its function or the item that it gets."""

    kind: str
    code: CodeType | None = None
    file: str = ""
    defaults: int = 0
    at_home: bool = False
    item: int = CALL_ONLY
    adds: bool = False


class Plan(NamedTuple):
    """What a loop is made of: the steps, what becomes of the rows, and the functions of that."""

    parts: tuple[Part, ...]
    consumer: str
    ends: tuple[Part, ...] = ()


class LoopBlock:
    """Statements of the loop, inside out; ``_value`` is the row as the steps so far have made it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._body: list[ast.stmt] = []
        self._block = self._body
        self._value: ast.expr = named("row 0")
        self._count = 0
        self._free: dict[str, tuple[int, str, int]] = {}
        self._arguments: dict[int, list[Arguments]] = {}
        self._truths: dict[int, int] = {}
        self._built_in: list[int] = []
        self._counts = False

    # ── values ───────────────────────────────────────────────────────────────────────────────────────────────────

    def fresh(self) -> str:
        """A name of the loop's for a variable."""
        self._count += 1
        return f"row {self._count}"

    def _keep(self, value: ast.expr) -> ast.expr:
        """The value under a name of the loop's, or a constant; computed now if it was not yet."""
        if isinstance(value, ast.Constant) or (isinstance(value, ast.Name) and " " in value.id
                                               and value.id.startswith("row ")):
            return value
        name = self.fresh()
        self._block.append(ast.Assign([named(name, store=True)], value, **OWN))
        return named(name)

    def _settle(self) -> ast.expr:
        """The row under one name."""
        self._value = self._keep(self._value)
        return self._value

    def _halves(self) -> tuple[ast.expr, ast.expr] | None:
        """The two values of a row that is a pair not made yet, each under a name; None for any other row."""
        value = self._value
        if not is_pair(value):
            return None
        key, content = self._keep(value.elts[0]), self._keep(value.elts[1])
        self._value = pair_of(key, content)
        return key, content

    def _key_and_value(self, number: int) -> tuple[ast.expr, ast.expr]:
        """row[0] and row[1]."""
        halves = self._halves()
        if halves is not None:
            return halves
        row = self._settle()
        return self._keep(item_of(row, 0, number)), self._keep(item_of(row, 1, number))

    def _argument(self, number: int, part: Part) -> ast.expr:
        """The row for a function: the pair itself, not made, if the function only takes its items."""
        if is_pair(self._value) and (part.item in {0, 1} or self._only_items(part)):
            halves = self._halves()
            if halves is not None:
                return pair_of(*halves)
        return self._settle()

    def _only_items(self, part: Part) -> bool:
        expression = self.readable(part, 1)
        return expression is not None and takes_only_items(expression)

    def _applied(self, number: int, part: Part, *given: ast.expr) -> ast.expr:
        """What a function gives for these values, each a name or a constant or a pair of such."""
        if part.adds:
            return ast.BinOp(given[0], ast.Add(), given[1], **OWN)
        if part.item != CALL_ONLY:
            return picked(self._variable(given[0]), part.item, number)
        expression = self.readable(part, len(given))
        if expression is None:
            made = [self._keep(each) for each in given]
            return for_function(number, ast.Call(self.cell(number, "function", 0), made, [], **OWN))
        self._built_in.append(number)
        variables = [self._variable(each) for each in given]
        return Inlined(self, number, part, expression, variables).result()

    def _variable(self, value: ast.expr) -> ast.expr:
        """A variable for each constant: the compiler would warn of some that are asked for an item or called."""
        if isinstance(value, ast.Tuple):
            return pair_of(*map(self._variable, value.elts))
        if not isinstance(value, ast.Constant):
            return value
        name = self.fresh()
        self._block.append(ast.Assign([named(name, store=True)], value, **OWN))
        return named(name)

    def readable(self, part: Part, given: int) -> Expression | None:
        """What a function does with so many arguments, if it may be built in."""
        code = part.code
        if code is None or code.co_argcount < given or code.co_argcount > given + part.defaults:
            return None
        expression = read_code(code)
        if expression is None or part.file != self._file():
            return None
        names = (name for tree in expression.trees() for name in names_in(tree))
        if not part.at_home and any(scope_of(name) == "global" for name in names):
            return None
        return expression

    def _file(self) -> str:
        return next(part.file for part in (*self._plan.parts, *self._plan.ends) if part.at_home)

    # ── from outside ─────────────────────────────────────────────────────────────────────────────────────────────

    def append(self, statement: ast.stmt) -> None:
        """One more statement."""
        self._block.append(statement)

    def go_to(self, block: list[ast.stmt]) -> list[ast.stmt]:
        """The next statements go there; where they went."""
        before, self._block = self._block, block
        return before

    def note_arguments(self, number: int, instruction: int, recipes: tuple[Any, ...]) -> None:
        """How a function's arguments are made again, if it fails behind this instruction of its."""
        self._arguments.setdefault(number, []).append((instruction, recipes))

    def kept(self, value: ast.expr) -> ast.expr:
        """A value that was computed: under a name, or a pair of such."""
        if is_pair(value):
            return pair_of(*map(self._keep, value.elts))
        return self._keep(value)

    def forget(self, names: Sequence[str]) -> None:
        """Let go what is under these names."""
        targets: list[ast.expr] = [named(name, store=True) for name in names]
        if targets:
            self._block.append(ast.Assign(targets, ast.Constant(None, **OWN), **OWN))

    def cell(self, number: int, what: str, index: int, place: Any = None) -> ast.expr:
        """A name for what is the loop's from outside: a function's captured or default value, the function itself."""
        name = f"{what} {number} {index}"
        self._free[name] = (number, what, index)
        made = named(name)
        return made if place is None else moved(made, place)


@lru_cache(maxsize=256)
def read_code(code: CodeType) -> Expression | None:
    """What was read of a code, which is remembered."""
    return read(code)
