"""Statements in which one of several things is done: where a function returns, and what is left to do then."""

from __future__ import annotations

import ast
from collections.abc import Sequence


class Unsettled(Exception):
    """What follows a branch is done after some of its ends, and not after others."""


def ends(statements: Sequence[ast.stmt]) -> bool:
    """Whether nothing follows: the last of them returns or raises, whichever branch is taken."""
    last = statements[-1] if statements else None
    if isinstance(last, ast.If):
        return ends(last.body) and ends(last.orelse)
    return isinstance(last, (ast.Return, ast.Raise))


def returned(statements: Sequence[ast.stmt]) -> tuple[ast.expr, ...]:
    """All that they return, here and there."""
    return tuple(node.value for each in statements for node in ast.walk(each)
                 if isinstance(node, ast.Return) and node.value is not None)


def settled(statements: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The same with nothing behind a branch that may return or raise: what followed it is in its other branch."""
    for number, each in enumerate(statements):
        rest = statements[number + 1 :]
        if not isinstance(each, ast.If) or not _may_end(each):
            continue
        if not rest:
            body, orelse = settled(each.body), settled(each.orelse)
        elif ends(each.body):
            body, orelse = settled(each.body), settled([*each.orelse, *rest])
        elif ends(each.orelse):
            body, orelse = settled([*each.body, *rest]), settled(each.orelse)
        else:
            raise Unsettled
        return [*statements[:number], ast.copy_location(ast.If(each.test, body, orelse), each)]
    return list(statements)


def _may_end(branch: ast.If) -> bool:
    return any(isinstance(node, ast.Return) for node in ast.walk(branch))
