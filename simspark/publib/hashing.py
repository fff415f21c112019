"""The hash that decides to which partition a key goes: the same in every process of an application.

Python's own ``hash`` is that for numbers and, once PYTHONHASHSEED is fixed (executors have 0), for strings and
bytes. It is not for None (an address before Python 3.12), for NaN (an address since 3.10) and for whatever inherits
``object.__hash__`` (an address always). ``portable_hash`` gives those a value or refuses them, at any depth of
tuples, frozensets and dataclasses, and otherwise gives what PySpark's function of that name gives.
"""

from __future__ import annotations

import sys
from typing import Any

STANDARD_HASH_PROBE = 6175351508923782858
_TUPLE_START = 0x345678
_TUPLE_FACTOR = 1000003
_MASK = sys.maxsize

# Types whose own hash is portable as it is: what hashes many keys at once may call ``hash`` for these.
DIRECT_TYPES: frozenset[type] = frozenset((int, str, bytes, bool))


def portable_hash(x: Any) -> int:
    """The hash of a key, equal for equal keys and in every executor.

    Raises TypeError for keys that cannot be hashed, or only by their address, naming the type.

    >>> portable_hash(None), portable_hash(7), portable_hash((None, 1)) & 0xFFFFFFFF
    (0, 7, 219750521)
    """
    kind = type(x)
    if kind is str or kind is int:
        return hash(x)
    if kind is tuple:
        return _tuple_hash(x)
    if kind is float:
        return hash(x) if x == x else 0  # noqa: PLR0124 - NaN
    if x is None:
        return 0
    return _other_hash(x, kind)


def _tuple_hash(key: tuple[Any, ...]) -> int:
    value = _TUPLE_START
    for item in key:
        value = ((value ^ portable_hash(item)) * _TUPLE_FACTOR) & _MASK
    return value ^ len(key)


def _other_hash(key: Any, kind: type) -> int:
    if isinstance(key, tuple):
        return _tuple_hash(key)
    if isinstance(key, frozenset):
        return _frozenset_hash(key)
    method: Any = kind.__hash__
    if method is object.__hash__ or (callable(key) and kind.__module__ == "builtins"):
        raise TypeError(
            f"{kind.__module__}.{kind.__qualname__} cannot be a key: its hash is its address "
            "and differs in each process; define __hash__ and __eq__, or use a tuple of its fields"
        )
    if hasattr(kind, "__dataclass_fields__") and _is_generated(method):
        return _tuple_hash(_compared_fields(key))
    value = hash(key)
    if (isinstance(key, complex) or hasattr(kind, "__float__")) and key != key:  # noqa: PLR0124 - NaN
        return 0
    return value


def _frozenset_hash(key: frozenset[Any]) -> int:
    if all(type(item) in DIRECT_TYPES for item in key):
        return hash(key)
    return hash(frozenset(map(portable_hash, key)))


def _is_generated(method: Any) -> bool:
    code = getattr(method, "__code__", None)
    return code is not None and code.co_filename == "<string>"


def _compared_fields(key: Any) -> tuple[Any, ...]:
    fields = key.__dataclass_fields__.values()
    return tuple(getattr(key, each.name) for each in fields if (each.compare if each.hash is None else each.hash))


def hash_probe() -> int:
    """A number that differs in a process with another PYTHONHASHSEED, hash function or word size.

    STANDARD_HASH_PROBE is what it is with PYTHONHASHSEED=0 on the usual 64-bit builds of Python 3.11 and newer.
    """
    return portable_hash(("simspark", b"hash probe", "\u00fc", 2**61, 0.1))
