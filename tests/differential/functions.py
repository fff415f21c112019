"""The rows and the functions of random programs, as source, by the kind of row that they take and give.

Kinds: "int", "real" (float, no NaN), "text", "scalar" (those, None, bools and tuples of them: no order among them),
"any" (scalars and NaN); ("pair", key, value); ("list", kind); "opaque" (whatever: never a key).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

Kind = Any


class Function(NamedTuple):
    """A function of the user's: source, the kinds that it takes, the kind that it gives."""

    source: str
    takes: Callable[[Kind], bool]
    gives: Callable[[Kind], Kind]
    growth: int = 1


# ── kinds ────────────────────────────────────────────────────────────────────────────────────────────────────────


def pair(key: Kind, value: Kind) -> Kind:
    return ("pair", key, value)


def is_pair(kind: Kind) -> bool:
    return kind[0] == "pair"


def has_nan(kind: Kind) -> bool:
    return kind in {"any", "opaque"} or (isinstance(kind, tuple) and any(map(has_nan, kind[1:])))


def has_list(kind: Kind) -> bool:
    return kind == "opaque" or (isinstance(kind, tuple) and (kind[0] == "list" or any(map(has_list, kind[1:]))))


def is_key(kind: Kind, nan_keys: bool) -> bool:
    """NaN may be a key by itself, never within a tuple."""
    return not has_list(kind) and (nan_keys if kind == "any" else not has_nan(kind))


def is_ordered(kind: Kind) -> bool:
    return kind in {"int", "real", "text"} or (isinstance(kind, tuple) and all(map(is_ordered, kind[1:])))


def _is(*kinds: Kind) -> Callable[[Kind], bool]:
    return lambda kind: kind in kinds


def _always(kind: Kind) -> bool:
    return True


def _to(kind: Kind) -> Callable[[Kind], Kind]:
    return lambda _: kind


def _same(kind: Kind) -> Kind:
    return kind


def _keyed(kind: Kind) -> bool:
    return is_pair(kind)


def _def(argument: str, *statements: str) -> str:
    """Source of a function of several statements. A program defines it under a name that is free."""
    return "\n    ".join([f"def f({argument}):", *statements])


# ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────

_INTS = st.integers(-9, 9) | st.sampled_from([2**31, -(2**63), 2**64 + 1, 2**61 - 1])
_REALS = st.sampled_from([0.0, -0.0, 1.0, -1.5, 2.25, 1e300, float("inf"), float("-inf"), 3.0, 0.1])
_TEXTS = st.sampled_from(["", "a", "b", "ab", "to be", "Zoë", "日本", "\U0001f40d", "a\tb", "1", "a'\""])
_SCALARS = st.one_of(
    st.sampled_from([None, True, False, 0, 1, 2, 1.0, 0.0, -0.0, -1, "", "a", (), (None,), (1, "a"), (True, None)]),
    st.integers(-3, 3), _TEXTS, st.tuples(st.integers(0, 2), st.sampled_from([None, "a", 1.0, (1,)])))
_ANYS = _SCALARS | st.sampled_from([float("nan"), 1.5])
VALUES = {"int": _INTS, "real": _REALS, "text": _TEXTS, "scalar": _SCALARS, "any": _ANYS}


def values(kind: Kind) -> st.SearchStrategy[Any]:
    """Rows of a kind."""
    if is_pair(kind):
        return st.tuples(values(kind[1]), values(kind[2]))
    return VALUES[kind]


def literal(rows: list[Any]) -> str:
    """Source of the rows; NaN and infinity are names there."""
    return re.sub(r"(?<![\w'\"])(nan|inf)(?![\w'\"])", r"\1", repr(rows))


# ── functions ────────────────────────────────────────────────────────────────────────────────────────────────────

