"""What unit tests share."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import cloudpickle
import pytest


@pytest.fixture
def nothing_goes_by_value() -> Iterator[None]:
    """Tests of executors have their own modules pickled by value, for as long as this process runs."""
    modules = [sys.modules[name] for name in cloudpickle.list_registry_pickle_by_value()]
    for module in modules:
        cloudpickle.unregister_pickle_by_value(module)
    yield
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
