"""Joins that read cached rows as they are: what they give is what tables of both sides give."""

from __future__ import annotations

import tempfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simspark.publib import optimizations
from simspark.publib.lineage import join_tables
from simspark.publib.lineage.aggregation import grouping
from simspark.publib.lineage.program import Steps
from simspark.publib.lineage.shuffle_read import CoGroupRead, JoinRead, ShuffleRead
from simspark.publib.lineage.sources import CachedSource, SliceSource
from simspark.publib.lineage.steps import Filter, FlatMapValues, Map, MapValues
from tests.unit.publib.planes import DictCache, FilesPlane, task_on

HUGE = 1 << 40
TINY = 600
ROWS = 5000
MERGED = ShuffleRead(1, grouping())
MEMORY_ONLY = 1

plain_keys = st.one_of(st.none(), st.integers(-20, 20), st.sampled_from([1.0, True, False, 0.0]), st.text(max_size=1),
                       st.tuples(st.integers(0, 3), st.none()))
keys = st.one_of(plain_keys, st.builds(float, st.just("nan")))
rows = st.lists(st.tuples(keys, st.integers()), max_size=120)


def coming_once(pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """The first row of each key; all NaNs are one."""
    once = {("nan",) if key != key else ("key", key): (key, value) for key, value in reversed(pairs)}  # noqa: PLR0124
    return list(once.values())


def joined(left: list[Any], right: list[Any], how: str, budget_bytes: int = HUGE, source: Any = MERGED) -> list[Any]:
    """The rows of the join of a cached partition with another one."""
    with tempfile.TemporaryDirectory() as directory:
        cache = DictCache()
        cache.kept[7, 0] = left
        task = task_on(FilesPlane(directory), cache=cache, budget_bytes=budget_bytes)
        read = JoinRead(CachedSource(7, MEMORY_ONLY, source), SliceSource(), how)
        return list(read.rows(((0, None), (0, right)), task))


def joined_from_tables(left: list[Any], right: list[Any], how: str) -> list[Any]:
    optimizations.do_without(frozenset({"streamed-joins"}))
    try:
        return joined(left, right, how)
    finally:
        optimizations.do_without(frozenset())


@pytest.mark.parametrize("how", ["inner", "left", "right", "full"])
@pytest.mark.parametrize("budget_bytes", [HUGE, TINY])
@settings(deadline=None, max_examples=60)
@given(left=rows, right=rows, right_comes_once=st.booleans())
def test_it_gives_what_tables_of_both_sides_give(how: str, budget_bytes: int, left: list[Any], right: list[Any],
                                                 right_comes_once: bool) -> None:
    left, right = coming_once(left), coming_once(right) if right_comes_once else right
    assert repr(joined(left, right, how, budget_bytes)) == repr(joined_from_tables(left, right, how))


def rows_in_tables(monkeypatch: pytest.MonkeyPatch, how: str = "inner", source: Any = MERGED) -> int:
    """How many rows a join of ROWS with ten others puts into tables."""
    added = []
    add = join_tables.Table.add

    def counting(table: join_tables.Table, keys: Any, values: Any) -> None:
        added.append(len(keys))
        add(table, keys, values)

    monkeypatch.setattr(join_tables.Table, "add", counting)
    joined([(key, -key) for key in range(ROWS)], [(key, key) for key in range(10)], how, source=source)
    return sum(added)


@pytest.mark.parametrize("how", ["inner", "left"])
@pytest.mark.parametrize("source", [
    MERGED, CoGroupRead((ShuffleRead(1),)), Steps(MERGED, [MapValues(list), Filter(bool)]),
    Steps(CachedSource(6, MEMORY_ONLY, MERGED), [MapValues(len)])])
def test_cached_rows_whose_keys_come_once_are_put_into_no_table(monkeypatch: pytest.MonkeyPatch, how: str,
                                                                source: Any) -> None:
    assert rows_in_tables(monkeypatch, how, source) == 10


@pytest.mark.parametrize("source", [
    ShuffleRead(1), SliceSource(), Steps(MERGED, [Map(lambda row: (0, row))]), Steps(MERGED, [FlatMapValues(list)])])
def test_cached_rows_whose_keys_may_come_again_are(monkeypatch: pytest.MonkeyPatch, source: Any) -> None:
    assert rows_in_tables(monkeypatch, source=source) == ROWS + 10


@pytest.mark.parametrize("how", ["right", "full"])
def test_so_are_rows_whose_keys_are_looked_for(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    assert rows_in_tables(monkeypatch, how) == ROWS + 10
