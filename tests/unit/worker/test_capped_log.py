from __future__ import annotations

import os

from simspark.worker import capped_log
from simspark.worker.capped_log import CappedLog


def total(directory):
    return {name: os.path.getsize(directory / name) for name in os.listdir(directory)}


def test_what_is_printed_in_measure_is_all_there(tmp_path):
    log = CappedLog(str(tmp_path / "log"), 0.0)
    assert log.write(b"one\n", 0.0) == b"one\n"
    log.write(b"two\n", 1.0)
    log.close()
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"


def test_of_a_flood_head_and_tail_are_kept_and_the_rest_counted(tmp_path):
    log = CappedLog(str(tmp_path / "log"), 0.0)
    log.write(b"head\n", 0.0)
    shown = sum(len(log.write(b"x" * 65536, 0.0)) for _ in range(1000))
    assert shown <= capped_log.BURST_BYTES
    log.write(b"\ntail\n", 0.0)
    assert log.catch_up(0.0) == b""
    end = log.catch_up(5.0)
    assert end.startswith(b"\n... ") and b" bytes left out ...\n" in end and end.endswith(b"\ntail\n")
    assert log.last_lines().endswith("tail")
    log.close()
    assert sum(total(tmp_path).values()) < 2 * capped_log.BURST_BYTES


def test_a_flood_that_never_pauses_is_sampled_at_the_allowed_rate(tmp_path):
    log = CappedLog(str(tmp_path / "log"), 0.0)
    for tick in range(1000):
        log.write(b"y" * 65536, tick * 0.05)
    log.close()
    assert sum(total(tmp_path).values()) < capped_log.BURST_BYTES + 50 * capped_log.RATE_BYTES_PER_S


def test_a_long_run_keeps_the_first_file_and_the_last_two(tmp_path):
    log = CappedLog(str(tmp_path / "log"), 0.0)
    for tick in range(100):
        log.write(b"%06d" % tick + b"z" * 100_000, float(tick))
    log.close()
    assert sorted(total(tmp_path)) == ["log", "log.1", "log.head"]
    assert (tmp_path / "log.head").read_bytes().startswith(b"000000")
    assert max(total(tmp_path).values()) < 1.2 * capped_log.FILE_LIMIT_BYTES


def test_without_a_path_or_where_it_cannot_write_it_still_knows_the_last_lines(tmp_path):
    for path in ("", str(tmp_path / "none" / "log")):
        log = CappedLog(path, 0.0)
        log.write(b"\n".join(b"line %d" % number for number in range(9)), 0.0)
        assert log.last_lines().splitlines() == [f"line {number}" for number in range(4, 9)]
        log.close()


def test_what_is_held_back_is_written_at_the_end(tmp_path):
    log = CappedLog(str(tmp_path / "log"), 0.0)
    log.write(b"a" * (2 << 20), 0.0)
    log.write(b"the end", 0.0)
    log.close()
    assert (tmp_path / "log").read_bytes().endswith(b"the end")
