"""The event stream survives a journey through plain values, and old readers survive new events."""

from __future__ import annotations

import json

import pytest

from simspark.publib import events

ONE_OF_EACH = [
    events.JobStarted(1, "collect", "app.py:3", "", ((0, "map", "app.py:2", 4), (1, "collect", "app.py:3", 2))),
    events.JobEnded(1, "failed", "boom"),
    events.StageStarted(1, 0, 0, "map", "app.py:2", 4),
    events.StageEnded(1, 0, 0, "succeeded"),
    events.TasksStarted(1, 0, 0, "e1", (events.TaskStart(7, 0, 0),)),
    events.TasksEnded(1, 0, 0, "e1", (events.TaskEnd(7, 0, 0, "ok", True, "", {"run_us": 5}),)),
    events.ExecutorAdded("e1", "w1", "h", 2),
    events.ExecutorRemoved("e1", "w1", "signal 9"),
    events.WorkerStateChanged("w1", "late", ""),
    events.BlockUpdated(7, 0, "e1", "w1", False, 10),
    events.LogLine("e1", 7, "stdout", "hello"),
]


def test_there_is_an_example_of_each():
    assert {type(event) for event in ONE_OF_EACH} == set(events.KINDS.values())


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=events.kind_of)
def test_an_event_returns_from_json_as_it_was(event):
    record = json.loads(json.dumps(events.to_record(event)))
    assert (record["kind"], record["version"]) == (events.kind_of(event), events.VERSION)
    assert events.from_record(record) == event


def test_a_kind_of_a_later_version_is_skipped():
    assert events.from_record({"kind": "gpu_added", "version": 9}) is None


def test_fields_of_a_later_version_are_left_out():
    record = {**events.to_record(events.JobEnded(1, "succeeded", "")), "credits": 3}
    assert events.from_record(record) == events.JobEnded(1, "succeeded", "")
    record = events.to_record(ONE_OF_EACH[4])
    record["tasks"][0].append("more")
    assert events.from_record(record) == ONE_OF_EACH[4]
