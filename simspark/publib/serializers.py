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
    """What every serializer has. Two are equal when the one can read what the other wrote."""

    def dump_stream(self, iterator: Iterable[Any], stream: IO[bytes]) -> None:
        """Write objects to a stream."""
        raise NotImplementedError

    def load_stream(self, stream: IO[bytes]) -> Iterator[Any]:
        """Read the objects of a stream, until its end."""
        raise NotImplementedError

    def dumps(self, obj: Any) -> Any:
        """One object as bytes; with batches, a list of objects."""
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
    """Writes each object as a frame; a subclass says how an object becomes bytes and back."""

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
        """One object as bytes."""
        raise NotImplementedError

    def loads(self, obj: Any) -> Any:
        """The object that ``dumps`` made these bytes of."""
        raise NotImplementedError


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Read one frame; None for the mark of none. Raises EOFError at the end, at its mark and when cut short."""
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
        """The bytes themselves."""
        return obj

    def loads(self, obj: Any) -> Any:
        """The bytes themselves."""
        return obj


class PickleSerializer(FramedSerializer):
    """By Python's pickle: values of builtin types, and of types that both sides can import.

    >>> PickleSerializer().loads(PickleSerializer().dumps({"a": (1, None)}))
    {'a': (1, None)}
    """

    def dumps(self, obj: Any) -> bytes:
        """One object, pickled."""
        return payload.dump(obj)

    def loads(self, obj: bytes, encoding: str = "bytes") -> Any:
        """The object; ``encoding`` is for texts that Python 2 pickled."""
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
        """One object, pickled. Raises pickle.PicklingError for what cannot be."""
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
        """The object. Raises pickle.UnpicklingError when it needs a class that is not allowed."""
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
        """One object, marshalled. Raises ValueError for other types."""
        return marshal.dumps(obj)

    def loads(self, obj: bytes) -> Any:
        """The object."""
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
        """One object, with a byte before it."""
        if self._type is None:
            try:
                return b"M" + marshal.dumps(obj)
            except ValueError:
                self._type = b"P"
        return b"P" + payload.dump(obj)

    def loads(self, obj: bytes) -> Any:
        """The object. Raises ValueError for another first byte."""
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
        """One object, compressed."""
        import zlib

        return zlib.compress(self.serializer.dumps(obj), 1)

    def loads(self, obj: bytes) -> Any:
        """The object."""
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
    """Read eight bytes. Raises EOFError at the end."""
    number: int = _read_number(stream, "!q", 8)
    return number


def write_long(value: int, stream: IO[bytes]) -> None:
    """Write eight bytes."""
    stream.write(pack_long(value))


def pack_long(value: int) -> bytes:
    r"""A number as eight bytes.

    >>> pack_long(1)
    b'\x00\x00\x00\x00\x00\x00\x00\x01'
    """
    return struct.pack("!q", value)


def read_bool(stream: IO[bytes]) -> bool:
    """Read one byte. Raises EOFError at the end."""
    value: bool = _read_number(stream, "!?", 1)
    return value


def write_with_length(obj: bytes, stream: IO[bytes]) -> None:
    """Write a frame."""
    write_int(len(obj), stream)
    stream.write(obj)
