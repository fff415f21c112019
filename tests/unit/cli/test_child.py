"""How a daemon is run that its parent has started."""

from __future__ import annotations

import pytest

from simspark.cli import child
from simspark.master import service
from simspark.publib import config

pytestmark = pytest.mark.unit


def test_a_master_that_goes_with_its_parent_waits_for_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[dict[str, bool]] = []
    monkeypatch.setattr(service, "run", lambda config, ready, **how: started.append(how))
    child._service("master", None)(config.load({}), lambda info: None)
    assert started == [{"lasting": False}]
