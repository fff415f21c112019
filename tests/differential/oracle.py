"""What an RDD program means, in plain Python: an RDD is a list of lists, its partitions, and perhaps a partitioner.

Nothing here is lazy within a partition, distributed, retried or fast; it imports nothing of what it judges. Partitions
are computed when an action asks for them, so errors of user functions arrive where a program expects them.

It promises an order everywhere: rows of a shuffle in the order of the partitions that they come from, keys in the order
in which they were first seen. All NaN floats are one key, and 1, 1.0 and True are one, the first that was seen.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from copy import deepcopy
from functools import reduce
from itertools import chain, count, pairwise, product
from math import exp
from operator import add
from random import Random

from tests.differential.oracle_actions import NAN, Actions, combined, same


def portable_hash(key):
    """0 for None and NaN, of a tuple the mix of its parts, and else Python's own."""
    if key is None or same(key) is NAN:
        return 0
    if not isinstance(key, tuple):
        return hash(key)
    mixed = 0x345678
    for part in key:
        mixed = ((mixed ^ portable_hash(part)) * 1000003) & sys.maxsize
    return mixed ^ len(key)


def generator(seed, partition):
    random = Random(seed ^ partition)
    for _ in range(10):
        random.randint(0, 1)
    return random


def poisson(random, mean):
    drawn, product_of_draws = 0, random.random()
    while product_of_draws > exp(-mean):
        drawn += 1
        product_of_draws *= random.random()
    return drawn


def drawn_rows(random, rows, with_replacement, fraction_of):
    if with_replacement:
        return [row for row in rows for _ in range(poisson(random, fraction_of(row)))]
    return [row for row in rows if random.random() < fraction_of(row)]


def first_partition(index, partitions):
    """With which partition Spark begins to deal out: its XORShiftRandom(index).nextInt(partitions)."""
    def murmur(data, state):
        for start in range(0, len(data), 4):
            word = int.from_bytes(data[start : start + 4], "little") * 0xCC9E2D51 & 0xFFFFFFFF
            state ^= (word << 15 | word >> 17) * 0x1B873593 & 0xFFFFFFFF
            state = ((state << 13 | state >> 19) * 5 + 0xE6546B64) & 0xFFFFFFFF
        state ^= len(data)
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
            state = (state ^ state >> shift) * factor & 0xFFFFFFFF
        return state

    data = index.to_bytes(8, "big")
    low = murmur(data, 0x3C074A61)
    state = murmur(data, low) << 32 | low
    state ^= state << 21 & (1 << 64) - 1
    state ^= state >> 35
    state ^= state << 4 & (1 << 64) - 1
    bits = state & 0x7FFFFFFF
    return bits * partitions >> 31 if partitions & -partitions == partitions else bits % partitions


class UserError(Exception):
    """Said of a program that asks for what cannot be."""


