"""Steps that make several rows of one, as a loop in the loop.

Only where the function returns a list or a tuple that is made there: a display, or a list comprehension. All its
elements are there before the first of them goes on, as ever, since what comes behind may see the difference. But what
an element only holds, names and constants, needs not be put into it: of ``[(word.lower(), rank) for word in words]``
a list of the words is made, and of ``[(word, rank) for word in words]`` a copy of ``words``.

A loop that grows groups has ``room`` for a number of elements. When it has used that up it ends behind a row, so that
whoever watches over memory can look at the groups: as many rows may be more elements than expected.
"""

from __future__ import annotations

import ast
from typing import Any

from simspark.publib.lineage.inlining import Inlined
from simspark.publib.lineage.loop_block import LoopBlock, Part
from simspark.publib.lineage.loop_nodes import OWN, copied, item_of, moved, named, names_in, pair_of, scope_of

ROOM = "row room"
_HELD = (ast.Name, ast.Constant, ast.Tuple, ast.expr_context)


class NotNested(Exception):
    """The elements cannot come in a loop of their own."""


class NestedLoops(LoopBlock):
    """A block with loops in it. ``has_room``: it counts the elements."""

    has_room = False

    def _add_flat_map(self, number: int, part: Part) -> None:
        self._value = self._each_of(number, part, self._argument(number, part))

    def _add_flat_map_values(self, number: int, part: Part) -> None:
        halves = self._halves()
        if halves is not None:
            self._value = pair_of(halves[0], self._each_of(number, part, halves[1]))
            return
        row = self._settle()
        element = self._each_of(number, part, self._keep(item_of(row, 1, number)))
        self._value = pair_of(self._keep(item_of(row, 0, number)), element)

    def _each_of(self, number: int, part: Part, given: ast.expr) -> ast.expr:
        """An element of what the function gives; from here on, all that happens happens to each of them."""
        expression = self.readable(part, 1)
        if expression is None or not all(map(_is_made, expression.returned or [expression.body])):
            raise NotNested
        self._built_in.append(number)
        function = Inlined(self, number, part, expression, [self._variable(given)])
        item = self.fresh()
        element: ast.expr = named(item)
        if expression.returned:
            return self._for_each(function, self._keep(function.result()), item, element)
        function.enter()
        if isinstance(expression.body, ast.ListComp):
            items, element = self._comprehended(function, expression.body, item)
        else:
            items = self._keep(function.visit(expression.body))
        return self._for_each(function, items, item, element)

    def _for_each(self, function: Inlined, items: ast.expr, item: str, element: ast.expr) -> ast.expr:
        """Go through the items, with what the function held besides let go before that, the rest after it."""
        if self._plan.consumer in {"groups", "known_groups", "lists"}:
            self.has_room = True
            used = ast.Call(self.cell(0, "len", 0), [items], [], **OWN)
            self._block.append(ast.AugAssign(named(ROOM, store=True), ast.Sub(), used, **OWN))
        held = [*function.forget_but(element), item]
        loop = ast.For(named(item, store=True), items, [], [], **OWN)
        self._block.append(loop)
        self.forget([*held, *(name.id for name in names_in(items))])
        self._block = loop.body
        return element

    def _comprehended(self, function: Inlined, made: ast.ListComp, item: str) -> tuple[ast.expr, ast.expr]:
        """The list to go through, and an element in terms of its items."""
        clause, element, made = made.generators[0], copied(made.elt), copied(made)
        leaves = element.elts if isinstance(element, ast.Tuple) else [element]
        changing = [number for number, leaf in enumerate(leaves) if not _is_held(leaf)]
        others = [leaf for leaf in leaves if _is_held(leaf)]
        if not changing and isinstance(clause.target, ast.Name):
            made.elt = _loaded(clause.target)
            for name in names_in(element):
                if scope_of(name) == "inner":
                    name.id, name.scope = item, "loop"  # type: ignore[attr-defined]
            items = self._keep(function.visit(made)) if clause.ifs else self._copied(function, made)
            return items, function.visit(element)
        if len(changing) == 1 and not any(scope_of(name) == "inner" for leaf in others for name in names_in(leaf)):
            made.elt = leaves[changing[0]]
            items = self._keep(function.visit(made))
            leaves[changing[0]] = _of_loop(item)
            return items, function.visit(element) if isinstance(element, ast.Tuple) else named(item)
        return self._keep(function.visit(made)), named(item)

    def _copied(self, function: Inlined, made: ast.ListComp) -> ast.expr:
        """A list of what a source has; a tuple may be taken as it is."""
        clause = made.generators[0]
        given = function.visit(clause.iter)
        source = self._keep(given)
        clause.iter = source if isinstance(source, ast.Constant) else moved(_of_loop(source.id), clause.iter)  # type: ignore[attr-defined]
        plain = function.visit(made)
        place = {name: getattr(plain, name) for name in OWN}
        kind = ast.Call(self.cell(0, "type", 0), [source], [], **place)

        def is_of(name: str) -> ast.expr:
            return ast.Compare(kind, [ast.Is()], [self.cell(0, name, 0)], **place)

        whole = ast.List([ast.Starred(source, ast.Load(), **place)], ast.Load(), **place)
        items = self._keep(ast.IfExp(is_of("list"), whole, ast.IfExp(is_of("tuple"), source, plain, **place), **place))
        if source is not given:
            self.forget([name.id for name in names_in(source)])
        return items


def _is_made(body: ast.expr) -> bool:
    """Whether it is a list or a tuple that is there as soon as it was computed."""
    if isinstance(body, ast.IfExp):
        return _is_made(body.body) and _is_made(body.orelse)
    value: Any = body.value if isinstance(body, ast.Constant) else None
    return type(value) is tuple or isinstance(body, (ast.List, ast.Tuple, ast.ListComp))


def _is_held(leaf: ast.expr) -> bool:
    """Whether making it does nothing but hold what is there."""
    return all(isinstance(node, _HELD) and (not isinstance(node, ast.Name) or scope_of(node) in {"inner", "local"})
               for node in ast.walk(leaf))


def _loaded(target: ast.Name) -> ast.expr:
    name = copied(target)
    name.ctx = ast.Load()
    return name  # type: ignore[no-any-return]


def _of_loop(name: str) -> ast.expr:
    """A variable of the loop's among a function's names."""
    made = named(name)
    made.scope = "loop"  # type: ignore[attr-defined]
    return made
