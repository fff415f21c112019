"""What single steps of plain Python cost on this machine, a row each: below the sum of its steps no engine gets.

For the rows of the table whose goal is not reached: how much of their time is in steps that nobody can leave out. Rows
that are counted or added up by key cost what memory costs, once the keys do not fit into the cache of the processor.
"""

from __future__ import annotations

import argparse
import json
import marshal
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = 2_000_000
CHUNK = 1000
DISTINCT = (1_000, 10_000, 100_000, 200_000, 1_000_000)


def main(given: argparse.Namespace) -> int:
    """Measure, print, and keep the figures if asked."""
    rows = int(ROWS * given.scale)
    rounds = [dict(costs(rows)) for _ in range(given.repeats)]
    middle = {name: round(statistics.median(costs[name] for costs in rounds), 1) for name in rounds[0]}
    print("| ns a row | |\n| --- | --- |")
    for name, cost in middle.items():
        print(f"| {name} | {cost:.0f} |")
    if given.save:
        path = os.path.join(HERE, "results", "costs.json")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"date": time.strftime("%Y-%m-%d %H:%M"), "rows": rows, "ns": middle}, file, indent=1)
        print(f"Kept in {path}")
    return 0


def costs(rows: int) -> Iterator[tuple[str, float]]:
    """Each step with its nanoseconds a row."""
    yield "x * 2 + 1 of a range, in a list comprehension of 1,000 rows, summed", timed(rows, lambda: mapped(rows))
    numbers = list(range(rows))
    yield "an int of a list, to bytes", timed(rows, lambda: written(numbers))
    pieces = written(numbers)
    yield "and back, kept", timed(rows, lambda: list(map(marshal.loads, pieces)))
    chance = random.Random(7)
    for distinct in DISTINCT:
        keys = chance.choices(range(distinct), k=rows)
        yield f"a value added to the sum of one of {distinct:,} int keys", timed(rows, lambda keys=keys: added(keys))
    for distinct in DISTINCT:
        line = " ".join(map(str, chance.choices(range(distinct), k=rows)))
        words = [line[at : at + 64 * CHUNK] for at in range(0, len(line), 64 * CHUNK)]
        yield f"one of {distinct:,} words split off and counted", timed(rows, lambda words=words: counted(words))


def timed(rows: int, work: Callable[[], object]) -> float:
    """Nanoseconds a row."""
    before = time.perf_counter()
    work()
    return (time.perf_counter() - before) / rows * 1e9


def mapped(rows: int) -> int:
    """The floor of a mapped range."""
    return sum(sum([x * 2 + 1 for x in range(at, at + CHUNK)]) for at in range(0, rows, CHUNK))


def written(numbers: list[int]) -> list[bytes]:
    """A list on its way to another process."""
    return [marshal.dumps(numbers[at : at + CHUNK], 2) for at in range(0, len(numbers), CHUNK)]


def added(keys: list[int]) -> dict[int, int]:
    """Sums by key."""
    sums: dict[int, int] = {}
    get = sums.get
    for key in keys:
        sums[key] = get(key, 0) + key
    return sums


def counted(pieces: list[str]) -> Counter[str]:
    """Words by how often they occur."""
    counts: Counter[str] = Counter()
    for piece in pieces:
        counts.update(piece.split())
    return counts
