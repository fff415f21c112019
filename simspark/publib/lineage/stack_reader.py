"""Small functions' code, run on a stack of syntax trees instead of values.

It knows what Python's compiler makes of expressions, in the versions that it was written for; whatever else it meets
is Unreadable. What it gives is a guess until it was compiled and compared: see expressions.

A node's column is the number of the instruction that it was read from, its line that of the instruction.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any, TypeVar

from simspark.publib.lineage.conditions import Condition, either, negated
from simspark.publib.lineage.operations import FOLDS_LATE, PAIRS_LOADS, Operation

N = TypeVar("N", bound=ast.AST)

BINARY: dict[str, type[ast.operator]] = {
    "+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div, "//": ast.FloorDiv, "%": ast.Mod, "**": ast.Pow,
    "@": ast.MatMult, "<<": ast.LShift, ">>": ast.RShift, "&": ast.BitAnd, "|": ast.BitOr, "^": ast.BitXor,
}
_COMPARE: dict[str, type[ast.cmpop]] = {
    "<": ast.Lt, "<=": ast.LtE, "==": ast.Eq, "!=": ast.NotEq, ">": ast.Gt, ">=": ast.GtE,
}
_UNARY: dict[str, type[ast.unaryop]] = {
    "UNARY_NEGATIVE": ast.USub, "UNARY_POSITIVE": ast.UAdd, "UNARY_INVERT": ast.Invert, "UNARY_NOT": ast.Not,
}
_MIXED = {
    "POP_JUMP_IF_FALSE": "JUMP_IF_TRUE_OR_POP", "JUMP_IF_FALSE_OR_POP": "JUMP_IF_TRUE_OR_POP",
    "POP_JUMP_IF_TRUE": "JUMP_IF_FALSE_OR_POP", "JUMP_IF_TRUE_OR_POP": "JUMP_IF_FALSE_OR_POP",
}
_SINGLETONS = frozenset({type(None), bool, type(...)})
_CONVERSIONS = (-1, ord("s"), ord("r"), ord("a"))


class Unreadable(Exception):
    """The code is not one that can be read here."""


class Null(ast.expr):
    """What calls push where there is no self."""


class Self(ast.expr):
    """What a method call pushes beside the attribute."""


def placed(node: N, like: Any) -> N:
    """The node with the position of another."""
    for name in ("lineno", "col_offset", "end_lineno", "end_col_offset", *(("nest",) if hasattr(like, "nest") else ())):
        setattr(node, name, getattr(like, name))
    return node


class Reader:
    """Runs code on a stack of trees."""

    def __init__(self, ops: list[Operation], marks: dict[int, int], constants: tuple[Any, ...]) -> None:
        self._ops = ops
        self._marks = marks
        self._constants = constants
        self._keywords: tuple[str, ...] = ()
        self._threaded: dict[int, int] = {}  # where it goes on from an end of a branch: jumps to that go there at once
        self.imported: set[str] = set()  # calls of what a module imports have code of their own

    def value(self, at: int, stop: int) -> ast.expr:
        """The one value that the instructions from ``at`` to ``stop`` leave."""
        stack: list[ast.expr] = []
        self._run(at, stop, stack)
        if len(stack) != 1 or isinstance(stack[0], (Null, Self)):
            raise Unreadable
        return stack[0]

    def _run(self, at: int, stop: int, stack: list[ast.expr]) -> None:
        while at < stop:
            if self._ops[at].name == "RETURN_VALUE":
                if at != stop - 1 or len(stack) != 1:
                    raise Unreadable
                return
            at = self._pass(at, stop, stack)

    def _pass(self, at: int, stop: int, stack: list[ast.expr]) -> int:
        """Run one instruction, or the branches that begin with it; where the next is."""
        op = self._ops[at]
        if op.name == "SWAP":
            return self._chain(at, stop, stack)
        if "JUMP" in op.name:
            return self._branch(op, at, stop, stack)
        self._step(op, stack)
        return at + 1

    # ── branches ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _target(self, op: Operation, at: int, stop: int) -> int:
        target = self._marks[op.value]
        if target > stop:
            target = self._threaded.get(target, target)
        if not at < target <= stop:
            raise Unreadable
        return target

    def _branch(self, op: Operation, at: int, stop: int, stack: list[ast.expr]) -> int:
        target = self._target(op, at, stop)
        if self._ops[target - 1].name == _MIXED.get(op.name):
            return self._mixed(op, at, target, stop, stack)
        if op.name in {"JUMP_IF_FALSE_OR_POP", "JUMP_IF_TRUE_OR_POP"}:
            kind = ast.And if op.name == "JUMP_IF_FALSE_OR_POP" else ast.Or
            stack.append(either(kind, stack.pop(), self.value(at + 1, target), op))
            return target
        if not op.name.startswith("POP_JUMP_IF_"):
            raise Unreadable
        test, at, target = next(self._tests(op, at, stop, stack.pop()))
        return self._conditional(op, test, at, target, stop, stack)

    def _mixed(self, op: Operation, at: int, target: int, stop: int, stack: list[ast.expr]) -> int:
        """``a and b or c``, and the other way round."""
        inner, outer = (ast.And, ast.Or) if "FALSE" in op.name else (ast.Or, ast.And)
        last = self._ops[target - 1]
        end = self._target(last, target - 1, stop)
        left = either(inner, stack.pop(), self.value(at + 1, target - 1), op)
        stack.append(either(outer, left, self.value(target, end), last))
        return end

    def _tests(self, op: Operation, at: int, stop: int, test: ast.expr) -> Iterator[tuple[ast.expr, int, int]]:
        """The conditions that begin with ``test``, the longest first; where code for their truth and else begins."""
        conditions = [self._condition(op, at, stop, test)]
        whole = [conditions[0]]
        while (more := self._more(conditions, stop)) is not None:
            conditions.append(more)
            while len(conditions) > 1 and (joined := conditions[-2].joined(conditions[-1])) is not None:
                conditions[-2:] = [joined]
            if len(conditions) == 1:
                whole.append(conditions[0])
        for each in reversed(whole):
            tree = negated(each.tree, each.op) if each.if_true else each.tree
            yield tree, each.following, each.target

    def _condition(self, op: Operation, at: int, stop: int, test: ast.expr) -> Condition:
        tree, jump = self._asked(op, test)
        return Condition(tree, jump == "TRUE", self._target(op, at, stop), at + 1, op)

    def _more(self, before: list[Condition], stop: int) -> Condition | None:
        """What is asked behind other conditions: what is one with the last, else what comes first."""
        found = None
        for each in self._behind(before[-1].following, max(each.target for each in before), stop):
            if before[-1].joined(each) is not None:
                return each
            found = found or each
        return found

    def _behind(self, at: int, end: int, stop: int) -> Iterator[Condition]:
        for number in range(at + 1, end):
            op = self._ops[number]
            if op.name.startswith("POP_JUMP_IF_"):
                try:
                    yield self._condition(op, number, stop, self.value(at, number))
                except (Unreadable, IndexError):
                    continue

    def _asked(self, op: Operation, test: ast.expr) -> tuple[ast.expr, str]:
        """The condition of a jump, and whether it is taken if that is TRUE or if it is FALSE."""
        name = op.name.removeprefix("POP_JUMP_IF_")
        if PAIRS_LOADS and isinstance(test, ast.Name):
            test = self._node(test, op)
        if name in {"TRUE", "FALSE"}:
            return test, name
        kinds: dict[str, ast.cmpop] = {"NONE": ast.IsNot(), "NOT_NONE": ast.Is()}
        nothing = self._node(ast.Constant(None), op)
        return self._node(ast.Compare(test, [kinds[name]], [nothing]), op), "FALSE"

    def _conditional(self, op: Operation, test: ast.expr, at: int, target: int, stop: int,
                     stack: list[ast.expr]) -> int:
        """``a if test else b``: the branches meet again, or each returns."""
        last = self._ops[target - 1]
        if last.name in {"JUMP_FORWARD", "JUMP"}:
            end = self._target(last, target - 1, stop)
            stack.append(self._choice(op, test, self.value(at, target - 1), self.value(target, end)))
            return end
        if last.name != "RETURN_VALUE":
            raise Unreadable
        if not stack:
            stack.append(self._choice(op, test, self.value(at, target), self.value(target, stop)))
            return stop
        return self._parted(op, test, at, target, stop, stack)

    def _parted(self, op: Operation, test: ast.expr, at: int, target: int, stop: int, stack: list[ast.expr]) -> int:
        """The same where what follows the choice was copied into both branches."""
        for size in range(1, min(target - at, stop - target)):
            first, second = self._ops[target - size : target], self._ops[stop - size : stop]
            if not _alike(first, second):
                break
            try:
                chosen = self._choice(op, test, self.value(at, target - size), self.value(target, stop - size))
            except (Unreadable, IndexError):
                continue
            stack.append(chosen)
            return stop - size
        raise Unreadable

    def _choice(self, op: Operation, test: ast.expr, yes: ast.expr, no: ast.expr) -> ast.expr:
        return self._node(ast.IfExp(test, yes, no), op)

    def _chain(self, at: int, stop: int, stack: list[ast.expr]) -> int:
        """``a < b < c``."""
        middle, left = stack.pop(), stack.pop()
        kinds: list[ast.cmpop] = []
        others = [middle]
        while [op.name for op in self._ops[at : at + 2]] == ["SWAP", "COPY"]:
            kinds.append(self._comparison(self._ops[at + 2]))
            jump = self._ops[at + 3]
            if jump.name != "JUMP_IF_FALSE_OR_POP":
                raise Unreadable
            target = self._target(jump, at, stop)
            at += 4
            following = self._operand_end(at, target, stop)
            others.append(self.value(at, following))
            at = following
        first = self._ops[at]
        kinds.append(self._comparison(first))
        end = self._ops[at + 1]
        if [op.name for op in self._ops[target : target + 2]] != ["SWAP", "POP_TOP"]:
            raise Unreadable
        stack.append(self._node(ast.Compare(left, kinds, others), first))
        if _alike(self._ops[at + 1 : target], self._ops[target + 2 : stop]):  # what follows was copied
            return target + 2
        if end.name != "JUMP_FORWARD" or self._target(end, at, stop) != target + 2:
            raise Unreadable
        return target + 2

    def _operand_end(self, at: int, target: int, stop: int) -> int:
        """Where the next operand of a chain of comparisons ends: what follows the last may have been copied."""
        behind = self._ops[target + 2 : stop]
        for number in range(at + 1, target):
            op = self._ops[number]
            if op.name == "SWAP" or number == target - 2 or _alike(self._ops[number + 1 : target], behind):
                return number
        raise Unreadable

    def _comparison(self, op: Operation) -> ast.cmpop:
        if op.name == "IS_OP":
            return ast.IsNot() if op.arg else ast.Is()
        if op.name == "CONTAINS_OP":
            return ast.NotIn() if op.arg else ast.In()
        if op.name != "COMPARE_OP":
            raise Unreadable
        return _COMPARE[op.value]()

    # ── single instructions ──────────────────────────────────────────────────────────────────────────────────────

    def _node(self, node: N, op: Operation) -> N:
        place: Any = node
        place.lineno = place.end_lineno = op.line
        place.col_offset = place.end_col_offset = op.number
        return node

    def _name(self, name: str, scope: str, op: Operation) -> ast.expr:
        node = self._node(ast.Name(name, ast.Load()), op)
        node.scope = scope  # type: ignore[attr-defined]
        return node

    def _step(self, op: Operation, stack: list[ast.expr]) -> None:
        if op.name == "LOAD_FAST":
            stack.append(self._name(op.value, "local", op))
        elif op.name in _UNARY:
            stack.append(self._node(ast.UnaryOp(_UNARY[op.name](), stack.pop()), op))
        elif op.name in {"COMPARE_OP", "IS_OP", "CONTAINS_OP"}:
            right, left = stack.pop(), stack.pop()
            if op.name == "IS_OP" and isinstance(right, ast.Constant) and type(right.value) not in _SINGLETONS:
                raise Unreadable  # the compiler warns
            stack.append(self._node(ast.Compare(left, [self._comparison(op)], [right]), op))
        else:
            handler: Callable[[Operation, list[ast.expr]], None] | None = getattr(self, f"_do_{op.name.lower()}", None)
            if handler is None:
                raise Unreadable
            handler(op, stack)

    def _pop(self, stack: list[ast.expr], count: int) -> list[ast.expr]:
        if count > len(stack):
            raise Unreadable
        taken = stack[len(stack) - count :]
        del stack[len(stack) - count :]
        return taken

    def _do_load_const(self, op: Operation, stack: list[ast.expr]) -> None:
        if isinstance(op.value, CodeType):
            raise Unreadable
        stack.append(self._constant(op.value, op))

    def _constant(self, value: Any, op: Operation) -> ast.expr:
        """A constant, or what it is computed from."""
        made: ast.expr = ast.Constant(value)
        if isinstance(value, slice):
            parts = (value.start, value.stop, value.step)
            made = ast.Slice(*(None if part is None else self._constant(part, op) for part in parts))
        elif FOLDS_LATE and isinstance(value, tuple):
            made = ast.Tuple([self._constant(each, op) for each in value], ast.Load())
        elif FOLDS_LATE and isinstance(value, frozenset):
            made = ast.Set([self._constant(each, op) for each in value])
        elif FOLDS_LATE and type(value) in {int, float} and str(value).startswith("-"):
            made = ast.UnaryOp(ast.USub(), self._constant(-value, op))
        return self._node(made, op)

    def _do_load_deref(self, op: Operation, stack: list[ast.expr]) -> None:
        stack.append(self._name(op.value, "free", op))

    def _do_load_global(self, op: Operation, stack: list[ast.expr]) -> None:
        called = op.arg & 1
        name = self._name(op.value, "global", op)
        stack += [Null(), name] if called else [name]

    def _do_push_null(self, op: Operation, stack: list[ast.expr]) -> None:
        stack.append(Null())

    def _do_load_attr(self, op: Operation, stack: list[ast.expr]) -> None:
        stack.append(self._node(ast.Attribute(stack.pop(), op.value, ast.Load()), op))

    def _do_load_method(self, op: Operation, stack: list[ast.expr]) -> None:
        stack += [Self(), self._node(ast.Attribute(stack.pop(), op.value, ast.Load()), op)]

    def _do_kw_names(self, op: Operation, stack: list[ast.expr]) -> None:
        self._keywords = self._constants[op.arg]

    def _do_call(self, op: Operation, stack: list[ast.expr]) -> None:
        names, self._keywords = self._keywords, ()
        self._call(op, stack, names)

    def _do_call_kw(self, op: Operation, stack: list[ast.expr]) -> None:
        self._call(op, stack, ast.literal_eval(stack.pop()))

    def _call(self, op: Operation, stack: list[ast.expr], names: tuple[str, ...]) -> None:
        given = self._pop(stack, op.arg)
        first, second = self._pop(stack, 2)
        function = second if isinstance(first, (Null, Self)) else first
        if isinstance(first, Null) or isinstance(second, Null):
            self._note_import(function)
        plain, named = given[: len(given) - len(names)], given[len(given) - len(names) :]
        keywords = [self._node(ast.keyword(name, value), op) for name, value in zip(names, named, strict=True)]
        stack.append(self._node(ast.Call(function, plain, keywords), op))

    def _note_import(self, function: ast.expr) -> None:
        owner = function.value if isinstance(function, ast.Attribute) else None
        if isinstance(owner, ast.Name) and owner.scope == "global":  # type: ignore[attr-defined]
            self.imported.add(owner.id)

    def _do_call_function_ex(self, op: Operation, stack: list[ast.expr]) -> None:
        if op.arg:
            raise Unreadable
        arguments = stack.pop()
        first, second = self._pop(stack, 2)
        function = second if isinstance(first, Null) else first
        starred = self._node(ast.Starred(arguments, ast.Load()), op)
        stack.append(self._node(ast.Call(function, [starred], []), op))

    def _do_binary_op(self, op: Operation, stack: list[ast.expr]) -> None:
        right, left = stack.pop(), stack.pop()
        stack.append(self._node(ast.BinOp(left, BINARY[op.value](), right), op))

    def _do_binary_subscr(self, op: Operation, stack: list[ast.expr]) -> None:
        index, value = stack.pop(), stack.pop()
        stack.append(self._node(ast.Subscript(value, index, ast.Load()), op))

    def _do_binary_slice(self, op: Operation, stack: list[ast.expr]) -> None:
        value, start, stop = self._pop(stack, 3)
        cut = self._node(ast.Slice(start, stop), op)
        stack.append(self._node(ast.Subscript(value, cut, ast.Load()), op))

    def _do_build_slice(self, op: Operation, stack: list[ast.expr]) -> None:
        stack.append(self._node(ast.Slice(*self._pop(stack, op.arg)), op))

    def _do_build_tuple(self, op: Operation, stack: list[ast.expr]) -> None:
        stack.append(self._node(ast.Tuple(self._pop(stack, op.arg), ast.Load()), op))

    def _do_build_list(self, op: Operation, stack: list[ast.expr]) -> None:
        stack.append(self._node(ast.List(self._pop(stack, op.arg), ast.Load()), op))

    def _do_build_set(self, op: Operation, stack: list[ast.expr]) -> None:
        stack.append(self._node(ast.Set(self._pop(stack, op.arg)), op))

    def _do_build_map(self, op: Operation, stack: list[ast.expr]) -> None:
        pairs = self._pop(stack, 2 * op.arg)
        stack.append(self._node(ast.Dict(list(pairs[::2]), list(pairs[1::2])), op))

    def _do_build_const_key_map(self, op: Operation, stack: list[ast.expr]) -> None:
        keys = [self._node(ast.Constant(key), op) for key in stack.pop().value]  # type: ignore[attr-defined]
        stack.append(self._node(ast.Dict(list(keys), self._pop(stack, op.arg)), op))

    def _do_list_extend(self, op: Operation, stack: list[ast.expr]) -> None:
        more, into = stack.pop(), stack[-1]
        if op.arg != 1 or not isinstance(into, ast.List):
            raise Unreadable
        constants: Any = more.value if isinstance(more, ast.Constant) else None
        if isinstance(constants, tuple) and not into.elts:
            into.elts = [placed(ast.Constant(value), more) for value in constants]
        elif isinstance(more, ast.Tuple) and not into.elts:
            into.elts = more.elts
        else:
            into.elts.append(self._node(ast.Starred(more, ast.Load()), op))

    def _do_list_to_tuple(self, op: Operation, stack: list[ast.expr]) -> None:
        made = stack.pop()
        if not isinstance(made, ast.List):
            raise Unreadable
        stack.append(self._node(ast.Tuple(made.elts, ast.Load()), op))

    # ── formatted text ───────────────────────────────────────────────────────────────────────────────────────────

    def _do_format_value(self, op: Operation, stack: list[ast.expr]) -> None:
        spec = self._joined(stack.pop(), op) if op.arg & 4 else None
        self._formatted(stack.pop(), _CONVERSIONS[op.arg & 3], spec, op, stack)

    def _do_convert_value(self, op: Operation, stack: list[ast.expr]) -> None:
        self._formatted(stack.pop(), _CONVERSIONS[op.arg], None, op, stack)

    def _do_format_simple(self, op: Operation, stack: list[ast.expr]) -> None:
        if not _is_converted(stack[-1]):
            self._formatted(stack.pop(), -1, None, op, stack)

    def _do_format_with_spec(self, op: Operation, stack: list[ast.expr]) -> None:
        spec, value = self._joined(stack.pop(), op), stack.pop()
        if _is_converted(value):
            converted: Any = value.values[0]  # type: ignore[attr-defined]
            self._formatted(converted.value, converted.conversion, spec, op, stack)
        else:
            self._formatted(value, -1, spec, op, stack)

    def _formatted(self, value: ast.expr, conversion: int, spec: ast.expr | None, op: Operation,
                   stack: list[ast.expr]) -> None:
        made = self._node(ast.FormattedValue(value, conversion, spec), op)
        stack.append(self._node(ast.JoinedStr([made]), op))

    def _joined(self, value: ast.expr, op: Operation) -> ast.expr:
        return value if isinstance(value, ast.JoinedStr) else self._node(ast.JoinedStr([value]), op)

    def _do_build_string(self, op: Operation, stack: list[ast.expr]) -> None:
        parts: list[ast.expr] = []
        for part in self._pop(stack, op.arg):
            parts += part.values if isinstance(part, ast.JoinedStr) else [part]
        stack.append(self._node(ast.JoinedStr(parts), op))


def _alike(some: list[Operation], others: list[Operation]) -> bool:
    return [_what(op) for op in some] == [_what(op) for op in others]


def _what(op: Operation) -> tuple[Any, ...]:
    return op.name, op.value, 0 if "FAST" in op.name else op.arg


def _is_converted(value: ast.expr) -> bool:
    return (isinstance(value, ast.JoinedStr) and isinstance(value.values[0], ast.FormattedValue)
            and value.values[0].conversion >= 0 and value.values[0].format_spec is None)
