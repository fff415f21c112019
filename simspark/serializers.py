"""Serializers, under the names that PySpark's module has."""

from __future__ import annotations

from simspark.publib.serializers import (
    AutoSerializer,
    CloudPickleSerializer,
    CompressedSerializer,
    CPickleSerializer,
    FramedSerializer,
    MarshalSerializer,
    NoOpSerializer,
    PickleSerializer,
    Serializer,
    SpecialLengths,
    pack_long,
    read_bool,
    read_int,
    read_long,
    write_int,
    write_long,
    write_with_length,
)
from simspark.publib.stream_serializers import (
    AutoBatchedSerializer,
    BatchedSerializer,
    CartesianDeserializer,
    FlattenedValuesSerializer,
    PairDeserializer,
    UTF8Deserializer,
)

__all__ = [
    "AutoBatchedSerializer",
    "AutoSerializer",
    "BatchedSerializer",
    "CPickleSerializer",
    "CartesianDeserializer",
    "CloudPickleSerializer",
    "CompressedSerializer",
    "FlattenedValuesSerializer",
    "FramedSerializer",
    "MarshalSerializer",
    "NoOpSerializer",
    "PairDeserializer",
    "PickleSerializer",
    "Serializer",
    "SpecialLengths",
    "UTF8Deserializer",
    "pack_long",
    "read_bool",
    "read_int",
    "read_long",
    "write_int",
    "write_long",
    "write_with_length",
]
