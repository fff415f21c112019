"""Which programs have nothing of the user's in them."""

from __future__ import annotations

import operator
from typing import Any

import pytest

from simspark.publib.lineage.budget import Budget
from simspark.publib.lineage.plain import made_of
from simspark.publib.lineage.program import Program, Steps
from simspark.publib.lineage.row_functions import paired_with_none
from simspark.publib.lineage.sinks import Count, Reduce, ResultSink
from simspark.publib.lineage.sources import RangeSource
from simspark.publib.lineage.task import FileRef

pytestmark = pytest.mark.unit


def counting(label: Any) -> Program:
    return Program(RangeSource(), ResultSink(Count(), label, "a.py:1"))


def test_programs_made_of_the_same_are_alike_and_others_are_not() -> None:
    assert made_of(counting("count")) == made_of(counting("count")) is not None
    alike = [made_of(counting(label)) for label in ("count", "sum", b"count", 1, True, None)]
    assert len(set(alike)) == len(alike)


@pytest.mark.parametrize("value", [
    1.5, [], {}, set(), (1,), len, lambda: 1, object(), operator.add, paired_with_none, Count, Budget(1),
    counting([]), counting((1, [])), FileRef("driver", [1]), Program(RangeSource(), Reduce(operator.add)),
    Program(Steps(RangeSource(), []), Count()),
])  # fmt: skip
def test_what_could_be_changed_or_is_the_users_is_not_plain(value: Any) -> None:
    assert made_of(value) is None


def test_an_object_that_was_given_attributes_is_not_plain_any_more() -> None:
    count = Count()
    assert made_of(count) is not None
    count.seen = 1  # type: ignore[attr-defined]
    assert made_of(count) is None
