"""Row: a tuple whose fields have names, as Spark SQL gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self


class Row(tuple[Any, ...]):  # noqa: SLOT001 (its names are kept beside the values)
    """A row of named fields, read by name, by place, or as an attribute; and read only.

    ``Row(name="ann", age=4)`` is a row; ``Row("name", "age")`` names fields, and is called to make such rows.

    >>> row = Row(name="ann", age=4)
    >>> row.name, row["age"], row[0], "age" in row
    ('ann', 4, 'ann', True)
    >>> Person = Row("name", "age")
    >>> Person("bob", 5)
    Row(name='bob', age=5)
    """

    __fields__: list[str]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """A row of named values, or of names or values without names."""
        if args and kwargs:
            raise ValueError("Can not use both args and kwargs to create Row")
        made = tuple.__new__(cls, kwargs.values() if kwargs else args)
        if kwargs:
            made.__dict__["__fields__"] = list(kwargs)
        return made

    def asDict(self, recursive: bool = False) -> dict[str, Any]:
        """The fields as a dictionary; with ``recursive``, rows within rows, lists and dictionaries, too.

        Raises TypeError for a row whose fields have no names.

        >>> Row(name="ann", home=Row(town="Rome")).asDict(True)
        {'name': 'ann', 'home': {'town': 'Rome'}}
        """
        if not hasattr(self, "__fields__"):
            raise TypeError("Cannot convert a Row class into dict")
        values = map(_plain, self) if recursive else iter(self)
        return dict(zip(self.__fields__, values, strict=False))

    def __contains__(self, item: object) -> bool:
        if hasattr(self, "__fields__"):
            return item in self.__fields__
        return super().__contains__(item)

    def __call__(self, *args: Any) -> Row:
        """A row of these values, whose names are this one's."""
        if len(args) > len(self):
            raise ValueError(f"Can not create Row with fields {self}, expected {len(self)} values but got {args}")
        return _named_row(list(self), args)

    def __getitem__(self, item: Any) -> Any:
        if not isinstance(item, str):
            return super().__getitem__(item)
        if item not in self.__dict__.get("__fields__", ()):
            raise ValueError(item)
        index = self._place(item)
        if index is None:
            raise KeyError(item)
        return super().__getitem__(index)

    def __getattr__(self, item: str) -> Any:
        if item.startswith("__"):
            raise AttributeError(f"Row has no attribute {item!r}")
        index = self._place(item)
        if index is None:
            raise AttributeError(f"Row has no field {item!r}")
        return super().__getitem__(index)

    def _place(self, name: str) -> int | None:
        """Where a field of this name is, if it has a value."""
        fields = self.__dict__.get("__fields__", ())
        place: int | None = fields.index(name) if name in fields else None
        return place if place is not None and place < len(self) else None

    def __setattr__(self, key: str, value: Any) -> None:
        if key != "__fields__":
            raise RuntimeError("Row is read-only")
        self.__dict__[key] = value

    def __reduce__(self) -> Any:
        if hasattr(self, "__fields__"):
            return _named_row, (self.__fields__, tuple(self))
        return tuple.__reduce__(self)

    def __repr__(self) -> str:
        if hasattr(self, "__fields__"):
            parts = zip(self.__fields__, tuple(self), strict=False)
            return f"Row({', '.join(f'{name}={value!r}' for name, value in parts)})"
        return f"<Row({', '.join(f'{value!r}' for value in self)})>"


def _named_row(fields: list[str], values: Any) -> Row:
    row = Row(*values)
    row.__fields__ = fields
    return row


def _plain(value: Any) -> Any:
    if isinstance(value, Row):
        return value.asDict(True)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value


def text_row(line: str) -> Row:
    """A line of text as Spark SQL reads it: a row of the one field ``value``."""
    return _named_row(["value"], (line,))


def lines_between(separator: str) -> Callable[[str], list[str]]:
    """What cuts a text into lines at a separator; one at the very end ends the last line and begins none."""

    def cut(text: str) -> list[str]:
        lines = text.split(separator)
        return lines if lines[-1] else lines[:-1]

    return cut
