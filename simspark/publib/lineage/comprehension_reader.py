"""Reads list comprehensions, and what else assigns to names.

In Python 3.11 a comprehension is a function of its own that is called with the iterator: it is read from its own code.
Since 3.12 it is a part of the code around it that puts the names that it uses aside and back again.
"""

from __future__ import annotations

import ast
from types import CodeType

from simspark.publib.lineage.operations import PAIRS_LOADS, Operation, operations
from simspark.publib.lineage.stack_reader import N, Reader, Unreadable

STORES = frozenset({"STORE_FAST", "STORE_DEREF"})
TARGETS = STORES | {"UNPACK_SEQUENCE", "UNPACK_EX"}
_ARGUMENT = ".0"
_CLOSURE = 8


def inner_codes(code: CodeType) -> list[CodeType]:
    """The code itself, and behind it those that it makes functions of."""
    return [code, *(each for each in code.co_consts if isinstance(each, CodeType))]


class Held(ast.expr):
    """What is on the stack while a comprehension is made: its code or its iterator."""

    def __init__(self, content: CodeType | ast.expr | None = None) -> None:
        super().__init__()
        self.content = content


class Assignments(Reader):
    """Reads what values are assigned to. ``known`` are the names that have got one."""

    scope = "local"

    def __init__(self, code: CodeType, known: set[str]) -> None:
        super().__init__(*operations(code), code.co_consts)
        self._code = code
        self._known = known
        self._put_back: set[int] = set()

    def _name(self, name: str, scope: str, op: Operation) -> ast.expr:
        if scope == self.scope and name not in self._known:
            raise Unreadable
        return super()._name(name, scope, op)

    def _assigned_to(self, at: int) -> tuple[ast.expr, int]:
        """A name, or several; where the next instruction is."""
        op = self._ops[at]
        if op.name in STORES:
            self._known.add(op.value)
            name = self._name(op.value, self.scope, op)
            name.ctx = ast.Store()  # type: ignore[attr-defined]
            return name, at + 1
        if op.name not in TARGETS:
            raise Unreadable
        starred = op.name == "UNPACK_EX"
        before, behind = (op.arg & 0xFF, op.arg >> 8) if starred else (op.arg, 0)
        targets = []
        at += 1
        for number in range(before + starred + behind):
            target, at = self._assigned_to(at)
            targets.append(self._node(ast.Starred(target, ast.Store()), op) if starred and number == before else target)
        return self._node(ast.Tuple(targets, ast.Store()), op), at

    # ── comprehensions that are part of the code ─────────────────────────────────────────────────────────────────

    def _pass(self, at: int, stop: int, stack: list[ast.expr]) -> int:
        if at in self._put_back:
            return at + 1
        if self._ops[at].name == "LOAD_FAST_AND_CLEAR":
            return self._inlined(at, stack)
        return super()._pass(at, stop, stack)

    def _do_get_iter(self, op: Operation, stack: list[ast.expr]) -> None:
        source = stack.pop()
        stack.append(Held(self._node(source, op) if PAIRS_LOADS else source))

    def _inlined(self, at: int, stack: list[ast.expr]) -> int:
        """``[element for target in iterator]``: the names are on the stack beneath it until they are put back."""
        ops = self._ops
        aside = []
        while ops[at].name == "LOAD_FAST_AND_CLEAR":
            aside.append(ops[at].value)
            at += 1
        begin = [("SWAP", len(aside) + 1), ("BUILD_LIST", 0), ("SWAP", 2)]
        source = stack.pop().content if isinstance(stack[-1], Held) else None  # type: ignore[attr-defined]
        if [op[:2] for op in ops[at : at + 3]] != begin or not isinstance(source, ast.expr):
            raise Unreadable
        end = self._marks[ops[at + 3].value]
        reader = _InlinedReader(self, set(aside))
        element, clause = reader.clause(at + 3, end, source)
        self.imported |= reader.imported
        stack.append(self._node(ast.ListComp(element, [clause]), ops[at + 3]))
        self._note_put_back(end + 1, aside)
        return end + 1

    def _note_put_back(self, at: int, aside: list[str]) -> None:
        """Names are put back at once, or when the list was assigned to one."""
        swapped = self._ops[at].name == "SWAP"
        stores = range(at + 1, at + 1 + len(aside))
        told = [(self._ops[number].name, self._ops[number].value) for number in stores]
        if sorted(told) != sorted(("STORE_FAST", name) for name in aside):
            raise Unreadable
        self._put_back.update(stores)
        if swapped:
            self._put_back.add(at)


