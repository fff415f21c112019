"""Text files: each line once, whatever the cuts."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simspark.publib.lineage import text_files
from simspark.publib.lineage.file_listing import list_files
from simspark.publib.lineage.sinks import Count
from simspark.publib.lineage.storage import Status
from simspark.publib.lineage.text_files import TextSource, plan_text_splits

TASK: Any = None


def lines_of(splits: list[Any], use_unicode: bool = True) -> list[list[Any]]:
    return [list(TextSource(use_unicode).rows(split, TASK)) for split in splits]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(content=st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\r\n", "ü\u2028\x0b".encode(), b""]), max_size=40),
       partitions=st.integers(1, 12), read_bytes=st.sampled_from([1, 2, 3, 7, 1000]))
def test_every_line_is_in_exactly_one_split(tmp_path: Path, monkeypatch: Any, content: list[bytes], partitions: int,
                                            read_bytes: int) -> None:
    monkeypatch.setattr(text_files, "READ_BYTES", read_bytes)
    monkeypatch.setattr(text_files, "SEARCH_BYTES", read_bytes)
    path = tmp_path / "file.txt"
    path.write_bytes(b"".join(content))
    splits = plan_text_splits(list_files(str(path)), partitions)
    assert [line for lines in lines_of(splits, False) for line in lines] == b"".join(content).splitlines()
    assert [line for lines in lines_of(splits) for line in lines] == [
        line.decode() for line in b"".join(content).splitlines()]


def test_a_line_that_begins_where_a_split_ends_belongs_to_it(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc\ndef\nghi\n")
    path = str(tmp_path / "f")
    assert lines_of([(path, 0, 4, ""), (path, 4, 4, ""), (path, 8, 4, "")]) == [["abc", "def"], ["ghi"], []]
    assert lines_of([(path, 0, 3, ""), (path, 3, 9, "")]) == [["abc"], ["def", "ghi"]]


def test_lines_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    lines = ["x" * 700_000, "", "y" * 10, "z" * 300_000]
    (tmp_path / "f").write_text("\n".join(lines))
    splits = plan_text_splits(list_files(tmp_path / "f"), 7)
    assert len(splits) == 7
    assert [line for part in lines_of(splits) for line in part] == lines


@pytest.mark.parametrize(("suffix", "compress"), [
    (".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_compressed_files_are_one_split(tmp_path: Path, suffix: str, compress: Any) -> None:
    (tmp_path / f"f{suffix}").write_bytes(compress(b"one\r\ntwo\nthree" * 1000))
    splits = plan_text_splits(list_files(tmp_path / f"f{suffix}"), 4)
    assert len(splits) == 1
    assert lines_of(splits) == [(b"one\r\ntwo\nthree" * 1000).decode().splitlines()]


def test_a_torn_compressed_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "f.gz").write_bytes(gzip.compress(b"one\n" * 1000)[:-12])
    with pytest.raises(EOFError, match=r"f\.gz"):
        lines_of(plan_text_splits(list_files(tmp_path / "f.gz"), 1))


def test_a_byte_order_mark_is_no_text_and_bad_bytes_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xef\xbb\xbfone\ntw\xff\n")
    assert lines_of([(str(tmp_path / "f"), 0, 11, "")]) == [["one", "tw\ufffd"]]
    assert lines_of([(str(tmp_path / "f"), 0, 1, ""), (str(tmp_path / "f"), 1, 10, "")]) == [["one"], ["tw\ufffd"]]


def files(*sizes: tuple[str, int]) -> list[Status]:
    return [Status(path, size, False) for path, size in sizes]


def test_splits_are_those_of_spark() -> None:
    assert plan_text_splits(files(("a", 100)), 3) == [("a", 0, 33, ""), ("a", 33, 33, ""), ("a", 66, 34, "")]
    assert plan_text_splits(files(("a", 100), ("b", 0), ("c.gz", 50), ("d.gz", 0)), 2) == [
        ("a", 0, 75, ""), ("a", 75, 25, ""), ("c.gz", 0, 50, "gzip")]
    assert [split[1:3] for split in plan_text_splits(files(("a", 70 << 20)), 1)] == [
        (0, 32 << 20), (32 << 20, 32 << 20), (64 << 20, 6 << 20)]
    assert plan_text_splits(files(("a", 3)), 10) == [("a", 0, 1, ""), ("a", 1, 1, ""), ("a", 2, 1, "")]
    assert plan_text_splits([], 2) == []


def test_a_file_of_unknown_size_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("one\ntwo\n" * 100)
    (split,) = plan_text_splits(files((str(tmp_path / "f"), -1)), 4)
    assert lines_of([split]) == [["one", "two"] * 100]


@given(data=st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf", b"\xc3", b"\x85", b"\x0c"])),
       parts=st.integers(1, 4), use_unicode=st.booleans())
def test_lines_are_counted_without_being_made(tmp_path_factory: Any, data: list[bytes], parts: int,
                                              use_unicode: bool) -> None:
    path = tmp_path_factory.mktemp("counted") / "lines"
    path.write_bytes(b"".join(data))
    for split in plan_text_splits([Status(str(path), path.stat().st_size, False)], parts):
        lines, counted = (TextSource(use_unicode).rows(split, TASK) for _ in range(2))
        assert Count()(0, counted) == len(list(lines))
        assert counted.running is None
