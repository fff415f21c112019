"""Lines of a file sorted by the first ten of their hundred bytes."""

from __future__ import annotations

import os
import random
from bisect import bisect_left

from forks import half, together

from workloads import Goal

TITLE = "sortByKey, 2 M lines of 100 bytes"
GOAL = Goal(of_pyspark=1 / 3, of_floor=2.8 / 1.87, peak_mb=850)
FILE = "lines.txt"
DASK_NEEDS = ("pandas",)
KEY = 10
LINE = 100


def prepare(given):
    chance = random.Random(100)
    with open(given.path(FILE), "w", encoding="ascii") as file:
        file.writelines(f"{chance.getrandbits(40):010x}{row:089d}\n" for row in range(given.size(2_000_000)))


def rdd(sc, given):
    def summary(rows):
        keys = [key for key, _ in rows]
        return [[keys[0], keys[-1], len(keys), keys == sorted(keys)]] if keys else []

    def job():
        lines = sc.textFile(given.path(FILE)).map(lambda line: (line[:KEY], line[KEY:]))
        return lines.sortByKey().mapPartitions(summary).collect()

    return job


def floor(given):
    path = given.path(FILE)
    lines = os.path.getsize(path) // LINE
    pivot = middle_key(path, lines)

    def work(side):
        rows = read_lines(path, side.half(lines))
        rows.sort()
        cut = bisect_left(rows, pivot)
        kept, given_away = (rows[:cut], rows[cut:]) if side.number == 0 else (rows[cut:], rows[:cut])
        del rows
        kept += side.swap("\n".join(given_away).encode()).decode().splitlines()
        kept.sort()
        pairs = [(line[:KEY], line[KEY:]) for line in kept]
        keys = [key for key, _ in pairs]
        return [keys[0], keys[-1], len(keys), keys == sorted(keys)]

    return lambda: list(together(work))


def read_lines(path, numbers):
    """Some of the lines."""
    with open(path, encoding="ascii") as file:
        file.seek(numbers.start * LINE)
        return file.read(len(numbers) * LINE).splitlines()


def middle_key(path, lines):
    """The key in the middle of a sample: where the two sides part."""
    sample = []
    with open(path, encoding="ascii") as file:
        for row in range(0, lines, max(1, lines // 1000)):
            file.seek(row * LINE)
            sample.append(file.read(KEY))
    return sorted(sample)[len(sample) // 2]


def summarize(parts):
    """First and last key, the number of lines, and whether parts and what is between them are in order."""
    ordered = all(part[3] for part in parts)
    joints = all(parts[at][1] <= parts[at + 1][0] for at in range(len(parts) - 1))
    return [parts[0][0], parts[-1][1], sum(part[2] for part in parts), ordered and joints]


def dask(client, given):
    import dask.dataframe
    import pandas as pd

    path = given.path(FILE)
    count = os.path.getsize(path) // LINE

    def read(number):
        rows = read_lines(path, half(number, count))
        return pd.DataFrame({"key": [row[:KEY] for row in rows], "value": [row[KEY:] for row in rows]})

    def summary(frame):
        keys = list(frame["key"])
        return [keys[0], keys[-1], len(keys), keys == sorted(keys)]

    def job():
        lines = dask.dataframe.from_map(read, range(2)).sort_values("key")
        return client.gather(client.map(summary, client.compute(lines.to_delayed())))

    return job


def ray(ray, given):
    path = given.path(FILE)
    count = os.path.getsize(path) // LINE
    pivot = middle_key(path, count)

    @ray.remote(num_returns=2)
    def sort(number):
        rows = sorted(read_lines(path, half(number, count)))
        cut = bisect_left(rows, pivot)
        return rows[:cut], rows[cut:]

    @ray.remote
    def merge(rows, others):
        pairs = [(line[:KEY], line[KEY:]) for line in sorted(rows + others)]
        keys = [key for key, _ in pairs]
        return [keys[0], keys[-1], len(keys), keys == sorted(keys)]

    return lambda: ray.get([merge.remote(*parts) for parts in zip(sort.remote(0), sort.remote(1), strict=True)])
