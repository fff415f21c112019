"""User payloads: closures, rows, results and exceptions as bytes, and the only way back to objects.

``load`` is the one place of simspark that unpickles. Executors and the driver call it; master, worker and every
service treat payloads as opaque bytes, and a test reads the source to see that nobody else does otherwise.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import Any

PROTOCOL = 5


def dump(value: Any) -> bytes:
    """Pickle a value of builtin or importable types; see driver.closures for functions of the user."""
    return pickle.dumps(value, PROTOCOL)


def load(data: bytes | memoryview, buffers: Iterable[Any] | None = None) -> Any:
    """Unpickle what another process of the same application pickled."""
    return pickle.loads(data, buffers=buffers)
