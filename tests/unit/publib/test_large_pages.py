"""Who starts executors asks for large pages for them, and nobody else hears of it."""

from __future__ import annotations

import pytest

from simspark.publib.template_client import ask_for_large_pages, unask_for_large_pages

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("said", [None, "glibc.malloc.check=1"])
def test_large_pages_are_asked_for_beside_what_the_user_says_and_taken_back(said: str | None) -> None:
    environment = {} if said is None else {"GLIBC_TUNABLES": said}
    asked = dict(environment)
    ask_for_large_pages(asked)
    assert asked["GLIBC_TUNABLES"].split(":")[-1] == "glibc.malloc.hugetlb=1"
    assert asked["GLIBC_TUNABLES"].startswith(said or "glibc")
    unask_for_large_pages(asked)
    assert asked == environment


def test_a_user_who_wants_none_has_none() -> None:
    environment = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0:glibc.malloc.check=1"}
    asked = dict(environment)
    ask_for_large_pages(asked)
    unask_for_large_pages(asked)
    assert asked == environment
