from __future__ import annotations

import os

import pytest

from simspark.publib.blocks import app_directory
from simspark.publib.blocks.app_directory import AppDirectory, holds_token, process_start, sweep_dead
from simspark.publib.errors import ProtocolError, StorageFault


def test_a_directory_is_private_and_holds_its_token(tmp_path):
    made = AppDirectory.create(str(tmp_path / "root"), "app-1")
    assert os.stat(made.path).st_mode & 0o777 == 0o700
    assert os.stat(os.path.join(made.path, ".owner")).st_mode & 0o777 == 0o600
    assert holds_token(made.path, made.token)
    assert not holds_token(made.path, "another")
    assert not holds_token(made.path, "")
    assert not holds_token(str(tmp_path), made.token)


def test_a_second_directory_of_the_same_name_is_a_storage_fault_and_leaves_nothing(tmp_path):
    AppDirectory.create(str(tmp_path), "app-1")
    with pytest.raises(StorageFault):
        AppDirectory.create(str(tmp_path), "app-1")
    assert os.listdir(tmp_path) == ["app-1"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", ".owner", "a\0b", "x" * 200, "a b", "ü"])
def test_names_that_are_not_plain_are_refused(tmp_path, name):
    made = AppDirectory.create(str(tmp_path), "app-1")
    with pytest.raises(ProtocolError):
        made.file(name)
    with pytest.raises(ProtocolError):
        AppDirectory.create(str(tmp_path), name)


def test_files_are_removed_by_the_start_of_their_name_but_never_the_owner_file(tmp_path):
    made = AppDirectory.create(str(tmp_path), "app-1")
    for name in ("shuffle-1-0-7", "shuffle-1-1-8", "shuffle-11-0-9"):
        with open(made.file(name), "wb"):
            pass
    assert made.remove_matching(["shuffle-1-"]) == 2
    assert sorted(os.listdir(made.path)) == [".owner", "shuffle-11-0-9"]
    assert made.remove_matching([]) == 0
    made.remove()
    assert os.listdir(tmp_path) == []


def test_a_prefix_that_ends_with_a_number_means_that_number(tmp_path):
    made = AppDirectory.create(str(tmp_path), "app-1")
    for name in ("broadcast-1", "broadcast-12", "broadcast-1.4711.tmp"):
        with open(made.file(name), "wb"):
            pass
    assert made.remove_matching(["broadcast-1"]) == 2
    assert sorted(os.listdir(made.path)) == [".owner", "broadcast-12"]


def test_many_files_are_removed_by_name_at_once(tmp_path):
    made = AppDirectory.create(str(tmp_path), "app-1")
    for name in ("shuffle-3-1-2", "shuffle-3-1-21", "shuffle-3-10-2", "shuffle-3-1-2.99.tmp", "shuffle-4-0-1"):
        with open(made.file(name), "wb"):
            pass
    assert made.remove_matching([f"shuffle-3-{index}-2" for index in range(5)] + ["shuffle-4-"]) == 3
    assert sorted(os.listdir(made.path)) == [".owner", "shuffle-3-1-21", "shuffle-3-10-2"]


def test_a_root_that_others_may_write_to_is_refused(tmp_path):
    root = tmp_path / "open"
    root.mkdir()
    root.chmod(0o777)
    with pytest.raises(StorageFault, match="other users"):
        AppDirectory.create(str(root), "app-1")


def test_a_tree_is_removed_without_following_links(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("stays")
    made = AppDirectory.create(str(tmp_path / "root"), "app-1")
    os.symlink(kept, made.file("link"))
    os.makedirs(made.file("below"))
    made.remove()
    assert not os.path.exists(made.path)
    assert (kept / "file").read_text() == "stays"


def test_only_directories_of_processes_that_ended_are_swept(tmp_path):
    alive = AppDirectory.create(str(tmp_path), "alive")
    dead = AppDirectory.create(str(tmp_path), "dead")
    reused = AppDirectory.create(str(tmp_path), "reused")
    (tmp_path / "not-ours").mkdir()
    _write_owner(dead, f"{dead.token} 4194305 17")
    _write_owner(reused, f"{reused.token} {os.getpid()} 17")
    assert sorted(sweep_dead(str(tmp_path))) == [dead.path, reused.path]
    assert sorted(os.listdir(tmp_path)) == ["alive", "not-ours"]
    assert holds_token(alive.path, alive.token)


def test_sweeping_a_root_that_is_not_there_does_nothing(tmp_path):
    assert sweep_dead(str(tmp_path / "none")) == []


def test_the_start_of_a_process_tells_it_from_a_later_one_of_the_same_number():
    assert process_start(os.getpid()) == process_start(os.getpid()) != ""
    assert process_start(4194305) == ""


def test_free_space_is_told(tmp_path):
    assert app_directory.free_bytes(str(tmp_path)) > 0


def _write_owner(directory, text):
    with open(os.path.join(directory.path, ".owner"), "w", encoding="ascii") as file:
        file.write(text)
