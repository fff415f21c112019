"""Messages to bytes and back, with every field checked.

A frame is msgpack ``[seq, ack, tag, fields...]``; an acknowledgement alone is ``[0, ack]``. What a field may hold is
read from the annotations of the message's class, once and at its first use. Guarantees: bytes from anywhere either
become a message whose fields have the annotated types, all the way down, or raise ProtocolError; nothing else, and
in memory bounded by a small multiple of the frame. Peers may be newer: fields beyond those known are ignored, and
missing ones that have defaults are filled in.

Speed: the types of a row are compared as one tuple against a set made beforehand, so a row of plain values costs one
look-up. Only fields with structure inside are visited one by one.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from itertools import product
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgpack

from simspark.publib.errors import MessageTooLarge, ProtocolError
from simspark.publib.wire import messages

LIST_LIMIT = 8192
LONG_LIST_LIMIT = 1 << 18
LONG_LISTS: frozenset[type] = frozenset({
    messages.MapOutputs, messages.CachedPartitions, messages.BlocksDropped, messages.DropBlocks,
    messages.ProgramMissing, messages.CancelTasks,
})  # fmt: skip
MAP_LIMIT = 4096
LEAST_LIMIT_BYTES = min(messages.DEFAULT_LIMIT_BYTES, *messages.LIMITS_BYTES.values())
MAX_FRAME_BYTES = max(messages.DEFAULT_LIMIT_BYTES, *messages.LIMITS_BYTES.values())
SHAPES_LIMIT = 256

Check = Callable[[Any], Any]

# How many bytes an unsigned msgpack integer takes, by its first byte; 0 is no such integer.
INTEGER_BYTES = bytes(1 if first < 0x80 else {0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9}.get(first, 0)
                      for first in range(256))  # fmt: skip


def encode(seq: int, ack: int, message: Any) -> bytes:
    """One frame. Raises MessageTooLarge before a peer would refuse it."""
    kind = type(message)
    try:
        frame: bytes = msgpack.Packer().pack((seq, ack, _TAGS.get(kind) or tag_of(kind), *message))
    except (TypeError, ValueError, OverflowError) as error:
        raise MessageTooLarge(f"{kind.__name__} cannot be written: {error}") from error
    if len(frame) > LEAST_LIMIT_BYTES and len(frame) > limit_bytes(kind):
        raise MessageTooLarge(f"{kind.__name__} takes {len(frame)} bytes, the limit is {limit_bytes(kind)}")
    return frame


def encode_ack(ack: int) -> bytes:
    """A frame that only acknowledges."""
    frame: bytes = msgpack.packb((0, ack))
    return frame


def decode(frame: bytes) -> tuple[int, int, Any]:
    """The (seq, ack, message) of a frame; the message is None when it only acknowledges. Raises ProtocolError."""
    kind = _kind_of(frame)
    row = _unpack(frame, LONG_LIST_LIMIT if kind in LONG_LISTS else LIST_LIMIT)
    if len(row) == 2 and type(row[0]) is int and row[0] == 0 and type(row[1]) is int:
        return 0, row[1], None
    if kind is None or len(row) < 3 or type(row[2]) is not int or row[0] < 1:
        raise ProtocolError("a message has a number and a known tag")
    return row[0], row[1], (_CHECKS.get(kind) or struct_check(kind))(row[3:])


def encode_plain(value: tuple[Any, ...], limit: int) -> bytes:
    """Pack a row that is no message, such as the opening of a session."""
    frame: bytes = msgpack.packb(value)
    if len(frame) > limit:
        raise MessageTooLarge(f"{len(frame)} bytes, the limit is {limit}")
    return frame


def decode_plain(frame: bytes, limit: int) -> tuple[Any, ...]:
    """Unpack what ``encode_plain`` packed; the caller checks the fields."""
    if len(frame) > limit:
        raise ProtocolError(f"a frame of {len(frame)} bytes, the limit is {limit}")
    return _unpack(frame, LIST_LIMIT)


def tag_of(kind: type) -> int:
    """The number of a message class."""
    try:
        return _TAGS[kind]
    except KeyError:
        raise MessageTooLarge(f"{kind.__name__} is no message: it has no tag in messages.REGISTRY") from None


def limit_bytes(kind: type) -> int:
    """How long a frame of this class may be."""
    return messages.LIMITS_BYTES.get(kind, messages.DEFAULT_LIMIT_BYTES)


_TAGS: dict[type, int] = {kind: tag for tag, kind in messages.REGISTRY.items()}
_CHECKS: dict[type, Check] = {}


def struct_check(kind: type) -> Check:
    """What turns an unpacked row into an instance of the class, or raises ProtocolError."""
    check = _CHECKS.get(kind)
    if check is None:
        check = _CHECKS[kind] = _compile_struct(kind)
    return check


def _kind_of(frame: bytes) -> type | None:
    """The class that a frame's tag names, read without unpacking; None for an acknowledgement or nonsense."""
    try:
        if len(frame) > MAX_FRAME_BYTES:
            raise ProtocolError(f"a frame of {len(frame)} bytes, the limit is {MAX_FRAME_BYTES}")
        first = frame[0]
        if first == 0x92 or not (0x93 <= first <= 0x9F or first == 0xDC):
            return None
        position = 1 if first < 0xA0 else 3
        position += INTEGER_BYTES[frame[position]]
        position += INTEGER_BYTES[frame[position]]
        tag = frame[position]
    except IndexError:
        return None
    kind = messages.REGISTRY.get(tag)
    if kind is not None and len(frame) > LEAST_LIMIT_BYTES and len(frame) > limit_bytes(kind):
        raise ProtocolError(f"{kind.__name__} of {len(frame)} bytes, the limit is {limit_bytes(kind)}")
    return kind


