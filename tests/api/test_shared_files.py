"""addFile, addPyFile, addArchive and SparkFiles, as the program and its tasks see them."""

from __future__ import annotations

import io
import os
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from simspark import SparkContext, SparkFiles
from simspark.publib.errors import ContextStopped, UserError


def written(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def read_shared(name: str) -> str:
    with open(SparkFiles.get(name)) as file:
        return file.read()


def in_a_task(sc: Any, name: str) -> str:
    (text,) = sc.parallelize([name], 1).map(read_shared).collect()
    return str(text)


def test_tasks_and_the_driver_read_a_file_by_its_name(sc: Any, tmp_path: Path) -> None:
    sc.addFile(written(tmp_path / "x.txt", "one"))
    assert in_a_task(sc, "x.txt") == "one"
    assert read_shared("x.txt") == "one"
    assert os.path.isabs(SparkFiles.get("x.txt"))


def test_files_added_after_a_job_reach_the_same_executors(sc: Any, tmp_path: Path) -> None:
    assert sc.parallelize(range(10), 2).sum() == 45
    sc.addFile(written(tmp_path / "late.txt", "late"))
    assert in_a_task(sc, "late.txt") == "late"


def test_an_empty_and_a_large_file_arrive_whole(sc: Any, tmp_path: Path) -> None:
    sc.addFile(written(tmp_path / "empty.txt", ""))
    text = "0123456789abcdef" * (1 << 20)
    sc.addFile(written(tmp_path / "large.txt", text))
    assert in_a_task(sc, "empty.txt") == ""
    assert in_a_task(sc, "large.txt") == text


def test_the_same_path_again_is_ignored_even_when_it_has_changed(sc: Any, tmp_path: Path) -> None:
    path = written(tmp_path / "x.txt", "one")
    sc.addFile(path)
    written(tmp_path / "x.txt", "two")
    sc.addFile(path)
    assert in_a_task(sc, "x.txt") == "one"
    assert sc.listFiles == [f"file:{tmp_path.resolve()}/x.txt"]


def test_another_content_under_a_name_is_refused_and_the_first_stays(sc: Any, tmp_path: Path) -> None:
    sc.addFile(written(tmp_path / "a" / "x.txt", "one"))
    sc.addFile(written(tmp_path / "b" / "x.txt", "one"))
    with pytest.raises(UserError, match=r"another content as 'x.txt', so file:.*/c/x.txt cannot be added") as caught:
        sc.addFile(written(tmp_path / "c" / "x.txt", "two"))
    assert "Rename it" in str(caught.value)
    assert in_a_task(sc, "x.txt") == "one"
    assert [uri.rpartition("/")[0][-1] for uri in sc.listFiles] == ["a", "b"]


def test_a_missing_file_is_said(sc: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no .*nope\.txt \(from /"):
        sc.addFile(str(tmp_path / "nope.txt"))
    with pytest.raises(FileNotFoundError, match=r"There is no .*nope\.zip \(from /"):
        sc.addArchive(str(tmp_path / "nope.zip#x"))
    assert sc.listFiles == sc.listArchives == []


def test_files_directories_and_archives_are_brought_from_urls(sc: Any, tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    store.pipe({"/shared/x.txt": b"far", "/shared/deep/y.txt": b"deep"})
    store.put(zipped(tmp_path / "z.zip", {"z.txt": "packed"}), "/packed/z.zip")
    try:
        sc.addFile("memory://shared/x.txt")
        sc.addFile("memory://shared/x.txt")
        with pytest.raises(UserError, match="is a directory"):
            sc.addFile("memory://shared")
        sc.addFile("memory://shared", recursive=True)
        sc.addArchive("memory://packed/z.zip#z")
        with pytest.raises(FileNotFoundError, match=r"There is no memory://nope\.txt"):
            sc.addFile("memory://nope.txt")
    finally:
        store.rm("/", recursive=True)
    names = ("x.txt", "shared/x.txt", "shared/deep/y.txt", "z/z.txt")
    assert [in_a_task(sc, name) for name in names] == ["far", "far", "deep", "packed"]
    assert sc.listFiles == ["memory://shared/x.txt", "memory://shared/"]
    assert sc.listArchives == ["memory://packed/z.zip#z"]


def test_a_file_url_is_a_path(sc: Any, tmp_path: Path) -> None:
    path = written(tmp_path / "with%20blank" / "x y.txt", "one")
    sc.addFile("file://" + path.replace("%", "%25").replace(" ", "%20"))
    assert in_a_task(sc, "x y.txt") == "one"


def test_a_directory_needs_recursive_and_comes_with_all_that_is_in_it(sc: Any, tmp_path: Path) -> None:
    written(tmp_path / "data" / "a.txt", "a")
    written(tmp_path / "data" / "deep" / ".b", "b")
    with pytest.raises(UserError, match=r"is a directory\. addFile\(path, recursive=True\)"):
        sc.addFile(str(tmp_path / "data"))
    sc.addFile(str(tmp_path / "data"), True)
    assert in_a_task(sc, "data/a.txt") + in_a_task(sc, "data/deep/.b") == "ab"
    assert sc.listFiles == [f"file:{tmp_path.resolve()}/data/"]


def zipped(path: Path, members: dict[str, str]) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return str(path)


def tarred(path: Path, members: dict[str, str], mode: Any = "w:gz") -> str:
    with tarfile.open(path, mode) as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return str(path)


def test_archives_are_unpacked_under_their_name_or_the_one_after_the_sign(sc: Any, tmp_path: Path) -> None:
    sc.addArchive(zipped(tmp_path / "a.zip", {"in/x.txt": "zip"}))
    sc.addArchive(tarred(tmp_path / "b.tar.gz", {"./x.txt": "gz"}) + "#b")
    sc.addArchive(tarred(tmp_path / "c.tgz", {"x.txt": "tgz"}))
    sc.addArchive(tarred(tmp_path / "d.tar", {"x.txt": "tar"}, "w"))
    names = ("a.zip/in/x.txt", "b/x.txt", "c.tgz/x.txt", "d.tar/x.txt")
    assert [in_a_task(sc, name) for name in names] == ["zip", "gz", "tgz", "tar"]
    assert read_shared("b/x.txt") == "gz"
    assert [uri.rpartition("/")[2] for uri in sc.listArchives] == ["a.zip", "b.tar.gz#b", "c.tgz", "d.tar"]
    assert sc.listFiles == []


def test_an_archive_that_leads_out_is_refused_before_any_job(sc: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'\.\./x\.txt' would be outside"):
        sc.addArchive(tarred(tmp_path / "out.tar", {"../x.txt": "out"}, "w"))
    assert sc.listArchives == []
    assert os.listdir(SparkFiles.getRootDirectory()) == []


def shared_value(module: str) -> Any:
    import importlib

    return importlib.import_module(module).VALUE


@pytest.fixture
def no_modules() -> Any:
    """Modules that a test imports here are gone afterwards, so that the next one finds its own."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("shared_"):
            del sys.modules[name]


@pytest.mark.usefixtures("no_modules")
def test_python_files_zips_and_packages_are_imported_by_tasks_and_the_driver(sc: Any, tmp_path: Path) -> None:
    sc.addPyFile(written(tmp_path / "shared_one.py", "VALUE = 1"))
    sc.addPyFile(zipped(tmp_path / "two.zip", {"shared_two/__init__.py": "from shared_two.deep import VALUE",
                                               "shared_two/deep.py": "VALUE = 2"}))
    sc.addPyFile(zipped(tmp_path / "three.egg", {"shared_three.py": "VALUE = 3"}))
    written(tmp_path / "shared_four" / "__init__.py", "from shared_four.deep import VALUE")
    written(tmp_path / "shared_four" / "deep.py", "VALUE = 4")
    sc.add_path(str(tmp_path / "shared_four"))
    modules = ["shared_one", "shared_two", "shared_three", "shared_four"]
    assert sc.parallelize(modules, 4).map(shared_value).collect() == [1, 2, 3, 4]
    assert [shared_value(module) for module in modules] == [1, 2, 3, 4]


def test_nobody_constructs_spark_files() -> None:
    with pytest.raises(NotImplementedError):
        SparkFiles()


def test_the_kinds_of_packages_are_sparks() -> None:
    assert SparkContext.PACKAGE_EXTENSIONS == (".zip", ".egg", ".jar")


def test_without_a_context_there_are_no_files() -> None:
    with pytest.raises(ContextStopped, match="while its SparkContext runs"):
        SparkFiles.getRootDirectory()
