"""The types that users see, checked by mypy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONSUMER = Path(__file__).with_name("consumer.py")


@pytest.mark.slow
def test_a_typed_program_is_understood() -> None:
    root = CONSUMER.parents[2]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(CONSUMER)], cwd=root, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
