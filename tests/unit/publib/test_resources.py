from __future__ import annotations

import pytest

from simspark.publib.resources import (
    INTERPRETER_BYTES,
    cache_bytes,
    fetch_bytes,
    tasks_bytes,
    usable_cores,
    usable_memory_bytes,
)

pytestmark = pytest.mark.unit


def test_a_cgroup_limits_memory(tmp_path):
    (tmp_path / "memory.max").write_text("1048576\n")
    assert usable_memory_bytes(str(tmp_path)) == 1 << 20


def test_no_limit_is_the_machine(tmp_path):
    (tmp_path / "memory.max").write_text("max\n")
    assert usable_memory_bytes(str(tmp_path)) > 1 << 20


def test_a_quota_limits_cores(tmp_path):
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert usable_cores(str(tmp_path)) == 1


def test_no_quota_is_what_is_allowed(tmp_path):
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert usable_cores(str(tmp_path)) == usable_cores("/nonexistent")


@pytest.mark.parametrize("executor_bytes", [512, 1 << 20, 64 << 20, 256 << 20, 16 << 30])
def test_what_tasks_and_caches_hold_and_fetch_leaves_an_executor_room_for_itself(executor_bytes):
    held = tasks_bytes(executor_bytes) + cache_bytes(executor_bytes) + fetch_bytes(executor_bytes)
    assert 0 < held < executor_bytes
    assert held <= max(executor_bytes - INTERPRETER_BYTES, executor_bytes // 2)
    assert fetch_bytes(executor_bytes) <= fetch_bytes(0)
