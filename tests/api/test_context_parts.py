from __future__ import annotations

import pytest

from simspark import RDD, SparkContext

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("assembled", [SparkContext, RDD])
def test_no_part_hides_a_method_behind_an_abstract_one(assembled: type) -> None:
    hidden = [name for name in dir(assembled) if getattr(getattr(assembled, name), "__isabstractmethod__", False)]
    assert hidden == []
