"""Compressed files: told by their suffix, read and written by the standard library.

Zstandard needs Python 3.14 or the package ``zstandard``. What Hadoop writes under other suffixes is refused by name:
read as plain bytes it would be rows that nobody wrote.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from simspark.publib.lineage.storage import storage_of

_CODECS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}
_REFUSED = {".deflate", ".lz4", ".lzo", ".snappy"}
_SUFFIXES = {
    "": "", "gzip": ".gz", "gz": ".gz", "bzip2": ".bz2", "bz2": ".bz2", "xz": ".xz",
    "zstandard": ".zst", "zstd": ".zst",
}  # fmt: skip


def codec_of(path: str) -> str:
    """The compression that the suffix of a path means: "gzip", "bz2", "xz", "zstd", or "".

    Raises ValueError for a suffix of Hadoop's that cannot be read, ImportError when zstd has no module.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix in _REFUSED:
        raise ValueError(f"Cannot read {path}: of compressed files, .gz, .bz2, .xz and .zst can be read.")
    codec = _CODECS.get(suffix, "")
    if codec == "zstd":
        _zstd()
    return codec


def codec_suffix(codec: str | None) -> str:
    """The file suffix of a codec.

    Codecs are "gzip", "bz2", "xz", "zstd", or a Hadoop class name such as
    ``org.apache.hadoop.io.compress.GzipCodec``. Raises ValueError for others, ImportError when zstd has no module.
    """
    name = (codec or "").rpartition(".")[2].lower().removesuffix("codec")
    if name not in _SUFFIXES:
        raise ValueError(
            f"Unknown compression codec {codec!r}. Use 'gzip', 'bz2' or 'xz', or Hadoop's names of them, such as "
            "org.apache.hadoop.io.compress.GzipCodec."
        )
    if _SUFFIXES[name] == ".zst":
        _zstd()
    return _SUFFIXES[name]


@contextmanager
def opened(path: str, codec: str) -> Iterator[IO[bytes]]:
    """The bytes that a file holds, decompressed if it has a codec."""
    with storage_of(path).open(path) as raw:
        if not codec:
            yield raw
            return
        with _reader(raw, codec) as file:
            yield file


def _reader(raw: IO[bytes], codec: str) -> Any:
    match codec:
        case "gzip":
            import gzip

            return gzip.GzipFile(fileobj=raw, mode="rb")
        case "bz2":
            import bz2

            return bz2.BZ2File(raw, "rb")
        case "xz":
            import lzma

            return lzma.LZMAFile(raw, "rb")
        case "zstd":
            return _zstd().open(raw, "rb")
    raise ValueError(f"no such codec: {codec}")


def writer(raw: Any, suffix: str) -> Any:
    """A file that compresses what is written to it into ``raw``, which stays open; ``raw`` itself without suffix."""
    match suffix:
        case ".gz":
            import gzip

            return gzip.GzipFile("", "wb", 6, raw, mtime=0)
        case ".bz2":
            import bz2

            return bz2.BZ2File(raw, "wb")
        case ".xz":
            import lzma

            return lzma.LZMAFile(raw, "wb")
        case ".zst":
            return _zstd().open(raw, "wb", **_kept_open())
    return raw


def _zstd() -> Any:
    """The module that knows zstd: that of Python 3.14, or a package."""
    from importlib import import_module

    for name in ("compression.zstd", "zstandard"):
        try:
            return import_module(name)
        except ImportError:
            continue
    raise ImportError("Files compressed by zstd need Python 3.14 or a package: pip install zstandard")


def _kept_open() -> dict[str, bool]:
    return {} if _zstd().__name__ == "compression.zstd" else {"closefd": False}
