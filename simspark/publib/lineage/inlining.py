"""A user's function on its way into a loop, statement by statement."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from simspark.publib.lineage.expressions import Expression
from simspark.publib.lineage.loop_nodes import (
    OWN,
    PAIR,
    Inliner,
    copied,
    is_pair,
    moved,
    named,
    names_in,
    pair_of,
    recipe,
    scope_of,
)

if TYPE_CHECKING:
    from simspark.publib.lineage.loop_block import LoopBlock, Part


class Inlined:
    """A function on its way into a block: its statements are appended, with names of the loop's for its own."""

    def __init__(self, block: LoopBlock, number: int, part: Part, expression: Expression,
                 given: Sequence[ast.expr]) -> None:
        assert part.code is not None
        self._block = block
        self._number = number
        self._part = part
        self._expression = expression
        self._code = part.code
        self._given = len(given)
        self._values = dict(zip(expression.parameters, given, strict=False))
        self._inliner = Inliner(self._meant, number)
        self._made: list[str] = []
        self._fixed: set[str] = set()
        self._results: list[str] = []
        self._note_arguments(0)

    def enter(self) -> None:
        """Do what the function does before it returns."""
        self._enter(self._expression.statements)

    def result(self) -> ast.expr:
        """What the function returns. What it assigned to its names is let go, as when it returned."""
        if self._expression.returned:
            return self._chosen()
        self.enter()
        value = self.visit(self._expression.body)
        if self._made:
            value = self._block.kept(value)
            self.forget_but(value)
        return value

    def _chosen(self) -> ast.expr:
        """The same where it returns here or there. A pair is not made if it is one everywhere."""
        pairs = all(map(is_pair, self._expression.returned))
        self._results = [self._block.fresh() for _ in range(PAIR if pairs else 1)]
        self.enter()
        value = pair_of(*map(named, self._results)) if pairs else named(self._results[0])
        self.forget_but(value)
        self._made.clear()
        return value

    def visit(self, tree: ast.expr) -> ast.expr:
        """The function's expression with what names are in the loop."""
        made: ast.expr = self._inliner.visit(copied(tree))
        return made

    def forget_but(self, *values: ast.expr) -> list[str]:
        """Let go what the function assigned to its names but what these values have, whose names are given."""
        held = {name.id for value in values for name in names_in(value)}
        self._block.forget([name for name in self._made if name not in held])
        return [name for name in self._made if name in held]

    def _enter(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            if isinstance(statement, ast.If):
                self._branched(statement)
                continue
            for each in self._stated(copied(statement)):
                self._block.append(self._inliner.placed(each))

    def _stated(self, statement: Any) -> list[ast.stmt]:
        if isinstance(statement, ast.Return):
            return self._returned(statement)
        if isinstance(statement, ast.Raise):
            return [self._inliner.visit(statement)]
        of_name = isinstance(statement.value, ast.Name)
        statement.value = self._inliner.visit(statement.value)
        if isinstance(statement, ast.AugAssign):
            return self._changed(statement)
        if isinstance(statement, ast.Assign):
            target = statement.targets[0]
            if of_name and is_pair(statement.value) and is_pair(target) and len(statement.targets) == 1:
                halves = zip(target.elts, statement.value.elts, strict=True)
                return [more for each, half in halves for more in self._taken(each, half)]
            statement.targets = [self._inliner.visit(each) for each in statement.targets]
        return [statement]

    def _changed(self, statement: ast.AugAssign) -> list[ast.stmt]:
        before = copied(statement.target)
        before.ctx = ast.Load()
        before = self._inliner.visit(before)
        statement.target = self._inliner.visit(statement.target)
        return [ast.Assign([statement.target], before), statement]

    def _returned(self, statement: ast.Return) -> list[ast.stmt]:
        value: Any = self._inliner.visit(statement.value) if statement.value is not None else None
        values = value.elts if len(self._results) == PAIR else [value]
        return [ast.Assign([named(name, store=True)], each) for name, each in zip(self._results, values, strict=True)]

    # ── branches ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _branched(self, statement: ast.If) -> None:
        """A name that one of the branches assigns to has one place in all of them, and behind them."""
        for name in names_in(statement):
            if isinstance(name.ctx, ast.Store) and scope_of(name) == "local" and name.id not in self._fixed:
                self._fix(name.id, statement)
        made = self._inliner.placed(ast.copy_location(ast.If(self.visit(statement.test), [], []), statement))
        self._block.append(made)
        for inside, statements in ((made.body, statement.body), (made.orelse, statement.orelse)):
            outside = self._block.go_to(inside)
            self._enter(statements)
            self._block.go_to(outside)
        if not made.body:  # a pair that was only taken apart
            made.body.append(ast.Pass(**OWN))

    def _fix(self, name: str, place: ast.stmt) -> None:
        """Its value, if it has one, is under a name of the loop's that stays."""
        if name in self._values or name in self._expression.parameters:
            before = self.visit(ast.copy_location(ast.Name(name, ast.Load()), place))
            fixed = self._new_place(name, place.col_offset)
            self._block.append(ast.Assign([named(fixed, store=True)], before, **OWN))
        else:
            self._new_place(name, place.col_offset)
        self._fixed.add(name)

    def _taken(self, target: ast.expr, half: ast.expr) -> list[ast.stmt]:
        """Unpack a half of a pair that is not made. A name just stands for it."""
        if not isinstance(target, ast.Name) or target.id in self._fixed:
            return [ast.Assign([self._inliner.visit(target)], half)]
        self._values[target.id] = half
        return []

    def _meant(self, node: ast.Name) -> ast.expr:
        """What a name of the function's is in the loop."""
        scope = scope_of(node)
        if scope == "free":
            return self._block.cell(self._number, "cell", self._code.co_freevars.index(node.id), node)
        if scope in {"global", "loop"}:
            return node
        if scope == "inner":  # a name of this function's alone: compilers before 3.13 mix up those of one loop
            node.id = f"{node.id} in {self._number}"
            return node
        if isinstance(node.ctx, ast.Store):
            return self._stored(node)
        if node.id in self._values:
            return moved(self._values[node.id], node)
        default = self._expression.parameters.index(node.id) - self._code.co_argcount
        return self._block.cell(self._number, "default", default + self._part.defaults, node)

    def _stored(self, node: ast.Name) -> ast.expr:
        if node.id not in self._fixed:
            self._new_place(node.id, node.col_offset)
        name = self._values[node.id].id  # type: ignore[attr-defined]
        return moved(named(name, store=True), node)

    def _new_place(self, of: str, instruction: int) -> str:
        name = self._block.fresh()
        self._made.append(name)
        self._values[of] = named(name)
        if of in self._expression.parameters:
            self._note_arguments(instruction)
        return name

    def _note_arguments(self, instruction: int) -> None:
        """How the function's arguments are made again, if it fails behind this instruction."""
        given = self._expression.parameters[: self._given]
        self._block.note_arguments(self._number, instruction, tuple(recipe(self._values[name]) for name in given))
