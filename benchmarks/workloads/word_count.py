"""Word count: a text of 200 MB with 30 million words, 200,000 of them distinct and some far more frequent."""

from __future__ import annotations

import hashlib
import itertools
import operator
import os
import random
from collections import Counter

from forks import together

from workloads import Goal

TITLE = "word count, 200 MB"
GOAL = Goal(of_pyspark=1 / 3.5, of_floor=3.6 / 3.63, peak_mb=400)
TEXT = "text.txt"
FULL_BYTES = 200_000_000
BLOCK_WORDS = 2_000_000
WORDS_A_LINE = 12
CHUNK_BYTES = 4 << 20


def prepare(given):
    """Words by Zipf's law; one block of lines, written again and again in other orders."""
    chance = random.Random(200)
    words = vocabulary(chance, given.size(200_000, 200))
    heights = list(itertools.accumulate(1 / (rank + 10) for rank in range(len(words))))
    block = words + chance.choices(words, cum_weights=heights, k=given.size(BLOCK_WORDS, 1000))
    lines = [" ".join(block[at : at + WORDS_A_LINE]) + "\n" for at in range(0, len(block), WORDS_A_LINE)]
    with open(given.path(TEXT), "w", encoding="ascii") as file:
        while file.tell() < given.size(FULL_BYTES):
            chance.shuffle(lines)
            file.writelines(lines)


def vocabulary(chance, size):
    """Distinct words, the short ones first: they will be the frequent ones."""
    words = set()
    while len(words) < size:
        words.add("".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 10))))
    return sorted(words, key=lambda word: (len(word), word))


def rdd(sc, given):
    def job():
        words = sc.textFile(given.path(TEXT)).flatMap(lambda line: line.split())
        return words.map(lambda word: (word, 1)).reduceByKey(operator.add).collectAsMap()

    return job


def floor(given):
    return lambda: merged(*together(lambda side: count_half(given.path(TEXT), side.number)))


def dask(client, given):
    import dask.bag

    def job():
        lines = dask.bag.read_text(given.path(TEXT), blocksize=32 << 20)
        return dict(lines.map(str.split).flatten().frequencies().compute())

    return job


def ray(ray, given):
    count = ray.remote(count_half)
    return lambda: merged(*ray.get([count.remote(given.path(TEXT), number) for number in range(2)]))


def count_half(path, number):
    """The words of one half."""
    counts = Counter()
    for text in chunks(path, number):
        counts.update(text.split())
    return dict(counts)


def merged(first, second):
    """Counts of both halves."""
    for word, times in second.items():
        first[word] = first.get(word, 0) + times
    return first


def chunks(path, number):
    """One half of a text in pieces that end with a line."""
    size = os.path.getsize(path)
    start, end = (0, size // 2) if number == 0 else (size // 2, size)
    with open(path, "rb") as file:
        if start:
            file.seek(start - 1)
            file.readline()
        while file.tell() < end:
            yield (file.read(min(CHUNK_BYTES, end - file.tell()) - 1) + file.readline()).decode()


def summarize(counts):
    digest = hashlib.sha256("\n".join(f"{word} {counts[word]}" for word in sorted(counts)).encode())
    return [len(counts), sum(counts.values()), digest.hexdigest()]
