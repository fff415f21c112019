from __future__ import annotations

import json
from enum import IntEnum

import pytest

from simspark.publib.event_lines import line_of
from simspark.publib.events import (
    KINDS,
    BlockUpdated,
    JobEnded,
    JobStarted,
    LogLine,
    StageStarted,
    TaskEnd,
    TasksEnded,
    TasksStarted,
    TaskStart,
    to_record,
)

pytestmark = pytest.mark.unit


class Colour(IntEnum):
    RED = 1


ODD = 'quote " backslash \\ line\n tab\t ä 漢 \x00 \U0001f600 %s \udc80'
EVENTS = [
    JobStarted(1, "count", "a.py:3", "", ((1, "map", ODD, 2), (2, "count", "b.py:1", 0))),
    JobStarted(1, "count", "a.py:3", "group", ()),
    JobEnded(2**70, "failed", ODD),
    StageStarted(1, 2, 0, ODD, "a.py:3", 7),
    TasksStarted(1, 2, 0, "w/0", (TaskStart(1, 0, 0), TaskStart(2, 1, 3))),
    TasksEnded(1, 2, 0, "w/0", (TaskEnd(1, 0, 0, "ok", True, "", {"run_us": 7, ODD: -1}),)),
    TasksEnded(1, 2, 0, "w/0", (TaskEnd(1, 0, 0, "raised", False, ODD, {}), TaskEnd(2, 0, 1, "ok", True, "", {}))),
    BlockUpdated(1, -1, "", "", False, -1),
    BlockUpdated(1, 0, "e", "w", True, 1 << 40),
    LogLine("e", -1, "stdout", ODD),
]
UNUSUAL = [
    JobEnded(Colour.RED, "ok", None),  # type: ignore[arg-type]
    JobEnded(1.5, b"".decode(), {"a": [1, (True, None)]}),  # type: ignore[arg-type]
    TasksEnded(1, 2, 0, "w", (TaskEnd(1, 0, 0, "ok", True, "", {1: 2}),)),  # type: ignore[dict-item]
]


@pytest.mark.parametrize("event", [*EVENTS, *UNUSUAL], ids=lambda event: type(event).__name__)
def test_a_line_holds_what_json_writes_of_the_record(event):
    line = line_of(1763722345.25, event)
    assert line == json.dumps({"time": 1763722345.25, **to_record(event)}).replace("45.25,", "45.250000,", 1) + "\n"


def test_every_kind_of_event_has_a_line():
    for kind in KINDS.values():
        event = kind(*range(len(kind._fields) - 1), ())
        assert json.loads(line_of(0.5, event)) == {"time": 0.5, **json.loads(json.dumps(to_record(event)))}
