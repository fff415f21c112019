"""One loop for a run of steps: built as a syntax tree, compiled, and kept for all tasks with the same functions.

A step whose function can be read (see expressions) becomes its expression; any other is called. So the loop does what
the steps do one after another, in their order, row by row. Names of the loop's own have a space in them and clash
with no other. What functions captured stays in its cell, which becomes one of the loop's; global names are looked up
where the functions look: all that are built in share one dictionary of globals, and others are called.

An instruction's line in the first compilation is 2 plus the number of its function, its column that of the
instruction there (or NO_INSTRUCTION); line 1 is the loop's own. From that table the loop gets the lines of the user's
file, so that whoever looks at a running frame (warnings, logging, a profiler) sees them, and an error finds its way
back.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import lru_cache
from types import CodeType
from typing import Any, TypeVar

from simspark.publib.lineage.expressions import Expression, read
from simspark.publib.lineage.line_table import encode_positions
from simspark.publib.lineage.steps import LOOP
from simspark.publib.named_tuple import NamedTuple

OWN_LINE = 1
CALL_ONLY = -1
NO_INSTRUCTION = 1 << 20  # the column of what the loop itself does for a function: calls it, asks for its truth
_PAIR = 2
_OWN: dict[str, Any] = {"lineno": OWN_LINE, "end_lineno": OWN_LINE, "col_offset": 0, "end_col_offset": 0}
_MAX_NODES = 2000


N = TypeVar("N", bound=ast.AST)


class Part(NamedTuple):
    """A step as the loop sees it: what it does with a row, and the code of its function or the item that it gets."""

    kind: str
    code: CodeType | None = None
    file: str = ""
    defaults: int = 0
    at_home: bool = False
    item: int = CALL_ONLY
    adds: bool = False


class Plan(NamedTuple):
    """What a loop is made of: the steps, what becomes of the rows, and the functions of that."""

    parts: tuple[Part, ...]
    consumer: str
    ends: tuple[Part, ...] = ()


class Loop(NamedTuple):
    """Code for a plan. ``needs`` says what each of its cells is: the number of a function and what of it."""

    code: CodeType
    needs: tuple[tuple[int, str, int], ...]
    origins: tuple[tuple[int, int], ...]
    arguments: dict[int, tuple[Any, ...]]
    truths: dict[int, int]
    built_in: tuple[int, ...]


COUNTS = Loop(compile("", LOOP, "exec"), (), (), {}, {}, ())
"""What stands for a loop that only counts its rows: C can do that."""


@lru_cache(maxsize=256)
def loop_for(plan: Plan) -> Loop | None:
    """The loop, or None where none of the functions can be built in."""
    try:
        return _Builder(plan).loop()
    except Exception:  # whatever it does not know is done step by step
        return None


def _name(name: str, *, store: bool = False) -> ast.expr:
    return ast.Name(name, ast.Store() if store else ast.Load(), **_OWN)


def _for(number: int, node: N) -> N:
    """A node of the loop's own that it has for one of the functions."""
    place: Any = node
    place.lineno = place.end_lineno = number + OWN_LINE + 1
    place.col_offset = place.end_col_offset = NO_INSTRUCTION
    return node


def _item(value: ast.expr, index: int, number: int) -> ast.expr:
    return _for(number, ast.Subscript(value, ast.Constant(index, **_OWN), ast.Load(), **_OWN))


def _pair(key: ast.expr, value: ast.expr) -> ast.expr:
    return ast.Tuple([key, value], ast.Load(), **_OWN)


