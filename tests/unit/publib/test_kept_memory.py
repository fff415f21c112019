"""Who starts executors has glibc keep some memory in them, and nobody else hears of it."""

from __future__ import annotations

import pytest

from simspark.publib.kept_memory import KEPT, ask_to_keep, forget_to_keep

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("said", [None, "glibc.malloc.check=1"])
def test_memory_is_kept_beside_what_the_user_says_and_nothing_is_passed_on(said: str | None) -> None:
    environment = {} if said is None else {"GLIBC_TUNABLES": said}
    asked = dict(environment)
    ask_to_keep(asked)
    assert asked["GLIBC_TUNABLES"] == (f"{said}:{KEPT}" if said else KEPT)
    forget_to_keep(asked)
    assert asked == environment


@pytest.mark.parametrize("environment", [
    {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=1:glibc.malloc.check=1"},
    {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=1"},
    {"MALLOC_TRIM_THRESHOLD_": "131072"},
])  # fmt: skip
def test_a_user_who_has_said_how_much_is_left_alone(environment: dict[str, str]) -> None:
    asked = dict(environment)
    ask_to_keep(asked)
    assert asked == environment
    forget_to_keep(asked)
    assert asked == environment
