"""Large results: files that the driver reads once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from simspark.driver.files import ResultReader
from simspark.driver.job import Accepted
from simspark.publib.blocks.app_directory import AppDirectory
from simspark.publib.blocks.segments import SegmentWriter, encode_batch
from simspark.publib.errors import FetchFailed
from simspark.publib.wire.messages import Owner
from tests.unit.driver.harness import report

pytestmark = pytest.mark.unit
NAME = "result-0-0-1"
LARGE = 200_000


class Results:
    """A worker's directory on this machine with one result in it."""

    def __init__(self, root: Path, value: Any) -> None:
        self.directory = AppDirectory.create(str(root), "app")
        self.path = self.directory.file(NAME)
        writer = SegmentWriter(self.path)
        for part in encode_batch(value):
            writer.append_frame(0, part)
        writer.commit()
        owner = Owner("w1", self.directory.path, self.directory.token, "", "")
        self._reader = ResultReader(lambda name: owner if name == "w1" else None, None)

    def read(self, worker: str = "w1") -> Any:
        return self._reader.read(Accepted(worker, report(0, name=NAME)))


@pytest.mark.parametrize("value", [[b"x" * LARGE], ["small"]], ids=["mapped", "read"])
def test_the_file_of_a_result_is_gone_as_soon_as_it_was_read(tmp_path: Path, value: Any) -> None:
    results = Results(tmp_path, value)
    assert results.read() == value
    assert not os.path.exists(results.path)


def test_an_array_stays_whole_when_its_file_is_gone(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    results = Results(tmp_path, np.arange(LARGE))
    value = results.read()
    assert not os.path.exists(results.path)
    assert value.tolist() == list(range(LARGE))
    value[0] = 7


@pytest.mark.parametrize("damage", ["missing", "changed", "truncated"])
def test_a_result_that_cannot_be_read_names_who_kept_it_so_that_it_is_made_again(tmp_path: Path, damage: str) -> None:
    results = Results(tmp_path, [b"x" * LARGE])
    if damage == "missing":
        os.unlink(results.path)
    elif damage == "truncated":
        os.truncate(results.path, LARGE // 2)
    else:
        with open(results.path, "r+b") as file:
            file.seek(LARGE // 2)
            file.write(b"y")
    with pytest.raises(FetchFailed) as caught:
        results.read()
    assert (caught.value.owner, caught.value.name) == ("w1", NAME)


def test_a_result_of_a_worker_that_is_gone_is_made_again(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="its worker is gone"):
        Results(tmp_path, [1]).read("w2")
