"""cloudpickle for programs of stages, which are mostly made of simspark's own classes.

cloudpickle finds out anew for each class and function that it meets, in each program, whether it travels by its name:
half of what pickling a small program takes. What is simspark's own always does, so it is asked once for each of these.
Of all else it is asked every time, since a module's function may be another one tomorrow; and of everything when the
user has had modules pickled by value.
"""

from __future__ import annotations

import io
from types import FunctionType
from typing import Any

import cloudpickle

from simspark.publib.lineage.plain import OWN

_by_name: dict[int, Any] = {}


class ProgramPickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Gives the bytes that cloudpickle gives."""

    def reducer_override(self, found: Any) -> Any:
        """See pickle; what cloudpickle answers to anything but a class or a function, it answers for all of a type."""
        if not isinstance(found, (type, FunctionType)) or _by_name.get(id(found)) is found:
            return NotImplemented
        answer = super().reducer_override(found)
        if answer is NotImplemented and str(found.__module__).startswith(OWN):
            _by_name[id(found)] = found  # held, so that no other object ever has its id
        return answer


def dumps(program: Any, protocol: int) -> bytes:
    """Pickle a program as cloudpickle does."""
    if cloudpickle.list_registry_pickle_by_value():
        return _dumped(cloudpickle.Pickler, program, protocol)
    return _dumped(ProgramPickler, program, protocol)


def _dumped(pickler: Any, program: Any, protocol: int) -> bytes:
    with io.BytesIO() as file:
        pickler(file, protocol).dump(program)
        return file.getvalue()
