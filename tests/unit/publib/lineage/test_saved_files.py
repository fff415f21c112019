"""Saved files: under their names once, whole; pickle files read as they were written."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
from pathlib import Path
from typing import Any

import pytest

from simspark.publib import failpoints
from simspark.publib.errors import CorruptBlock, StorageFault
from simspark.publib.lineage import compression
from simspark.publib.lineage.pickle_files import (
    LEAST_SPLIT_BYTES,
    PickleSource,
    SavePickleSink,
    check_pickle_file,
    plan_pickle_splits,
)
from simspark.publib.lineage.program import Program, Steps, run_program
from simspark.publib.lineage.saved_files import Output, SaveTextSink
from simspark.publib.lineage.sources import SliceSource
from simspark.publib.lineage.steps import Map
from simspark.publib.lineage.storage import LOCAL, Status

from ..planes import FilesPlane, task_on

TASK: Any = None


@pytest.fixture
def plane(tmp_path: Path) -> FilesPlane:
    return FilesPlane(str(tmp_path))


@pytest.fixture
def output(tmp_path: Path) -> Output:
    output = Output(str(tmp_path / "out"), "7")
    output.begin()
    return output


def tried(output: Output) -> list[str]:
    return os.listdir(os.path.join(output.directory, "_temporary", output.job))


@pytest.mark.parametrize(("codec", "name", "opened"), [
    ("", "part-00003", open), ("org.apache.hadoop.io.compress.GzipCodec", "part-00003.gz", gzip.open),
    ("org.apache.hadoop.io.compress.BZip2Codec", "part-00003.bz2", bz2.open), ("xz", "part-00003.xz", lzma.open)])
def test_saved_text_appears_under_its_name_once_it_may(plane: FilesPlane, output: Output, codec: str, name: str,
                                                       opened: Any) -> None:
    program = Program(SliceSource(), SaveTextSink(output, codec))
    plane.commits_refused = True
    assert run_program(program, ["a"], task_on(plane, 3)).value is False  # type: ignore[union-attr]
    assert tried(output) == []
    plane.commits_refused = False
    rows = ["one", "zwei\u00fc", 3, b"four", None]
    assert run_program(program, rows, task_on(plane, 3)).value is True  # type: ignore[union-attr]
    assert sorted(os.listdir(output.directory)) == ["_temporary", name]
    with opened(os.path.join(output.directory, name), "rb") as file:
        assert file.read() == "one\nzwei\u00fc\n3\nfour\nNone\n".encode()
    output.end()
    output.succeed()
    assert sorted(os.listdir(output.directory)) == ["_SUCCESS", name]


@pytest.mark.parametrize("kind", [SaveTextSink, SavePickleSink])
def test_a_failing_save_leaves_no_file(plane: FilesPlane, output: Output, kind: Any) -> None:
    source = Steps(SliceSource(), [Map(lambda row: 1 / row)])
    with pytest.raises(ZeroDivisionError):
        run_program(Program(source, kind(output)), [1, 0], task_on(plane))
    assert tried(output) == []


@pytest.mark.parametrize("kind", [SaveTextSink, SavePickleSink])
def test_a_full_disk_is_the_fault_of_the_machine(plane: FilesPlane, output: Output, kind: Any) -> None:
    failpoints.arm("p4=enospc")
    try:
        with pytest.raises(StorageFault) as caught:
            run_program(Program(SliceSource(), kind(output)), [1], task_on(plane))
    finally:
        failpoints.arm("")
    assert caught.value.errno == errno.ENOSPC
    assert tried(output) == []


def test_an_attempt_that_is_late_does_not_bring_the_temporary_folder_back(plane: FilesPlane, output: Output) -> None:
    def save(row: str) -> str:
        output.end()
        return row

    program = Program(Steps(SliceSource(), [Map(save)]), SaveTextSink(output))
    with pytest.raises(StorageFault):
        run_program(program, ["a"], task_on(plane))
    with pytest.raises(StorageFault, match=r"this machine does not see the directory.*SS207"):
        run_program(program, ["a"], task_on(plane))
    assert os.listdir(output.directory) == []


def test_what_appears_in_a_folder_while_it_is_removed_is_removed(tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "_temporary"
    (folder / "7").mkdir(parents=True)
    late = iter(["1.5", "2.6"])
    removes = os.rmdir

    def rmdir(path: str) -> None:
        if path.endswith(".gone") and (name := next(late, None)):
            (Path(path) / name).touch()
        with pytest.raises(FileNotFoundError):  # who asks for the folder by its name is too late
            (folder / "7" / "3.7").touch()
        removes(path)

    monkeypatch.setattr(os, "rmdir", rmdir)
    LOCAL.remove_tree(str(folder))
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_exists_is_refused(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    for name in ("", "there"):
        with pytest.raises(FileExistsError, match="already exists. Remove it or choose another: nothing was written"):
            Output(str(tmp_path / name), "1").begin()
    with pytest.raises(StorageFault, match=r"Cannot make the output directory .*there/in: Not a directory. \(SS207\)"):
        Output(str(tmp_path / "there" / "in"), "1").begin()


def test_unknown_codecs_are_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"codec 'com.hadoop.LzoCodec'. Use 'gzip', 'bz2' or 'xz', or Hadoop's names"):
        compression.codec_suffix("com.hadoop.LzoCodec")
    with pytest.raises(ValueError, match=r"Cannot read x\.snappy: of compressed files, \.gz, \.bz2, \.xz"):
        compression.codec_of("x.snappy")


def test_zstd_needs_a_module_and_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    def nothing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", nothing)
    for ask in (compression.codec_of, compression.codec_suffix):
        with pytest.raises(ImportError, match="pip install zstandard"):
            ask("x.zst" if ask is compression.codec_of else "org.apache.hadoop.io.compress.ZStandardCodec")


# ── pickle files ─────────────────────────────────────────────────────────────────────────────────────────────────────


def saved(plane: FilesPlane, output: Output, rows: list[Any], batch: int = 10) -> str:
    run_program(Program(SliceSource(), SavePickleSink(output, batch)), rows, task_on(plane))
    return os.path.join(output.directory, "part-00000")


def read(splits: list[Any]) -> list[list[Any]]:
    return [list(PickleSource().rows(split, TASK)) for split in splits]


@pytest.mark.parametrize("batch", [1, 3, 10, 0, -1])
@pytest.mark.parametrize("goal", [1, 40, 1000, 1 << 40])
def test_every_row_is_in_exactly_one_split_in_order(plane: FilesPlane, output: Output, batch: int, goal: int) -> None:
    rows = [None, "x" * 50, {"a": [1]}, *range(40), ("t", b"")]
    path = saved(plane, output, rows, batch)
    size = os.path.getsize(path)
    splits = [(path, start, goal) for start in range(0, size, goal)]
    assert [row for part in read(splits) for row in part] == rows


def test_large_files_are_several_splits_and_small_ones_are_not(plane: FilesPlane, output: Output) -> None:
    path = saved(plane, output, [f"{number:01000}" for number in range(1000)])
    size = os.path.getsize(path)
    splits = plan_pickle_splits([Status(path, size, False)], 4)
    assert [len(part) for part in read(splits)] == [260, 250, 250, 240]
    assert len(plan_pickle_splits([Status(path, size, False)], 1000)) == pytest.approx(size / LEAST_SPLIT_BYTES, abs=1)
    assert len(plan_pickle_splits([Status(path, 1000, False)], 1000)) == 1


def test_an_empty_partition_is_a_file_without_rows(plane: FilesPlane, output: Output) -> None:
    path = saved(plane, output, [])
    check_pickle_file(path)
    assert read(plan_pickle_splits([Status(path, os.path.getsize(path), False)], 2)) == [[]]


def test_a_file_that_was_not_saved_so_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("some lines")
    (tmp_path / "hadoop").write_bytes(b"SEQ\x06!org")
    with pytest.raises(ValueError, match=r"text: simspark's saveAsPickleFile did not write it. For text: textFile"):
        check_pickle_file(str(tmp_path / "text"))
    with pytest.raises(ValueError, match="it is a sequence file of Hadoop"):
        check_pickle_file(str(tmp_path / "hadoop"))


def test_a_damaged_file_is_never_other_rows(plane: FilesPlane, output: Output) -> None:
    path = saved(plane, output, list(range(100)))
    good = Path(path).read_bytes()
    for at in range(len(good)):
        Path(path).write_bytes(failpoints.spoil(good[at : at + 1]).join((good[:at], good[at + 1 :])))
        with pytest.raises(CorruptBlock, match="part-00000"):
            read([(path, 0, 1 << 40)])


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="part-00009 is not there: it was removed, or this machine"):
        read([(str(tmp_path / "part-00009"), 0, 10)])
