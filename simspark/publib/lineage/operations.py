"""A code's instructions, under the names and in the shapes that the readers know, whatever version compiled it.

CPython 3.11 to 3.14 are read. What they do in different instructions is made the same here, and nowhere else but where
list comprehensions are read, which became part of the code around them in 3.12. A version that is not known is not
read at all: its functions are called.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator, Sequence
from types import CodeType
from typing import Any

from simspark.publib.named_tuple import NamedTuple

_FIRST, _LAST = (3, 11), (3, 14)
_LOADS_METHODS = sys.version_info >= (3, 12)  # LOAD_ATTR says whether it loads a method
_POPS_ITERATORS = sys.version_info >= (3, 13)  # behind END_FOR
INLINES_COMPREHENSIONS = sys.version_info >= (3, 12)
_CALLS_WITH_NULL = sys.version_info >= (3, 14)  # where no names are given to what is called with a tuple
_FLAGS_DOCSTRINGS = 0x4000000 if sys.version_info >= (3, 14) else 0
FOLDS_LATE = sys.version_info >= (3, 14)
"""Of a constant that was computed its parts may be among the constants, too: it is to be computed again."""
PAIRS_LOADS = sys.version_info >= (3, 13)
"""One instruction loads or stores two names, at the place of the first: of what is asked or gone through next, the
instruction that does that tells the place."""
ASKS_WHILE_IT_COMPARES = sys.version_info >= (3, 13)
"""An ``if`` that compares asks for the truth in the same instruction: where an error was raised is not seen."""

_SKIPPED = frozenset({"RESUME", "CACHE", "NOP", "PRECALL", "COPY_FREE_VARS", "EXTENDED_ARG", "TO_BOOL", "NOT_TAKEN",
                      "MAKE_CELL"})
_NAMES = {"LOAD_FAST_BORROW": "LOAD_FAST", "LOAD_FAST_CHECK": "LOAD_FAST", "LOAD_SMALL_INT": "LOAD_CONST",
          "POP_ITER": "POP_TOP"}
_TWO_IN_ONE = {
    "RETURN_CONST": ("LOAD_CONST", "RETURN_VALUE"),
    "LOAD_FAST_LOAD_FAST": ("LOAD_FAST", "LOAD_FAST"),
    "LOAD_FAST_BORROW_LOAD_FAST_BORROW": ("LOAD_FAST", "LOAD_FAST"),
    "STORE_FAST_LOAD_FAST": ("STORE_FAST", "LOAD_FAST"),
    "STORE_FAST_STORE_FAST": ("STORE_FAST", "STORE_FAST"),
}
_INTRINSICS = {5: "UNARY_POSITIVE", 6: "LIST_TO_TUPLE"}
_KEEPING_JUMPS = (["COPY", "POP_JUMP_IF_FALSE"], ["COPY", "POP_JUMP_IF_TRUE"])
_OPPOSITES = {"TRUE": "FALSE", "FALSE": "TRUE", "NONE": "NOT_NONE", "NOT_NONE": "NONE"}
_JUMP_IF = "POP_JUMP_IF_"
ENDS = frozenset({"RETURN_VALUE", "RAISE_VARARGS"})


class Operation(NamedTuple):
    """An instruction: its number counts caches too, as positions and tracebacks do.

    That of a jump is where it is asked for a truth.
    """

    name: str
    arg: int
    value: Any
    number: int
    line: int


def is_known_version() -> bool:
    """Whether what compiles code here is known."""
    return sys.implementation.name == "cpython" and _FIRST <= sys.version_info[:2] <= _LAST


def docstring_of(code: CodeType) -> str | None:
    """The text of a function that is not a lambda."""
    first = code.co_consts[0] if code.co_consts else None
    return first if isinstance(first, str) and code.co_flags & _FLAGS_DOCSTRINGS == _FLAGS_DOCSTRINGS else None


def operations(code: CodeType) -> tuple[list[Operation], dict[int, int]]:
    """The instructions, and where each offset is among them."""
    ops: list[Operation] = []
    marks: dict[int, int] = {}
    instructions = list(dis.get_instructions(code))
    for each, following, before in zip(instructions, [*instructions[1:], None], [None, *instructions], strict=False):
        marks[each.offset] = len(ops)
        positions = each.positions
        line = positions.lineno if positions is not None and positions.lineno else code.co_firstlineno
        number = (before if before is not None and before.opname == "TO_BOOL" else each).offset // 2
        op = Operation(each.opname, each.arg or 0, each.argval, number, line)
        name = ops[-1].name if ops else ""
        if _POPS_ITERATORS and before is not None and before.opname == "END_FOR":
            continue
        if op.name == "POP_TOP" and [known.name for known in ops[-2:]] in _KEEPING_JUMPS:
            jump = ops.pop()
            ops[-1] = jump._replace(name=name.replace("POP_JUMP_", "JUMP_") + "_OR_POP")
            marks[each.offset] = len(ops)
        elif op.name == "CALL_FUNCTION_EX" and _CALLS_WITH_NULL:
            known = name == "PUSH_NULL"
            ops[-known:] = [op._replace(arg=not known)]
        elif op.name == "JUMP_BACKWARD" and name.startswith(_JUMP_IF) and _goes_to(ops[-1], following):
            jump = ops.pop()
            ops.append(jump._replace(name=f"POP_JUMP_BACKWARD_IF_{_OPPOSITES[name[len(_JUMP_IF):]]}", value=op.value))
        else:
            ops += _as_known(op)
    if ops[-1].name == "RERAISE":  # what puts names back when a comprehension fails
        del ops[max(at for at, op in enumerate(ops) if op.name in ENDS) + 1 :]
    return ops, marks


def _goes_to(jump: Operation, following: dis.Instruction | None) -> bool:
    return following is not None and jump.value == following.offset


def _as_known(op: Operation) -> Iterator[Operation]:
    """None, one or two for an instruction."""
    if op.name in _SKIPPED:
        return
    if op.name in _TWO_IN_ONE:
        values: Sequence[Any] = (op.value, None) if op.name == "RETURN_CONST" else op.value
        for name, value in zip(_TWO_IN_ONE[op.name], values, strict=True):
            yield op._replace(name=name, value=value)
    elif op.name == "BINARY_OP":
        symbol: str = dis._nb_ops[op.arg][1]  # type: ignore[attr-defined]
        yield op._replace(name="BINARY_SUBSCR" if symbol == "[]" else op.name, value=symbol)
    elif op.name == "CALL_INTRINSIC_1":
        yield op._replace(name=_INTRINSICS.get(op.arg, op.name))
    elif op.name == "LOAD_ATTR" and op.arg & 1 and _LOADS_METHODS:
        yield op._replace(name="LOAD_METHOD")
    else:
        yield op._replace(name=_NAMES.get(op.name, op.name.replace("JUMP_FORWARD_IF", "JUMP_IF")))