class _Clauses(Assignments):
    """Reads what a comprehension does with an element of its source."""

    scope = "inner"

    def clause(self, start: int, end: int, source: ast.expr) -> tuple[ast.expr, ast.comprehension]:
        """The element, and what stands behind it; it asks for the next at ``start`` and goes on at ``end``."""
        ops = self._ops
        stop = end - 2
        ends = ["FOR_ITER", "LIST_APPEND", "JUMP_BACKWARD"]
        if [ops[number].name for number in (start, stop, stop + 1)] != ends:
            raise Unreadable
        target, at = self._assigned_to(start + 1)
        tests, stack = [], []  # type: ignore[var-annotated]
        while at < stop:
            op = ops[at]
            if "BACKWARD_IF" in op.name and self._marks[op.value] == start:
                tests.append(self._kept(op, stack))
                at += 1
            else:
                at = self._pass(at, stop, stack)
        (element,) = stack
        return element, ast.comprehension(target, source, tests, 0)

    def _kept(self, op: Operation, stack: list[ast.expr]) -> ast.expr:
        (test,) = stack
        stack.clear()
        test, jump = self._asked(op._replace(name=op.name.replace("BACKWARD_", "")), test)
        return self._node(ast.UnaryOp(ast.Not(), test), op) if jump == "TRUE" else test


class _InlinedReader(_Clauses):
    """Reads a comprehension from the code around it."""

    def __init__(self, around: Assignments, own: set[str]) -> None:
        Reader.__init__(self, around._ops, around._marks, around._constants)
        self._around = around
        self._own = own
        self._known = set()
        self._put_back = set()

    def _name(self, name: str, scope: str, op: Operation) -> ast.expr:
        if scope == "global" or name not in self._own:
            return self._around._name(name, scope, op)
        return super()._name(name, "inner", op)

    def _do_load_deref(self, op: Operation, stack: list[ast.expr]) -> None:
        self._around._step(op, stack)


class CodeReader(_Clauses):
    """Reads a comprehension from its own code."""

    def __init__(self, code: CodeType, outer: CodeType) -> None:
        super().__init__(code, {_ARGUMENT})
        self._nest = inner_codes(outer).index(code)
        self._outer = outer

    def read(self, source: ast.expr) -> tuple[ast.expr, ast.comprehension]:
        """The element, and what stands behind it if it is made of the elements of a source."""
        names = [op.name for op in self._ops]
        plain = self._code.co_name == "<listcomp>" and not self._code.co_cellvars
        if not plain or names[:2] != ["BUILD_LIST", "LOAD_FAST"] or names[-1] != "RETURN_VALUE":
            raise Unreadable
        return self.clause(2, len(names) - 1, source)

    def _node(self, node: N, op: Operation) -> N:
        made: N = super()._node(node, op)
        made.nest = self._nest  # type: ignore[attr-defined]
        return made

    def _name(self, name: str, scope: str, op: Operation) -> ast.expr:
        return super()._name(name, "inner" if scope == "local" else scope, op)

    def _do_load_deref(self, op: Operation, stack: list[ast.expr]) -> None:
        stack.append(Reader._name(self, op.value, "local" if op.value in self._outer.co_cellvars else "free", op))


class Comprehensions(Assignments):
    """Reads a function that makes functions of comprehensions' codes."""

    def _do_load_deref(self, op: Operation, stack: list[ast.expr]) -> None:
        stack.append(self._name(op.value, "local" if op.value in self._code.co_cellvars else "free", op))

    def _do_load_closure(self, op: Operation, stack: list[ast.expr]) -> None:
        if op.value in self._code.co_cellvars and op.value not in self._known:
            raise Unreadable
        stack.append(Held())

    def _do_load_const(self, op: Operation, stack: list[ast.expr]) -> None:
        if isinstance(op.value, CodeType):
            stack.append(Held(op.value))
        else:
            super()._do_load_const(op, stack)

    def _do_make_function(self, op: Operation, stack: list[ast.expr]) -> None:
        made = stack.pop()
        if op.arg & ~_CLOSURE or (op.arg and not isinstance(stack.pop(), ast.Tuple)):
            raise Unreadable
        stack.append(made)

    def _call(self, op: Operation, stack: list[ast.expr], names: tuple[str, ...]) -> None:
        if op.arg or not isinstance(stack[-1], Held):
            super()._call(op, stack, names)
            return
        code, source = (each.content for each in self._pop(stack, 2))  # type: ignore[attr-defined]
        if not isinstance(code, CodeType) or not isinstance(source, ast.expr):
            raise Unreadable
        reader = CodeReader(code, self._code)
        element, clause = reader.read(source)
        self.imported |= reader.imported
        stack.append(self._node(ast.ListComp(element, [clause]), op))
