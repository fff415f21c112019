"""The oracle's actions, and how it folds the values of keys; see ``oracle``."""

from __future__ import annotations

import heapq
import sys
from bisect import bisect_right
from collections import Counter
from copy import deepcopy
from functools import reduce
from math import log, nan, sqrt
from random import Random

NAN = object()


def same(key):
    """What keys are compared by."""
    return NAN if isinstance(key, float) and key != key else key


def groups(pairs):
    """(key, values) for each key, as first seen."""
    found = {}
    for key, value in pairs:
        found.setdefault(same(key), (key, []))[1].append(value)
    return list(found.values())


def combined(parts, create, merge_value, merge_combiners):
    """(key, combiner) of several partitions: folded in each of them, then across them."""
    folded = [(key, reduce(merge_value, values[1:], create(values[0])))
              for part in parts for key, values in groups(part)]
    return [(key, reduce(merge_combiners, combiners)) for key, combiners in groups(folded)]


def with_value(moments, value):
    """Moments of one more value, by Welford."""
    count, mean, squares = moments
    distance = value - mean
    mean += distance / (count + 1)
    return count + 1, mean, squares + distance * (value - mean)


def with_moments(left, right):
    """Moments of two sets of values, by Chan; the mean of a much larger one is corrected."""
    (n, mean, squares), (m, other, others) = left, right
    if not n or not m:
        return left if n else right
    distance, total = other - mean, n + m
    squares += others + distance * distance * n * m / total
    if m * 10 < n:
        return total, mean + distance * m / total, squares
    if n * 10 < m:
        return total, other - distance * n / total, squares
    return total, (mean * n + other * m) / total, squares


class Actions:
    """Actions: a partition first, then what the partitions gave, in their order."""

    def collect(self):
        return self.all()

    def toLocalIterator(self, prefetchPartitions=False):
        return iter(self.all())

    def count(self):
        return len(self.all())

    def take(self, num):
        return self.all()[:num]

    def first(self):
        if not self.all():
            raise ValueError("RDD is empty")
        return self.all()[0]

    def isEmpty(self):
        return not self.all()

    def reduce(self, f):
        folded = [reduce(f, part) for part in self.parts() if part]
        if not folded:
            raise ValueError("Can not reduce() empty RDD")
        return reduce(f, folded)

    def treeReduce(self, f, depth=2):
        if depth < 1:
            raise ValueError(f"Depth cannot be smaller than 1 but got {depth}.")
        if not self.all():
            raise ValueError("Cannot reduce empty RDD.")
        return self.reduce(f)

    def fold(self, zeroValue, op):
        return self.aggregate(zeroValue, op, op)

    def aggregate(self, zeroValue, seqOp, combOp):
        return reduce(combOp, [reduce(seqOp, part, deepcopy(zeroValue)) for part in self.parts()], zeroValue)

    def treeAggregate(self, zeroValue, seqOp, combOp, depth=2):
        if depth < 1:
            raise ValueError(f"Depth cannot be smaller than 1 but got {depth}.")
        folded = [reduce(seqOp, part, deepcopy(zeroValue)) for part in self.parts()]
        return reduce(combOp, folded) if folded else zeroValue

    def max(self, key=None):
        return self.reduce(lambda left, right: max(left, right, key=key))

    def min(self, key=None):
        return self.reduce(lambda left, right: min(left, right, key=key))

    def sum(self):
        return sum(map(sum, self.parts()))

    def mean(self):
        return self.moments()[1]

    def variance(self):
        count, _, squares = self.moments()
        return squares / count if count else nan

    def moments(self):
        """Count, mean and sum of squared distances from it: row after row in each partition, then joined."""
        moments = [reduce(with_value, part, (0, 0.0, 0.0)) for part in self.parts()]
        return reduce(with_moments, moments)

    def top(self, num, key=None):
        return heapq.nlargest(num, self.all(), key=key)

    def takeOrdered(self, num, key=None):
        return heapq.nsmallest(num, self.all(), key=key)

    def countByValue(self):
        return dict(Counter(self.all()))

    def countByKey(self):
        return self.keys().countByValue()

    def collectAsMap(self):
        return dict(self.all())

    def reduceByKeyLocally(self, func):
        return dict(combined(self.parts(), lambda value: value, func, func))

    def lookup(self, key):
        """Looked for where the partitioner places it, which may not be able to."""
        rows = self.parts()[self.partitioner[1](key) % self.size] if self.partitioner else self.all()
        return [value for other, value in rows if other == key]

    def histogram(self, buckets):
        """Of given, ascending buckets; the last one is closed."""
        if len(buckets) < 2:
            raise ValueError("buckets should have more than one value")
        if sorted(buckets) != list(buckets):
            raise ValueError("buckets should be sorted")
        counts = [0] * (len(buckets) - 1)
        for row in self.all():
            if buckets[0] <= row <= buckets[-1]:
                counts[min(bisect_right(buckets, row), len(counts)) - 1] += 1
        return buckets, counts

    def takeSample(self, withReplacement, num, seed):
        """Samples of a bit more than enough, until one is enough."""
        rows, random = self.all(), Random(seed)
        if num and rows and (withReplacement or num < len(rows)):
            fraction = num / len(rows)
            if withReplacement:
                fraction += (9 if num < 12 else 5) * sqrt(fraction / len(rows))
            else:
                gamma = -log(0.00005) / len(rows)
                fraction = min(1.0, fraction + gamma + sqrt(gamma * gamma + 2 * gamma * fraction))
            rows = self.sample(withReplacement, fraction, seed).all()
            while len(rows) < num:
                rows = self.sample(withReplacement, fraction, random.randint(0, sys.maxsize)).all()
        random.shuffle(rows)
        return rows[:num]

    def foreach(self, f):
        for row in self.all():
            f(row)

    def foreachPartition(self, f):
        for part in self.parts():
            f(iter(part))
