"""Whole files and records: packed as Spark packs them."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path
from typing import Any

import pytest

from simspark.publib.lineage.storage import Status
from simspark.publib.lineage.whole_files import (
    RecordSource,
    WholeFileSource,
    binary_packing_bytes,
    pack_files,
    plan_record_splits,
    text_packing_bytes,
)

TASK: Any = None
MIB = 1 << 20


def files(*sizes: int) -> list[Status]:
    return [Status(f"{number}:{size}", size, False) for number, size in enumerate(sizes)]


def sizes_of(splits: list[tuple[str, ...]]) -> list[list[int]]:
    return [[int(path.partition(":")[2]) for path in split] for split in splits]


# sizes of partitions as PySpark 4.3 on local[2] made them of these files
@pytest.mark.parametrize(("least", "packed"), [
    (1, [[7, 1, 3, 9, 2, 5], [0]]), (2, [[7, 1, 3, 9], [2, 0, 5]]), (3, [[7, 1, 3], [9], [2, 0, 5]]),
    (4, [[7], [1, 3, 9], [2, 5], [0]]), (7, [[7], [1, 3], [9], [2, 5], [0]]),
])
def test_texts_are_packed_as_spark_packs_them(least: int, packed: list[list[int]]) -> None:
    given = files(7, 1, 3, 9, 2, 0, 5)
    assert sizes_of(pack_files(given, text_packing_bytes(given, least))) == packed


@pytest.mark.parametrize(("least", "packed"), [
    (1, [[5, 1, 3, 3, 0, 4]]), (4, [[5, 1, 3, 3], [0, 4]]), (8, [[5], [1, 3, 3], [0, 4]]),
    (20, [[5], [1, 3], [3, 4], [0]]),
])
def test_binaries_are_packed_as_spark_packs_them(least: int, packed: list[list[int]]) -> None:
    given = files(*(size * MIB for size in (5, 1, 3, 3, 0, 4)))
    splits = pack_files(given, binary_packing_bytes(given, least, 2))
    assert sizes_of(splits) == [[size * MIB for size in part] for part in packed]


def test_no_files_are_no_partition_and_empty_files_are_one() -> None:
    assert pack_files([], text_packing_bytes([], 2)) == []
    assert sizes_of(pack_files(files(0, 0), text_packing_bytes(files(0, 0), 2))) == [[0, 0]]


def test_a_file_that_is_named_twice_is_read_twice() -> None:
    twice = [Status("a", 3, False), Status("a", 3, False), Status("b", 1, False)]
    assert [path for split in pack_files(twice, 4) for path in split] == ["a", "a", "b"]


def test_rows_are_named_by_path_and_texts_are_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"zipped"))
    (tmp_path / "b.bz2").write_bytes(bz2.compress(b"bz"))
    (tmp_path / "c").write_bytes(b"\xef\xbb\xbfcr\r\nlf\n\xff\xfe")
    paths = tuple(str(tmp_path / name) for name in ("a.gz", "b.bz2", "c"))
    text = dict(WholeFileSource(True).rows(paths, TASK))
    assert list(text) == [f"file:{path}" for path in paths]
    assert list(text.values()) == ["zipped", "bz", "\ufeffcr\r\nlf\n\ufffd\ufffd"]
    (row,) = WholeFileSource(True, use_unicode=False).rows(paths[2:], TASK)
    assert row == (f"file:{paths[2]}".encode(), b"\xef\xbb\xbfcr\r\nlf\n\xef\xbf\xbd\xef\xbf\xbd")
    assert [content for _, content in WholeFileSource(False).rows(paths, TASK)] == [
        Path(path).read_bytes() for path in paths]


def test_records_are_cut_at_their_length(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(range(100)))
    splits = plan_record_splits([Status(str(tmp_path / "f"), 100, False), Status("empty", 0, False)], 10, 25)
    assert [split[1:] for split in splits] == [(0, 20), (20, 20), (40, 20), (60, 20), (80, 20)]
    rows = [list(RecordSource(10).rows(split, TASK)) for split in splits]
    assert rows[2] == [bytes(range(40, 50)), bytes(range(50, 60))]
    assert b"".join(row for part in rows for row in part) == bytes(range(100))


def test_record_splits_are_those_of_spark() -> None:
    huge = [Status("f", 70 * MIB, False)]
    assert [len(plan_record_splits(huge, length)) for length in (7, 1000, 40 * MIB)] == [3, 3, 2]


def test_a_record_that_is_not_whole_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(20))
    (split,) = plan_record_splits([Status(str(tmp_path / "f"), 20, False)], 7)
    with pytest.raises(EOFError, match=r"/f: its last record has 6 of 7 bytes"):
        list(RecordSource(7).rows(split, TASK))


def test_records_of_compressed_files_are_refused() -> None:
    with pytest.raises(ValueError, match=r"x\.gz: it is compressed"):
        plan_record_splits([Status("/x.gz", 20, False)], 2)