def _unpack(frame: bytes, list_limit: int) -> tuple[Any, ...]:
    size = len(frame)
    try:
        row = msgpack.unpackb(
            frame, use_list=False, strict_map_key=True, max_array_len=min(list_limit, size),
            max_map_len=min(MAP_LIMIT, size), max_ext_len=0, max_str_len=size, max_bin_len=size,
        )  # fmt: skip
    except Exception as error:
        raise ProtocolError(f"not msgpack: {type(error).__name__}") from error
    if type(row) is not tuple or len(row) < 2 or type(row[0]) is not int or type(row[1]) is not int or row[1] < 0:
        raise ProtocolError("not a row that starts with two numbers")
    return row


# ── from annotations to checks ───────────────────────────────────────────────────────────────────────────────────

NONE = type(None)
PLAIN: tuple[type, ...] = (int, str, bytes, bool)


def _compile_struct(kind: type) -> Check:
    fields: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]
    defaults: dict[str, Any] = kind._field_defaults  # type: ignore[attr-defined]
    hints = get_type_hints(kind)
    return _row_check(kind, [hints[name] for name in fields], [defaults[n] for n in fields if n in defaults])


def _row_check(kind: type, hints: list[Any], defaults: list[Any] | None) -> Check:
    """A check of rows of fixed width. Defaults fill the end; None as defaults means that the width is exact."""
    width = len(hints)
    wire_types = [_wire_types(hint) for hint in hints]
    shapes = _shapes(wire_types)
    inner = [
        (index, check, _may_be_empty(hint))
        for index, hint in enumerate(hints) if (check := _field_check(hint)) is not None
    ]  # fmt: skip
    name = kind.__name__

    def check_row(row: Any) -> Any:
        if type(row) is not tuple:
            raise ProtocolError(f"{name}: expected a row, not {type(row).__name__}")
        if len(row) != width:
            row = _fit(name, row, width, defaults)
        found = tuple(map(type, row))
        if found not in shapes if shapes else not _matches(found, wire_types):
            raise ProtocolError(f"{name}: unexpected types {[one.__name__ for one in found]}")
        if inner:
            changed: list[Any] = list(row)
            for index, check, may_be_empty in inner:
                value = row[index]
                if value or not (value is None or may_be_empty):  # None has been seen to be allowed
                    changed[index] = check(value)
            row = changed
        return tuple.__new__(kind, row)

    return check_row


