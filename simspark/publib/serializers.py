"""Serializers: objects as bytes, and streams of objects, for programs that call them by hand.

simspark moves rows in one format of its own (``blocks.segments``), so a context's serializer does not decide how its
rows travel. What is here reads and writes what PySpark's classes of the same names do: a frame is a length of four
bytes, big-endian, and that many bytes; a negative length is a mark. Unpickling runs code: load only what you trust.
"""

from __future__ import annotations

import marshal
import struct
from collections.abc import Collection, Iterable, Iterator
from typing import IO, Any

from simspark.publib.wire import payload

END_OF_DATA_SECTION = -1
NULL = -5
LARGEST_FRAME_BYTES = 1 << 31
_LENGTH = struct.Struct("!i")


class SpecialLengths:
    """The marks that stand where a frame's length would."""

    END_OF_DATA_SECTION = END_OF_DATA_SECTION
    PYTHON_EXCEPTION_THROWN = -2
    TIMING_DATA = -3
    END_OF_STREAM = -4
    NULL = NULL
    START_ARROW_STREAM = -6
    START_OF_INIT_MESSAGE = -8


class Serializer:
    """What every serializer has. Two are equal when the one can read what the other wrote.

    >>> class Reversed(NoOpSerializer):
    ...     def dumps(self, obj):
    ...         return obj[::-1]
    ...     def loads(self, obj):
    ...         return obj[::-1]
    >>> Reversed().dumps(b"abc"), Reversed() == Reversed(), Reversed()
    (b'cba', True, Reversed())
    """

    def dump_stream(self, iterator: Iterable[Any], stream: IO[bytes]) -> None:
        """Write objects to a stream.

        >>> import io
        >>> stream = io.BytesIO()
        >>> MarshalSerializer().dump_stream([1, 2], stream)
        >>> len(stream.getvalue())
        18
        """
        raise NotImplementedError

    def load_stream(self, stream: IO[bytes]) -> Iterator[Any]:
        """Read the objects of a stream, until its end.

        >>> import io
        >>> stream = io.BytesIO()
        >>> MarshalSerializer().dump_stream([1, 2], stream)
        >>> list(MarshalSerializer().load_stream(io.BytesIO(stream.getvalue())))
        [1, 2]
        """
        raise NotImplementedError

    def dumps(self, obj: Any) -> Any:
        """One object as bytes; with batches, a list of objects.

        >>> NoOpSerializer().dumps(b"ab")
        b'ab'
        """
        raise NotImplementedError

    def _load_stream_without_unbatching(self, stream: IO[bytes]) -> Iterator[Iterable[Any]]:
        """The batches of a stream; one object each where nothing was batched."""
        return ([each] for each in self.load_stream(stream))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class FramedSerializer(Serializer):
    """Writes each object as a frame; a subclass says how an object becomes bytes and back.

    >>> class Text(FramedSerializer):
    ...     def dumps(self, obj):
    ...         return obj.encode()
    ...     def loads(self, obj):
    ...         return obj.decode()
    >>> import io
    >>> stream = io.BytesIO()
    >>> Text().dump_stream(["é", "b"], stream)
    >>> list(Text().load_stream(io.BytesIO(stream.getvalue())))
    ['é', 'b']
    """

    def dump_stream(self, iterator: Iterable[Any], stream: IO[bytes]) -> None:
        """Write each object as a frame.

        >>> import io
        >>> stream = io.BytesIO()
        >>> CPickleSerializer().dump_stream(["a", 2], stream)
        >>> list(CPickleSerializer().load_stream(io.BytesIO(stream.getvalue())))
        ['a', 2]
        """
        for each in iterator:
            data = self.dumps(each)
            if data is None:
                raise ValueError("serialized value should not be None")
            if len(data) > LARGEST_FRAME_BYTES:
                raise ValueError("can not serialize object larger than 2G")
            write_with_length(data, stream)

    def load_stream(self, stream: IO[bytes]) -> Iterator[Any]:
        """Read frames until a mark of the end, the end, or a frame that is cut short.

        >>> import io
        >>> list(NoOpSerializer().load_stream(io.BytesIO(bytes([0, 0, 0, 2]) + b"ab")))
        [b'ab']
        """
        while True:
            try:
                yield self._read_with_length(stream)
            except EOFError:
                return

    def _read_with_length(self, stream: IO[bytes]) -> Any:
        data = read_frame(stream)
        return None if data is None else self.loads(data)

    def dumps(self, obj: Any) -> Any:
        """One object as bytes.

        >>> PickleSerializer().dumps(None)[-2:]
        b'N.'
        """
        raise NotImplementedError

    def loads(self, obj: Any) -> Any:
        """The object that ``dumps`` made these bytes of.

        >>> PickleSerializer().loads(b"N.") is None
        True
        """
        raise NotImplementedError


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Read one frame; None for the mark of none. Raises EOFError at the end, at its mark and when cut short.

    >>> import io
    >>> read_frame(io.BytesIO(bytes([0, 0, 0, 1]) + b"a"))
    b'a'
    """
    length = read_int(stream)
    if length == END_OF_DATA_SECTION:
        raise EOFError
    if length == NULL:
        return None
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data


# ── one object ───────────────────────────────────────────────────────────────────────────────────────────────────


class NoOpSerializer(FramedSerializer):
    """Frames of bytes, as they are.

    >>> NoOpSerializer().loads(NoOpSerializer().dumps(b"ab"))
    b'ab'
    """

    def dumps(self, obj: Any) -> Any:
        """The bytes themselves.

        >>> NoOpSerializer().dumps(b"ab")
        b'ab'
        """
        return obj

    def loads(self, obj: Any) -> Any:
        """The bytes themselves.

        >>> NoOpSerializer().loads(b"ab")
        b'ab'
        """
        return obj


class PickleSerializer(FramedSerializer):
    """By Python's pickle: values of builtin types, and of types that both sides can import.

    >>> PickleSerializer().loads(PickleSerializer().dumps({"a": (1, None)}))
    {'a': (1, None)}
    """

    def dumps(self, obj: Any) -> bytes:
        """One object, pickled.

        >>> type(PickleSerializer().dumps([1, 2]))
        <class 'bytes'>
        """
        return payload.dump(obj)

    def loads(self, obj: bytes, encoding: str = "bytes") -> Any:
        """The object; ``encoding`` is for texts that Python 2 pickled.

        >>> PickleSerializer().loads(PickleSerializer().dumps([1, 2]))
        [1, 2]
        """
        return payload.load(obj, encoding=encoding)


class CloudPickleSerializer(FramedSerializer):
    """By cloudpickle: functions and classes of the program, too. With ``allowed_names``, loads only those classes.

    >>> double = CloudPickleSerializer().loads(CloudPickleSerializer().dumps(lambda x: 2 * x))
    >>> double(4)
    8
    """

    allowed_names: Collection[tuple[str, str]] | None = None

    def __init__(self, allowed_names: Collection[tuple[str, str]] | None = None) -> None:
        self.allowed_names = allowed_names

    def dumps(self, obj: Any) -> bytes:
        """One object, pickled. Raises pickle.PicklingError for what cannot be.

        >>> CloudPickleSerializer().dumps(iter(x for x in "ab"))
        Traceback (most recent call last):
        _pickle.PicklingError: Could not serialize object: TypeError: cannot pickle 'generator' object
        """
        import pickle

        import cloudpickle

        try:
            made: bytes = cloudpickle.dumps(obj, payload.PROTOCOL)
        except pickle.PickleError:
            raise
        except Exception as error:
            name = type(error).__name__
            raise pickle.PicklingError(f"Could not serialize object: {name}: {error}") from error
        return made

    def loads(self, obj: bytes, encoding: str = "bytes") -> Any:
        """The object. Raises pickle.UnpicklingError when it needs a class that is not allowed.

        >>> CloudPickleSerializer().loads(CloudPickleSerializer().dumps(lambda: 5))()
        5
        """
        if self.allowed_names is not None:
            return payload.load_only(obj, self.allowed_names, encoding)
        return payload.load(obj, encoding=encoding)


CPickleSerializer = CloudPickleSerializer


class MarshalSerializer(FramedSerializer):
    """By Python's marshal: quick, and for None, numbers, texts, bytes and collections of those only.

    >>> MarshalSerializer().loads(MarshalSerializer().dumps([1, "a", (2.5, None)]))
    [1, 'a', (2.5, None)]
    """

    def dumps(self, obj: Any) -> bytes:
        """One object, marshalled. Raises ValueError for other types.

        >>> MarshalSerializer().dumps(object())
        Traceback (most recent call last):
        ValueError: unmarshallable object
        """
        return marshal.dumps(obj)

    def loads(self, obj: bytes) -> Any:
        """The object.

        >>> MarshalSerializer().loads(MarshalSerializer().dumps((1, 2)))
        (1, 2)
        """
        return marshal.loads(obj)  # noqa: S302 (what its user asks for)


class AutoSerializer(FramedSerializer):
    """By marshal until an object comes that it cannot take, then by pickle; a first byte tells which.

    >>> serializer = AutoSerializer()
    >>> serializer.dumps([1])[:1], serializer.dumps(range(3))[:1], serializer.dumps([1])[:1]
    (b'M', b'P', b'P')
    """

    def __init__(self) -> None:
        self._type: bytes | None = None

    def dumps(self, obj: Any) -> bytes:
        """One object, with a byte before it.

        >>> AutoSerializer().dumps("a")[:1]
        b'M'
        """
        if self._type is None:
            try:
                return b"M" + marshal.dumps(obj)
            except ValueError:
                self._type = b"P"
        return b"P" + payload.dump(obj)

    def loads(self, obj: bytes) -> Any:
        """The object. Raises ValueError for another first byte.

        >>> AutoSerializer().loads(AutoSerializer().dumps("a"))
        'a'
        """
        if obj[:1] == b"M":
            return marshal.loads(obj[1:])  # noqa: S302 (what its user asks for)
        if obj[:1] == b"P":
            return payload.load(obj[1:])
        raise ValueError(f"invalid serialization type: {obj[:1]!r}")


class CompressedSerializer(FramedSerializer):
    """What another serializer writes, compressed by zlib.

    >>> CompressedSerializer(PickleSerializer()).loads(CompressedSerializer(PickleSerializer()).dumps("a" * 3))
    'aaa'
    """

    def __init__(self, serializer: FramedSerializer) -> None:
        if not isinstance(serializer, FramedSerializer):
            raise TypeError(f"serializer must be a FramedSerializer, not {type(serializer).__name__}")
        self.serializer = serializer

    def dumps(self, obj: Any) -> bytes:
        """One object, compressed.

        >>> len(CompressedSerializer(PickleSerializer()).dumps("a" * 1000)) < 50
        True
        """
        import zlib

        return zlib.compress(self.serializer.dumps(obj), 1)

    def loads(self, obj: bytes) -> Any:
        """The object.

        >>> serializer = CompressedSerializer(MarshalSerializer())
        >>> serializer.loads(serializer.dumps([1, 2]))
        [1, 2]
        """
        import zlib

        return self.serializer.loads(zlib.decompress(obj))

    def __repr__(self) -> str:
        return f"CompressedSerializer({self.serializer})"


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _read_number(stream: IO[bytes], form: str, size: int) -> Any:
    data = stream.read(size)
    if not data:
        raise EOFError
    return struct.unpack(form, data)[0]


def read_int(stream: IO[bytes]) -> int:
    """Read four bytes. Raises EOFError at the end.

    >>> import io
    >>> read_int(io.BytesIO(bytes([0, 0, 1, 0])))
    256
    """
    number: int = _read_number(stream, "!i", 4)
    return number


def write_int(value: int, stream: IO[bytes]) -> None:
    r"""Write four bytes.

    >>> import io
    >>> stream = io.BytesIO()
    >>> write_int(256, stream)
    >>> stream.getvalue()
    b'\x00\x00\x01\x00'
    """
    stream.write(_LENGTH.pack(value))


def read_long(stream: IO[bytes]) -> int:
    """Read eight bytes. Raises EOFError at the end.

    >>> import io
    >>> read_long(io.BytesIO(pack_long(1 << 40)))
    1099511627776
    """
    number: int = _read_number(stream, "!q", 8)
    return number


def write_long(value: int, stream: IO[bytes]) -> None:
    """Write eight bytes.

    >>> import io
    >>> stream = io.BytesIO()
    >>> write_long(1, stream)
    >>> stream.getvalue() == pack_long(1)
    True
    """
    stream.write(pack_long(value))


def pack_long(value: int) -> bytes:
    r"""A number as eight bytes.

    >>> pack_long(1)
    b'\x00\x00\x00\x00\x00\x00\x00\x01'
    """
    return struct.pack("!q", value)


def read_bool(stream: IO[bytes]) -> bool:
    """Read one byte. Raises EOFError at the end.

    >>> import io
    >>> read_bool(io.BytesIO(bytes([1])))
    True
    """
    value: bool = _read_number(stream, "!?", 1)
    return value


def write_with_length(obj: bytes, stream: IO[bytes]) -> None:
    """Write a frame.

    >>> import io
    >>> stream = io.BytesIO()
    >>> write_with_length(b"abc", stream)
    >>> list(stream.getvalue())
    [0, 0, 0, 3, 97, 98, 99]
    """
    write_int(len(obj), stream)
    stream.write(obj)
