from __future__ import annotations

import pytest

from simspark.driver.made_with import check_arguments
from simspark.driver.rdd.sources import slice_bounds
from simspark.publib.errors import ConfigError
from simspark.publib.serializers import CPickleSerializer, MarshalSerializer

pytestmark = pytest.mark.unit

OF_JAVA = (
    "is an object of PySpark's Java side, which simspark has not. Leave it out, or run the program on Apache Spark: "
    'SparkContext("spark://host:port"). (SS101)'
)


@pytest.mark.parametrize(("arguments", "text"), [
    ((MarshalSerializer, 0, None, None),
     "serializer must be a serializer such as CPickleSerializer(), not the class MarshalSerializer; call it. (SS101)"),
    (("pickle", 0, None, None), "serializer must be a serializer such as CPickleSerializer(), not str. (SS101)"),
    ((CPickleSerializer(), -2, None, None),
     "batchSize is -2, but must be a number of rows, 0 (by their size) or -1 (no limit). (SS101)"),
    ((CPickleSerializer(), 0, object(), None),
     f"gateway {OF_JAVA}"),
    ((CPickleSerializer(), 0, None, object()),
     f"jsc {OF_JAVA}"),
])  # fmt: skip
def test_arguments_that_cannot_be_are_told(arguments, text):
    with pytest.raises(ConfigError) as error:
        check_arguments(*arguments)
    assert str(error.value) == text


def test_a_batch_size_decides_where_a_collection_is_cut():
    assert slice_bounds(10, 2) == [(0, 5), (5, 10)]
    assert slice_bounds(10, 2, 2) == [(0, 4), (4, 10)]
