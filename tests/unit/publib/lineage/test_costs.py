"""What data costs on its way, counted and not timed: files, bytes written, copies in memory."""

from __future__ import annotations

import dis
import gc
import operator
import os
import sys
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
from simspark.publib.lineage import aggregation, fusion
from simspark.publib.lineage.aggregation import grouping, reducing
from simspark.publib.lineage.partitioner import HashPartitioner, RangePartitioner
from simspark.publib.lineage.shuffle_read import JoinRead, ShuffleRead
from simspark.publib.lineage.sinks import Reduce, ShuffleWrite
from simspark.publib.lineage.sorting import Ordering
from simspark.publib.lineage.steps import (
    AFTER_ROWS,
    LOOP,
    Filter,
    FlatMap,
    FlatMapValues,
    KeyBy,
    Map,
    MapValues,
    apply_steps,
)
from simspark.publib.lineage.task import FileRef
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


def objects_held(action):
    """How many objects that gc must look at an action leaves with its result."""
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        result = action()
        return len(gc.get_objects()) - before, result
    finally:
        gc.enable()


def test_a_join_of_keys_that_come_once_holds_nothing_for_each_of_them(tmp_path):
    plane = FilesPlane(str(tmp_path))
    for shuffle in (1, 2):
        write = ShuffleWrite(shuffle, HashPartitioner(1), 1)
        done = write.run(zip(range(ROWS), range(ROWS), strict=True), task_on(plane, task_id=shuffle))
        plane.outputs[shuffle] = [FileRef("here", done.name)]
    source = JoinRead(ShuffleRead(1), ShuffleRead(2))
    held, rows = objects_held(lambda: source.rows(((0, 0), (0, 0)), task_on(plane)))
    assert held < ROWS / 100
    assert sum(1 for _ in rows) == ROWS


def test_groups_that_come_from_a_shuffle_are_taken_and_not_copied(tmp_path):
    first, second = [1], [2]
    batches = iter([(["a", "b"], [first, second]), (["a"], [[3]])])
    (_, a), (_, b) = grouping().merge_batches(batches, task_on(FilesPlane(str(tmp_path))))
    assert a is first and b is second and a == [1, 3]


def lengths_asked(monkeypatch, action):
    """How often folding asks how many values a list has."""
    asked = []
    monkeypatch.setattr(aggregation, "len", lambda held: asked.append(None) or len(held), raising=False)
    action()
    return len(asked)


@pytest.mark.parametrize("steps", [[], [Map(lambda x: (x % 2000, x))]], ids=["pairs", "mapped"])
def test_what_is_grouped_is_known_to_be_as_much_as_came_without_a_look_at_each_group(tmp_path, monkeypatch, steps):
    task = task_on(FilesPlane(str(tmp_path)))
    rows = apply_steps(steps, iter(range(ROWS)), 0, task) if steps else ((x % 2000, x) for x in range(ROWS))
    assert lengths_asked(monkeypatch, lambda: grouping().combine_values(rows, task)) < 100


def test_the_values_of_groups_that_are_merged_are_counted_once(tmp_path, monkeypatch):
    task = task_on(FilesPlane(str(tmp_path)))
    keys = (range(start, start + 1000) for start in range(0, ROWS, 1000))
    batches = ((list(some), [[key] for key in some]) for some in keys)
    assert lengths_asked(monkeypatch, lambda: grouping().merge_batches(batches, task)) < 1.1 * ROWS


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


def frames_entered(action):
    """How many Python functions were called; that a loop gives its next row is no call."""
    calls = []
    sys.setprofile(lambda frame, event, _: calls.append(frame.f_code.co_qualname) if event == "call" else None)
    try:
        action()
    finally:
        sys.setprofile(None)
    return sum(name != LOOP for name in calls)


def sorted_out(x):
    """Does one thing or another with a row."""
    if x % 5 == 0:
        return x % 7, 0
    if x < 100 or x % 3 == 1:
        x = x * 2
        half = x // 4
    elif x is None:
        raise ValueError(x)
    else:
        half = x - 4
    return half % 7, x


def kept(row):
    """Keeps some."""
    key, value = row
    if key == 3:
        return False
    key = value
    return key % 2


CHAINS = {
    "branches": [Map(sorted_out), Filter(kept), MapValues(lambda x: x + 1)],
    "numbers": [Map(lambda x: x * 2 + 1), Filter(lambda x: x % 3 == 0), Map(lambda x: (x % 7, x))],
    "pairs": [KeyBy(lambda x: x % 7), MapValues(lambda x: x - 1), Filter(lambda kv: kv[1] > 5)],
    "lists": [Map(lambda x: (x, [x, x])), FlatMap(lambda kv: kv[1]), Map(lambda x: (x % 7, 1))],
}
CONSUMERS = {
    "listed": lambda rows, task: list(rows),
    "reduced": lambda rows, task: Reduce(lambda a, b: b if a else a)(0, rows),
    "summed by key": lambda rows, task: reducing(lambda a, b: a + b).combine_values(rows, task),
    "grouped": lambda rows, task: grouping().combine_values(rows, task),
    "sorted": lambda rows, task: WRITES["sorted"].run(rows, task),
    "placed row by row": lambda rows, task: WRITES["placed row by row"].run(rows, task),
}


