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
from typing import Any

from simspark.publib.lineage.comprehension_reader import inner_codes
from simspark.publib.lineage.line_table import Position, encode_positions
from simspark.publib.lineage.loop_block import Arguments, Part, Plan, read_code
from simspark.publib.lineage.loop_nodes import (
    NEST_LINES,
    NO_INSTRUCTION,
    OWN,
    OWN_LINE,
    PAIR,
    for_function,
    function_node,
    moved,
    named,
    pair_of,
)
from simspark.publib.lineage.nested_loops import ROOM, NestedLoops
from simspark.publib.lineage.operations import ASKS_WHILE_IT_COMPARES
from simspark.publib.lineage.steps import LOOP
from simspark.publib.named_tuple import NamedTuple

_MAX_NODES = 2000
ROWS, GROUPS, KEYS, VALUES = "all rows", "all groups", "all keys", "all values"


class Loop(NamedTuple):
    """Code for a plan. ``needs`` says what each of its cells is: the number of a function and what of it."""

    code: CodeType
    needs: tuple[tuple[int, str, int], ...]
    origins: tuple[tuple[int, int], ...]
    arguments: dict[int, list[Arguments]]
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


class _Builder(NestedLoops):
    """Steps and consumers on a block, and the loop that is made of it."""

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

    # ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _add_map(self, number: int, part: Part) -> None:
        self._value = self._applied(number, part, self._argument(number, part))

    def _add_filter(self, number: int, part: Part) -> None:
        row = self._argument(number, part)
        test = self._applied(number, part, row)
        compares = number in self._built_in and isinstance(test, ast.Compare) and len(test.ops) == 1
        if compares and not ASKS_WHILE_IT_COMPARES:
            self._truths[number] = test.col_offset
        else:
            test = for_function(number, moved(self._keep(test), test))
        inner = for_function(number, ast.If(test, [], [], **OWN))
        self._block.append(inner)
        self._block = inner.body

    def _add_key_by(self, number: int, part: Part) -> None:
        row = self._settle()
        self._value = pair_of(self._applied(number, part, row), row)

    def _add_map_values(self, number: int, part: Part) -> None:
        key, value = self._key_and_value(number)
        self._value = pair_of(key, self._applied(number, part, value))

    # ── consumers ────────────────────────────────────────────────────────────────────────────────────────────────

    def _end_rows(self) -> None:
        """Yield them."""
        self._block.append(ast.Expr(ast.Yield(self._value, **OWN), **OWN))

    def _end_reduced(self) -> None:
        """One function over all of them; ``held`` is what came of those before, or nothing."""
        number, part = len(self._plan.parts), self._plan.ends[0]
        value = self._settle()
        held = named("row held")
        outside = self._block
        merged: list[ast.stmt] = []
        self._block = merged
        merged.append(ast.Assign([named("row held", store=True)], self._applied(number, part, held, value), **OWN))
        first = ast.Assign([named("row held", store=True)], value, **OWN)
        none_yet = ast.Compare(held, [ast.Is()], [self.cell(0, "nothing", 0)], **OWN)
        outside.append(ast.If(none_yet, [first], merged, **OWN))

    def _end_groups(self) -> None:
        """A dictionary with a value for each key, made by the first function, grown by the second."""
        key, _, look, known, new = self._grown()
        seen = ast.Compare(key, [ast.In()], [named(GROUPS)], **OWN)
        self._block.append(ast.If(seen, [look, *known], new, **OWN))

    def _end_known_groups(self) -> None:
        """The same, where few keys are new: each is looked up once less, and one that is new costs an error."""
        _, held, look, known, new = self._grown()
        nothing = self.cell(0, "nothing", 0)
        missing = ast.ExceptHandler(self.cell(0, "KeyError", 0), None,
                                    [ast.Assign([named(held, store=True)], nothing, **OWN)], **OWN)
        is_new = ast.Compare(named(held), [ast.Is()], [nothing], **OWN)
        self._block += [ast.Try([look], [missing], [], [], **OWN), ast.If(is_new, new, known, **OWN)]

    def _grown(self) -> tuple[ast.expr, str, ast.stmt, list[ast.stmt], list[ast.stmt]]:
        """The key, a name for its group, how that is got, what is done with it, and what where there is none."""
        key, value = self._unpacked()
        self._counts = self._only_counts(key, value)
        held, groups = self.fresh(), named(GROUPS)
        merge = len(self._plan.parts) + 1
        outside = self._block
        place: ast.expr = ast.Subscript(groups, key, ast.Store(), **OWN)
        look = ast.Assign([named(held, store=True)], ast.Subscript(groups, key, ast.Load(), **OWN), **OWN)
        known: list[ast.stmt] = []
        new: list[ast.stmt] = []
        self._block = known
        merged = self._applied(merge, self._plan.ends[1], named(held), value)
        known.append(ast.Assign([place], merged, **OWN))
        self._block = new
        new.append(ast.Assign([place], self._created(merge - 1, value), **OWN))
        self._block = outside
        return key, held, look, known, new

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
        self._append_to(ast.Subscript(named(GROUPS), key, ast.Load(), **OWN), value)

    def _end_columns(self) -> None:
        """A list of the keys, and one of the values, of pairs that need not be made."""
        halves = self._halves()
        if halves is None:
            raise ValueError("no pairs")
        for name, half in zip((KEYS, VALUES), halves, strict=True):
            self._append_to(named(name), half)

    def _append_to(self, held: ast.expr, value: ast.expr) -> None:
        append = ast.Call(ast.Attribute(held, "append", ast.Load(), **OWN), [value], [], **OWN)
        self._block.append(ast.Expr(append, **OWN))

    def _unpacked(self) -> tuple[ast.expr, ast.expr]:
        halves = self._halves()
        if halves is not None:
            return halves
        key, value = self.fresh(), self.fresh()
        both = ast.Tuple([named(key, store=True), named(value, store=True)], ast.Store(), **OWN)
        self._block.append(ast.Assign([both], self._value, **OWN))
        return named(key), named(value)

    # ── code ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _compiled(self) -> Loop:
        code = self._code()
        codes = [part.code for part in (*self._plan.parts, *self._plan.ends)]
        main = next(part for part in (*self._plan.parts, *self._plan.ends) if part.at_home)
        assert main.code is not None
        first = main.code.co_firstlineno
        inner = (each for each in code.co_consts if isinstance(each, CodeType))
        made = code.replace(
            co_filename=main.file, co_name=main.code.co_name, co_qualname=LOOP, co_firstlineno=first,
            co_linetable=encode_positions(_positions(code, codes, (first, first, None, None)), first),
            co_freevars=tuple(map(self._true_name, code.co_freevars)),
            co_consts=_replaced(code.co_consts, {each: self._comprehension(each, codes) for each in inner}),
        )  # fmt: skip
        needs = tuple(self._free[name] for name in code.co_freevars)
        places = [_origin(line or OWN_LINE, column or 0) for line, _, column, _ in code.co_positions()]
        origins = tuple((number, -1 if nest else column) for number, nest, column in places)
        return Loop(made, needs, origins, self._arguments, self._truths, tuple(self._built_in))

    def _comprehension(self, code: CodeType, codes: Sequence[CodeType | None]) -> CodeType:
        """The code of a comprehension, with the name and the lines of the one that it stands for."""
        places = (_origin(line or OWN_LINE, column or 0) for line, _, column, _ in code.co_positions())
        number, nest, _ = next(place for place in places if place[1])
        function = codes[number]
        assert function is not None
        theirs = inner_codes(function)[nest]
        own = (theirs.co_firstlineno, theirs.co_firstlineno, None, None)
        return code.replace(
            co_filename=theirs.co_filename, co_name=theirs.co_name, co_qualname=theirs.co_qualname,
            co_firstlineno=theirs.co_firstlineno, co_freevars=tuple(map(self._true_name, code.co_freevars)),
            co_linetable=encode_positions(_positions(code, codes, own), theirs.co_firstlineno),
        )  # fmt: skip

    def _true_name(self, name: str) -> str:
        """A captured name as the user wrote it, for the error of one that is not there."""
        number, what, index = self._free.get(name, (0, "variable", 0))
        code = (*self._plan.parts, *self._plan.ends)[number].code if what == "cell" else None
        return name if code is None else code.co_freevars[index]

    def _code(self) -> CodeType:
        returns = "row held" if self._plan.consumer == "reduced" else ROOM if self.has_room else ""
        given = {"rows": [ROWS], "reduced": [ROWS, "row held"], "columns": [KEYS, VALUES, ROWS]}.get(
            self._plan.consumer, [GROUPS, ROWS])
        if self.has_room:
            given.append(ROOM)
            no_more = ast.Compare(named(ROOM), [ast.Lt()], [ast.Constant(0, **OWN)], **OWN)
            self._body.append(ast.If(no_more, [ast.Break(**OWN)], [], **OWN))
        for name in ("mend", "StopIteration", "BaseException"):
            self._free[f"own {name}"] = (0, name, 0)
        loop = ast.For(named("row 0", store=True), named(ROWS), self._body, [], **OWN)
        caught = ast.Assign([named("own stop", store=True)],
                            ast.Call(named("own mend"), [named("own error")], [], **OWN), **OWN)
        end = ast.Return(named(returns) if returns else None, **OWN)
        mended = ast.Expr(ast.Call(named("own mend"), [named("own error")], [], **OWN), **OWN)
        handlers = [
            ast.ExceptHandler(named("own StopIteration"), "own error", [caught], **OWN),
            ast.ExceptHandler(named("own BaseException"), "own error", [mended, ast.Raise(None, None, **OWN)], **OWN),
        ]
        tried = ast.Try([loop], handlers, [end], [], **OWN)
        inner = function_node("loop", given, [tried, ast.Raise(named("own stop"), None, **OWN)])
        module = ast.Module([function_node("outer", sorted(self._free), [inner])], [])
        if sum(1 for _ in ast.walk(module)) > _MAX_NODES:
            raise ValueError("too long")
        made = compile(module, LOOP, "exec", dont_inherit=True)
        outer = next(each for each in made.co_consts if isinstance(each, CodeType))
        return next(each for each in outer.co_consts if isinstance(each, CodeType))


