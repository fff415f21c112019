"""Large values in files: one frame, cut into segments that machines can fetch one by one.

The checksum of a large value takes two thirds of the time that writing it takes, so both are done at once: neither
holds the GIL. The frame begins with its checksum, which is put there when all has been written. Nobody sees the file
before: it has no name yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from simspark.publib.blocks.segments import (
    CHECKSUM_AT,
    FILE_MAGIC,
    PIECE_BYTES,
    SegmentWriter,
    checked,
    checksum,
    encode_batch,
    encode_unchecked,
)
from simspark.publib.optimizations import uses

BESIDE_FROM_BYTES = 8 << 20


def write_value(path: str, value: Any, piece_bytes: int = PIECE_BYTES) -> int:
    """Write a file with any value in pieces; how many. ``decode_inline(SegmentFile(path).whole())`` gives it back."""
    parts = encode_unchecked(value)
    if sum(map(len, parts)) < BESIDE_FROM_BYTES or not uses("checksums"):
        return write_parts(path, checked(parts), piece_bytes)
    from threading import Thread

    found: list[bytes] = []
    beside = Thread(target=lambda: found.append(checksum(parts)), name="simspark-checksum")
    beside.start()

    def mend(writer: SegmentWriter) -> None:
        beside.join()
        writer.rewrite(len(FILE_MAGIC) + CHECKSUM_AT, found[0])

    try:
        return write_parts(path, parts, piece_bytes, mend)
    finally:
        beside.join()


def write_parts(path: str, parts: Iterable[bytes | memoryview], piece_bytes: int = PIECE_BYTES,
                finish: Callable[[SegmentWriter], None] = lambda _: None) -> int:
    """The same for a value that has been encoded."""
    writer = SegmentWriter(path)
    try:
        pieces = append_parts(writer, parts, piece_bytes)
        finish(writer)
        writer.commit()
    except BaseException:
        writer.abort()
        raise
    return pieces


def append_value(sink: Any, value: Any, piece_bytes: int = PIECE_BYTES) -> int:
    """Write any value as one frame cut into segments 0, 1, ... of ``piece_bytes`` each; how many there are."""
    return append_parts(sink, encode_batch(value), piece_bytes)


def append_parts(sink: Any, parts: Iterable[bytes | memoryview], piece_bytes: int = PIECE_BYTES) -> int:
    """The same for a value that has been encoded."""
    piece, room = 0, piece_bytes
    for part in parts:
        view = memoryview(part).cast("B")
        while len(view):
            sink.append_frame(piece, view[:room])
            taken = min(room, len(view))
            view, room = view[taken:], room - taken
            if not room:
                piece, room = piece + 1, piece_bytes
    return piece if room == piece_bytes else piece + 1
