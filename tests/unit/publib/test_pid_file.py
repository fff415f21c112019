from __future__ import annotations

import os

import pytest

from simspark.publib.pid_file import PidFile, Process, start_time

pytestmark = pytest.mark.unit


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "state" / "master.pid")


def test_who_holds_the_file_is_found(path):
    mine = PidFile(path)
    assert mine.take()
    mine.write(os.getpid())
    assert PidFile(path).holder() == Process(os.getpid(), start_time(os.getpid()))
    mine.remove()
    assert not os.path.exists(path)


def test_a_held_file_cannot_be_taken(path):
    mine = PidFile(path)
    mine.take()
    mine.write(os.getpid())
    assert not PidFile(path).take()
    mine.leave()
    assert PidFile(path).take()


def test_a_file_without_a_lock_is_stale_even_when_its_process_lives(path):
    crashed = PidFile(path)
    crashed.take()
    crashed.write(os.getpid())
    crashed.leave()
    assert PidFile(path).holder() is None
    assert PidFile(path).read().pid == os.getpid()


def test_a_reused_process_id_is_another_process():
    assert not Process(os.getpid(), "1").alive()
    assert not Process(os.getpid(), "1").send(0)
    assert Process(os.getpid(), start_time(os.getpid())).send(0)


def test_garbage_in_the_file_is_nobody(path):
    os.makedirs(os.path.dirname(path))
    with open(path, "w", encoding="ascii") as file:
        file.write("what\n")
    assert PidFile(path).read() is None
    assert PidFile(path).holder() is None


def test_removing_leaves_a_file_that_somebody_else_made(path):
    mine = PidFile(path)
    mine.take()
    os.unlink(path)
    other = PidFile(path)
    other.take()
    mine.remove()
    assert os.path.exists(path)
    other.remove()
