"""Rows sorted by ranges: each in its partition's segment, equal keys in their order, few at a time in memory."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator
from itertools import chain
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simspark.publib import optimizations
from simspark.publib.lineage import sinks, text_files
from simspark.publib.lineage.aggregation import rows_of_batch
from simspark.publib.lineage.partitioner import RangePartitioner
from simspark.publib.lineage.result_functions import Sampled, SampleKeys, range_bounds
from simspark.publib.lineage.shuffle_read import ShuffleRead
from simspark.publib.lineage.sinks import ShuffleWrite
from simspark.publib.lineage.sorting import Ordering
from simspark.publib.lineage.steps import Filter, Map, apply_steps
from simspark.publib.lineage.task import FileRef
from simspark.publib.lineage.text_files import TextSource, cuts
from tests.unit.publib.planes import FilesPlane, task_on

pytestmark = pytest.mark.unit
key = itemgetter(0)
FUNCTIONS = {"keys": None, "negative keys": lambda k: -k, "keys in pairs": lambda k: k // 2}


def segments_of(plane: FilesPlane, name: str, partitions: int) -> list[list[Any]]:
    with plane.opened(name) as file:
        return [list(chain.from_iterable(map(rows_of_batch, file.batches(number)))) for number in range(partitions)]


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@given(keys=st.lists(st.integers(-9, 9), max_size=99), bounds=st.lists(st.integers(-9, 9), max_size=5),
       missing=st.integers(0, 2), odd=st.sampled_from([None, (3, 0, "a third"), [3, 0]]))
def test_rows_come_sorted_to_where_the_partitioner_places_them(
        tmp_path_factory: Any, ascending: bool, function: Any, keys: list[int], bounds: list[int], missing: int,
        odd: Any) -> None:
    rows: list[Any] = [(k, at) for at, k in enumerate(keys)]
    if odd is not None:
        rows[len(rows) // 2 : len(rows) // 2] = [odd]
    plane = FilesPlane(str(tmp_path_factory.mktemp("files")))
    by = RangePartitioner(len(bounds) + 1 + missing, sorted(bounds), ascending, function)
    ordering = Ordering(function, ascending)
    assert ordering.fits(by)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sinks, "SORTED_WINDOW_ROWS", 20)
        done = ShuffleWrite(1, by, by.num_partitions, None, ordering).run(iter(rows), task_on(plane))
    plane.outputs[1] = [FileRef("here", done.name)]
    for number in range(by.num_partitions):
        found = list(ShuffleRead(1, None, ordering).rows(number, task_on(plane)))
        assert found == sorted((row for row in rows if by(row[0]) == number), key=ordering.row_key(),
                               reverse=not ascending)


@pytest.mark.parametrize("ascending", [True, False])
def test_a_spill_before_the_shuffle_changes_no_row_and_no_order(tmp_path: Any, ascending: bool) -> None:
    rows = [(at * 7919 % 1000, at) for at in range(3000)]
    partitioner = RangePartitioner(5, [100, 500, 500, 900], ascending)
    written = []
    for budget in (5_000, 1 << 30):
        plane = FilesPlane(str(tmp_path / str(budget)))
        (tmp_path / str(budget)).mkdir()
        task = task_on(plane, budget_bytes=budget)
        done = ShuffleWrite(1, partitioner, 5, None, Ordering(None, ascending)).run(iter(rows), task)
        written.append([sorted(rows, key=key) for rows in segments_of(plane, done.name, 5)])
        assert done.sizes[2] == 0
        assert bool(plane.scratched) == (budget == 5_000)
    assert written[0] == written[1]
    assert sum(map(len, written[0])) == 3000


class Value:
    """What knows how many of it there are."""

    alive: weakref.WeakSet[Value] = weakref.WeakSet()

    def __init__(self) -> None:
        Value.alive.add(self)


@pytest.mark.parametrize("partitions", [4, 50])
def test_a_sort_holds_no_more_rows_before_the_shuffle_than_it_sorts_at_a_time(tmp_path: Any, partitions: int) -> None:
    most = 0

    def rows() -> Iterator[Any]:
        nonlocal most
        for at in range(30_000):
            yield at * 7919 % 30_000, Value()
            most = max(most, len(Value.alive))

    partitioner = RangePartitioner(partitions, range(0, 30_000, 30_000 // partitions)[1:])
    ShuffleWrite(1, partitioner, partitions, None, Ordering()).run(rows(), task_on(FilesPlane(str(tmp_path))))
    assert most < 3 * sinks.SORTED_WINDOW_ROWS


def test_large_rows_are_sorted_few_at_a_time(tmp_path: Any, monkeypatch: Any) -> None:
    sorted_at_once: list[int] = []
    cut = Ordering.cut
    monkeypatch.setattr(Ordering, "cut", lambda order, keys, by: (sorted_at_once.append(len(keys)), cut(
        order, keys, by))[1])
    rows = ((at, bytes(100_000)) for at in range(300))
    ShuffleWrite(1, RangePartitioner(2, [99]), 2, None, Ordering()).run(rows, task_on(FilesPlane(str(tmp_path))))
    assert max(sorted_at_once) * 100_000 <= sinks.SORTED_WINDOW_BYTES
    assert sum(sorted_at_once) == 300


SLICED = [Map(lambda line: (line[:2], line[2:]))]
LINES = st.lists(max_size=80, elements=st.sampled_from([
    b"ab", b"", b"c\xe2\x82", b"\xff\xfe", b"\xf0\x9f\x98", b"d\xc3\xa9", b"e\r", b"f\rg"]))


@given(lines=LINES, last=st.booleans(), partitions=st.integers(1, 4), least_rows=st.sampled_from([0, 50, 5000]))
def test_the_same_keys_are_sampled_of_lines_whether_all_get_keys_or_few(
        tmp_path_factory: Any, lines: list[bytes], last: bool, partitions: int, least_rows: int) -> None:
    path = tmp_path_factory.mktemp("lines") / "lines.txt"
    path.write_bytes(b"\n".join(lines) + b"\n" * last)
    task, size = task_on(FilesPlane(".")), path.stat().st_size

    def sampled(split: Any, number: int) -> Sampled:
        rows = apply_steps(SLICED, TextSource().rows(split, task), number, task)
        return SampleKeys(partitions, least_rows)(number, rows)

    def bounds() -> tuple[list[Any], list[int]]:
        samples = [sampled((str(path), *cut, ""), number) for number, cut in enumerate(cuts(size, max(1, size // 3)))]
        return range_bounds(samples, partitions, None), [sample.size for sample in samples]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(text_files, "READ_BYTES", 40)
        few = bounds()
        optimizations.do_without(frozenset(["sampled-lines"]))
        try:
            assert few == bounds()
        finally:
            optimizations.do_without(frozenset())


def sample_of(path: Any, steps: list[Any], properties: dict[str, str]) -> tuple[Sampled, int]:
    """What is sampled of a file of 20,000 lines, and how many of them were decoded."""
    path.write_text("".join(f"{number:05d}\n" for number in range(20_000)), "ascii")
    task = task_on(FilesPlane("."))
    task.properties = properties
    lines = TextSource().rows((str(path), 0, path.stat().st_size, ""), task)
    sampled = SampleKeys(2)(0, apply_steps(steps, lines, 0, task))
    return sampled, 20_000 if lines.running is not None else 0


@pytest.mark.skipif(sys.gettrace() is not None, reason="what is traced is called")
def test_lines_that_are_not_sampled_are_neither_decoded_nor_given_to_functions_that_cannot_fail(tmp_path: Any) -> None:
    sampled, decoded = sample_of(tmp_path / "lines", SLICED, {})
    assert (sampled.size, decoded) == (20_000, 0)
    assert len(sampled.keys) < 100


@pytest.mark.parametrize(("steps", "properties"), [
    ([Map(lambda line: (int(line), line))], {}), (SLICED, {"spark.simspark.fusion": "false"}),
    ([Map(lambda line: line)], {}), ([*SLICED, Filter(lambda row: row[0] != "0")], {}),
], ids=["may fail", "without loops", "no pairs", "with a filter"])
def test_all_lines_get_keys_where_somebody_could_tell(tmp_path: Any, steps: Any, properties: Any) -> None:
    assert sample_of(tmp_path / "lines", steps, properties)[1] == 20_000
