from __future__ import annotations

import json
import logging
import os
import re

import pytest

from simspark.publib import logs

pytestmark = pytest.mark.unit


@pytest.fixture
def log(tmp_path):
    yield lambda *args, **kwargs: logs.open_log(str(tmp_path / "logs" / "x.log"), *args, **kwargs)
    logs.close_log()


def read(tmp_path):
    return (tmp_path / "logs" / "x.log").read_text(encoding="utf-8")


def test_a_line_has_utc_time_level_part_text_and_ids(log, tmp_path):
    log()
    logging.getLogger("simspark.master").info("worker %s joined", "w3", extra={"ids": {"worker": "w3"}})
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO master worker w3 joined worker=w3\n", read(tmp_path)
    )


def test_json_lines_hold_the_same_fields(log, tmp_path):
    log("json")
    logging.getLogger("simspark.worker").warning("late", extra={"ids": {"worker": "w3"}})
    fields = json.loads(read(tmp_path))
    assert fields.pop("time").endswith("Z")
    assert fields == {"level": "warning", "part": "worker", "text": "late", "worker": "w3"}


def test_the_level_holds(log, tmp_path):
    log(level="warning")
    logging.getLogger("simspark.worker").info("quiet")
    assert read(tmp_path) == ""


def test_a_log_is_for_its_owner_only(log, tmp_path):
    log()
    assert os.stat(tmp_path / "logs" / "x.log").st_mode & 0o077 == 0
    assert os.stat(tmp_path / "logs").st_mode & 0o077 == 0


def test_logs_rotate_and_old_ones_are_bounded(log, tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "MAX_LOG_BYTES", 200)
    log()
    for number in range(100):
        logging.getLogger("simspark.x").info("line %d", number)
    assert len(os.listdir(tmp_path / "logs")) == 1 + logs.OLD_LOGS


def test_tail_gives_the_last_lines_since_a_point(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("old\n" + "".join(f"{number}\n" for number in range(9)))
    assert logs.tail(str(path), 3) == ["6", "7", "8"]
    assert logs.tail(str(path), 99, start=4) == [str(number) for number in range(9)]
    assert logs.tail(str(path), 1, start=10_000) == ["8"]
    assert logs.tail(str(tmp_path / "none"), 3) == []
