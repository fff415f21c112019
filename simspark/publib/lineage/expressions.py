"""What a small function computes, as a syntax tree, read from its code.

Only functions are read that assign to names, do one thing or another, raise, and return expressions: arguments by
position, no loop, no inner function but that of a list comprehension. The code is executed on a stack of syntax trees
instead of values. Code differs between versions of Python, and whoever reads it may err: so what was read is compiled
again and must give the very same code, else nothing is said of the function. That makes the reading safe whatever it
meets; what it does not know costs only speed.

Each node's column is the number of the instruction that it was read from, so that whoever compiles the tree into
something else finds from an instruction there the one here. Nodes inside a comprehension carry ``nest``: which of the
code's inner codes (see inner_codes) the instruction is in. Names carry ``scope``: "local", "free", "global", or
"inner" for those that a comprehension assigns to.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from types import CodeType
from typing import Any

from simspark.publib.lineage.branches import returned, settled
from simspark.publib.lineage.comprehension_reader import inner_codes
from simspark.publib.lineage.operations import INLINES_COMPREHENSIONS, docstring_of, is_known_version
from simspark.publib.lineage.stack_reader import placed
from simspark.publib.lineage.statement_reader import StatementReader
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
    """The tree of what a function returns, and the statements before that.

    If it returns here and there, ``returned`` is all that it does: the statements end in returns then, with nothing
    behind a branch that has one (see branches).
    """

    body: ast.expr
    parameters: tuple[str, ...]
    statements: tuple[ast.stmt, ...] = ()
    returned: tuple[ast.expr, ...] = ()

    def trees(self) -> Sequence[ast.AST]:
        """All that it does."""
        return self.statements if self.returned else (*self.statements, self.body)


def read(code: CodeType) -> Expression | None:
    """What a function with this code does; None if it is not one that can be read."""
    if not is_known_version() or not _is_plain(code):
        return None
    try:
        reader = StatementReader(code)
        expression = Expression(reader.result(), code.co_varnames[: code.co_argcount], tuple(reader.statements))
        same = any(_dressed(made, code) == code for made in _compiled(code, expression, reader.imported))
        return _with_ends(expression) if same else None
    except Exception:  # Unreadable, or what a stack that is not as expected leads to
        return None


def _with_ends(expression: Expression) -> Expression:
    if not returned(expression.statements):
        return expression
    last = placed(ast.Return(expression.body), expression.body)
    statements = settled([*expression.statements, last])
    return expression._replace(statements=tuple(statements), returned=returned(statements))


def _is_plain(code: CodeType) -> bool:
    return (
        not code.co_flags & ~(_ALLOWED_FLAGS | _FUTURES)
        and not code.co_kwonlyargcount
        and not code.co_posonlyargcount
        and (INLINES_COMPREHENSIONS or not code.co_exceptiontable)
        and len(code.co_code) <= 2 * MAX_INSTRUCTIONS
        and all(_SEES_FRAMES.isdisjoint(each.co_names) for each in inner_codes(code))
        and "__class__" not in code.co_freevars
    )


def _compiled(code: CodeType, expression: Expression, imported: Iterable[str]) -> list[CodeType]:
    """The function that could have been written for this code, compiled anew in a module with these imports."""
    doc = docstring_of(code)
    body = expression.body
    first = code.co_firstlineno
    place: Place = {"lineno": first, "col_offset": 0, "end_lineno": first, "end_col_offset": 0}
    arguments = _arguments(expression.parameters, place)
    inner: list[ast.stmt]
    if code.co_name == "<lambda>":
        inner = [ast.Return(ast.Lambda(arguments, body, **place), **place)]
    else:
        doc_first: list[ast.stmt] = [] if doc is None else [ast.Expr(ast.Constant(doc, **place), **place)]
        forms = [*doc_first, *expression.statements, placed(ast.Return(body), body)]
        inner = [_function("f", arguments, forms, place)]
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


def _dressed(made: CodeType, code: CodeType) -> CodeType:
    """The first as if it came from where the second does: what is equal then does the same."""
    inner = [_dressed(mine, theirs) if isinstance(mine, CodeType) and isinstance(theirs, CodeType) else mine
             for mine, theirs in zip(made.co_consts, code.co_consts, strict=False)]
    return made.replace(
        co_name=code.co_name, co_qualname=code.co_qualname, co_filename=code.co_filename,
        co_firstlineno=code.co_firstlineno, co_linetable=code.co_linetable,
        co_flags=made.co_flags & ~_NESTED | code.co_flags & _NESTED,
        co_consts=(*inner, *made.co_consts[len(inner) :]),
    )  # fmt: skip
