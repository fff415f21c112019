"""Programs without anything of the user's but numbers and texts, such as a count: pickled once, and by Python alone.

cloudpickle would give the same bytes, but takes longer to import than such a program takes to run.
"""

from __future__ import annotations

import sys
from typing import Any

from simspark.publib.lineage.plain import made_of
from simspark.publib.wire import payload

KEPT_PROGRAMS = 256
KEPT_BYTES = 4096
_kept: dict[Any, bytes] = {}


def pickled_plainly(program: Any) -> bytes | None:
    """The bytes of a program, those of the last one that was made of the same; None for one that is not plain."""
    parts = None if _goes_by_value() else made_of(program)
    if parts is None:
        return None
    known = _kept.get(parts)
    if known is None:
        known = payload.dump(program)
        if len(known) <= KEPT_BYTES:
            if len(_kept) >= KEPT_PROGRAMS:
                _kept.clear()
            _kept[parts] = known
    return known


def _goes_by_value() -> bool:
    """Whether the user has had modules pickled by value: simspark's own may be among them."""
    registered = getattr(sys.modules.get("cloudpickle"), "list_registry_pickle_by_value", None)
    return registered is not None and bool(registered())
