from __future__ import annotations

import os
from pathlib import Path

import pytest

from simspark.publib.event_log import EventLog, prune_event_logs, read_event_log
from simspark.publib.events import JobEnded, TaskEnd, TasksEnded

pytestmark = pytest.mark.unit


class Hand:
    time = 100.0

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.time


def test_events_come_back_as_they_were(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path / "logs"), "app-1", Hand())
    ended = TasksEnded(1, 2, 0, "e1", (TaskEnd(5, 0, 0, "ok", True, "", {"run_us": 7}),))
    log.add(ended)
    log.add(JobEnded(1, "succeeded", "ä"))
    log.close()
    log.close()
    assert read_event_log(log.path) == [(100.0, ended), (100.0, JobEnded(1, "succeeded", "ä"))]


def test_it_never_takes_more_than_its_bound_and_keeps_the_newest(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path), "app-1", Hand(), max_bytes=4000)
    for job in range(500):
        log.add(JobEnded(job, "succeeded", ""))
    log.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4000
    kept = [event.job for _, event in read_event_log(log.older_path) + read_event_log(log.path)]
    assert kept == list(range(500 - len(kept), 500))
    assert len(kept) > 15


def test_events_are_written_when_a_moment_has_passed(tmp_path: Path) -> None:
    clock = Hand()
    log = EventLog(str(tmp_path), "app-1", clock)
    log.add(JobEnded(1, "succeeded", ""))
    assert not os.path.exists(log.path)
    clock.time += 3
    log.add(JobEnded(2, "succeeded", ""))
    assert len(read_event_log(log.path)) == 2
    log.close()


def test_a_disk_that_fails_ends_the_log_and_nothing_else(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    log = EventLog(str(blocked / "logs"), "app-1", Hand())
    for job in range(1000):
        log.add(JobEnded(job, "succeeded", ""))
    log.close()
    assert str(blocked) in log.fault


def test_a_last_line_cut_off_and_unknown_kinds_are_left_out(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path), "app-1", Hand())
    log.add(JobEnded(1, "succeeded", ""))
    log.close()
    with open(log.path, "a", encoding="utf-8") as file:
        file.write('{"kind": "of_tomorrow", "time": 1}\n{"kind": "job_')
    assert [event.job for _, event in read_event_log(log.path)] == [1]


def test_pruning_removes_the_oldest(tmp_path: Path) -> None:
    for number in range(4):
        path = tmp_path / f"app-{number}.jsonl"
        path.write_bytes(b"x" * 100)
        os.utime(path, (number, number))
    prune_event_logs(str(tmp_path), 250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app-2.jsonl", "app-3.jsonl"]
    prune_event_logs(str(tmp_path / "absent"), 250)