class _Builder:
    """Statements of the loop, inside out; ``_value`` is the row as the steps so far have made it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._body: list[ast.stmt] = []
        self._block = self._body
        self._value: ast.expr = _name("row 0")
        self._count = 0
        self._free: dict[str, tuple[int, str, int]] = {}
        self._arguments: dict[int, tuple[Any, ...]] = {}
        self._truths: dict[int, int] = {}
        self._built_in: list[int] = []
        self._counts = False

    def loop(self) -> Loop | None:
        """Everything, compiled."""
        for number, part in enumerate(self._plan.parts):
            getattr(self, f"_add_{part.kind}")(number, part)
        getattr(self, f"_end_{self._plan.consumer}")()
        if self._counts:
            return COUNTS
        if not self._built_in:
            return None
        return self._compiled()

    # ── values ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _fresh(self) -> str:
        self._count += 1
        return f"row {self._count}"

    def _keep(self, value: ast.expr) -> ast.expr:
        """The value under a name of the loop's, or a constant; computed now if it was not yet."""
        if isinstance(value, ast.Constant) or (isinstance(value, ast.Name) and " " in value.id
                                               and value.id.startswith("row ")):
            return value
        name = self._fresh()
        self._block.append(ast.Assign([_name(name, store=True)], value, **_OWN))
        return _name(name)

    def _settle(self) -> ast.expr:
        """The row under one name."""
        self._value = self._keep(self._value)
        return self._value

    def _halves(self) -> tuple[ast.expr, ast.expr] | None:
        """The two values of a row that is a pair not made yet, each under a name; None for any other row."""
        value = self._value
        if not isinstance(value, ast.Tuple) or len(value.elts) != _PAIR:
            return None
        if any(isinstance(each, ast.Starred) for each in value.elts):
            return None
        key, content = self._keep(value.elts[0]), self._keep(value.elts[1])
        self._value = _pair(key, content)
        return key, content

    def _key_and_value(self, number: int) -> tuple[ast.expr, ast.expr]:
        """row[0] and row[1]."""
        halves = self._halves()
        if halves is not None:
            return halves
        row = self._settle()
        return self._keep(_item(row, 0, number)), self._keep(_item(row, 1, number))

    def _applied(self, number: int, part: Part, *given: ast.expr) -> ast.expr:
        """What a function gives for these values, each a name or a constant or a pair of such."""
        if part.adds:
            return ast.BinOp(given[0], ast.Add(), given[1], **_OWN)
        if part.item != CALL_ONLY:
            return _picked(self._variable(given[0]), part.item, number)
        expression = self._readable(part, len(given))
        if expression is None:
            made = [self._keep(each) for each in given]
            return _for(number, ast.Call(self._cell(number, "function", 0), made, [], **_OWN))
        self._built_in.append(number)
        variables = [self._variable(each) for each in given]
        self._arguments[number] = tuple(_recipe(each) for each in variables)
        return self._inlined(number, part, expression, variables)

    def _variable(self, value: ast.expr) -> ast.expr:
        """A variable for each constant: the compiler would warn of some that are asked for an item or called."""
        if isinstance(value, ast.Tuple):
            return _pair(*map(self._variable, value.elts))
        if not isinstance(value, ast.Constant):
            return value
        name = self._fresh()
        self._block.append(ast.Assign([_name(name, store=True)], value, **_OWN))
        return _name(name)

    def _readable(self, part: Part, given: int) -> Expression | None:
        code = part.code
        if code is None or code.co_argcount < given or code.co_argcount > given + part.defaults:
            return None
        expression = _read(code)
        if expression is None or part.file != self._file():
            return None
        names = (node for node in ast.walk(expression.body) if isinstance(node, ast.Name))
        if not part.at_home and any(_scope(name) == "global" for name in names):
            return None
        return expression

    def _file(self) -> str:
        return next(part.file for part in (*self._plan.parts, *self._plan.ends) if part.at_home)

    def _inlined(self, number: int, part: Part, expression: Expression, given: Sequence[ast.expr]) -> ast.expr:
        assert part.code is not None
        free = part.code.co_freevars
        values = dict(zip(expression.parameters, given, strict=False))

        def named(node: ast.Name) -> ast.expr:
            if _scope(node) == "free":
                return self._cell(number, "cell", free.index(node.id), node)
            if _scope(node) == "global":
                return node
            if node.id in values:
                return _moved(values[node.id], node)
            default = expression.parameters.index(node.id) - part.code.co_argcount  # type: ignore[union-attr]
            return self._cell(number, "default", default + part.defaults, node)

        return _Inliner(named, number).visit(_copied(expression.body))  # type: ignore[no-any-return]

    def _cell(self, number: int, what: str, index: int, place: Any = None) -> ast.expr:
        name = f"{what} {number} {index}"
        self._free[name] = (number, what, index)
        made = _name(name)
        return made if place is None else _moved(made, place)

    # ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _argument(self, number: int, part: Part) -> ast.expr:
        """The row for a function: the pair itself, not made, if the function only takes its items."""
        value = self._value
        pair = isinstance(value, ast.Tuple) and len(value.elts) == _PAIR
        if pair and (part.item in {0, 1} or self._only_items(part)):
            halves = self._halves()
            if halves is not None:
                return _pair(*halves)
        return self._settle()

    def _only_items(self, part: Part) -> bool:
        expression = self._readable(part, 1)
        return expression is not None and _takes_only_items(expression)

    def _add_map(self, number: int, part: Part) -> None:
        self._value = self._applied(number, part, self._argument(number, part))

    def _add_filter(self, number: int, part: Part) -> None:
        row = self._argument(number, part)
        test = self._applied(number, part, row)
        if number in self._built_in and isinstance(test, ast.Compare) and len(test.ops) == 1:
            self._truths[number] = test.col_offset
        else:
            test = _for(number, _moved(self._keep(test), test))
        inner = _for(number, ast.If(test, [], [], **_OWN))
        self._block.append(inner)
        self._block = inner.body

    def _add_key_by(self, number: int, part: Part) -> None:
        row = self._settle()
        self._value = _pair(self._applied(number, part, row), row)

    def _add_map_values(self, number: int, part: Part) -> None:
        key, value = self._key_and_value(number)
        self._value = _pair(key, self._applied(number, part, value))

    # ── consumers ────────────────────────────────────────────────────────────────────────────────────────────────

    def _end_rows(self) -> None:
        """Yield them."""
        self._block.append(ast.Expr(ast.Yield(self._value, **_OWN), **_OWN))

    def _end_reduced(self) -> None:
        """One function over all of them; ``held`` is what came of those before, or nothing."""
        number, part = len(self._plan.parts), self._plan.ends[0]
        value = self._settle()
        held = _name("row held")
        merged = ast.Assign([_name("row held", store=True)], self._applied(number, part, held, value), **_OWN)
        first = ast.Assign([_name("row held", store=True)], value, **_OWN)
        none_yet = ast.Compare(held, [ast.Is()], [self._cell(0, "nothing", 0)], **_OWN)
        self._block.append(ast.If(none_yet, [first], [merged], **_OWN))

    def _end_groups(self) -> None:
        """A dictionary with a value for each key, made by the first function, grown by the second."""
        key, value = self._unpacked()
        self._counts = self._only_counts(key, value)
        groups = _name("groups")
        merge = len(self._plan.parts) + 1
        outside = self._block
        held = self._fresh()
        known: list[ast.stmt] = []
        new: list[ast.stmt] = []
        self._block = known
        place: ast.expr = ast.Subscript(groups, key, ast.Store(), **_OWN)
        known.append(ast.Assign([_name(held, store=True)], ast.Subscript(groups, key, ast.Load(), **_OWN), **_OWN))
        merged = self._applied(merge, self._plan.ends[1], _name(held), value)
        known.append(ast.Assign([place], merged, **_OWN))
        self._block = new
        new.append(ast.Assign([place], self._created(merge - 1, value), **_OWN))
        seen = ast.Compare(key, [ast.In()], [groups], **_OWN)
        outside.append(ast.If(seen, known, new, **_OWN))

    def _only_counts(self, key: ast.expr, value: ast.expr) -> bool:
        """Whether it is the rows themselves that are counted: the groups are sums of ones."""
        create, merge = self._plan.ends
        is_one = isinstance(value, ast.Constant) and type(value.value) is int and value.value == 1
        of_rows = isinstance(key, ast.Name) and key.id == "row 0" and not self._body
        return of_rows and is_one and create.kind == "identity" and (merge.adds or _is_sum(merge))

    def _created(self, number: int, value: ast.expr) -> ast.expr:
        part = self._plan.ends[0]
        return value if part.kind == "identity" else self._applied(number, part, value)

    def _end_lists(self) -> None:
        """A dictionary that makes lists, with the values of each key."""
        key, value = self._unpacked()
        group = ast.Subscript(_name("groups"), key, ast.Load(), **_OWN)
        append = ast.Call(ast.Attribute(group, "append", ast.Load(), **_OWN), [value], [], **_OWN)
        self._block.append(ast.Expr(append, **_OWN))

    def _unpacked(self) -> tuple[ast.expr, ast.expr]:
        halves = self._halves()
        if halves is not None:
            return halves
        key, value = self._fresh(), self._fresh()
        both = ast.Tuple([_name(key, store=True), _name(value, store=True)], ast.Store(), **_OWN)
        self._block.append(ast.Assign([both], self._value, **_OWN))
        return _name(key), _name(value)

    # ── code ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _compiled(self) -> Loop:
        code = self._code()
        needs = tuple(self._free[name] for name in code.co_freevars)
        origins = tuple((line or OWN_LINE, column or 0) for line, _, column, _ in _starts(code))
        codes = [part.code for part in (*self._plan.parts, *self._plan.ends)]
        main = next(part for part in (*self._plan.parts, *self._plan.ends) if part.at_home)
        assert main.code is not None
        first = main.code.co_firstlineno
        tables = {number: list(each.co_positions()) for number, each in enumerate(codes) if each is not None}
        own = (first, first, None, None)
        positions = [own if line == OWN_LINE or column == NO_INSTRUCTION else tables[line - OWN_LINE - 1][column]
                     for line, column in origins]
        code = code.replace(
            co_filename=main.file, co_name=main.code.co_name, co_qualname=LOOP, co_firstlineno=first,
            co_linetable=encode_positions(positions, first), co_freevars=tuple(map(self._true_name, code.co_freevars)),
        )  # fmt: skip
        numbered = tuple((line - OWN_LINE - 1, -1 if column == NO_INSTRUCTION else column) for line, column in origins)
        return Loop(code, needs, numbered, self._arguments, self._truths, tuple(self._built_in))

    def _true_name(self, name: str) -> str:
        """A captured name as the user wrote it, for the error of one that is not there."""
        number, what, index = self._free[name]
        code = (*self._plan.parts, *self._plan.ends)[number].code if what == "cell" else None
        return name if code is None else code.co_freevars[index]

    def _code(self) -> CodeType:
        returns = {"reduced": "row held"}.get(self._plan.consumer)
        given = {"rows": ["rows"], "reduced": ["rows", "row held"]}.get(self._plan.consumer, ["groups", "rows"])
        for name in ("mend", "StopIteration", "BaseException"):
            self._free[f"own {name}"] = (0, name, 0)
        loop = ast.For(_name("row 0", store=True), _name("rows"), self._body, [], **_OWN)
        caught = ast.Assign([_name("own stop", store=True)],
                            ast.Call(_name("own mend"), [_name("own error")], [], **_OWN), **_OWN)
        end = ast.Return(_name(returns) if returns else None, **_OWN)
        mended = ast.Expr(ast.Call(_name("own mend"), [_name("own error")], [], **_OWN), **_OWN)
        handlers = [
            ast.ExceptHandler(_name("own StopIteration"), "own error", [caught], **_OWN),
            ast.ExceptHandler(_name("own BaseException"), "own error", [mended, ast.Raise(None, None, **_OWN)], **_OWN),
        ]
        tried = ast.Try([loop], handlers, [end], [], **_OWN)
        inner = _function("loop", given, [tried, ast.Raise(_name("own stop"), None, **_OWN)])
        module = ast.Module([_function("outer", sorted(self._free), [inner])], [])
        if sum(1 for _ in ast.walk(module)) > _MAX_NODES:
            raise ValueError("too long")
        made = compile(module, LOOP, "exec", dont_inherit=True)
        outer = next(each for each in made.co_consts if isinstance(each, CodeType))
        return next(each for each in outer.co_consts if isinstance(each, CodeType))


