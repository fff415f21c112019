"""Reads what is more than one expression: assignments to names before it, and list comprehensions in it.

Only straight lines are read: each name has got its value before it is used. A comprehension is a function of its own
that is called with the iterator (in the versions of Python where it is one), and is read from its code, too.
"""

from __future__ import annotations

import ast
import dis
from types import CodeType

from simspark.publib.lineage.stack_reader import (
    BINARY,
    N,
    Null,
    Operation,
    Reader,
    Self,
    Unreadable,
    operations,
    placed,
)

_STORES = frozenset({"STORE_FAST", "STORE_DEREF"})
_TARGETS = _STORES | {"UNPACK_SEQUENCE", "UNPACK_EX"}
_ARGUMENT = ".0"
_CLOSURE = 8


def inner_codes(code: CodeType) -> list[CodeType]:
    """The code itself, and behind it those that it makes functions of."""
    return [code, *(each for each in code.co_consts if isinstance(each, CodeType))]


class _Held(ast.expr):
    """What is on the stack while a comprehension is made: its code or its iterator."""

    def __init__(self, content: CodeType | ast.expr | None = None) -> None:
        super().__init__()
        self.content = content


class _Assignments(Reader):
    """Reads what values are assigned to. ``known`` are the names that have got one."""

    scope = "local"

    def __init__(self, code: CodeType, known: set[str]) -> None:
        super().__init__(*operations(code), code.co_consts)
        self._code = code
        self._known = known

    def _name(self, name: str, scope: str, op: Operation) -> ast.expr:
        if scope == self.scope and name not in self._known:
            raise Unreadable
        return super()._name(name, scope, op)

    def _assigned_to(self, at: int) -> tuple[ast.expr, int]:
        """A name, or several; where the next instruction is."""
        op = self._ops[at]
        if op.name in _STORES:
            self._known.add(op.value)
            name = self._name(op.value, self.scope, op)
            name.ctx = ast.Store()  # type: ignore[attr-defined]
            return name, at + 1
        if op.name not in _TARGETS:
            raise Unreadable
        starred = op.name == "UNPACK_EX"
        before, behind = (op.arg & 0xFF, op.arg >> 8) if starred else (op.arg, 0)
        targets = []
        at += 1
        for number in range(before + starred + behind):
            target, at = self._assigned_to(at)
            targets.append(self._node(ast.Starred(target, ast.Store()), op) if starred and number == before else target)
        return self._node(ast.Tuple(targets, ast.Store()), op), at


