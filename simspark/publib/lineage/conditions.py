"""Conditions that jump: two of them, one behind the other, are often one with ``and``, ``or`` and ``not``."""

from __future__ import annotations

import ast

from simspark.publib.lineage.operations import Operation
from simspark.publib.named_tuple import NamedTuple


class Condition(NamedTuple):
    """What is asked, whether code goes to ``target`` if it is true or if it is not, and where it goes on else."""

    tree: ast.expr
    if_true: bool
    target: int
    following: int
    op: Operation

    def joined(self, second: Condition) -> Condition | None:
        """This and what is asked where code goes on, as one; None if they are not."""
        if self.target == second.target:
            kind: type[ast.boolop] = ast.Or if second.if_true else ast.And
            denied = self.if_true != second.if_true
        elif self.target == second.following:
            kind = ast.And if second.if_true else ast.Or
            denied = self.if_true == second.if_true
        else:
            return None
        left = negated(self.tree, self.op) if denied else self.tree
        return second._replace(tree=either(kind, left, second.tree, self.op), op=self.op)


def either(kind: type[ast.boolop], left: ast.expr, right: ast.expr, op: Operation) -> ast.expr:
    """``left and right``, ``left or right``."""
    rest = right.values if isinstance(right, ast.BoolOp) and isinstance(right.op, kind) else [right]
    return at(op, ast.BoolOp(kind(), [left, *rest]))


def negated(tree: ast.expr, op: Operation) -> ast.expr:
    """``not tree``."""
    return at(op, ast.UnaryOp(ast.Not(), tree))


def at(op: Operation, node: ast.expr) -> ast.expr:
    """The node, where the instruction is."""
    node.lineno = node.end_lineno = op.line
    node.col_offset = node.end_col_offset = op.number
    return node