MAPS = (
    Function("lambda x: x * 3 - 7", _is("int"), _same),
    Function("lambda x: x // 4", _is("int"), _same),
    Function("lambda x: x % 5 / 4", _is("int"), _to("real")),
    Function("lambda x: (x % 3, x)", _is("int"), _to(pair("int", "int"))),
    Function("lambda x: (x % 2 == 0, x)", _is("int"), _to(pair("scalar", "int"))),
    Function("lambda x: (None if x % 3 else x, x % 4)", _is("int"), _to(pair("scalar", "int"))),
    Function("lambda x: ((x % 2, str(x)), x)", _is("int"), _to(pair(pair("int", "text"), "int"))),
    Function("str", _is("int", "text"), _to("text")),
    Function("abs", _is("int", "real"), _same),
    Function("lambda x: -x", _is("int", "real"), _same),
    Function("lambda x: (x, x < 1)", _is("real"), _to(pair("real", "scalar"))),
    Function("len", _is("text"), _to("int")),
    Function("lambda s: (s[:1], s)", _is("text"), _to(pair("text", "text"))),
    Function("lambda s: s.upper() + 'é'", _is("text"), _same),
    Function("repr", _always, _to("text")),
    Function("lambda x: len(repr(x))", _always, _to("int")),
    Function("lambda x: (len(repr(x)) % 3, x)", _always, lambda kind: pair("int", kind)),
    Function("lambda x: (x, len(repr(x)))", lambda kind: not has_list(kind), lambda kind: pair(kind, "int")),
    Function("lambda x: (repr(x)[-2:], x)", _always, lambda kind: pair("text", kind)),
    Function("lambda x: None", _always, _to("scalar")),
    Function("lambda kv: kv[1]", _keyed, lambda kind: kind[2]),
    Function("lambda kv: (kv[1], kv[0])", lambda kind: is_pair(kind) and not has_list(kind[2]),
             lambda kind: pair(kind[2], kind[1])),
    Function("lambda kv: (kv[0], kv)", _keyed, lambda kind: pair(kind[1], kind)),
    Function("sorted", lambda kind: kind[0] == "list" and is_ordered(kind[1]), _same),
    Function("lambda xs: xs[-1:]", lambda kind: kind[0] == "list", _same),
    Function("lambda x: [len(part) for part in repr(x).split(',') if part]", _always, _to(("list", "int"))),
    Function(_def("kv", "key, value = kv", "return value, key"), lambda kind: is_pair(kind) and not has_list(kind[2]),
             lambda kind: pair(kind[2], kind[1])),
    Function(_def("x", "half, rest = divmod(x, 2)", "half += rest", "x = half", "return rest, x - 1"), _is("int"),
             _to(pair("int", "int"))),
    Function(_def("x", "if x % 3 == 0:", "    return -x, 0", "if x < 0 or x > 5 and x != 7:", "    x = x + 1",
                  "    half = x // 2", "elif not x:", "    half = 9", "else:", "    half = x", "return half % 4, x"),
             _is("int"), _to(pair("int", "int"))),
    Function(_def("x", "size = len(repr(x))", "if size % 2:", "    if size > 7:", "        size = 7",
                  "    return size, x", "rest = size % 3", "return rest, x"), _always, lambda kind: pair("int", kind)),
    Function(_def("x", "text = repr(x)", "if x is None:", "    raise ValueError('nothing')", "return text[-4:]"),
             _is("int", "text"), _to("text")),
    Function(_def("x", "text = repr(x)", "sizes = [len(part) for part in text.split(',')]", "return sizes[-1] % 3, x"),
             _always, lambda kind: pair("int", kind)),
)
FLAT_MAPS = (
    Function("lambda x: [x, x]", _always, _same, 2),
    Function("lambda x: [x] * (len(repr(x)) % 3)", _always, _same, 2),
    Function("lambda x: ()", _always, _same),
    Function("lambda x: (x,)", _always, _same),
    Function("lambda x: range(x % 4)", _is("int"), _same, 3),
    Function("lambda s: s.split()", _is("text"), _same, 2),
    Function("lambda s: s", _is("text"), _same, 12),
    Function("lambda xs: xs[:3]", lambda kind: kind[0] == "list", lambda kind: kind[1], 3),
    Function("lambda x: [(x, part) for part in repr(x)[:3]]", lambda kind: not has_list(kind),
             lambda kind: pair(kind, "text"), 3),
    Function("lambda x: [len(part) for part in repr(x)[:9].split(',') if part != ' 1']", _always, _to("int"), 5),
    Function("lambda kv: [(kv[0], 1), (kv[0], 2)]", _keyed, lambda kind: pair(kind[1], "int"), 2),
    Function("lambda x: [x] if len(repr(x)) % 2 else ()", _always, _same),
    Function(_def("x", "size = len(repr(x))", "return [(each % 2, x) for each in range(size % 4)]"), _always,
             lambda kind: pair("int", kind), 3),
    Function(_def("kv", "key, value = kv", "return [(key, each) for each in [value, value]]"), _keyed, _same, 2),
    Function(_def("x", "size = len(repr(x))", "if size % 3 == 0:", "    return []", "if size > 5:", "    size = 5",
                  "    return [(x, x)]", "return [(x, each) for each in [x][:size]]"), lambda kind: not has_list(kind),
             lambda kind: pair(kind, kind)),
    Function(_def("xs", "last = xs[-1:]", "return [(len(last), each) for each in xs[:3]]"),
             lambda kind: kind[0] == "list", lambda kind: pair("int", kind[1]), 3),
)
FILTERS = (
    Function("lambda x: len(repr(x)) % 2 == 0", _always, _same),
    Function("lambda x: x % 2", _is("int"), _same),
    Function("bool", _always, _same),
    Function("lambda x: x is not None", _always, _same),
    Function("lambda x: False", _always, _same),
    Function("lambda x: x == x", _is("any", "real"), _same),
    Function("lambda kv: kv[0] is not None", _keyed, _same),
    Function(_def("x", "size = len(repr(x))", "size //= 2", "return size % 3"), _always, _same),
    Function(_def("x", "size = len(repr(x))", "if size > 9:", "    return False", "if size % 2:", "    size += 3",
                  "return size % 3"), _always, _same),
)
OF_PARTITIONS = (
    Function("lambda rows: [len(list(rows))]", _always, _to("int")),
    Function("lambda rows: list(rows)[::-1]", _always, _same),
    Function("lambda rows: (x for x in rows if x is not None)", _always, _same),
    Function("lambda rows: sorted(rows, key=repr)", _always, _same),
    Function("lambda rows: list(rows)[1:]", _always, _same),
    Function("iter", _always, _same),
)
OF_INDEXED_PARTITIONS = (
    Function("lambda i, rows: [(i, list(rows))]", _always, lambda kind: pair("int", ("list", kind))),
    Function("lambda i, rows: ((i, x) for x in rows)", _always, lambda kind: pair("int", kind)),
    Function("lambda i, rows: rows if i % 2 else ()", _always, _same),
)
SORT_KEYS = (
    Function("lambda x: x", is_ordered, _same),
    Function("repr", _always, _same),
    Function("lambda x: len(repr(x))", _always, _same),
    Function("lambda x: -x", _is("int", "real"), _same),
    Function("lambda x: x % 3", _is("int"), _same),
)
REDUCERS = (
    Function("lambda a, b: a + b", _is("int", "text"), _same),
    Function("lambda x, y: y + x", _is("int", "text"), _same),
    Function("lambda a, b: a", _always, _same),
    Function("lambda a, b: b", _always, _same),
    Function("max", is_ordered, _same),
    Function("min", is_ordered, _same),
    Function("lambda a, b: a if repr(a) <= repr(b) else b", _always, _same),
)
COMMUTATIVE = (
    Function("lambda a, b: a + b", _is("int"), _same),
    Function("max", _is("int", "text"), _same),
    Function("lambda a, b: a if repr(a) <= repr(b) else b", _always, _same),
)
# How often zero values are used and combiners merged is not promised, since both depend on what was spilled: whatever
# folds the values of keys here comes to the same however the rows are cut.
AGGREGATIONS = (  # zero value or first step, then the two functions
    Function("[], lambda acc, x: acc + [x], lambda a, b: a + b", _always, lambda kind: ("list", kind)),
    Function("(0, 0), lambda acc, x: (acc[0] + x, acc[1] + 1), lambda a, b: (a[0] + b[0], a[1] + b[1])", _is("int"),
             _to(pair("int", "int"))),
    Function("0, lambda n, _: n + 1, lambda a, b: a + b", _always, _to("int")),
    Function("'', lambda acc, x: acc + repr(x), lambda a, b: a + b", _always, _to("text")),
)
COMBINATIONS = (
    Function("lambda v: [v], lambda acc, v: acc + [v], lambda a, b: a + b", _always, lambda kind: ("list", kind)),
    Function("lambda v: (v, 1), lambda acc, v: (acc[0], acc[1] + 1), lambda a, b: (a[0], a[1] + b[1])", _always,
             lambda kind: pair(kind, "int")),
    Function("repr, lambda acc, v: acc + ',' + repr(v), lambda a, b: a + ',' + b", _always, _to("text")),
)
FOLDS = (
    Function("0, lambda a, b: a + b", _is("int"), _same),
    Function("'', lambda a, b: a + b", _is("text"), _same),
)
PLACES = ("lambda k: len(repr(k))", "lambda k: 3", "lambda k: -len(repr(k))")
