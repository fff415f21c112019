"""What tasks do with lines of a large file. Executors import this, so it imports nothing large."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator


def keyed(line: str) -> tuple[str, str]:
    return line[:10], line[10:]


def keyed_by_prefix(line: str) -> tuple[str, str]:
    return line[:4], line[10:]


def in_order(rows: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str, int, int]]:
    """The first and the last key, how many rows there are, and the sum of their numbers; they must ascend."""
    first, last, count, total = "", "", 0, 0
    for key, value in rows:
        assert last <= key
        first, last, count, total = first or key, key, count + 1, total + int(value)
    yield first, last, count, total


def counted(group: tuple[str, Iterable[str]]) -> tuple[int, int, int]:
    numbers = [int(value) for value in group[1]]
    return 1, len(numbers), sum(numbers)


def added(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(sum, zip(left, right, strict=True)))


def most_resident_mib(_: object) -> int:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