@pytest.mark.skipif(sys.gettrace() is not None, reason="what is traced is called")
@pytest.mark.parametrize("steps", CHAINS.values(), ids=CHAINS)
@pytest.mark.parametrize("consume", CONSUMERS.values(), ids=CONSUMERS)
def test_a_row_enters_no_frame_in_a_chain_of_small_functions(tmp_path, monkeypatch, steps, consume):
    def frames(rows):
        task = task_on(FilesPlane(str(tmp_path)))
        return frames_entered(lambda: consume(apply_steps(steps, iter(range(rows)), 0, task), task))

    for module in ("steps", "fusion", "aggregation", "sinks"):  # as if nobody counted
        monkeypatch.setattr(f"simspark.publib.lineage.{module}.fused_after", lambda task: 0)
    frames(4 * ROWS)  # the loops are made
    assert frames(ROWS) < ROWS // 10


@pytest.mark.parametrize("steps", CHAINS.values(), ids=CHAINS)
def test_no_pair_is_made_of_a_key_and_a_value_that_a_shuffle_writes(steps):
    loop = fusion.columns_loop(steps[-1:])
    assert loop is None or "BUILD_TUPLE" not in {each.opname for each in dis.get_instructions(loop)}
    assert (loop is None) == isinstance(steps[-1], Filter)


@pytest.mark.skipif(sys.gettrace() is not None, reason="what is traced is called")
def test_a_row_that_is_sorted_enters_no_frame_on_its_way(tmp_path):
    plane = FilesPlane(str(tmp_path))
    rows = [(number * 7919 % ROWS, number) for number in range(ROWS)]
    write = ShuffleWrite(1, RangePartitioner(2, [ROWS // 2]), 2, None, Ordering())
    assert frames_entered(lambda: write.run(iter(rows), task_on(plane))) < ROWS // 10
    plane.outputs[1] = [FileRef("here", *os.listdir(tmp_path))]
    read = ShuffleRead(1, None, Ordering())
    assert frames_entered(lambda: list(read.rows(0, task_on(plane)))) < ROWS // 10


def spread(row):
    """What PageRank does with each of its rows."""
    _, (targets, rank) = row
    share = rank / len(targets)
    return [(target, share) for target in targets]


FLAT_CHAINS = {
    "values": [FlatMap(spread)],
    "values that are summed": [FlatMap(spread), MapValues(lambda share: share * 2), Filter(lambda kv: kv[0] > 5)],
    "displays": [FlatMap(lambda row: [(row[0], 1), (-row[0], 2)]), Map(lambda kv: (kv[1], kv[0]))],
    "values of pairs": [FlatMapValues(lambda row: [row[1], row[1]])],
}


@pytest.mark.skipif(sys.gettrace() is not None, reason="what is traced is called")
@pytest.mark.parametrize("steps", FLAT_CHAINS.values(), ids=FLAT_CHAINS)
@pytest.mark.parametrize("by", [reducing(operator.add), reducing(lambda a, b: a + b), grouping()])
def test_rows_of_which_each_makes_several_enter_no_frame_in_a_loop_that_folds_them(tmp_path, monkeypatch, steps, by):
    def frames(rows):
        task = task_on(FilesPlane(str(tmp_path)))
        given = [(number % 7, ([number, number + 1], 0.5)) for number in range(rows)]
        return frames_entered(lambda: by.combine_values(apply_steps(steps, iter(given), 0, task), task))

    for module in ("steps", "fusion", "aggregation"):  # as if nobody counted
        monkeypatch.setattr(f"simspark.publib.lineage.{module}.fused_after", lambda task: 0)
    frames(1)  # the loop is made
    assert frames(ROWS) < ROWS // 10


def test_words_are_counted_without_a_frame_or_a_tuple_for_each(tmp_path):
    task = task_on(FilesPlane(str(tmp_path)))
    task.properties = {AFTER_ROWS: "0"}
    words = iter(["a", "b", "a"] * (ROWS // 3))
    loop = fusion.grouping_loop([Map(lambda word: (word, 1))], None, operator.add)
    assert type(loop) is type(len)
    rows = apply_steps([Map(lambda word: (word, 1))], words, 0, task)
    assert dict(reducing(operator.add).combine_values(rows, task)) == {"a": ROWS // 3 * 2, "b": ROWS // 3}


class Key:
    """A key that counts how often it is looked for."""

    looks = 0

    def __init__(self, number):
        self.number = number

    def __hash__(self):
        Key.looks += 1
        return self.number

    def __eq__(self, other):
        return self.number == other.number


@pytest.mark.skipif(sys.gettrace() is not None, reason="what is traced is called")
@pytest.mark.parametrize("function", [operator.add, lambda a, b: a - b], ids=["added", "subtracted"])
def test_a_key_is_looked_for_twice_once_it_is_known(tmp_path, function):
    task = task_on(FilesPlane(str(tmp_path)), budget_bytes=1 << 40)
    keys, rows = [Key(number) for number in range(100)], 10 * ROWS
    steps = [Map(lambda x: (keys[x % 100], x))]
    Key.looks = 0
    combined = reducing(function).combine_values(apply_steps(steps, iter(range(rows)), 0, task), task)
    assert len(list(combined)) == 100 and Key.looks < 2.5 * rows