def _function(name: str, given: Sequence[str], body: list[ast.stmt]) -> ast.FunctionDef:
    arguments = ast.arguments([], [ast.arg(each, **_OWN) for each in given], None, [], [], None, [])
    made = ast.FunctionDef(name, arguments, body, [], None, **_OWN)
    if "type_params" in ast.FunctionDef._fields:
        made.type_params = []  # type: ignore[attr-defined]
    return made


def _starts(code: CodeType) -> list[tuple[int | None, int | None, int | None, int | None]]:
    return list(code.co_positions())


@lru_cache(maxsize=256)
def _read(code: CodeType) -> Expression | None:
    return read(code)


def _is_sum(part: Part) -> bool:
    """Whether a function of two arguments is their sum."""
    made = None if part.code is None or part.code.co_argcount != _PAIR else _read(part.code)
    if made is None or not isinstance(made.body, ast.BinOp) or not isinstance(made.body.op, ast.Add):
        return False
    return [getattr(side, "id", "") for side in (made.body.left, made.body.right)] == [*made.parameters]


def _scope(node: ast.Name) -> str:
    return getattr(node, "scope", "local")


def _copied(node: Any) -> Any:
    """A copy of a tree, with the names' scopes."""
    from copy import deepcopy

    return deepcopy(node)