def _origin(line: int, column: int) -> tuple[int, int, int]:
    """Which function an instruction is of, what of its codes (see inner_codes), and the instruction there, or -1."""
    nest, number = divmod(line - OWN_LINE - 1, NEST_LINES) if line > OWN_LINE else (0, -1)
    return number, nest, -1 if column == NO_INSTRUCTION else column


def _positions(code: CodeType, codes: Sequence[CodeType | None], own: Position) -> list[Position]:
    """Where the instructions of a loop are in the user's file."""
    tables: dict[tuple[int, int], list[Position]] = {}
    positions = []
    for line, _, column, _ in code.co_positions():
        number, nest, instruction = _origin(line or OWN_LINE, column or 0)
        function = codes[number] if number >= 0 else None
        if function is None or instruction < 0:
            positions.append(own)
            continue
        if (number, nest) not in tables:
            tables[number, nest] = list(inner_codes(function)[nest].co_positions())
        positions.append(tables[number, nest][instruction])
    return positions


def _replaced(constants: Sequence[Any], by: dict[CodeType, CodeType]) -> tuple[Any, ...]:
    return tuple(by[each] if isinstance(each, CodeType) else each for each in constants)


def _is_sum(part: Part) -> bool:
    """Whether a function of two arguments is their sum."""
    made = None if part.code is None or part.code.co_argcount != PAIR else read_code(part.code)
    if made is None or made.statements or not isinstance(made.body, ast.BinOp) or not isinstance(made.body.op, ast.Add):
        return False
    return [getattr(side, "id", "") for side in (made.body.left, made.body.right)] == [*made.parameters]
