"""Files behind URLs: through fsspec, which local paths never load."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from simspark.publib.lineage.file_listing import list_files
from simspark.publib.lineage.pickle_files import PickleSource, SavePickleSink, plan_pickle_splits
from simspark.publib.lineage.program import Program, run_program
from simspark.publib.lineage.saved_files import Output, SaveTextSink
from simspark.publib.lineage.sources import SliceSource
from simspark.publib.lineage.storage import UNKNOWN_SIZE, is_url, settled, storage_of
from simspark.publib.lineage.text_files import TextSource, plan_text_splits

from ..planes import FilesPlane, task_on

TASK: Any = None


class TornStore(MemoryFileSystem):  # type: ignore[misc, unused-ignore]
    """A store whose copies are no single step, and which a ``fault`` may interrupt."""

    protocol = "torn"
    store: dict[str, Any] = {}
    pseudo_dirs = [""]
    fault: list[bool] = []
    sized = True

    def cp_file(self, path1: str, path2: str, **named: Any) -> None:
        whole = self.cat_file(path1)
        self.pipe_file(path2, whole[: len(whole) // 2])
        if self.fault and self.fault.pop():
            raise OSError("connection reset in the middle of a copy")
        self.pipe_file(path2, whole)

    def info(self, path: str, **named: Any) -> dict[str, Any]:
        found = dict(super().info(path, **named))
        return found if self.sized else {**found, "size": None}


fsspec.register_implementation("torn", TornStore, clobber=True)


@pytest.fixture(params=["memory://box", "torn://box", "local"])
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A place for files, as a URL."""
    yield f"local://{tmp_path}/box" if request.param == "local" else request.param
    for kind in (MemoryFileSystem, TornStore):
        kind.store.clear()
        kind.pseudo_dirs[:] = [""]
    TornStore.sized = True


def put(url: str, content: bytes) -> None:
    with fsspec.open(url, "wb", auto_mkdir=True) if url.startswith("local") else fsspec.open(url, "wb") as file:
        file.write(content)


def lines(splits: list[Any]) -> list[list[Any]]:
    return [list(TextSource().rows(split, TASK)) for split in splits]


def test_what_is_a_url_and_what_is_a_path() -> None:
    assert all(map(is_url, ("s3://b/k", "abfs://c@a.host/p", "simplecache::s3://b/k", "hdfs://h:9000/x", "memory://a")))
    assert not any(map(is_url, ("/a", "a:b", "file:///a", "file:/a", "C:\\x", "a//b", "")))
    assert settled("s3://b/k/") == "s3://b/k"
    assert settled("file:///a/../b") == settled("file:/b") == settled("/b/") == "/b"


def test_directories_globs_and_lists_are_as_on_a_disk(box: str) -> None:
    for name in ("b.txt", "a.txt", "c.log", "_SUCCESS", ".hidden", "in/d.txt"):
        put(f"{box}/{name}", name.encode())

    def names(paths: Any, **more: Any) -> list[str]:
        return [file.path.removeprefix(f"{box}/") for file in list_files(paths, **more)]

    assert names(f"{box}/", nested=True) == ["a.txt", "b.txt", "c.log"]
    assert names(f"{box}/*.txt") == names(f"{box}/{{b,a}}.txt") == names(f"{box}/[^c].txt") == ["a.txt", "b.txt"]
    assert names(f"{box}/c.log,{box}/a.txt") == ["c.log", "a.txt"]
    assert names(f"{box}/in") == names(f"{box}/i*") == ["in/d.txt"]
    assert [file.size for file in list_files(f"{box}/in/d.txt")] == [8]
    with pytest.raises(FileNotFoundError, match=f"no such file or directory: {box}/nowhere"):
        list_files(f"{box}/nowhere")
    with pytest.raises(FileNotFoundError, match="no file matches"):
        list_files(f"{box}/*.csv")
    with pytest.raises(IsADirectoryError, match=r"box/in is a directory inside of .*: name the files with a glob"):
        list_files(box)


