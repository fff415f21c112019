"""Serializers of streams: objects in batches, pairs of two streams, texts. See serializers for what a frame is."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import chain, islice, product
from typing import IO, Any, ClassVar

from simspark.publib.serializers import Serializer, read_frame, write_with_length


class BatchedSerializer(Serializer):
    """Writes lists of objects by another serializer: ``batchSize`` in each; -1 puts all into one.

    >>> import io
    >>> stream = io.BytesIO()
    >>> BatchedSerializer(PickleSerializer(), 2).dump_stream(range(3), stream)
    >>> list(PickleSerializer().load_stream(io.BytesIO(stream.getvalue())))
    [[0, 1], [2]]
    """

    UNLIMITED_BATCH_SIZE: ClassVar[int] = -1
    UNKNOWN_BATCH_SIZE: ClassVar[int] = 0

    def __init__(self, serializer: Serializer, batchSize: int = UNLIMITED_BATCH_SIZE) -> None:
        self.serializer = serializer
        self.batchSize = batchSize

    def _batched(self, iterator: Iterable[Any]) -> Iterator[Any]:
        if self.batchSize == self.UNLIMITED_BATCH_SIZE:
            yield list(iterator)
            return
        rest = iter(iterator)
        while batch := list(islice(rest, self.batchSize)):
            yield batch

    def dump_stream(self, iterator: Iterable[Any], stream: IO[bytes]) -> None:
        """Write the objects in batches.

        >>> import io
        >>> stream = io.BytesIO()
        >>> BatchedSerializer(PickleSerializer(), 3).dump_stream("abcd", stream)
        >>> list(PickleSerializer().load_stream(io.BytesIO(stream.getvalue())))
        [['a', 'b', 'c'], ['d']]
        """
        self.serializer.dump_stream(self._batched(iterator), stream)

    def load_stream(self, stream: IO[bytes]) -> Iterator[Any]:
        """Read the objects of all batches.

        >>> import io
        >>> stream = io.BytesIO()
        >>> PickleSerializer().dump_stream([["a", "b"], ["c"]], stream)
        >>> list(BatchedSerializer(PickleSerializer()).load_stream(io.BytesIO(stream.getvalue())))
        ['a', 'b', 'c']
        """
        return chain.from_iterable(self._load_stream_without_unbatching(stream))

    def _load_stream_without_unbatching(self, stream: IO[bytes]) -> Iterator[Iterable[Any]]:
        return self.serializer.load_stream(stream)

    def __repr__(self) -> str:
        return f"BatchedSerializer({self.serializer}, {self.batchSize})"


class FlattenedValuesSerializer(BatchedSerializer):
    """Writes (key, list of values) pairs, with at most ``batchSize`` values in each.

    >>> import io
    >>> stream = io.BytesIO()
    >>> FlattenedValuesSerializer(PickleSerializer(), 2).dump_stream([("a", [1, 2, 3])], stream)
    >>> list(PickleSerializer().load_stream(io.BytesIO(stream.getvalue())))
    [('a', [1, 2]), ('a', [3])]
    """

    def __init__(self, serializer: Serializer, batchSize: int = 10) -> None:
        super().__init__(serializer, batchSize)

    def _batched(self, iterator: Iterable[Any]) -> Iterator[Any]:
        for key, values in iterator:
            for start in range(0, len(values), self.batchSize):
                yield key, values[start : start + self.batchSize]

    def load_stream(self, stream: IO[bytes]) -> Iterator[Any]:
        """Read the pairs, as they were written.

        >>> import io
        >>> stream = io.BytesIO()
        >>> serializer = FlattenedValuesSerializer(PickleSerializer())
        >>> serializer.dump_stream([("a", [1, 2])], stream)
        >>> list(serializer.load_stream(io.BytesIO(stream.getvalue())))
        [('a', [1, 2])]
        """
        return self.serializer.load_stream(stream)

    def __repr__(self) -> str:
        return f"FlattenedValuesSerializer({self.serializer}, {self.batchSize})"


class AutoBatchedSerializer(BatchedSerializer):
    """Writes batches of about ``bestSize`` bytes: it doubles them while they are smaller.

    >>> import io
    >>> stream = io.BytesIO()
    >>> AutoBatchedSerializer(PickleSerializer()).dump_stream(range(4), stream)
    >>> list(PickleSerializer().load_stream(io.BytesIO(stream.getvalue())))
    [[0], [1, 2], [3]]
    """

    def __init__(self, serializer: Serializer, bestSize: int = 1 << 16) -> None:
        super().__init__(serializer, self.UNKNOWN_BATCH_SIZE)
        self.bestSize = bestSize

    def dump_stream(self, iterator: Iterable[Any], stream: IO[bytes]) -> None:
        """Write the objects in batches that grow, and shrink again past ten times the best size.

        >>> import io
        >>> stream = io.BytesIO()
        >>> serializer = AutoBatchedSerializer(PickleSerializer())
        >>> serializer.dump_stream("abcd", stream)
        >>> list(serializer.load_stream(io.BytesIO(stream.getvalue())))
        ['a', 'b', 'c', 'd']
        """
        count = 1
        rest = iter(iterator)
        while batch := list(islice(rest, count)):
            data = self.serializer.dumps(batch)
            write_with_length(data, stream)
            if len(data) < self.bestSize:
                count *= 2
            elif len(data) > self.bestSize * 10 and count > 1:
                count //= 2

    def __repr__(self) -> str:
        return f"AutoBatchedSerializer({self.serializer})"


class _OfTwo(Serializer):
    """Reads batches of keys and of values, in turn, from one stream."""

    def __init__(self, key_ser: Serializer, val_ser: Serializer) -> None:
        self.key_ser = key_ser
        self.val_ser = val_ser

    def _batches(self, stream: IO[bytes]) -> Iterator[tuple[Iterable[Any], Iterable[Any]]]:
        keys = self.key_ser._load_stream_without_unbatching(stream)
        values = self.val_ser._load_stream_without_unbatching(stream)
        return zip(keys, values, strict=False)

    def load_stream(self, stream: IO[bytes]) -> Iterator[Any]:
        """Read the pairs of all batches.

        >>> import io
        >>> stream = io.BytesIO()
        >>> PickleSerializer().dump_stream([[1], ["a"]], stream)
        >>> batched = BatchedSerializer(PickleSerializer())
        >>> list(PairDeserializer(batched, batched).load_stream(io.BytesIO(stream.getvalue())))
        [(1, 'a')]
        """
        return chain.from_iterable(self._load_stream_without_unbatching(stream))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.key_ser}, {self.val_ser})"


class CartesianDeserializer(_OfTwo):
    """Reads a batch of keys and one of values, and gives each key with each value.

    >>> import io
    >>> stream = io.BytesIO()
    >>> PickleSerializer().dump_stream([[1, 2], ["a", "b"]], stream)
    >>> batched = BatchedSerializer(PickleSerializer())
    >>> list(CartesianDeserializer(batched, batched).load_stream(io.BytesIO(stream.getvalue())))
    [(1, 'a'), (1, 'b'), (2, 'a'), (2, 'b')]
    """

    def _load_stream_without_unbatching(self, stream: IO[bytes]) -> Iterator[Iterable[Any]]:
        return (product(keys, values) for keys, values in self._batches(stream))


class PairDeserializer(_OfTwo):
    """Reads a batch of keys and one of as many values, and gives the pairs. Raises ValueError when sizes differ.

    >>> import io
    >>> stream = io.BytesIO()
    >>> PickleSerializer().dump_stream([[1, 2], ["a", "b"]], stream)
    >>> batched = BatchedSerializer(PickleSerializer())
    >>> list(PairDeserializer(batched, batched).load_stream(io.BytesIO(stream.getvalue())))
    [(1, 'a'), (2, 'b')]
    """

    def _load_stream_without_unbatching(self, stream: IO[bytes]) -> Iterator[Iterable[Any]]:
        for some_keys, some_values in self._batches(stream):
            keys, values = list(some_keys), list(some_values)
            if len(keys) != len(values):
                raise ValueError(
                    "Can not deserialize PairRDD with different number of items in batches: "
                    f"({len(keys)}, {len(values)})"
                )
            yield zip(keys, values, strict=True)


class UTF8Deserializer(Serializer):
    """Reads frames of UTF-8 text; as bytes without ``use_unicode``.

    >>> import io
    >>> list(UTF8Deserializer().load_stream(io.BytesIO(bytes([0, 0, 0, 2]) + "é".encode())))
    ['é']
    """

    def __init__(self, use_unicode: bool = True) -> None:
        self.use_unicode = use_unicode

    def loads(self, stream: IO[bytes]) -> str | bytes | None:
        """The next text of a stream. Raises EOFError at its end.

        >>> import io
        >>> UTF8Deserializer(use_unicode=False).loads(io.BytesIO(bytes([0, 0, 0, 1]) + b"a"))
        b'a'
        """
        data = read_frame(stream)
        return data.decode() if data is not None and self.use_unicode else data

    def load_stream(self, stream: IO[bytes]) -> Iterator[Any]:
        """Read the texts of a stream.

        >>> import io
        >>> list(UTF8Deserializer().load_stream(io.BytesIO(bytes([0, 0, 0, 1]) + b"a")))
        ['a']
        """
        while True:
            try:
                yield self.loads(stream)
            except (struct.error, EOFError):
                return

    def __repr__(self) -> str:
        return f"UTF8Deserializer({self.use_unicode})"
