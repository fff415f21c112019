from __future__ import annotations

import io
import pickle
import struct

import pytest

from simspark import serializers
from simspark.serializers import (
    AutoBatchedSerializer,
    AutoSerializer,
    BatchedSerializer,
    CartesianDeserializer,
    CloudPickleSerializer,
    CompressedSerializer,
    CPickleSerializer,
    FlattenedValuesSerializer,
    MarshalSerializer,
    NoOpSerializer,
    PairDeserializer,
    PickleSerializer,
    UTF8Deserializer,
)

pytestmark = pytest.mark.unit

ROWS = [None, 1, 2.5, "é", b"x", (1, [2, {"a": 3}])]
FRAMED = [PickleSerializer(), CloudPickleSerializer(), MarshalSerializer(), AutoSerializer(),
          CompressedSerializer(PickleSerializer())]  # fmt: skip


def dumped(serializer, rows):
    stream = io.BytesIO()
    serializer.dump_stream(rows, stream)
    return stream.getvalue()


def loaded(serializer, data):
    return list(serializer.load_stream(io.BytesIO(data)))


def batch_sizes(serializer, rows):
    return [len(batch) for batch in loaded(PickleSerializer(), dumped(serializer, rows))]


def frames(*contents):
    return b"".join(struct.pack("!i", len(each)) + each for each in contents)


@pytest.mark.parametrize("serializer", FRAMED, ids=str)
def test_one_object_comes_back(serializer):
    assert [serializer.loads(serializer.dumps(row)) for row in ROWS] == ROWS


@pytest.mark.parametrize(
    "serializer",
    [*FRAMED, *(batched(each) for each in FRAMED for batched in (BatchedSerializer, AutoBatchedSerializer)),
     BatchedSerializer(PickleSerializer(), 4)],
    ids=str,
)  # fmt: skip
def test_a_stream_of_objects_comes_back_in_order(serializer):
    assert loaded(serializer, dumped(serializer, ROWS)) == ROWS


def test_a_frame_is_a_length_of_four_bytes_and_the_bytes():
    assert dumped(NoOpSerializer(), [b"ab", b""]) == frames(b"ab", b"")


def test_a_stream_ends_at_its_mark_and_at_a_frame_that_is_cut_short():
    assert loaded(NoOpSerializer(), frames(b"a") + struct.pack("!i", -1) + frames(b"b")) == [b"a"]
    assert loaded(NoOpSerializer(), frames(b"a", b"bcd")[:-1]) == [b"a"]
    assert loaded(NoOpSerializer(), struct.pack("!i", -5) + frames(b"b")) == [None, b"b"]


def test_batches_have_the_size_that_was_asked_for():
    assert loaded(PickleSerializer(), dumped(BatchedSerializer(PickleSerializer(), 2), range(5))) == [
        [0, 1], [2, 3], [4]
    ]  # fmt: skip
    assert loaded(PickleSerializer(), dumped(BatchedSerializer(PickleSerializer()), range(5))) == [[0, 1, 2, 3, 4]]


def test_automatic_batches_shrink_when_rows_are_large():
    rows = [b"x"] * 7 + [b"y" * 400] * 6
    sizes = batch_sizes(AutoBatchedSerializer(PickleSerializer(), 100), rows)
    assert sizes[:4] == [1, 2, 4, 6]
    rows = [b"y" * 600] * 4
    sizes = batch_sizes(AutoBatchedSerializer(PickleSerializer(), 700), rows)
    assert sizes == [1, 2, 1]


def test_values_of_a_key_are_split():
    assert loaded(PickleSerializer(), dumped(FlattenedValuesSerializer(PickleSerializer(), 2), [("a", [1, 2, 3])])) == [
        ("a", [1, 2]), ("a", [3])
    ]  # fmt: skip


def test_pairs_and_products_are_read_batch_by_batch():
    batched = BatchedSerializer(PickleSerializer(), 2)
    data = frames(*map(pickle.dumps, ([1, 2], "ab", [3], "c")))
    assert loaded(PairDeserializer(batched, batched), data) == [(1, "a"), (2, "b"), (3, "c")]
    assert loaded(CartesianDeserializer(batched, batched), data) == [
        (1, "a"), (1, "b"), (2, "a"), (2, "b"), (3, "c")
    ]  # fmt: skip


def test_pairs_of_batches_that_differ_in_size_are_refused():
    batched = BatchedSerializer(PickleSerializer(), 2)
    with pytest.raises(ValueError, match=r"different number of items in batches: \(2, 1\)"):
        loaded(PairDeserializer(batched, batched), frames(pickle.dumps([1, 2]), pickle.dumps("a")))


def test_texts_are_read_as_text_or_bytes():
    assert loaded(UTF8Deserializer(), frames("é".encode(), b"")) == ["é", ""]
    assert loaded(UTF8Deserializer(use_unicode=False), frames("é".encode())) == ["é".encode()]


def test_functions_travel_by_cloudpickle_only():
    assert CPickleSerializer().loads(CPickleSerializer().dumps(lambda x: x + 1))(1) == 2
    with pytest.raises((pickle.PicklingError, AttributeError)):
        PickleSerializer().dumps(lambda x: x)


def test_what_cannot_be_pickled_is_told():
    with pytest.raises(pickle.PicklingError, match="Could not serialize object: TypeError: "):
        CloudPickleSerializer().dumps(iter(x for x in []))


def test_only_allowed_classes_are_loaded():
    serializer = CloudPickleSerializer(allowed_names=[("fractions", "Fraction")])
    from decimal import Decimal
    from fractions import Fraction

    assert serializer.loads(serializer.dumps(Fraction(1, 2))) == Fraction(1, 2)
    with pytest.raises(pickle.UnpicklingError, match="Unpickling decimal.Decimal is not allowed"):
        serializer.loads(serializer.dumps(Decimal(1)))


def test_marshal_refuses_other_types():
    with pytest.raises(ValueError, match="unmarshallable object"):
        MarshalSerializer().dumps(object())


def test_serializers_of_one_kind_are_equal():
    assert BatchedSerializer(PickleSerializer(), 2) == BatchedSerializer(PickleSerializer(), 2)
    assert BatchedSerializer(PickleSerializer(), 2) != BatchedSerializer(PickleSerializer(), 3)
    assert len({PickleSerializer(), PickleSerializer(), MarshalSerializer()}) == 2


@pytest.mark.parametrize(("name", "value", "data"), [
    ("int", -2, b"\xff\xff\xff\xfe"), ("long", 1 << 40, b"\0\0\1\0\0\0\0\0"), ("bool", True, b"\1"),
])  # fmt: skip
def test_numbers_are_big_endian(name, value, data):
    read = getattr(serializers, f"read_{name}")
    assert read(io.BytesIO(data)) == value
    with pytest.raises(EOFError):
        read(io.BytesIO())


def test_pyspark_writes_the_same_bytes():
    theirs = pytest.importorskip("pyspark.serializers")
    for name in ("PickleSerializer", "MarshalSerializer", "NoOpSerializer"):
        rows = [b"a", b"b"]
        assert dumped(getattr(serializers, name)(), rows) == dumped(getattr(theirs, name)(), rows)