def _fit(name: str, row: tuple[Any, ...], width: int, defaults: list[Any] | None) -> tuple[Any, ...]:
    if defaults is not None:
        if len(row) > width:
            return row[:width]
        missing = width - len(row)
        if missing <= len(defaults):
            return row + tuple(defaults[len(defaults) - missing :])
    raise ProtocolError(f"{name}: {len(row)} fields instead of {width}")


def _matches(found: tuple[type, ...], wire_types: list[frozenset[type]]) -> bool:
    return all(one in allowed for one, allowed in zip(found, wire_types, strict=True))


def _shapes(wire_types: list[frozenset[type]]) -> frozenset[tuple[type, ...]]:
    """All type tuples that a row may have; empty when they are too many to list."""
    count = 1
    for allowed in wire_types:
        count *= len(allowed)
    return frozenset(product(*wire_types)) if count <= SHAPES_LIMIT else frozenset()


def _wire_types(hint: Any) -> frozenset[type]:
    """The types that msgpack may give for a field."""
    if hint is float:
        return frozenset({float, int})
    if hint in PLAIN or hint is NONE:
        return frozenset({hint})
    origin = get_origin(hint)
    if origin in {Union, types.UnionType}:
        return frozenset().union(*(_wire_types(one) for one in get_args(hint)))
    return frozenset({dict if origin is dict else tuple})


def _field_check(hint: Any) -> Check | None:
    """What to do with a field beyond looking at its type; None for nothing."""
    if hint is float:
        return _to_float
    if hint in PLAIN or hint is NONE:
        return None
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        return _optional_check([one for one in arguments if one is not NONE])
    if origin is dict:
        return _dict_check(*arguments)
    if origin is tuple:
        return _tuple_check(arguments)
    return struct_check(hint)


def _may_be_empty(hint: Any) -> bool:
    """Whether there is nothing to look at in an empty value of a field whose type is right, as most are."""
    origin = get_origin(hint)
    return origin is dict or (origin is tuple and get_args(hint)[1:] == (Ellipsis,))


def _to_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ProtocolError("a number too large for a float") from None


def _optional_check(options: list[Any]) -> Check | None:
    if len(options) != 1:
        raise TypeError(f"a message's field may be X or X | None, not {options}")
    check = _field_check(options[0])
    if check is None:
        return None

    def check_optional(value: Any) -> Any:
        return None if value is None else check(value)

    return check_optional


def _dict_check(key: type, value: type) -> Check:
    if key not in PLAIN or value not in PLAIN:
        raise TypeError("a message's dict maps plain values")
    keys, values = {key}, {value}

    def check_dict(found: Any) -> Any:
        if found and not (set(map(type, found)) <= keys and set(map(type, found.values())) <= values):
            raise ProtocolError("a dict with other types of keys or values")
        return found

    return check_dict


def _tuple_check(arguments: tuple[Any, ...]) -> Check:
    if len(arguments) != 2 or arguments[1] is not Ellipsis:
        return _row_check(tuple, list(arguments), None)
    item = arguments[0]
    if item in PLAIN:
        allowed = {item}

        def check_plain_items(found: Any) -> Any:
            if not set(map(type, found)) <= allowed:
                raise ProtocolError(f"a list of other things than {item.__name__}")
            return found

        return check_plain_items
    check = _item_check(item)

    def check_items(found: Any) -> Any:
        return tuple(map(check, found)) if found else found

    return check_items


def _item_check(item: Any) -> Check:
    """Like a field's check, for lists: the type of each item is looked at here."""
    check = _row_check(tuple, [item], None)
    inner = _field_check(item)
    if inner is not None and _wire_types(item) == {tuple}:
        # Rows look at their own type; a list within a list does not.
        return inner if get_args(item)[1:] != (Ellipsis,) else lambda found: check((found,))[0]
    return lambda found: check((found,))[0]
