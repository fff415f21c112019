"""Whether there is nothing of the user's in a program but numbers and texts, as in a count of a range.

Such a program never changes, and another that is made of the same cannot be told from it. So the driver pickles it
once, however often its action runs, and an executor unpickles it once, however many attempts run it.
"""

from __future__ import annotations

from typing import Any

OWN = "simspark."
_ATOMS = frozenset({int, str, bytes, bool, type(None)})
_holders: dict[type, bool] = {}


def made_of(value: Any) -> Any:
    """The types and values that this is made of: equal for what pickles alike. None where the user has had a hand."""
    kind = type(value)
    if kind in _ATOMS:
        return kind, value
    if not str(kind.__module__).startswith(OWN):
        return None
    if not issubclass(kind, tuple):
        can_hold = _holders.get(kind)
        if can_hold is None:
            can_hold = _holders[kind] = _can_hold(kind)
        return None if can_hold or getattr(value, "__dict__", None) else (kind,)
    parts: list[Any] = [kind]
    for part in value:
        found = (type(part), part) if type(part) in _ATOMS else made_of(part)
        if found is None:
            return None
        parts.append(found)
    return tuple(parts)


def _can_hold(kind: type) -> bool:
    """Whether its objects hold anything elsewhere than in a ``__dict__``: in slots, or as a list or an error does."""
    makes: Any = kind.__new__
    return makes is not object.__new__ or any(vars(each).get("__slots__") for each in kind.__mro__)