class StatementReader(_Assignments):
    """Reads a function: its ``statements``, which there are after its ``result`` was asked for."""

    def __init__(self, code: CodeType) -> None:
        super().__init__(code, set(code.co_varnames[: code.co_argcount]))
        self.statements: list[ast.stmt] = []

    def result(self) -> ast.expr:
        """What the function returns."""
        at, stop = 0, len(self._ops)
        stack: list[ast.expr] = []
        while at < stop and self._ops[at].name != "RETURN_VALUE":
            at = self._statement(at, stack) or self._pass(at, stop, stack)
        if at < stop - 1 or len(stack) != 1 or isinstance(stack[0], (Null, Self, _Held)):
            raise Unreadable
        return stack[0]

    # ── statements ───────────────────────────────────────────────────────────────────────────────────────────────

    def _statement(self, at: int, stack: list[ast.expr]) -> int:
        """The end of a statement, if this is one: where the next begins. 0 if it is not."""
        op = self._ops[at]
        if len(stack) == 1 and op.name == "POP_TOP":
            self._add(ast.Expr(stack[0]), stack.pop())
            return at + 1
        if len(stack) == 1 and op.name in _TARGETS:
            value = stack.pop()
            target, at = self._assigned_to(at)
            self._add(ast.Assign([target], value), value)
            return at
        if op.name == "BINARY_OP" and len(stack) == 2:
            return self._changed(at, stack)
        if len(stack) > 1 and (op.name in _STORES or (op.name == "SWAP" and self._ops[at + 1].name in _STORES)):
            return self._side_by_side(at, stack)
        return 0

    def _add(self, statement: ast.stmt, place: ast.AST) -> None:
        self.statements.append(placed(statement, place))

    def _changed(self, at: int, stack: list[ast.expr]) -> int:
        """``a += b``."""
        op = self._ops[at]
        symbol: str = dis._nb_ops[op.arg][1]  # type: ignore[attr-defined]
        if not symbol.endswith("="):
            return 0
        left, right = stack
        target, following = self._assigned_to(at + 1)
        if not isinstance(left, ast.Name) or not isinstance(target, ast.Name) or left.id != target.id:
            raise Unreadable
        stack.clear()
        self._add(self._node(ast.AugAssign(target, BINARY[symbol[:-1]](), right), op), self._node(ast.Pass(), op))
        return following

    def _side_by_side(self, at: int, stack: list[ast.expr]) -> int:
        """``a, b = c, d``, where no tuple is made."""
        in_order = self._ops[at].name == "SWAP"
        at += in_order
        targets = []
        for _ in stack:
            if self._ops[at].name not in _STORES:
                raise Unreadable
            target, at = self._assigned_to(at)
            targets.append(target)
        names = placed(ast.Tuple(targets if in_order else targets[::-1], ast.Store()), targets[0])
        values = placed(ast.Tuple(list(stack), ast.Load()), stack[0])
        stack.clear()
        self._add(ast.Assign([names], values), values)
        return at

    # ── comprehensions ───────────────────────────────────────────────────────────────────────────────────────────

    def _do_load_deref(self, op: Operation, stack: list[ast.expr]) -> None:
        stack.append(self._name(op.value, "local" if op.value in self._code.co_cellvars else "free", op))

    def _do_load_closure(self, op: Operation, stack: list[ast.expr]) -> None:
        if op.value in self._code.co_cellvars and op.value not in self._known:
            raise Unreadable
        stack.append(_Held())

    def _do_load_const(self, op: Operation, stack: list[ast.expr]) -> None:
        if isinstance(op.value, CodeType):
            stack.append(_Held(op.value))
        else:
            super()._do_load_const(op, stack)

    def _do_make_function(self, op: Operation, stack: list[ast.expr]) -> None:
        made = stack.pop()
        if op.arg & ~_CLOSURE or (op.arg and not isinstance(stack.pop(), ast.Tuple)):
            raise Unreadable
        stack.append(made)

    def _do_get_iter(self, op: Operation, stack: list[ast.expr]) -> None:
        stack.append(_Held(stack.pop()))

    def _call(self, op: Operation, stack: list[ast.expr], names: tuple[str, ...]) -> None:
        if op.arg or not isinstance(stack[-1], _Held):
            super()._call(op, stack, names)
            return
        code, source = (each.content for each in self._pop(stack, 2))  # type: ignore[attr-defined]
        if not isinstance(code, CodeType) or not isinstance(source, ast.expr):
            raise Unreadable
        reader = _ComprehensionReader(code, inner_codes(self._code).index(code), self._code)
        element, clause = reader.clause(source)
        self.imported |= reader.imported
        stack.append(self._node(ast.ListComp(element, [clause]), op))


class _ComprehensionReader(_Assignments):
    """Reads the code of a list comprehension."""

    scope = "inner"

    def __init__(self, code: CodeType, nest: int, outer: CodeType) -> None:
        super().__init__(code, {_ARGUMENT})
        self._nest = nest
        self._outer = outer

    def clause(self, source: ast.expr) -> tuple[ast.expr, ast.comprehension]:
        """The element, and what stands behind it if it is made of the elements of a source."""
        ops = self._ops
        names = [op.name for op in ops]
        plain = self._code.co_name == "<listcomp>" and not self._code.co_cellvars
        ends = ["LIST_APPEND", "JUMP_BACKWARD", "RETURN_VALUE"]
        if not plain or names[:3] != ["BUILD_LIST", "LOAD_FAST", "FOR_ITER"] or names[-3:] != ends:
            raise Unreadable
        target, at = self._assigned_to(3)
        tests, stack = [], []  # type: ignore[var-annotated]
        while at < len(ops) - 3:
            op = ops[at]
            if "BACKWARD_IF" in op.name and self._marks[op.value] == 2:
                tests.append(self._kept(op, stack))
                at += 1
            else:
                at = self._pass(at, len(ops) - 3, stack)
        (element,) = stack
        return element, ast.comprehension(target, source, tests, 0)

    def _kept(self, op: Operation, stack: list[ast.expr]) -> ast.expr:
        (test,) = stack
        stack.clear()
        test, jump = self._asked(op._replace(name=op.name.replace("BACKWARD_", "")), test)
        return self._node(ast.UnaryOp(ast.Not(), test), op) if jump == "TRUE" else test

    def _node(self, node: N, op: Operation) -> N:
        made: N = super()._node(node, op)
        made.nest = self._nest  # type: ignore[attr-defined]
        return made

    def _name(self, name: str, scope: str, op: Operation) -> ast.expr:
        return super()._name(name, "inner" if scope == "local" else scope, op)

    def _do_load_deref(self, op: Operation, stack: list[ast.expr]) -> None:
        stack.append(Reader._name(self, op.value, "local" if op.value in self._outer.co_cellvars else "free", op))
