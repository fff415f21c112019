"""User payloads: closures, rows, results and exceptions as bytes, and the only way back to objects.

``load`` is the one place of simspark that unpickles. Executors and the driver call it; master, worker and every
service treat payloads as opaque bytes, and a test reads the source to see that nobody else does otherwise.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Collection, Iterable
from typing import Any

PROTOCOL = 5


def dump(value: Any) -> bytes:
    """Pickle a value of builtin or importable types; see driver.closures for functions of the user."""
    return pickle.dumps(value, PROTOCOL)


def load(data: bytes | memoryview, buffers: Iterable[Any] | None = None, encoding: str = "ASCII") -> Any:
    """Unpickle what another process of the same application pickled. ``encoding`` is for texts of Python 2."""
    return pickle.loads(data, buffers=buffers, encoding=encoding)


def load_only(data: bytes, allowed_names: Collection[tuple[str, str]], encoding: str = "ASCII") -> Any:
    """Unpickle with only these classes and functions, each as its module and name; others raise UnpicklingError."""

    class Restricted(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) not in allowed_names:
                raise pickle.UnpicklingError(f"Unpickling {module}.{name} is not allowed")
            return super().find_class(module, name)

    return Restricted(io.BytesIO(data), encoding=encoding).load()


def load_with(data: bytes, value_of: Callable[[Any], Any]) -> Any:
    """Unpickle what names some of its parts by persistent ids; ``value_of`` knows them."""
    return _Unpickler(data, value_of).load()


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, value_of: Callable[[Any], Any]) -> None:
        super().__init__(io.BytesIO(data))
        self._value_of = value_of

    def persistent_load(self, pid: Any) -> Any:
        return self._value_of(pid)
