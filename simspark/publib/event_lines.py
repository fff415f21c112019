"""Events as lines of JSON: what ``json.dumps`` writes of their records, without a record and an encoder for each.

Small jobs tell as much as they do, so that the log must cost little. The type of each value decides how it is written;
one of a type that is not expected here goes through ``json`` itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from simspark.publib.events import VERSION, TaskEnd, TaskStart, kind_of

_TEMPLATES: dict[type, str] = {}


def line_of(wall: float, event: Any) -> str:
    """The line of an event that came so many seconds after the epoch: its "time", then what ``to_record`` gives."""
    kind = type(event)
    template = _TEMPLATES.get(kind)
    if template is None:
        fields = "".join([f', "{field}": %s' for field in kind._fields])
        template = _TEMPLATES[kind] = f'{{"time": %.6f, "kind": "{kind_of(event)}", "version": {VERSION}{fields}}}\n'
    texts: list[Any] = [wall]
    for value in event:  # loops, not comprehensions: each of those is a call, and there are ten for a small job
        texts.append(_TEXTS.get(type(value), _other)(value))  # noqa: PERF401
    return template % tuple(texts)


def _list(values: Any) -> str:
    texts = []
    for value in values:
        texts.append(_TEXTS.get(type(value), _other)(value))  # noqa: PERF401
    return "[" + ", ".join(texts) + "]"


def _dict(values: dict[Any, Any]) -> str:
    texts = []
    for key, value in values.items():
        if type(key) is not str:
            return json.dumps(values)
        texts.append(f"{quoted(key)}: {_TEXTS.get(type(value), _other)(value)}")
    return "{" + ", ".join(texts) + "}"


def _other(value: Any) -> str:
    """Rows are tuples, perhaps with names; what else there may be is for json."""
    return _list(value) if isinstance(value, tuple) else json.dumps(value)


_TEXTS: dict[type, Callable[[Any], str]] = {
    int: int.__repr__, str: quoted, bool: {False: "false", True: "true"}.__getitem__, tuple: _list, list: _list,
    dict: _dict, TaskStart: _list, TaskEnd: _list,
}  # fmt: skip
