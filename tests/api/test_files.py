"""Files read and written by programs: partitions as Spark has them, output once and whole."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from simspark.publib.errors import CorruptBlock

from .conftest import HereContext

EXPRESSIONS = [
    *(f'base(sc.wholeTextFiles(T+"/*.txt",{least}))' for least in (None, 0, 1, 2, 3, 4, 5, 8, 20)),
    *(f'base(sc.binaryFiles(T+"/*.txt",{least}))' for least in (None, 1, 8)),
    'base(sc.wholeTextFiles(T+"/e.txt,"+T+"/a.txt",2))',
    'base(sc.wholeTextFiles(T+"/{e,a}.txt"))',
    'base(sc.wholeTextFiles("file://"+T+"/b.txt"))',
    'base(sc.wholeTextFiles(T+"/b.txt",use_unicode=False))',
    'base(sc.wholeTextFiles(T+"/z/*",1))',
    'base(sc.wholeTextFiles(T+"/z/*",1,False))',
    'base(sc.binaryFiles(T+"/z/*"))',
    'base(sc.wholeTextFiles(T+"/nest/*",1))',
    'base(sc.wholeTextFiles(T+"/empty/*"))',
    'base(sc.binaryFiles(T+"/empty/*"))',
    'sc.wholeTextFiles(T+"/none").getNumPartitions()',
    'sc.textFile(T+"/none").getNumPartitions()',
    *(f'sc.textFile(T+"/*.txt",{least}).glom().map(len).collect()' for least in (None, 0, 1, 3, 9)),
    'sc.textFile(T+"/z/*",1).collect()',
    'sc.textFile(T+"/{e,{b,a}}.txt",1).glom().map(len).collect()',
    'sc.textFile(T+"/[^b-z].txt").getNumPartitions()',
    'sc.binaryRecords(T+"/r/*",10).glom().collect()',
    'sc.binaryRecords(T+"/empty/*",2).getNumPartitions()',
    'sc.binaryRecords(T+"/r/b,"+T+"/r/a",20).glom().map(len).collect()',
    'sc.textFile(T+"/a.txt").name() == T+"/a.txt", sc.wholeTextFiles(T+"/a.txt").name() == T+"/a.txt"',
    'sc.binaryFiles(T+"/a.txt").name() == T+"/a.txt", sc.binaryRecords(T+"/a.txt",1).name()',
    '(sc.parallelize([1],3).saveAsTextFile(T+"/o1"), sc.textFile(T+"/o1").getNumPartitions())',
    '(sc.parallelize([1],3).saveAsPickleFile(T+"/o2"), sc.pickleFile(T+"/o2").getNumPartitions())',
    '(sc.emptyRDD().saveAsPickleFile(T+"/o3"), sc.pickleFile(T+"/o3").getNumPartitions())',
    '(sc.parallelize(range(25),3).saveAsPickleFile(T+"/o4"), sc.pickleFile(T+"/o4/*",1).glom().collect())',
    '(sc.parallelize(range(25),3).saveAsPickleFile(T+"/o5",0), sc.pickleFile(T+"/o5/*",9).glom().collect())',
    '(sc.parallelize(["a",b"b",3,None,"two\\nlines"],1).saveAsTextFile(T+"/o6"), sc.textFile(T+"/o6",1).collect())',
]
RECORDED = json.loads(Path(__file__).with_name("files_from_spark.json").read_text(encoding="utf-8"))


def write_files(root: Path) -> None:
    for name, size in (("d", 4), ("b", 1), ("a", 3), ("c", 0), ("e", 10)):
        (root / f"{name}.txt").write_bytes(b"x" * max(0, size - 1) + b"\n" * (size > 0))
    for folder in ("z", "nest/sub/deep", "empty", "none", "r"):
        (root / folder).mkdir(parents=True)
    (root / "z" / "a.gz").write_bytes(gzip.compress(b"hello\nworld\n", mtime=0))
    (root / "z" / "b.bz2").write_bytes(bz2.compress(b"bz"))
    (root / "z" / "c.txt").write_bytes(b"\xef\xbb\xbfcr\r\nlf\n\xff\xfe")
    for name in ("f", "sub/gg", "sub/deep/hhh"):
        (root / "nest" / name).write_text(name)
    for name in ("x", "y"):
        (root / "empty" / name).write_bytes(b"")
    (root / "r" / "a").write_bytes(bytes(range(100)))
    (root / "r" / "b").write_bytes(bytes(range(20)))


def base(rows: Any) -> list[list[Any]]:
    """Partitions of (path, content), with the last part of the paths only."""
    return [
        [(row[0].rpartition("/" if isinstance(row[0], str) else b"/")[2], row[1]) for row in part]
        for part in rows.glom().collect()
    ]


def test_every_expression_is_recorded() -> None:
    assert list(RECORDED) == EXPRESSIONS


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_files_are_partitioned_as_spark_does(expression: str, sc: Any, tmp_path: Path) -> None:
    write_files(tmp_path)
    assert repr(eval(expression, {"sc": sc, "T": str(tmp_path), "base": base})) == RECORDED[expression]


def test_paths_of_whole_files_begin_with_file(sc: Any, tmp_path: Path) -> None:
    (tmp_path / "sp ace%20é#?.txt").write_text("q")
    assert sc.wholeTextFiles(str(tmp_path)).collect() == [(f"file:{tmp_path}/sp ace%20é#?.txt", "q")]
    assert sc.binaryFiles(tmp_path).keys().collect() == [f"file:{tmp_path}/sp ace%20é#?.txt"]


def test_every_reader_takes_lists_and_path_objects(sc: Any, tmp_path: Path) -> None:
    write_files(tmp_path)
    two = [tmp_path / "b.txt", str(tmp_path / "a.txt")]
    assert sc.textFile(two).map(len).collect() == [0, 2]
    assert sc.wholeTextFiles(two, 1).values().map(len).collect() == [1, 3]
    assert sc.binaryFiles(iter(two)).values().map(len).collect() == [1, 3]
    assert sc.binaryRecords(two, 1).count() == 4
    sc.range(3).saveAsPickleFile(tmp_path / "out")
    assert sc.pickleFile([tmp_path / "out"]).collect() == [0, 1, 2]


@pytest.mark.parametrize("codec", ["gzip", "bz2", "xz", "org.apache.hadoop.io.compress.BZip2Codec"])
def test_saved_text_is_compressed_by_name_or_class(sc: Any, tmp_path: Path, codec: str) -> None:
    sc.parallelize(["a", "b"], 2).saveAsTextFile(tmp_path / "out", codec)
    assert sc.textFile(str(tmp_path / "out")).collect() == ["a", "b"]
    suffixes = {path.suffix for path in (tmp_path / "out").iterdir() if path.name != "_SUCCESS"}
    assert suffixes == {{"gzip": ".gz", "xz": ".xz"}.get(codec, ".bz2")}


def test_an_unknown_codec_is_refused_before_anything_is_made(sc: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Unknown compression codec"):
        sc.parallelize(["a"]).saveAsTextFile(str(tmp_path / "out"), "org.apache.hadoop.io.compress.Lz4Codec")
    assert list(tmp_path.iterdir()) == []


class Point:
    def __init__(self, x: int) -> None:
        self.x = x


def test_pickled_rows_are_what_they_were(sc: Any, tmp_path: Path) -> None:
    rows = [None, 1.5, {"k": [1]}, ("t", b"b"), float("inf"), {3}, Point]
    sc.parallelize(rows, 3).saveAsPickleFile(str(tmp_path / "out"))
    assert sc.pickleFile(str(tmp_path / "out")).collect() == rows
    assert sc.parallelize([5], 1).map(Point).map(lambda point: point.x).collect() == [5]
    with pytest.raises(FileExistsError, match="already exists"):
        sc.parallelize(rows).saveAsPickleFile(str(tmp_path / "out"))


def test_pickle_files_of_others_are_refused_at_once(sc: Any, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("lines\n")
    with pytest.raises(ValueError, match="saveAsPickleFile did not write it"):
        sc.pickleFile(str(tmp_path / "text"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        sc.pickleFile(str(tmp_path / "nowhere"))


def test_a_damaged_pickle_file_fails_the_job_by_name(sc: Any, tmp_path: Path) -> None:
    sc.range(100, numSlices=1).saveAsPickleFile(str(tmp_path / "out"))
    part = tmp_path / "out" / "part-00000"
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    with pytest.raises(CorruptBlock, match="part-00000"):
        sc.pickleFile(str(tmp_path / "out")).count()


@pytest.mark.parametrize("length", [0, -1])
def test_records_have_a_length(sc: Any, tmp_path: Path, length: int) -> None:
    with pytest.raises(ValueError, match="at least 1 byte"):
        sc.binaryRecords(str(tmp_path), length)


def test_a_torn_record_fails_the_job_by_name(sc: Any, tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(bytes(20))
    with pytest.raises(EOFError, match="its last record has 6 of 7 bytes"):
        sc.binaryRecords(str(tmp_path / "r"), 7).collect()


def test_a_save_that_fails_leaves_no_success_and_no_temporary_folder(sc: Any, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        sc.parallelize([1, 0], 2).map(lambda x: 1 // x).saveAsTextFile(str(tmp_path / "out"))
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {"part-00000"}


def test_listing_runs_no_job(here: HereContext, tmp_path: Path) -> None:
    write_files(tmp_path)
    here.wholeTextFiles(str(tmp_path))
    here.binaryRecords(os.path.join(tmp_path, "r"), 10)
    assert here.jobs == []


# ── behind URLs ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def box(sc: Any, tmp_path: Path) -> str:
    """A URL for files; memory where one process does everything, and where executors do, a disk behind fsspec."""
    return f"memory://{tmp_path.name}" if isinstance(sc, HereContext) else f"local://{tmp_path}/box"


def test_text_and_rows_go_through_urls(sc: Any, box: str) -> None:
    sc.parallelize(["one", "two", "three"], 2).saveAsTextFile(f"{box}/text", "gzip")
    assert sc.textFile(f"{box}/text").collect() == ["one", "two", "three"]
    assert sc.textFile(f"{box}/text/part-*[01].gz", 5).getNumPartitions() == 2
    assert sc.wholeTextFiles(f"{box}/text", 1).collect() == [
        (f"{box}/text/part-00000.gz", "one\n"), (f"{box}/text/part-00001.gz", "two\nthree\n")]
    sc.range(25, numSlices=3).saveAsPickleFile(f"{box}/rows")
    assert sc.pickleFile([f"{box}/rows"]).glom().map(len).collect() == [8, 8, 9]
    sc.parallelize(["aabb", "cc"], 1).saveAsTextFile(f"{box}/records")
    assert sc.binaryRecords(f"{box}/records/part-00000", 4).collect() == [b"aabb", b"\ncc\n"]
    assert sc.binaryFiles(f"{box}/records").values().collect() == [b"aabb\ncc\n"]
    with pytest.raises(FileExistsError, match="rows already exists"):
        sc.range(3).saveAsPickleFile(f"{box}/rows")
    with pytest.raises(FileNotFoundError, match="no such file or directory: .*/nowhere"):
        sc.textFile(f"{box}/nowhere")


def test_checkpoints_may_be_behind_urls(sc: Any, box: str) -> None:
    sc.setCheckpointDir(f"{box}/checkpoints")
    rdd = sc.range(5, numSlices=2).map(str)
    rdd.checkpoint()
    assert rdd.count() == 5
    assert rdd.getCheckpointFile().startswith(f"{box}/checkpoints/")
    assert rdd.glom().collect() == [["0", "1"], ["2", "3", "4"]]


def test_a_url_without_fsspec_says_what_to_install(sc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    for use in (sc.textFile, sc.wholeTextFiles, sc.pickleFile, sc.range(3).saveAsTextFile, sc.setCheckpointDir):
        with pytest.raises(ImportError, match=r'need fsspec, which is not installed: pip install "simspark\[fs\]"'):
            use("s3://bucket/key")