def test_text_is_read_by_ranges_and_compressed_text_whole(box: str) -> None:
    put(f"{box}/a", b"".join(b"line %d\n" % number for number in range(1000)))
    put(f"{box}/b.gz", gzip.compress(b"one\ntwo\n"))
    splits = plan_text_splits(list_files(f"{box}/a"), 4)
    assert len(splits) == 4
    assert [line for part in lines(splits) for line in part] == [f"line {number}" for number in range(1000)]
    assert lines(plan_text_splits(list_files(f"{box}/b.gz"), 4)) == [["one", "two"]]


def test_a_store_that_tells_no_sizes_is_read_whole() -> None:
    put("torn://box/a", b"one\ntwo\n" * 100)
    TornStore.sized = False
    try:
        (file,) = list_files("torn://box/a")
        assert file.size == UNKNOWN_SIZE
        assert lines(plan_text_splits([file], 4)) == [["one", "two"] * 100]
    finally:
        TornStore.sized = True


def test_pickled_rows_are_read_by_ranges(box: str, tmp_path: Path) -> None:
    output = Output(f"{box}/out", "1")
    output.begin()
    rows = [f"{number:01000}" for number in range(1000)]
    run_program(Program(SliceSource(), SavePickleSink(output)), rows, task_on(FilesPlane(str(tmp_path))))
    output.end()
    output.succeed()
    splits = plan_pickle_splits(list_files(f"{box}/out"), 4)
    read = [list(PickleSource().rows(split, TASK)) for split in splits]
    assert [len(part) for part in read] == [260, 250, 250, 240]
    assert [row for part in read for row in part] == rows


def test_output_appears_once_and_success_last(box: str, tmp_path: Path) -> None:
    output = Output(f"{box}/out", "1")
    output.begin()
    plane = FilesPlane(str(tmp_path))
    for partition, may in ((0, True), (1, False), (1, True)):
        plane.commits_refused = not may
        program = Program(SliceSource(), SaveTextSink(output, "gzip" if partition else ""))
        done = run_program(program, [f"row {partition}"], task_on(plane, partition, task_id=partition * 10 + may))
        assert done.value is may  # type: ignore[union-attr]
    output.end()
    assert [file.path for file in storage_of(box).entries(f"{box}/out")] == [
        f"{box}/out/part-00000", f"{box}/out/part-00001.gz"]
    output.succeed()
    assert storage_of(box).status(f"{box}/out/_SUCCESS") is not None
    assert lines(plan_text_splits(list_files(f"{box}/out"), 1)) == [["row 0"], ["row 1"]]
    with pytest.raises(FileExistsError, match="box/out already exists"):
        output.begin()


def test_a_move_that_fails_half_way_is_made_good_by_the_next_attempt(tmp_path: Path) -> None:
    output = Output("torn://moves/out", "1")
    output.begin()
    TornStore.fault.append(True)
    program = Program(SliceSource(), SaveTextSink(output))
    with pytest.raises(OSError, match="in the middle of a copy"):
        run_program(program, ["a row"], task_on(FilesPlane(str(tmp_path)), task_id=1))
    run_program(program, ["a row"], task_on(FilesPlane(str(tmp_path)), task_id=2))
    output.end()
    output.succeed()
    assert lines(plan_text_splits(list_files("torn://moves/out"), 1)) == [["a row"]]
    assert storage_of("torn://moves").status("torn://moves/out/_temporary") is None


def test_without_fsspec_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ImportError) as caught:
        storage_of("s3://bucket/x")
    assert str(caught.value) == 'Files at s3://bucket/x need fsspec, which is not installed: pip install "simspark[fs]"'


def test_a_scheme_that_needs_more_or_that_nobody_knows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ImportError, match=r"Files at s3://bucket/x need another package: Install s3fs"):
        storage_of("s3://bucket/x")
    with pytest.raises(ValueError, match=r"Cannot use nosuch://x: Protocol not known: nosuch"):
        storage_of("nosuch://x")


def test_local_paths_do_not_load_fsspec(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    code = (
        "import sys\n"
        "from simspark.publib.lineage.file_listing import list_files\n"
        "from simspark.publib.lineage.text_files import TextSource, plan_text_splits\n"
        f"splits = plan_text_splits(list_files('file://{tmp_path}/*.txt'), 1)\n"
        "assert list(TextSource().rows(splits[0], None)) == ['one']\n"
        "assert 'fsspec' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
