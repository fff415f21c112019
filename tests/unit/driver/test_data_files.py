"""Rows that the program has, on their way into a file of the driver."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from simspark.driver.files import DriverFiles
from simspark.driver.rdd.sources import slice_bounds
from simspark.publib.blocks.app_directory import AppDirectory
from simspark.publib.blocks.segments import SegmentFile

pytestmark = pytest.mark.unit
ROWS = 400_000


@pytest.fixture
def files(tmp_path: Path) -> DriverFiles:
    return DriverFiles(AppDirectory.create(str(tmp_path), "app"))


@pytest.mark.parametrize("slices", [1, 2, 7])
def test_each_slice_of_a_list_is_a_segment(files: DriverFiles, slices: int) -> None:
    rows = list(range(10_000))
    files.put_data("data", rows, slice_bounds(len(rows), slices))
    with SegmentFile(files.directory.file("data")) as file:
        found = [[row for batch in file.batches(index) for row in batch] for index in range(file.segment_count)]
    assert [row for segment in found for row in segment] == rows
    assert [len(segment) for segment in found] == [stop - start for start, stop in slice_bounds(len(rows), slices)]


def test_a_list_is_not_copied_to_be_written(files: DriverFiles) -> None:
    rows = list(range(ROWS))
    tracemalloc.start()
    try:
        files.put_data("data", rows, slice_bounds(ROWS, 2))
        assert tracemalloc.get_traced_memory()[1] < 8 * ROWS / 4  # its slices would take 8 bytes a row
    finally:
        tracemalloc.stop()
