"""Runs of steps as loops, with the users' functions in them, where that does the same.

Small functions are built into a loop (see fused_loop), where a call would have cost more than the function does. What
is seen is the same: row by row through all steps, lazily, the same errors, and the rows behind an error for who goes
on. An error that a function raises in the loop gets the frame that the function would have had: the traceback, the
step that failed and the element are found as ever. Where somebody watches calls (a profiler, a debugger) they are made.

A loop has the steps up to one that makes several rows of one; the next begins with its elements. Only where rows are
folded into groups one loop may be inside the other (see nested_loops). A partition's first rows go through the steps
one by one; only what is long enough to pay for it gets loops.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from itertools import chain, islice
from operator import add, itemgetter, length_hint
from types import CellType, CodeType, FunctionType, TracebackType
from typing import TYPE_CHECKING, Any

from simspark.publib.lineage.steps import (
    FLAT,
    LOOP,
    Filter,
    FlatMap,
    FlatMapValues,
    KeyBy,
    Map,
    MapValues,
    Step,
    StepRows,
    fused_after,
    guarded,
    note_end,
    one_by_one,
    resumed,
    rows_lost,
    segments,
)

if TYPE_CHECKING:
    from simspark.publib.lineage.fused_loop import Loop
    from simspark.publib.lineage.loop_block import Part

MAX_STEPS = 24
_KINDS: dict[type, str] = {Map: "map", Filter: "filter", KeyBy: "key_by", MapValues: "map_values",
                           FlatMap: "flat_map", FlatMapValues: "flat_map_values"}
_BUILTINS: dict[str, Any] = {each.__name__: each for each in (
    list, tuple, type, len, KeyError, StopIteration, BaseException)}
_KNOWN_LENGTH: tuple[type, ...] = (type(iter([])), type(iter(range(0))), type(iter(())))
_NOTHING = object()


def in_loops(steps: Sequence[Step], rows: Iterator[Any], after_rows: int) -> Iterator[Any]:
    """The rows after row-by-row steps: the first so many one by one, the others in loops."""
    source = iter(rows)
    if type(source) in _KNOWN_LENGTH and length_hint(source) < after_rows:
        return one_by_one(steps, source)
    return chain.from_iterable(_in_two_parts(steps, source, after_rows))


def _in_two_parts(steps: Sequence[Step], source: Iterator[Any], after_rows: int) -> Iterator[Iterator[Any]]:
    ended: list[bool] = []
    noted: Iterator[Any] = chain(source, note_end(ended))
    if after_rows:
        yield one_by_one(steps, islice(noted, after_rows))
    if not ended:
        for segment in segments(steps):
            noted = in_loop(segment, noted)
        yield noted


def in_loop(segment: Sequence[Step], rows: Iterator[Any]) -> Iterator[Any]:
    """The rows after the steps of one segment."""
    looped = _looped(segment)
    loop = row_loop(looped) if looped else None
    if loop is None:
        return one_by_one(segment, rows)
    rows = resumed(loop, rows)
    if isinstance(segment[-1], FlatMap):
        return guarded(chain.from_iterable, rows, _row_wise_run(segment, len(segment) - 1))
    return one_by_one(segment[-1:], rows) if isinstance(segment[-1], FlatMapValues) else rows


def _looped(segment: Sequence[Step]) -> Sequence[Step]:
    """What of a segment may be one loop. A flatMap behind other steps is in it: what it gives is flattened then."""
    *others, last = segment
    if isinstance(last, FlatMap):
        return [*others, Map(last.function, last.label, last.site)] if others else ()
    return others if isinstance(last, FlatMapValues) else segment


def loops(steps: Sequence[Step]) -> list[range]:
    """Which of these row-by-row steps become loops with functions in them."""
    found, start = [], 0
    for segment in segments(steps):
        looped = _looped(segment)
        if looped and row_loop(looped) is not None:
            found.append(range(start, start + len(looped)))
        start += len(segment)
    return found


def reduced(function: Callable[[Any, Any], Any], rows: Iterator[Any], *start: Any) -> list[Any]:
    """What functools.reduce makes of the rows and a start, if there is one: a list, empty where there is nothing."""
    held = start[0] if start else _NOTHING
    after_rows = fused_after(rows.task) if type(rows) is StepRows else -1
    if after_rows < 0 or not isinstance(rows, StepRows):
        return _reduced(function, iter(rows), held)
    source, steps = rows.split()
    ended: list[bool] = []
    noted = chain(source, note_end(ended))
    for value in _reduced(function, one_by_one(steps, islice(noted, after_rows)), held):
        held = value
    loop = None if ended else reducing_loop(steps, function)
    if loop is None:
        return _reduced(function, one_by_one(steps, noted), held)
    held = loop(noted, held)
    return [] if held is _NOTHING else [held]


def _reduced(function: Callable[[Any, Any], Any], rows: Iterator[Any], held: Any) -> list[Any]:
    for first in rows if held is _NOTHING else (held,):
        return [reduce(function, rows, first)]
    return []


def row_loop(steps: Sequence[Step]) -> Callable[[Iterator[Any]], Iterator[Any]] | None:
    """A function that takes rows and yields them after the steps; None if it would not be faster or not the same."""
    return _bound(steps, "rows")


def reducing_loop(steps: Sequence[Step], function: Any) -> Callable[[Iterator[Any], Any], Any] | None:
    """A function that takes rows and what was reduced so far (``nothing`` at first), and gives what they come to."""
    return _bound(steps, "reduced", (function,))


def grouping_loop(steps: Sequence[Step], create: Any, merge: Any,
                  few_are_new: bool = False) -> Callable[..., Any] | None:
    """A function that adds to a dictionary the (key, value) rows that come of its rows.

    A key's first value goes through ``create``, which is None where the value itself is what is kept. With
    ``few_are_new`` it is quick with keys that are there, and slow with others. Where steps make several rows of one
    it takes, as its third argument, for how many of those there is room. It ends behind the row that goes beyond
    that, and gives what is left.
    """
    return _bound(steps, "known_groups" if few_are_new else "groups", (create, merge))


def listing_loop(steps: Sequence[Step]) -> Callable[..., Any] | None:
    """The same for a dictionary that makes lists."""
    return _bound(steps, "lists")


def columns_loop(steps: Sequence[Step]) -> Callable[[list[Any], list[Any], Iterator[Any]], None] | None:
    """A function that adds the keys and the values of the rows that come of its rows to two lists.

    None also where the rows are made in any other way than as a display of two.
    """
    return _bound(steps, "columns")


# ── from steps to a loop ─────────────────────────────────────────────────────────────────────────────────────────


def _bound(steps: Sequence[Step], consumer: str, ends: Sequence[Any] = ()) -> Callable[..., Any] | None:
    """The loop with these very functions and what they captured."""
    functions = [*(step.function for step in steps), *ends]
    main = _main(functions)
    if main is None or len(steps) > MAX_STEPS or not all(callable(step.function) for step in steps):
        return None
    from simspark.publib.lineage.fused_loop import COUNTS, loop_for
    from simspark.publib.lineage.loop_block import Plan

    parts = [_part(_KINDS[type(step)], step.function, main) for step in steps]
    plan = Plan(tuple(parts), consumer, tuple(_part("identity" if each is None else "end", each, main)
                                              for each in ends))
    loop = loop_for(plan)
    if loop is COUNTS:
        return vars(collections).get("_count_elements")
    return None if loop is None else _function(loop, steps, functions, main)


def _main(functions: Sequence[Any]) -> FunctionType | None:
    """The function whose globals and file the loop has: the first that users wrote."""
    return next((each for each in functions if type(each) is FunctionType
                 and not (each.__module__ or "").startswith("simspark.")), None)


def _part(kind: str, function: Any, main: FunctionType) -> Part:
    from simspark.publib.lineage.loop_block import CALL_ONLY, Part

    if type(function) is FunctionType and not function.__kwdefaults__:
        code = function.__code__
        at_home = (function.__globals__ is main.__globals__ and function.__builtins__ is main.__builtins__  # type: ignore[attr-defined, unused-ignore]
                   and code.co_filename == main.__code__.co_filename)
        return Part(kind, code, code.co_filename, len(function.__defaults__ or ()), at_home)
    if type(function) is itemgetter and kind == "map":
        items = function.__reduce__()[1]
        return Part(kind, item=items[0] if len(items) == 1 and type(items[0]) is int else CALL_ONLY)
    return Part(kind, adds=function is add and kind == "end")


def _function(loop: Loop, steps: Sequence[Step], functions: Sequence[Any],
              main: FunctionType) -> Callable[..., Any] | None:
    mend = partial(_mend, loop, steps, functions)
    own = {"mend": mend, "nothing": _NOTHING, **_BUILTINS}
    cells = []
    for number, what, index in loop.needs:
        function: Any = functions[number] if number < len(functions) else None
        if what == "cell":
            cells.append(function.__closure__[index])
        elif what == "default":
            cells.append(CellType(function.__defaults__[index]))
        else:
            cells.append(CellType(function if what == "function" else own[what]))
    made = FunctionType(loop.code, main.__globals__, main.__name__, None, tuple(cells))
    return made if made.__builtins__ is main.__builtins__ else None  # type: ignore[attr-defined, unused-ignore]


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _mend(loop: Loop, steps: Sequence[Step], functions: Sequence[Any], error: BaseException) -> BaseException:
    """Give the error the frame of the function that raised it; of StopIteration, what is raised in its place."""
    trace = error.__traceback__
    number, instruction = (-1, 0) if trace is None else loop.origins[trace.tb_lasti // 2]
    if trace is not None and _is_inside(loop, number, instruction, trace.tb_lasti):
        _insert_frame(loop, functions[number], number, instruction, error, trace)
    if isinstance(error, StopIteration):
        return _instead(steps, number, error)
    return error


def _is_inside(loop: Loop, number: int, instruction: int, offset: int) -> bool:
    """Whether it happened in a function, and not in what the loop does with what a function gave."""
    if number < 0 or instruction < 0:
        return False
    if loop.truths.get(number) != instruction:
        return True
    from opcode import opname

    name = opname[loop.code.co_code[offset]]
    return "JUMP" not in name and name != "TO_BOOL"  # the filter asked for the truth of the comparison


def _insert_frame(loop: Loop, function: FunctionType, number: int, instruction: int, error: BaseException,
                  trace: TracebackType) -> None:
    held = trace.tb_frame.f_locals
    recipes = [recipes for behind, recipes in loop.arguments[number] if behind <= instruction][-1]
    given = [_made(recipe, held) for recipe in recipes]
    try:
        FunctionType(_double(function.__code__, len(given), instruction), function.__globals__)(*given)
    except ZeroDivisionError as failed:
        inner = failed.__traceback__.tb_next if failed.__traceback__ is not None else None
    if inner is not None:
        entry = TracebackType(trace.tb_next, inner.tb_frame, inner.tb_lasti, inner.tb_lineno)
        error.__traceback__ = TracebackType(entry, trace.tb_frame, trace.tb_lasti, trace.tb_lineno)


def _double(code: CodeType, given: int, instruction: int) -> CodeType:
    """Code that fails where an instruction of other code is, with its names; see steps.code_of."""
    from simspark.publib.lineage.line_table import encode_positions

    body = (_fail_one if given == 1 else _fail_two).__code__
    position = next(islice(code.co_positions(), instruction, None))
    positions = [position] * (len(body.co_code) // 2)
    return body.replace(
        co_name=code.co_name, co_qualname=code.co_qualname, co_filename=code.co_filename,
        co_firstlineno=code.co_firstlineno, co_linetable=encode_positions(positions, code.co_firstlineno),
        co_varnames=code.co_varnames[:given], co_consts=(*body.co_consts, LOOP, code),
    )  # fmt: skip


def _fail_one(_: Any) -> float:
    return 1 / 0


def _fail_two(_: Any, __: Any) -> float:
    return 1 / 0


def _made(recipe: Any, held: Any) -> Any:
    kind, *values = recipe
    return tuple(_made(value, held) for value in values) if kind == "pair" else held[values[0]]


def _instead(steps: Sequence[Step], number: int, error: StopIteration) -> BaseException:
    """What the steps would have raised, one by one, for a StopIteration."""
    if not 0 <= number < len(steps):
        return error
    if steps[number].row_wise:
        return rows_lost(_row_wise_run(steps, number))
    made = RuntimeError("generator raised StopIteration")
    made.__cause__ = made.__context__ = error
    return made


def _row_wise_run(steps: Sequence[Step], number: int) -> Sequence[Step]:
    """The run of row-wise steps that a step is in; one that makes several rows of one is the last of its run."""
    first, last = number, number + 1
    while first and steps[first - 1].row_wise and not isinstance(steps[first - 1], FLAT):
        first -= 1
    while last < len(steps) and steps[last].row_wise and not isinstance(steps[last - 1], FLAT):
        last += 1
    return steps[first:last]