def _moved(node: ast.expr, place: ast.expr) -> ast.expr:
    """A copy of a name, a constant or a pair of them at another place."""
    made = _copied(node)
    for each in ast.walk(made):
        if isinstance(each, ast.expr):
            each.lineno, each.end_lineno = place.lineno, place.end_lineno
            each.col_offset, each.end_col_offset = place.col_offset, place.end_col_offset
    return made  # type: ignore[no-any-return]


def _picked(value: ast.expr, item: int, number: int) -> ast.expr:
    if isinstance(value, ast.Tuple) and 0 <= item < len(value.elts):
        return value.elts[item]
    return _item(value, item, number)


def _takes_only_items(expression: Expression) -> bool:
    """Whether the only use of the parameter is to take its items 0 and 1."""
    parameter = expression.parameters[0]
    uses = taken = 0
    for node in ast.walk(expression.body):
        if isinstance(node, ast.Name) and node.id == parameter and _scope(node) == "local":
            uses += 1
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == parameter:
            index = node.slice
            taken += isinstance(index, ast.Constant) and type(index.value) is int and index.value in {0, 1}
    return uses == taken


class _Inliner(ast.NodeTransformer):
    """Gives names what they stand for, takes items of pairs that are not made, and marks each node's origin."""

    def __init__(self, named: Any, number: int) -> None:
        self._named = named
        self._line = number + OWN_LINE + 1

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Every node: its line is the number of its function."""
        place: Any = node
        if hasattr(node, "lineno"):
            place.lineno = place.end_lineno = self._line
        return super().generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """What it stands for."""
        node.lineno = node.end_lineno = self._line
        made: ast.expr = self._named(node)
        return made

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """An item of a pair is the value itself."""
        of_row = isinstance(node.value, ast.Name) and _scope(node.value) == "local"
        made = self.generic_visit(node)
        if of_row and isinstance(node.value, ast.Tuple):
            assert isinstance(node.slice, ast.Constant)
            assert isinstance(node.slice.value, int)
            return node.value.elts[node.slice.value]
        return made


def _recipe(value: ast.expr) -> Any:
    """How the argument is made again of the loop's variables."""
    if isinstance(value, ast.Tuple):
        return ("pair", *map(_recipe, value.elts))
    assert isinstance(value, ast.Name)
    return ("name", value.id)
