"""The loops that fold (key, value) rows into a dictionary of groups, and the functions that they know.

A loop is chosen once for a task, by what becomes of a key's values. Whatever it does in place of calling a function
is what the function does: additions give the same values and raise the same errors from the user's own line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import repeat
from operator import add, length_hint
from types import BuiltinFunctionType
from typing import Any

from simspark.publib.optimizations import uses

Groups = dict[Any, Any]
Absorb = Callable[[Groups, Iterable[tuple[Any, Any]]], None]
Loop = Callable[..., Any]
AbsorbColumns = Callable[[Groups, Sequence[Any], Sequence[Any]], None]


FEW = 8  # of so many rows one with a new key: a look that fails costs as much as it saves for so many others
MANY = 1 << 14  # rows at a time, for which another loop pays


class GroupingLoops:
    """A loop that grows groups, with the users' functions in it, and one for where few keys are new of late."""

    __slots__ = ("_few_are_new", "_loop", "_loop_of_few", "_made")

    def __init__(self, loop: Loop, made: Callable[[bool], Loop | None]) -> None:
        self._loop = loop
        self._made = made
        self._loop_of_few: Loop | None = None
        self._few_are_new = False

    @classmethod
    def of(cls, made: Callable[[bool], Loop | None]) -> GroupingLoops | None:
        """What ``made`` makes, and makes for few new keys when it is wanted; None where it makes none."""
        loop = made(False)
        return None if loop is None else cls(loop, made)

    @property
    def is_c(self) -> bool:
        """Whether C does it."""
        return type(self._loop) is BuiltinFunctionType

    def fold(self, groups: Groups, rows: Iterable[Any], size: int) -> None:
        """Fold in these rows, of which there are at most so many."""
        before = len(groups)
        self._chosen()(groups, rows)
        self._note(size, len(groups) - before)

    def fold_flat(self, groups: Groups, rows: Iterable[Any], room: int) -> int:
        """Fold in what becomes of the next rows, as far as there is room; how many came of them."""
        before = len(groups)
        used: int = room - self._chosen()(groups, rows, room)
        self._note(used, len(groups) - before)
        return used

    def _chosen(self) -> Loop:
        if not self._few_are_new:
            return self._loop
        if self._loop_of_few is None:
            self._loop_of_few = self._made(True) or self._loop
        return self._loop_of_few

    def _note(self, rows: int, new: int) -> None:
        self._few_are_new = FEW * new < rows and (self._few_are_new or rows >= MANY)


def identity(value: Any) -> Any:
    """The value itself."""
    return value


def as_list(value: Any) -> list[Any]:
    """A new list of one value."""
    return [value]


def append_value(values: list[Any], value: Any) -> list[Any]:
    """The list with one more value."""
    values.append(value)
    return values


def keep_left(left: Any, right: Any) -> Any:  # noqa: ARG001 (the right one is what is dropped)
    """The first of two that are the same: what ``distinct`` does with its rows, which are keys without values."""
    return left


def extend_list(values: list[Any], more: list[Any]) -> list[Any]:
    """The list with more values."""
    values.extend(more)
    return values


def is_addition(function: Any) -> bool:
    """Whether a function does ``a + b`` and nothing else: operator.add, or a function with that very code."""
    if function is add:
        return True
    code = getattr(function, "__code__", None)
    return (code is not None and function.__defaults__ is None and code.co_argcount == 2
            and not code.co_kwonlyargcount and code.co_flags == _plus.__code__.co_flags
            and code.co_code == _plus.__code__.co_code)


def _plus(a: Any, b: Any) -> Any:
    return a + b


class _Neutral:
    """What a key has before its first value: with it on the left, ``+`` gives what is on the right, itself.

    Its method is C's, so that a new key enters no frame. NotImplemented is the one value that cannot be added to it.
    """

    __slots__ = ()
    __add__ = staticmethod(partial({}.get, None))


_NEUTRAL: Any = _Neutral()


def absorber(create: Callable[[Any], Any], merge: Callable[[Any, Any], Any]) -> Absorb:
    """The loop for rows of keys and values."""
    if merge is append_value and uses("lists"):
        return _absorb_into_lists
    if merge is extend_list and uses("lists"):
        return _absorb_lists
    if create is identity and merge is keep_left and uses("first-values"):
        return _absorb_first
    if create is identity:
        return _absorb_sums(merge) if is_addition(merge) and uses("sums") else _absorb_reduced(merge)
    return _absorb_created(create, merge)


def columns_absorber(merge: Callable[[Any, Any], Any]) -> AbsorbColumns | None:
    """The same for keys and values in two lists, where they come together without a frame or a tuple for each."""
    return _absorb_summed_columns(merge) if is_addition(merge) and uses("sums") else None


def _absorb_into_lists(groups: Groups, rows: Iterable[tuple[Any, Any]]) -> None:
    for key, value in rows:
        groups[key].append(value)


def _absorb_lists(groups: Groups, rows: Iterable[tuple[Any, Any]]) -> None:
    for key, values in rows:
        if key in groups:
            groups[key].extend(values)
        else:
            groups[key] = values


def _absorb_first(groups: Groups, rows: Iterable[tuple[Any, Any]]) -> None:
    groups.update(rows)  # keys stay as they were first seen, and values are all None


def _absorb_sums(function: Callable[[Any, Any], Any]) -> Absorb:
    def absorb(groups: Groups, rows: Iterable[tuple[Any, Any]]) -> None:
        held, nothing = groups.get, _NEUTRAL
        for key, value in rows:
            group = held(key, nothing)
            try:
                groups[key] = group + value
            except Exception:
                if group is not nothing:
                    function(group, value)  # raises again, from the user's own line
                    raise
                groups[key] = value

    return absorb


def _absorb_summed_columns(function: Callable[[Any, Any], Any]) -> AbsorbColumns:
    absorb = _absorb_sums(function)

    def absorb_columns(groups: Groups, keys: Sequence[Any], values: Sequence[Any]) -> None:
        places = iter(keys)
        sums = map(add, map(groups.get, keys, repeat(_NEUTRAL)), values)
        try:
            groups.update(zip(places, sums, strict=True))
        except Exception:
            failed = len(keys) - length_hint(places) - 1
            absorb(groups, zip(keys[failed:], values[failed:], strict=True))  # raises again

    return absorb_columns


def _absorb_reduced(function: Callable[[Any, Any], Any]) -> Absorb:
    def absorb(groups: Groups, rows: Iterable[tuple[Any, Any]]) -> None:
        for key, value in rows:
            groups[key] = function(groups[key], value) if key in groups else value

    return absorb


def _absorb_created(create: Callable[[Any], Any], merge: Callable[[Any, Any], Any]) -> Absorb:
    def absorb(groups: Groups, rows: Iterable[tuple[Any, Any]]) -> None:
        for key, value in rows:
            groups[key] = merge(groups[key], value) if key in groups else create(value)

    return absorb
