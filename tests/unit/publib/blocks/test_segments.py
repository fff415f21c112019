"""Segment files: what was written comes back, or an error that says it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simspark.publib.blocks import segments
from simspark.publib.blocks.segments import SegmentFile, SegmentWriter, decode_batches, decode_inline
from simspark.publib.errors import CorruptBlock, MissingBlock, StorageFault


def write(path: Path, content: dict[int, list[list[object]]]) -> str:
    writer = SegmentWriter(str(path))
    for segment, batches in content.items():
        for batch in batches:
            writer.append(segment, batch)
    assert writer.commit() == path.stat().st_size
    return str(path)


def read(path: str) -> dict[int, list[list[object]]]:
    with SegmentFile(path) as file:
        return {index: list(decode_batches(file.segment(index))) for index in range(file.segment_count)}


def read_in_pieces(path: str) -> dict[int, list[list[object]]]:
    with SegmentFile(path) as file:
        return {index: list(file.batches(index)) for index in range(file.segment_count)}


READERS = [read, read_in_pieces]
batches = st.lists(st.lists(st.one_of(st.none(), st.integers(), st.text(), st.binary(), st.floats(allow_nan=False),
                                      st.tuples(st.integers(), st.text())), min_size=1), max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(content=st.lists(batches, max_size=5))
def test_every_segment_comes_back_as_written(tmp_path: Path, content: list[list[list[object]]]) -> None:
    for reader in READERS:
        back = reader(write(tmp_path / "file", dict(enumerate(content))))
        assert [back.get(index, []) for index in range(len(content))] == content


def test_no_temporary_file_stays_and_nothing_is_there_before_the_commit(tmp_path: Path) -> None:
    writer = SegmentWriter(str(tmp_path / "file"))
    writer.append(0, [1])
    assert not (tmp_path / "file").exists()
    writer.commit()
    assert os.listdir(tmp_path) == ["file"]


def test_an_aborted_file_leaves_nothing(tmp_path: Path) -> None:
    writer = SegmentWriter(str(tmp_path / "file"))
    writer.append(0, [1])
    writer.abort()
    writer.abort()
    assert os.listdir(tmp_path) == []


def test_skipped_segments_are_empty_and_segments_do_not_go_back(tmp_path: Path) -> None:
    path = write(tmp_path / "file", {2: [["a"]], 4: [[]]})
    assert read(path) == {0: [], 1: [], 2: [["a"]], 3: [], 4: []}
    with SegmentFile(path) as file:
        assert len(file.segment(9)) == 0
    writer = SegmentWriter(str(tmp_path / "other"))
    writer.append(1, [1])
    with pytest.raises(ValueError, match="segment 0 after segment 1"):
        writer.append(0, [1])
    writer.abort()


@pytest.mark.parametrize("window_bytes", [100, 1 << 20])
def test_a_segment_is_read_in_pieces_of_whole_frames(tmp_path: Path, monkeypatch: Any, window_bytes: int) -> None:
    monkeypatch.setattr(segments, "WINDOW_BYTES", window_bytes)
    content = {0: [[1], ["x" * 1000], list(range(500)), [None]], 1: [], 2: [[number] for number in range(50)]}
    path = write(tmp_path / "file", content)
    assert read_in_pieces(path) == read(path) == content
    with SegmentFile(path) as file:
        for index in content:
            pieces = list(file.pieces(index))
            assert b"".join(pieces) == file.segment(index)
            assert max(map(len, pieces), default=0) <= window_bytes


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("rows", [0, 3, 9000])
def test_any_flipped_byte_is_found(tmp_path: Path, monkeypatch: Any, rows: int, read: Any) -> None:
    monkeypatch.setattr(segments, "WINDOW_BYTES", 5000)
    path = write(tmp_path / "file", {0: [list(range(rows))] if rows else [], 1: [["x" * 5], [b"y" * 11]]})
    expected = read(path)
    good = (tmp_path / "file").read_bytes()
    for at in range(0, len(good), max(1, len(good) // 400)):
        (tmp_path / "file").write_bytes(good[:at] + bytes([good[at] ^ 0x40]) + good[at + 1 :])
        with pytest.raises(CorruptBlock):
            assert read(path) != expected, f"byte {at} does not matter"


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("rows", [3, 40000])
def test_any_truncation_is_found(tmp_path: Path, rows: int, read: Any) -> None:
    path = write(tmp_path / "file", {0: [list(range(rows))], 1: [["x"]]})
    good = (tmp_path / "file").read_bytes()
    for size in range(0, len(good), max(1, len(good) // 300)):
        (tmp_path / "file").write_bytes(good[:size])
        with pytest.raises(CorruptBlock):
            read(path)


def test_a_file_or_directory_that_is_not_there_is_missing(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path / "no" / "file"):
        with pytest.raises(MissingBlock):
            SegmentFile(str(path))


def test_a_cut_off_segment_is_found_and_a_frame_cannot_be_taken_for_another() -> None:
    frames = segments.encode_rows_inline([1, 2]) + segments.encode_rows_inline([3])
    assert list(decode_batches(frames)) == [[1, 2], [3]]
    for size in (1, 8, 39, len(frames) - 1):
        with pytest.raises(CorruptBlock):
            list(decode_batches(frames[:size]))
    with pytest.raises(CorruptBlock):
        decode_inline(frames)


def test_large_arrays_are_not_copied_and_may_be_changed_without_changing_the_file(tmp_path: Path) -> None:
    array = np.arange(100_000, dtype=np.float64)
    path = write(tmp_path / "file", {0: [[array, array[::2], np.arange(3)]]})
    with SegmentFile(path) as file:
        frames = file.segment(0)
        whole = np.frombuffer(frames, dtype=np.uint8)
        (batch,) = decode_batches(frames)
        assert np.shares_memory(batch[0], whole)
        assert batch[0].flags.aligned
    assert (batch[0] == array).all() and (batch[1] == array[::2]).all()
    for each in batch:
        each += 1
    (again,) = read(path)[0]
    assert (again[0] == array).all() and again[2].tolist() == [0, 1, 2]


def test_a_segment_is_mapped_without_the_rest_of_its_file(tmp_path: Path) -> None:
    path = write(tmp_path / "file", {0: [[b"a" * 3_000_000]], 1: [[b"b" * 3_000_000]], 2: [[1]]})
    with SegmentFile(path) as file:
        held = file.segment(1)
        assert memoryview(held).nbytes == file.extent(1)[1]
        assert len(held.obj) < 4_000_000  # what is mapped
        assert list(decode_batches(file.segment(2))) == [[1]]
    assert list(decode_batches(held)) == [[b"b" * 3_000_000]]
    os.truncate(path, 100_000)
    with pytest.raises(CorruptBlock):
        SegmentFile(path)


def test_an_inline_value_comes_back_writable() -> None:
    value = decode_inline(segments.encode_rows_inline({"a": np.zeros(4096)}))
    value["a"] += 1
    assert value["a"].sum() == 4096


def test_values_of_the_main_script_travel_by_value(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from simspark.publib.blocks.segments import SegmentWriter\n"
        "class Point:\n    def __init__(self, x): self.x = x\n    def double(self): return 2 * self.x\n"
        f"writer = SegmentWriter({str(tmp_path / 'file')!r})\n"
        "writer.append(0, [Point(21)])\nwriter.append(0, [lambda: 'called'])\nwriter.commit()\n")
    root = str(Path(__file__).parents[4])
    subprocess.run([sys.executable, str(script)], check=True, timeout=60, env={**os.environ, "PYTHONPATH": root})
    (point,), (function,) = read(str(tmp_path / "file"))[0]
    assert (point.double(), function()) == (42, "called")


def test_a_failing_disk_is_a_storage_fault_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(StorageFault) as caught:
        SegmentWriter(str(tmp_path / "no" / "file"))
    assert isinstance(caught.value, OSError) and caught.value.errno == 2
    if os.path.exists("/dev/full"):
        writer = SegmentWriter(str(tmp_path / "file"))
        writer._file.close()
        writer._file = open("/dev/full", "wb", 0)
        with pytest.raises(StorageFault):
            writer.append(0, [1])
        assert os.listdir(tmp_path) == []


def test_large_rows_make_small_batches_and_no_rows_still_make_a_segment(tmp_path: Path) -> None:
    writer = SegmentWriter(str(tmp_path / "file"))
    segments.write_rows(writer, 0, iter([]), 1000)
    segments.write_rows(writer, 1, (bytes([i]) * 1_000_000 for i in range(40)), 1000)
    segments.write_rows(writer, 2, iter(range(5000)), 1000)
    writer.commit()
    back = read(str(tmp_path / "file"))
    assert back[0] == [] and sum(map(len, back[1])) == 40 and max(map(len, back[1])) <= 16
    assert [row for batch in back[2] for row in batch] == list(range(5000)) and len(back[2]) < 10


@pytest.mark.parametrize("rows", [list(range(5000)), [b"x" * 1_000_000] * 20, []], ids=["numbers", "large", "none"])
@pytest.mark.parametrize("cut", [(0, 1 << 40), (3, 4500), (17, 17)])
def test_a_cut_of_a_list_makes_the_batches_that_its_iterator_makes(
    tmp_path: Path, rows: list[Any], cut: tuple[int, int],
) -> None:
    start, stop = cut
    for name, write in (("cut", (rows, 1000, cut)), ("gone through", (iter(rows[start:stop]), 1000))):
        writer = SegmentWriter(str(tmp_path / name))
        segments.write_rows(writer, 0, *write)
        writer.commit()
    assert read(str(tmp_path / "cut")) == read(str(tmp_path / "gone through"))


class Mark:
    """Of a module that no other process has, as soon as it says so."""


@pytest.mark.parametrize("around", [[], [b"B" * 300_000], ["x" * 300_000, bytearray(300_000)], [0] * 100_000],
                         ids=["alone", "behind bytes", "behind text", "behind frames"])  # fmt: skip
def test_what_lives_in_main_travels_by_value_beside_large_rows(
    around: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mark, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Mark", Mark, raising=False)
    frame = segments.encode_rows_inline([*around, Mark(), *around])
    monkeypatch.delattr(sys.modules["__main__"], "Mark")
    back = decode_inline(frame)
    assert back[: len(around)] == around
    assert type(back[len(around)]).__name__ == "Mark"


@pytest.mark.parametrize("content", [b"__main__" * 50_000, "__main__" * 50_000, bytearray(b"__main__" * 50_000)])
def test_large_content_is_not_searched_for_names(content: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    assert decode_inline(segments.encode_rows_inline([content, 1])) == [content, 1]


def test_large_bytes_are_parts_of_a_frame_themselves() -> None:
    large = b"x" * 100_000
    assert any(part is large for part in segments.encode_batch([("key", large)]))


@pytest.mark.parametrize("before", ["", "a", "key of seven"])
def test_a_large_value_begins_at_a_multiple_of_eight_in_its_file(before: str) -> None:
    parts = segments.encode_batch([(before, b"x" * 100_000)])
    large = next(index for index, part in enumerate(parts) if len(part) == 100_000)
    assert sum(map(len, parts[:large])) % 8 == 0
    assert sum(map(len, parts)) % 8 == 0
