"""What a small function computes, as a syntax tree, read from its code.

Only functions that are one expression are read: arguments by position, no statement, no inner function. The code is
executed on a stack of syntax trees instead of values. Code differs between versions of Python, and whoever reads it
may err: so what was read is compiled again and must give the very same code, else nothing is said of the function.
That makes the reading safe whatever it meets; what it does not know costs only speed.

Each node's column is the number of the instruction that it was read from, so that whoever compiles the tree into
something else finds from an instruction there the one here. Names carry ``scope``: "local", "free" or "global".
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from types import CodeType
from typing import Any

from simspark.publib.lineage.stack_reader import Reader, operations, placed
from simspark.publib.named_tuple import NamedTuple

MAX_INSTRUCTIONS = 400
# Whoever asks for these sees the frame that runs, or does something that the code does not tell.
_SEES_FRAMES = frozenset({"locals", "globals", "vars", "dir", "eval", "exec", "super", "_getframe", "currentframe",
                          "stack", "extract_stack", "print_stack", "settrace", "setprofile", "__class__",
                          "_current_frames", "getouterframes", "breakpoint", "set_trace"})
_ALLOWED_FLAGS = 0x01 | 0x02 | 0x10 | 0x4000000  # optimized, newlocals, nested, has a docstring
_NESTED = 0x10
_FUTURES = 0x1FE0000
Place = dict[str, Any]


class Expression(NamedTuple):
    """The tree of what a function returns."""

    body: ast.expr
    parameters: tuple[str, ...]


def read(code: CodeType) -> Expression | None:
    """The expression that a function with this code returns; None if it is not one that can be read."""
    if not _is_plain(code):
        return None
    try:
        ops, marks = operations(code)
        reader = Reader(ops, marks, code.co_consts)
        body = reader.value(0, len(ops))
        parameters = code.co_varnames
        same = any(_same_code(code, made) for made in _compiled(code, body, parameters, reader.imported))
    except Exception:  # Unreadable, or what a stack that is not as expected leads to
        return None
    return Expression(body, parameters) if same else None


def _is_plain(code: CodeType) -> bool:
    return (
        not code.co_flags & ~(_ALLOWED_FLAGS | _FUTURES)
        and not code.co_kwonlyargcount
        and not code.co_posonlyargcount
        and not code.co_cellvars
        and code.co_argcount == len(code.co_varnames)
        and not code.co_exceptiontable
        and len(code.co_code) <= 2 * MAX_INSTRUCTIONS
        and _SEES_FRAMES.isdisjoint(code.co_names)
        and "__class__" not in code.co_freevars
    )


def _compiled(code: CodeType, body: ast.expr, parameters: Sequence[str], imported: Iterable[str]) -> list[CodeType]:
    """The function that could have been written for this code, compiled anew in a module with these imports."""
    doc = code.co_consts[0] if code.co_consts and isinstance(code.co_consts[0], str) else None
    forms: list[ast.stmt] = [placed(ast.Return(body), body)]
    first = code.co_firstlineno
    place: Place = {"lineno": first, "col_offset": 0, "end_lineno": first, "end_col_offset": 0}
    arguments = _arguments(parameters, place)
    inner: list[ast.stmt]
    if code.co_name == "<lambda>":
        inner = [ast.Return(ast.Lambda(arguments, body, **place), **place)]
    else:
        doc_first: list[ast.stmt] = [] if doc is None else [ast.Expr(ast.Constant(doc, **place), **place)]
        inner = [_function("f", arguments, doc_first + forms, place)]
    outer = _function("outer", _arguments(code.co_freevars, place), inner, place)
    imports: list[ast.stmt] = [ast.Import([ast.alias(name, **place)], **place) for name in sorted(imported)]
    module = ast.Module([*imports, outer], [])
    flags = code.co_flags & _FUTURES
    made = compile(module, code.co_filename, "exec", flags=flags, dont_inherit=True)
    return [deep for each in made.co_consts if isinstance(each, CodeType)
            for deep in each.co_consts if isinstance(deep, CodeType)]


def _function(name: str, arguments: ast.arguments, body: list[ast.stmt], place: Place) -> ast.FunctionDef:
    made = ast.FunctionDef(name, arguments, body, [], None, **place)
    if "type_params" in ast.FunctionDef._fields:
        made.type_params = []  # type: ignore[attr-defined]
    return made


def _arguments(names: Sequence[str], place: Place) -> ast.arguments:
    return ast.arguments([], [ast.arg(name, **place) for name in names], None, [], [], None, [])


def _same_code(code: CodeType, made: CodeType) -> bool:
    """Whether the two do the same: equal in everything but where they come from."""
    return made.replace(
        co_name=code.co_name, co_qualname=code.co_qualname, co_filename=code.co_filename,
        co_firstlineno=code.co_firstlineno, co_linetable=code.co_linetable,
        co_flags=made.co_flags & ~_NESTED | code.co_flags & _NESTED,
    ) == code  # fmt: skip