class SparkContext:
    """Makes RDDs; two cores."""

    defaultParallelism = 2

    def setCheckpointDir(self, dirName):
        pass

    stop = getCheckpointDir = lambda self: None

    def parallelize(self, c, numSlices=None):
        """A range is cut evenly; else first into batches, which are dealt evenly."""
        slices = self.defaultParallelism if numSlices is None else numSlices
        if isinstance(c, range):
            cuts = [part * len(c) // slices for part in range(slices + 1)]
        else:
            batch = max(1, min(len(c) // slices, 1024))
            batches = -(-len(c) // batch)
            cuts = [min(len(c), part * batches // slices * batch) for part in range(slices + 1)]
        return RDD(self, slices, lambda: [list(c[start:stop]) for start, stop in pairwise(cuts)])

    def range(self, start, end=None, step=1, numSlices=None):
        return self.parallelize(range(0, start, step) if end is None else range(start, end, step), numSlices)

    def emptyRDD(self):
        return RDD(self, 0, list)

    def union(self, rdds):
        """As ``RDD.union``, but the result has no partitioner."""
        whole = rdds[0]
        for other in rdds[1:]:
            whole = whole.union(other)
        if len({rdd.partitioner for rdd in rdds}) > 1:
            whole = RDD(self, sum(rdd.size for rdd in rdds), lambda: [part for rdd in rdds for part in rdd.parts()])
        return whole._rows(lambda rows: rows)

    def runJob(self, rdd, partitionFunc, partitions=None, allowLocal=False):
        wanted = range(rdd.size) if partitions is None else partitions
        return [row for index in wanted for row in partitionFunc(iter(rdd.parts()[index]))]


class Narrow:
    """An RDD, and what needs no shuffle. ``partitioner`` is (number of partitions, function)."""

    level = None

    def __init__(self, context, size, compute, partitioner=None):
        self.context = context
        self.size = size
        self.partitioner = partitioner
        self._compute = compute
        self._parts = None

    def parts(self):
        if self._parts is None:
            self._parts = self._compute()
        return self._parts

    def all(self):
        return list(chain.from_iterable(self.parts()))

    def _indexed(self, function, keep=False):
        return RDD(self.context, self.size, lambda: [list(function(index, iter(rows)))
                   for index, rows in enumerate(self.parts())], self.partitioner if keep else None)

    def _rows(self, function, keep=False):
        return self._indexed(lambda _, rows: function(rows), keep)

    def getNumPartitions(self):
        return self.size

    def persist(self, storageLevel="MEMORY_ONLY"):
        if self.level not in {None, storageLevel}:
            raise UserError(
                "Cannot change the storage level of an RDD once it has one. Call unpersist() first. (SS100)")
        self.level = storageLevel
        return self

    def unpersist(self, blocking=False):
        self.level = None
        return self

    cache = persist

    def localCheckpoint(self):
        pass

    checkpoint = localCheckpoint

    def mapPartitionsWithIndex(self, f, preservesPartitioning=False):
        return self._indexed(f, preservesPartitioning)

    def mapPartitions(self, f, preservesPartitioning=False):
        return self._rows(f, preservesPartitioning)

    def map(self, f, preservesPartitioning=False):
        return self._rows(lambda rows: map(f, rows), preservesPartitioning)

    def flatMap(self, f, preservesPartitioning=False):
        return self._rows(lambda rows: chain.from_iterable(map(f, rows)), preservesPartitioning)

    def filter(self, f):
        return self._rows(lambda rows: filter(f, rows), keep=True)

    def glom(self):
        return self._rows(lambda rows: [list(rows)])

    def keyBy(self, f):
        return self.map(lambda row: (f(row), row))

    def keys(self):
        return self.map(lambda pair: pair[0])

    def values(self):
        return self.map(lambda pair: pair[1])

    def mapValues(self, f):
        return self.map(lambda pair: (pair[0], f(pair[1])), True)

    def flatMapValues(self, f):
        return self.flatMap(lambda pair: [(pair[0], value) for value in f(pair[1])], True)

    def union(self, other):
        if self.partitioner is not None and self.partitioner == other.partitioner:
            return RDD(self.context, self.size, lambda: [left + right for left, right in zip(
                self.parts(), other.parts(), strict=True)], self.partitioner)
        return RDD(self.context, self.size + other.size, lambda: self.parts() + other.parts())

    __add__ = union

    def coalesce(self, numPartitions, shuffle=False):
        """Neighbours together; or each partition's rows dealt out, ten at a time."""
        if numPartitions < 1:
            raise ValueError("Number of partitions must be positive.")
        if shuffle:
            dealt = self._indexed(lambda index, rows: (
                ((first_partition(index, numPartitions) + 1 + number // 10) % numPartitions, row)
                for number, row in enumerate(rows)))
            return dealt._placed(numPartitions, portable_hash)._rows(lambda rows: (row for _, row in rows))
        size = min(numPartitions, self.size)
        cuts = [part * self.size // size for part in range(size + 1)] if size else [0]
        return RDD(self.context, size, lambda: [
            list(chain.from_iterable(self.parts()[start:stop])) for start, stop in pairwise(cuts)])

    def repartition(self, numPartitions):
        return self.coalesce(numPartitions, shuffle=True)

    def zip(self, other):
        if self.size != other.size:
            raise ValueError("Can only zip with RDD which has the same number of partitions")
        return RDD(self.context, self.size, lambda: [
            list(zip(left, right, strict=True)) for left, right in zip(self.parts(), other.parts(), strict=True)])

    def zipWithIndex(self):
        starts = [sum(map(len, self.parts()[:index])) for index in range(self.size)]
        return self._indexed(lambda index, rows: zip(rows, count(starts[index])))

    def zipWithUniqueId(self):
        return self._indexed(lambda index, rows: zip(rows, count(index, self.size)))

    def cartesian(self, other):
        return RDD(self.context, self.size * other.size, lambda: [
            list(product(left, right)) for left, right in product(self.parts(), other.parts())])

    def sample(self, withReplacement, fraction, seed):
        return self._indexed(lambda index, rows: drawn_rows(
            generator(seed, index), rows, withReplacement, lambda _: fraction), keep=True)

    def sampleByKey(self, withReplacement, fractions, seed):
        return self._indexed(lambda index, rows: drawn_rows(
            generator(seed, index), rows, withReplacement, lambda pair: fractions[pair[0]]), keep=True)

    def randomSplit(self, weights, seed):
        cuts = [sum(weights[:index]) / sum(weights) for index in range(len(weights) + 1)]

        def between(low, high):
            def drawn(index, rows):
                random = generator(seed, index)
                return [row for row in rows if low <= random.random() < high]

            return drawn

        return [self._indexed(between(low, high), keep=True) for low, high in pairwise(cuts)]


class Shuffles(Narrow):
    """What brings rows together by their keys."""

    def _reduce_partitions(self, given):
        if given is not None and given < 1:
            raise ValueError("Number of partitions must be positive.")
        return self.size if given is None else given

    def _placed(self, size, function):
        """The rows where the function of their keys says, in the order of partitions."""
        if self.partitioner == (size, function):
            return self

        def compute():
            placed = [[] for _ in range(size)]
            for pair in self.all():
                placed[function(pair[0]) % size].append(pair)
            return placed

        return RDD(self.context, size, compute, (size, function))

    def partitionBy(self, numPartitions, partitionFunc=portable_hash):
        return self._placed(self._reduce_partitions(numPartitions), partitionFunc)

    def combineByKey(self, createCombiner, mergeValue, mergeCombiners, numPartitions=None,
                     partitionFunc=portable_hash):
        def once(partition):
            return combined([partition], createCombiner, mergeValue, mergeCombiners)

        def merged(combiners):
            return combined([combiners], lambda combiner: combiner, mergeCombiners, mergeCombiners)

        size = self._reduce_partitions(numPartitions)
        return self._rows(once, keep=True)._placed(size, partitionFunc)._rows(merged, keep=True)

    def reduceByKey(self, func, numPartitions=None, partitionFunc=portable_hash):
        return self.combineByKey(lambda value: value, func, func, numPartitions, partitionFunc)

    def aggregateByKey(self, zeroValue, seqFunc, combFunc, numPartitions=None, partitionFunc=portable_hash):
        return self.combineByKey(lambda value: seqFunc(deepcopy(zeroValue), value), seqFunc, combFunc, numPartitions,
                                 partitionFunc)

    def foldByKey(self, zeroValue, func, numPartitions=None, partitionFunc=portable_hash):
        return self.aggregateByKey(zeroValue, func, func, numPartitions, partitionFunc)

    def groupByKey(self, numPartitions=None, partitionFunc=portable_hash):
        return self.combineByKey(lambda value: [value], lambda values, value: [*values, value], add, numPartitions,
                                 partitionFunc)

    def groupBy(self, f, numPartitions=None, partitionFunc=portable_hash):
        return self.keyBy(f).groupByKey(numPartitions, partitionFunc)

    def distinct(self, numPartitions=None):
        return self.map(lambda row: (row, None)).reduceByKey(lambda left, _: left, numPartitions).keys()

    def groupWith(self, *others, numPartitions=None):
        """All rows with the number of the RDD that they are of, then one list for each of the RDDs.

        In as many partitions as their union has. The rows of one RDD come before those of the next.
        """
        rdds = [rdd.mapValues(lambda value, number=number: (number, value))
                for number, rdd in enumerate((self, *others))]
        rows = reduce(lambda left, right: left.union(right), rdds)
        size = rows._reduce_partitions(numPartitions)
        if rows.partitioner != (size, portable_hash):
            rows = RDD(self.context, 0, lambda: [part for rdd in rdds for part in rdd.parts()])
        return rows.groupByKey(size).mapValues(
            lambda values: tuple([value for number, value in values if number == wanted]
                                 for wanted in range(len(rdds))))

    def cogroup(self, other, numPartitions=None):
        return self.groupWith(other, numPartitions=numPartitions)

    def _joined(self, other, numPartitions, keep_left, keep_right):
        def pairs(lists):
            left, right = lists
            return product(left or [None] * keep_right, right or [None] * keep_left)

        return self.cogroup(other, numPartitions).flatMapValues(pairs)

    def join(self, other, numPartitions=None):
        return self._joined(other, numPartitions, False, False)

    def leftOuterJoin(self, other, numPartitions=None):
        return self._joined(other, numPartitions, True, False)

    def rightOuterJoin(self, other, numPartitions=None):
        return self._joined(other, numPartitions, False, True)

    def fullOuterJoin(self, other, numPartitions=None):
        return self._joined(other, numPartitions, True, True)

    def subtractByKey(self, other, numPartitions=None):
        return self.cogroup(other, numPartitions).flatMapValues(lambda lists: [] if lists[1] else lists[0])

    def subtract(self, other, numPartitions=None):
        return self.map(lambda row: (row, None)).subtractByKey(
            other.map(lambda row: (row, None)), numPartitions).keys()

    def intersection(self, other):
        return self.map(lambda row: (row, None)).cogroup(other.map(lambda row: (row, None))).filter(
            lambda group: all(group[1])).keys()

    def sortByKey(self, ascending=True, numPartitions=None, keyfunc=lambda key: key):
        """Cut at the keys that part a sample of keys evenly: of all keys while they are twenty a partition."""
        def ordered(rows):
            return sorted(rows, key=lambda pair: keyfunc(pair[0]), reverse=not ascending)

        size = self._reduce_partitions(numPartitions)
        if size == 1:
            return (self.coalesce(1) if self.size > 1 else self)._rows(ordered, keep=True)
        if not self.all():
            return self
        keys = sorted(keyfunc(pair[0]) for pair in self.sample(False, min(size * 20 / len(self.all()), 1.0), 1).all())
        bounds = [keys[len(keys) * part // size] for part in range(1, size)]

        def place(key):
            at = bisect_left(bounds, keyfunc(key))
            return at if ascending else size - 1 - at

        return self._placed(size, place)._rows(ordered, keep=True)

    def sortBy(self, keyfunc, ascending=True, numPartitions=None):
        return self.keyBy(keyfunc).sortByKey(ascending, numPartitions).values()

    def repartitionAndSortWithinPartitions(self, numPartitions=None, partitionFunc=portable_hash, ascending=True,
                                           keyfunc=lambda key: key):
        return self._placed(self._reduce_partitions(numPartitions), partitionFunc)._rows(
            lambda rows: sorted(rows, key=lambda pair: keyfunc(pair[0]), reverse=not ascending), keep=True)


class RDD(Shuffles, Actions):
    """An RDD of the oracle."""
