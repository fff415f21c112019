"""``NamedTuple`` as ``typing`` has it, its classes made in a tenth of the time: a process needs 150 before it can work.

``typing`` compiles every annotation and, for each class, a constructor. Here annotations stay the text that they are,
and a constructor is compiled when its class is called for the first time; most never are. All else is as it is there,
but for two things: the classes have a metaclass, since only that can give them their ``__slots__``, and no type
parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["NamedTuple"]

if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from _collections import _tuplegetter

    class _Maker(type):
        """Makes fields of what the body of a class annotates; classes that derive from such a class add none."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> _Maker:
            if any(vars(base).get("_is_root") for base in bases):
                fields = tuple(body.get("__annotations__", ()))
                body["_field_defaults"] = {field: body[field] for field in fields if field in body}
                body["_fields"] = body["__match_args__"] = fields
                body["__slots__"] = ()
                for number, field in enumerate(fields):
                    body[field] = _tuplegetter(number, f"Alias for field number {number}")
            return super().__new__(cls, name, bases, body)

    class NamedTuple(tuple, metaclass=_Maker):
        """See ``typing.NamedTuple``."""

        __slots__ = ()
        _is_root = True

        def __new__(cls, *values: Any, **named: Any) -> Any:
            """Compile what makes tuples of this class from now on, and make the first."""
            owner = next(one for one in cls.__mro__ if "_fields" in vars(one))
            owner.__new__ = _constructor(owner)
            return owner.__new__(cls, *values, **named)

        @classmethod
        def _make(cls, values: Any) -> Any:
            """A tuple of this class of as many values as it has fields."""
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
            return made

        def _replace(self, /, **values: Any) -> Any:
            """The same with other values in some fields."""
            made = self._make(map(values.pop, self._fields, self))
            if values:
                raise ValueError(f"Got unexpected field names: {list(values)!r}")
            return made

        def _asdict(self) -> dict[str, Any]:
            """The values by name."""
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self) -> str:
            values = ", ".join([f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True)])
            return f"{type(self).__name__}({values})"

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)

    def _constructor(owner: Any) -> Any:
        fields = "".join([f"{field}, " for field in owner._fields])
        text = f"lambda _cls, {fields}: _new(_cls, ({fields}))"
        names = {"_new": tuple.__new__, "__builtins__": {}, "__name__": f"named_tuple_{owner.__name__}"}
        made = eval(text, names)  # noqa: S307 (names of fields, which Python has taken as names before)
        made.__name__, made.__qualname__ = "__new__", f"{owner.__qualname__}.__new__"
        made.__defaults__ = tuple(owner._field_defaults.values())
        return made
