import os
import pathlib
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simspark.master.journal import FILE_NAME, MAGIC, Journal, encode, frame, replay
from simspark.master.records import (
    ApplicationForgotten,
    ApplicationKnown,
    EpochStarted,
    Known,
    WorkerForgotten,
    WorkerKnown,
    fold,
    summary,
)
from simspark.publib.errors import StorageFault

STORY = [
    EpochStarted(1, 0), WorkerKnown("w1", 1, "K1"), ApplicationKnown("app-1-1", "D1"), WorkerKnown("w2", 1, "K2"),
    WorkerKnown("w1", 2, "K1"), WorkerForgotten("w2"), ApplicationForgotten("app-1-1"), ApplicationKnown("app-1-2", ""),
]  # fmt: skip
ENDING = Known(1, 2, {"w1": (2, "K1")}, {"app-1-2": ""})


def written(directory, records=STORY):
    journal = Journal(str(directory))
    for record in records:
        journal.append(record)
    journal.close()
    return os.path.join(str(directory), FILE_NAME)


def reopened(directory):
    journal = Journal(str(directory))
    journal.close()
    return journal


def test_what_was_appended_is_known_after_a_restart(tmp_path):
    written(tmp_path)
    assert reopened(tmp_path).known == ENDING


def test_the_file_is_for_its_owner_only(tmp_path):
    assert stat.S_IMODE(os.stat(written(tmp_path)).st_mode) == 0o600


def test_each_start_is_an_epoch(tmp_path):
    for epoch in (1, 2, 3):
        journal = Journal(str(tmp_path))
        assert journal.start_epoch() == epoch
        journal.close()


def test_a_journal_that_goes_with_its_parent_waits_for_no_disk_and_says_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", pytest.fail)
    journal = Journal(str(tmp_path), compact_after_bytes=200, lasting=False)
    for record in STORY:
        journal.append(record)
    journal.close()
    monkeypatch.undo()
    assert reopened(tmp_path).known == ENDING


def test_a_record_is_synced_before_append_returns(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    journal = Journal(str(tmp_path))
    for record in STORY:
        journal.append(record)
        assert synced[-1] == os.path.getsize(journal.path)
    assert len(synced) >= len(STORY)
    journal.close()


def test_a_failed_write_is_an_error_and_the_next_one_takes_its_place(tmp_path, monkeypatch):
    journal = Journal(str(tmp_path))
    real = os.pwrite

    def full(fd, data, offset):
        real(fd, bytes(data[:3]), offset)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StorageFault, match="No space left on device"):
        journal.append(WorkerKnown("w1", 1, ""))
    monkeypatch.setattr(os, "pwrite", real)
    journal.append(WorkerKnown("w2", 1, ""))
    journal.close()
    assert reopened(tmp_path).known.workers == {"w2": (1, "")}


def test_two_masters_cannot_write_one_journal(tmp_path):
    journal = Journal(str(tmp_path))
    with pytest.raises(StorageFault, match="Another master uses the journal"):
        Journal(str(tmp_path))
    journal.close()


def test_a_torn_tail_is_dropped_with_a_notice_wherever_the_crash_came(tmp_path):
    path = written(tmp_path)
    whole = pathlib.Path(path).read_bytes()
    last = len(encode(STORY[-1]))
    expected = ENDING._replace(applications={})
    for cut in range(1, last):
        with open(path, "wb") as file:
            file.write(whole[:-cut])
        journal = reopened(tmp_path)
        assert journal.known == expected
        assert f"dropped a torn record of {last - cut} bytes at offset {len(whole) - last}" in journal.notice
        assert os.path.getsize(path) == len(whole) - last


def test_what_is_appended_after_a_torn_tail_is_readable(tmp_path):
    path = written(tmp_path)
    os.truncate(path, os.path.getsize(path) - 3)
    written(tmp_path, [WorkerKnown("w9", 1, "")])
    assert reopened(tmp_path).known.workers["w9"] == (1, "")


def test_every_flipped_byte_before_the_last_record_refuses_to_start_and_says_the_offset(tmp_path):
    path = written(tmp_path)
    whole = pathlib.Path(path).read_bytes()
    starts = [0]
    for record in (frame(MAGIC), *map(encode, STORY)):
        starts.append(starts[-1] + (len(record) if isinstance(record, bytes) else 0))
    for index in range(starts[-2]):
        data = bytearray(whole)
        data[index] ^= 0x41
        damaged = max(start for start in starts if start <= index)
        with pytest.raises(StorageFault, match=f"damaged at offset {damaged}\\."):
            replay(bytes(data), path)


def test_a_file_of_somebody_else_is_not_touched(tmp_path):
    path = tmp_path / FILE_NAME
    path.write_bytes(frame(b"something else"))
    with pytest.raises(StorageFault, match="damaged at offset 0"):
        Journal(str(tmp_path))
    assert path.read_bytes() == frame(b"something else")


def test_it_is_compacted_to_what_it_says(tmp_path):
    journal = Journal(str(tmp_path), compact_after_bytes=2000)
    for number in range(1, 500):
        journal.append(ApplicationKnown(f"app-1-{number}", "k"))
        journal.append(ApplicationForgotten(f"app-1-{number}"))
    journal.append(WorkerKnown("w4", 7, "K"))
    journal.close()
    assert os.path.getsize(journal.path) < 2500
    assert os.listdir(tmp_path) == [FILE_NAME]
    assert stat.S_IMODE(os.stat(journal.path).st_mode) == 0o600
    again = reopened(tmp_path)
    assert again.known == Known(0, 4, {"w4": (7, "K")}, {})


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFault, match="Cannot write the master's journal .*/file/"):
        Journal(str(tmp_path / "file" / "state"))


RECORDS = st.one_of(
    st.builds(WorkerKnown, st.sampled_from(["w1", "w2", "w3"]), st.integers(1, 99), st.text(max_size=5)),
    st.builds(WorkerForgotten, st.sampled_from(["w1", "w2", "w3"])),
    st.builds(ApplicationKnown, st.sampled_from(["app-1-1", "app-1-2"]), st.text(max_size=5)),
    st.builds(ApplicationForgotten, st.sampled_from(["app-1-1", "app-1-2"])),
    st.builds(EpochStarted, st.integers(1, 9), st.integers(0, 9)),
)


@given(st.lists(RECORDS, max_size=30))
def test_the_summary_says_the_same_as_the_records(records):
    known = Known()
    for record in records:
        known = fold(known, record)
    again = Known()
    for record in summary(known):
        again = fold(again, record)
    assert again == known
    data = frame(MAGIC) + b"".join(map(encode, records))
    assert replay(data, "j").known == known
