"""Reads functions of several statements: assignments to names, ``if``, ``raise`` and ``return``.

Code only goes on to what stands further down, and each name has got its value before it is used.
"""

from __future__ import annotations

import ast
from functools import partial
from itertools import chain
from types import CodeType

from simspark.publib.lineage.branches import ends
from simspark.publib.lineage.comprehension_reader import STORES, TARGETS, Comprehensions, Held
from simspark.publib.lineage.operations import Operation
from simspark.publib.lineage.stack_reader import BINARY, Null, Self, Unreadable, placed

_MAX_TRIES = 100


class StatementReader(Comprehensions):
    """Reads a function: its ``statements``, which there are after its ``result`` was asked for."""

    def __init__(self, code: CodeType) -> None:
        super().__init__(code, set(code.co_varnames[: code.co_argcount]))
        self.statements: list[ast.stmt] = []
        self._tries = 0

    def result(self) -> ast.expr:
        """What the function returns in the end."""
        made = self._block(0, len(self._ops))
        last = made.pop()
        if not isinstance(last, ast.Return) or last.value is None:
            raise Unreadable
        self.statements = made
        return last.value

    def _block(self, at: int, stop: int) -> list[ast.stmt]:
        """The statements between these instructions."""
        around, self.statements = self.statements, []
        stack: list[ast.expr] = []
        while at < stop and self._ops[at].name != "RETURN_VALUE":
            at = self._statement(at, stop, stack) or self._pass(at, stop, stack)
        if stack and self._ops[stop - 1].name == "RETURN_VALUE" and at >= stop - 1:
            self._add(ast.Return(stack[0]), stack.pop(0))
        elif at < stop:
            raise Unreadable
        if stack or not self.statements:
            raise Unreadable
        made, self.statements = self.statements, around
        return made

    def _add(self, statement: ast.stmt, place: ast.AST) -> None:
        if any(isinstance(node, (Null, Self, Held)) for node in ast.iter_child_nodes(statement)):
            raise Unreadable
        self.statements.append(placed(statement, place))

    def _statement(self, at: int, stop: int, stack: list[ast.expr]) -> int:
        """The end of a statement, if this is one: where the next begins. 0 if it is not."""
        op = self._ops[at]
        if at in self._put_back:
            return at + 1
        if len(stack) == 1 and op.name == "POP_TOP":
            self._add(ast.Expr(stack[0]), stack.pop())
            return at + 1
        if len(stack) == 1 and (op.name in TARGETS or self._is_assigned_twice(at)):
            return self._assigned(at, stack.pop())
        if op.name == "BINARY_OP" and len(stack) == 2:
            return self._changed(at, stack)
        if op.name == "RAISE_VARARGS" and len(stack) == op.arg:
            return self._raised(at, stop, stack)
        if op.name.startswith("POP_JUMP_IF_") and len(stack) == 1:
            return self._branched(at, stop, stack)
        if len(stack) > 1 and (op.name in STORES or (op.name == "SWAP" and self._ops[at + 1].name in STORES)):
            return self._side_by_side(at, stack)
        return 0

    # ── assignments ──────────────────────────────────────────────────────────────────────────────────────────────

    def _is_assigned_twice(self, at: int) -> bool:
        return self._ops[at][:2] == ("COPY", 1) and self._ops[at + 1].name in TARGETS

    def _assigned(self, at: int, value: ast.expr) -> int:
        """``a = value``, ``a = b = value``."""
        targets = []
        again = True
        while again:
            again = self._is_assigned_twice(at)
            target, at = self._assigned_to(at + again)
            targets.append(target)
        self._add(ast.Assign(targets, value), value)
        return at

    def _changed(self, at: int, stack: list[ast.expr]) -> int:
        """``a += b``."""
        op = self._ops[at]
        if not op.value.endswith("="):
            return 0
        left, right = stack
        target, following = self._assigned_to(at + 1)
        if not isinstance(left, ast.Name) or not isinstance(target, ast.Name) or left.id != target.id:
            raise Unreadable
        stack.clear()
        changed = ast.AugAssign(target, BINARY[op.value[:-1]](), right)
        self._add(self._node(changed, op), self._node(ast.Pass(), op))
        return following

    def _side_by_side(self, at: int, stack: list[ast.expr]) -> int:
        """``a, b = c, d``, where no tuple is made."""
        in_order = self._ops[at].name == "SWAP"
        at += in_order
        targets = []
        for _ in stack:
            if self._ops[at].name not in STORES:
                raise Unreadable
            target, at = self._assigned_to(at)
            targets.append(target)
        if len({target.id for target in targets if isinstance(target, ast.Name)}) < len(targets):
            raise Unreadable  # ``a, a = b, c``: which value stays depends on the compiler
        names = placed(ast.Tuple(targets if in_order else targets[::-1], ast.Store()), targets[0])
        values = placed(ast.Tuple(list(stack), ast.Load()), stack[0])
        stack.clear()
        self._add(ast.Assign([names], values), values)
        return at

    # ── branches ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _raised(self, at: int, stop: int, stack: list[ast.expr]) -> int:
        if at != stop - 1 or not stack:
            raise Unreadable
        error, cause = stack[0], stack[1] if len(stack) > 1 else None
        stack.clear()
        op = self._ops[at]
        self._add(self._node(ast.Raise(error, cause), op), self._node(ast.Pass(), op))
        return stop

    def _branched(self, at: int, stop: int, stack: list[ast.expr]) -> int:
        """``a if test else b``, or else ``if test:``, with as much of the test as can be one."""
        op, test = self._ops[at], stack[0]
        known, before, threaded = set(self._known), list(self.statements), dict(self._threaded)
        ways = chain([partial(self._pass, at, stop, stack)],
                     (partial(self._if, op, *each, stop, stack) for each in self._tests(op, at, stop, test)))
        for way in ways:
            self._tries += 1
            if self._tries > _MAX_TRIES:
                break
            try:
                return way()
            except (Unreadable, IndexError, KeyError, ValueError, AttributeError):
                stack[:], self._known, self.statements = [test], set(known), list(before)
                self._threaded, self._keywords = dict(threaded), ()
        raise Unreadable

    def _if(self, op: Operation, test: ast.expr, at: int, target: int, stop: int, stack: list[ast.expr]) -> int:
        stack.clear()
        last = self._ops[target - 1]
        known, end, threaded = set(self._known), target, dict(self._threaded)
        if last.name in {"JUMP_FORWARD", "JUMP"}:
            end = self._target(last, target - 1, stop)
            self._threaded[end] = self._threaded[self._marks[last.value]] = target - 1
            body = self._block(at, target - 1)
            self._threaded = threaded
        else:
            body = self._block(at, target)
        behind, self._known = self._known, known
        orelse = self._block(target, end) if end > target else []
        if ends(body):
            behind = self._known
        elif not ends(orelse):
            behind &= self._known
        self._known = behind
        self._add(self._node(ast.If(test, body, orelse), op), self._node(ast.Pass(), op))
        return end
