"""Events as lines of JSON: what ``json.dumps`` writes of their records, without a record and an encoder for each.

Small jobs tell as much as they do, so that the log must cost little. The type of each value decides how it is written;
one of a type that is not expected here goes through ``json`` itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from simspark.publib.events import VERSION, kind_of

_TEMPLATES: dict[type, str] = {}


def line_of(wall: float, event: Any) -> str:
    """The line of an event that came so many seconds after the epoch: its "time", then what ``to_record`` gives."""
    kind = type(event)
    template = _TEMPLATES.get(kind)
    if template is None:
        fields = "".join([f', "{field}": %s' for field in kind._fields])
        template = _TEMPLATES[kind] = f'{{"time": %.6f, "kind": "{kind_of(event)}", "version": {VERSION}{fields}}}\n'
    return template % (wall, *[_TEXTS.get(type(value), _other)(value) for value in event])


def _list(values: Any) -> str:
    return "[" + ", ".join([_TEXTS.get(type(value), _other)(value) for value in values]) + "]"


def _dict(values: dict[Any, Any]) -> str:
    if set(map(type, values)) <= {str}:
        return "{" + ", ".join([f"{quoted(key)}: {_TEXTS.get(type(value), _other)(value)}"
                                for key, value in values.items()]) + "}"  # fmt: skip
    return json.dumps(values)


def _other(value: Any) -> str:
    """Rows of tasks are tuples with names; what else there may be is for json."""
    return _list(value) if isinstance(value, tuple) else json.dumps(value)


_TEXTS: dict[type, Callable[[Any], str]] = {
    int: int.__repr__, str: quoted, bool: {False: "false", True: "true"}.__getitem__, tuple: _list, list: _list,
    dict: _dict,
}  # fmt: skip
