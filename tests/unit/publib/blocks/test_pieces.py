"""Large values in files: they come back whole, and their checksums are computed while they are written."""

from __future__ import annotations

import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simspark.publib import optimizations
from simspark.publib.blocks import pieces, segments
from simspark.publib.blocks.pieces import append_value, write_value
from simspark.publib.blocks.segments import SegmentFile, SegmentWriter, decode_inline
from simspark.publib.errors import BlockError

LARGE = [b"x" * pieces.BESIDE_FROM_BYTES, bytearray(pieces.BESIDE_FROM_BYTES), np.arange(pieces.BESIDE_FROM_BYTES // 8),
         {"name": (b"y" * pieces.BESIDE_FROM_BYTES, "z" * 1000)}]


@pytest.mark.parametrize("size", [0, 10, 64, 100_000])
def test_a_value_in_pieces_comes_back_whole(tmp_path: Path, size: int) -> None:
    writer = SegmentWriter(str(tmp_path / "file"))
    count = append_value(writer, np.arange(size), piece_bytes=1000)
    writer.commit()
    with SegmentFile(str(tmp_path / "file")) as file:
        assert count == file.segment_count
        assert all(len(file.segment(index)) == 1000 for index in range(count - 1))
        assert (decode_inline(file.whole()) == np.arange(size)).all()
    with pytest.raises(BlockError):
        decode_inline(b"")


@pytest.mark.parametrize("value", LARGE, ids=["bytes", "a bytearray", "an array", "a dictionary"])
def test_a_file_is_the_same_whenever_its_checksum_was_computed(tmp_path: Path, value: Any) -> None:
    count = write_value(str(tmp_path / "beside"), value)
    optimizations.do_without(frozenset({"checksums"}))
    try:
        assert write_value(str(tmp_path / "before"), value) == count
    finally:
        optimizations.do_without(frozenset())
    content = (tmp_path / "beside").read_bytes()
    assert content == (tmp_path / "before").read_bytes()
    assert type(decode_inline(SegmentFile(str(tmp_path / "beside")).whole())) is type(value)


@pytest.mark.parametrize(("size", "waits"), [(1000, True), (pieces.BESIDE_FROM_BYTES, False)])
def test_who_writes_a_large_value_does_not_wait_for_its_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                 size: int, waits: bool) -> None:
    computed = []

    def crc32(part: Any, check: int = 0) -> int:
        computed.append((len(part), threading.current_thread() is threading.main_thread()))
        return zlib.crc32(part, check)

    monkeypatch.setattr(segments, "zlib", type("Watched", (), {"crc32": staticmethod(crc32)}))
    write_value(str(tmp_path / "file"), b"x" * size)
    assert [in_main for length, in_main in computed if length >= size] == [waits]


def test_nothing_is_left_of_a_large_value_for_which_there_was_no_room(tmp_path: Path,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "no room")

    monkeypatch.setattr(SegmentWriter, "append_frame", full)
    with pytest.raises(OSError, match="no room"):
        write_value(str(tmp_path / "file"), LARGE[0])
    assert not list(tmp_path.iterdir())
    assert not any(thread.name == "simspark-checksum" for thread in threading.enumerate())
