"""Which files a path means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simspark.publib.lineage.file_listing import list_files


def names(paths: Any, **more: Any) -> list[str]:
    return [Path(file.path).name for file in list_files(paths, **more)]


@pytest.fixture
def root(tmp_path: Path) -> str:
    for name in ("b.txt", "a.txt", "c.log", "_SUCCESS", ".hidden"):
        (tmp_path / name).write_text(name)
    return str(tmp_path)


def test_directories_are_sorted_and_hide_what_begins_with_an_underscore_or_dot(root: str) -> None:
    assert names(root) == names(f"file://{root}") == names(f"{root}/*") == ["a.txt", "b.txt", "c.log"]
    assert names(f"file:{root}/a.txt") == ["a.txt"]
    assert names(Path(root)) == ["a.txt", "b.txt", "c.log"]
    assert names(f"{root}/_SUCCESS") == ["_SUCCESS"]


def test_globs_are_sorted_whatever_the_braces_say(root: str) -> None:
    assert names(f"{root}/{{c,a}}.*") == ["a.txt", "c.log"]
    assert names(f"{root}/{{c.log,{{b,a}}.txt}}") == ["a.txt", "b.txt", "c.log"]
    assert names(f"{root}/[ab].txt") == names(f"{root}/[^c].*") == names(f"{root}/?.txt") == ["a.txt", "b.txt"]


def test_commas_and_lists_keep_their_order_and_what_is_twice(root: str) -> None:
    assert names(f"{root}/c.log,{root}/a.txt") == ["c.log", "a.txt"]
    assert names([f"{root}/c.log", Path(root) / "a.txt", f"{root}/c.log"]) == ["c.log", "a.txt", "c.log"]
    assert names(f"{root}/{{a,b}}.txt,{root}/c.log") == ["a.txt", "b.txt", "c.log"]


def test_paths_are_absolute_and_carry_sizes(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    assert list_files("b.txt") == [(f"{root}/b.txt", 5, False)]
    assert list_files("./*.log") == [(f"{root}/c.log", 5, False)]


def test_a_name_with_glob_characters_means_the_file_that_has_it(tmp_path: Path) -> None:
    (tmp_path / "a[1]*.txt").write_text("")
    (tmp_path / "a1.txt").write_text("")
    assert names(f"{tmp_path}/a[1]*.txt") == ["a[1]*.txt"]


def test_what_is_not_there_is_named_with_what_was_meant(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("")
    with pytest.raises(FileNotFoundError, match=r"word\.txt; did you mean .*/words\.txt\?"):
        list_files(f"{tmp_path}/word.txt")
    with pytest.raises(FileNotFoundError, match="there is no directory .*nowhere"):
        list_files(f"{tmp_path}/nowhere/x")
    with pytest.raises(FileNotFoundError, match="no file matches"):
        list_files(f"{tmp_path}/*.csv")
    with pytest.raises(ValueError, match="cannot be empty"):
        list_files([""])


def test_directories_in_directories_are_named_or_passed_over(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "f").write_text("")
    with pytest.raises(IsADirectoryError, match=r"inner/\*"):
        list_files(tmp_path)
    assert names(tmp_path, nested=True) == ["f"]
