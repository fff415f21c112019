"""What data costs on its way, counted and not timed: files, bytes written, copies in memory."""

from __future__ import annotations

import operator
import os
import tracemalloc

import pytest

from simspark.publib.blocks.segments import (
    SegmentFile,
    SegmentWriter,
    decode_batches,
    decode_inline,
    encode_rows_inline,
    write_rows,
)
from simspark.publib.lineage.aggregation import grouping, reducing
from simspark.publib.lineage.partitioner import HashPartitioner, RangePartitioner
from simspark.publib.lineage.sinks import ShuffleWrite
from simspark.publib.lineage.sorting import Ordering
from tests.unit.publib.planes import FilesPlane, task_on

pytestmark = pytest.mark.unit
LARGE_BYTES = 8 << 20
REDUCERS = 20
ROWS = 20_000
BY_KEY = RangePartitioner(REDUCERS, list(range(0, ROWS, ROWS // (REDUCERS - 1)))[1:])
WRITES = {
    "placed row by row": ShuffleWrite(1, HashPartitioner(REDUCERS), REDUCERS),
    "reduced": ShuffleWrite(1, HashPartitioner(REDUCERS), REDUCERS, reducing(operator.add)),
    "grouped": ShuffleWrite(1, HashPartitioner(REDUCERS), REDUCERS, grouping()),
    "sorted": ShuffleWrite(1, BY_KEY, REDUCERS, None, Ordering()),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_map_task_makes_one_file_of_few_bytes_for_all_its_reducers(tmp_path, write):
    rows = iter([(number, number) for number in range(ROWS)])
    write.run(rows, task_on(FilesPlane(str(tmp_path))))
    (name,) = os.listdir(tmp_path)
    assert os.path.getsize(tmp_path / name) < 14 * ROWS


@pytest.mark.parametrize("keyed", [True, False], ids=["values", "rows"])
def test_small_arrays_take_hardly_more_bytes_in_a_shuffle_than_their_numbers(tmp_path, keyed):
    np = pytest.importorskip("numpy")
    rows = iter([(number, np.zeros(20)) if keyed else np.zeros(20) for number in range(5000)])
    ShuffleWrite(1, HashPartitioner(1), 1).run(rows, task_on(FilesPlane(str(tmp_path))))
    (name,) = os.listdir(tmp_path)
    assert os.path.getsize(tmp_path / name) < 5000 * (160 + 4)


def copies(action):
    """The most memory that an action needed beyond what was there, in parts of a large value; and its result."""
    tracemalloc.start()
    try:
        result = action()
        return tracemalloc.get_traced_memory()[1] / LARGE_BYTES, result
    finally:
        tracemalloc.stop()


def an_array():
    return pytest.importorskip("numpy").zeros(LARGE_BYTES // 8)


LARGE_VALUES = {
    "bytes": (lambda: b"x" * LARGE_BYTES, 0.1, 1.1, 1.1),
    "bytes under a name": (lambda: {"name": ("x", [b"x" * LARGE_BYTES])}, 0.1, 1.1, 1.1),
    "a bytearray": (lambda: bytearray(LARGE_BYTES), 0.1, 1.1, 1.1),
    "str": (lambda: "x" * LARGE_BYTES, 1.1, 1.1, 2.1),
    "an array": (an_array, 0.1, 0.1, 1.1),
}


@pytest.mark.parametrize(("make", "written", "read", "inline"), LARGE_VALUES.values(), ids=LARGE_VALUES)
def test_a_large_value_is_copied_at_most_so_often(tmp_path, make, written, read, inline):
    value = make()
    path = str(tmp_path / "block")

    def write():
        writer = SegmentWriter(path)
        write_rows(writer, 0, iter([value]), 1000)
        writer.commit()

    def read_back():
        with SegmentFile(path) as file:
            return list(decode_batches(file.segment(0), path))

    assert copies(write)[0] <= written
    assert copies(read_back)[0] <= read
    most, raw = copies(lambda: encode_rows_inline([value]))
    assert most <= inline
    assert copies(lambda: decode_inline(raw))[0] <= 1.1
