from __future__ import annotations

import pytest

from simspark.publib.resources import usable_cores, usable_memory_bytes

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
