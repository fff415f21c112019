"""A program as a user types it: mypy --strict must infer these types, and find nothing wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_type

from simspark import RDD, Accumulator, Broadcast, FutureAction, SparkConf, SparkContext, StatCounter, StorageLevel
from simspark.rdd import BoundedFloat


def rows(sc: SparkContext) -> None:
    numbers = sc.parallelize([1, 2, 3])
    assert_type(numbers, RDD[int])
    assert_type(numbers.map(str), RDD[str])
    assert_type(numbers.filter(lambda x: x > 1), RDD[int])
    assert_type(sc.textFile("x").flatMap(str.split), RDD[str])
    assert_type(numbers.glom(), RDD[list[int]])
    assert_type(numbers.union(sc.textFile("x")), RDD[int | str])
    assert_type(numbers.keyBy(str), RDD[tuple[str, int]])
    assert_type(numbers.zip(sc.textFile("x")), RDD[tuple[int, str]])
    assert_type(numbers.zipWithIndex(), RDD[tuple[int, int]])
    assert_type(numbers.persist(StorageLevel.DISK_ONLY).setName("x"), RDD[int])
    assert_type(numbers.mapPartitions(lambda part: [sum(part)]), RDD[int])
    assert_type(numbers.distinct().coalesce(2).repartition(3), RDD[int])
    assert_type(numbers.randomSplit([1, 2]), list[RDD[int]])


def one(value: int) -> list[int]:
    return [value]


def added(values: list[int], value: int) -> list[int]:
    return [*values, value]


def joined(left: list[int], right: list[int]) -> list[int]:
    return left + right


def pairs(sc: SparkContext) -> None:
    words = sc.textFile("x").map(lambda word: (word, 1))
    assert_type(words, RDD[tuple[str, int]])
    assert_type(words.reduceByKey(lambda a, b: a + b), RDD[tuple[str, int]])
    assert_type(words.groupByKey(), RDD[tuple[str, Iterable[int]]])
    assert_type(words.mapValues(float), RDD[tuple[str, float]])
    assert_type(words.keys(), RDD[str])
    assert_type(words.sortByKey(), RDD[tuple[str, int]])
    assert_type(words.join(words.mapValues(str)), RDD[tuple[str, tuple[int, str]]])
    assert_type(words.leftOuterJoin(words), RDD[tuple[str, tuple[int, int | None]]])
    assert_type(words.collectAsMap(), dict[str, int])
    assert_type(words.lookup("a"), list[int])
    assert_type(words.combineByKey(one, added, joined), RDD[tuple[str, list[int]]])


def actions(sc: SparkContext) -> None:
    numbers = sc.range(10)
    assert_type(numbers.collect(), list[int])
    assert_type(numbers.sum(), int)
    assert_type(numbers.count(), int)
    assert_type(numbers.first(), int)
    assert_type(numbers.take(2), list[int])
    assert_type(numbers.reduce(max), int)
    assert_type(numbers.fold(0, lambda a, b: a + b), int)
    assert_type(numbers.aggregate("", lambda a, x: a + str(x), lambda a, b: a + b), str)
    assert_type(numbers.stats(), StatCounter)
    assert_type(numbers.mean(), float)
    assert_type(numbers.countByValue(), dict[int, int])
    assert_type(numbers.top(2), list[int])
    numbers.foreach(lambda x: None)
    assert_type(numbers.countApprox(1000), int)
    assert_type(numbers.sumApprox(1000), BoundedFloat)
    assert_type(numbers.toLocalIterator(prefetchPartitions=True), Iterator[int])
    assert_type(sc.runJob(numbers, lambda part: [str(x) for x in part]), list[str])


async def futures(sc: SparkContext) -> None:
    numbers = sc.range(10)
    assert_type(numbers.collectAsync(), FutureAction[list[int]])
    assert_type(numbers.countAsync().result(timeout=1), int)
    assert_type(numbers.takeAsync(2).result(), list[int])
    assert_type(numbers.foreachAsync(print), FutureAction[None])
    assert_type(await numbers.countAsync(), int)
    assert_type(numbers.countAsync().jobIds, list[int])


def shared(conf: SparkConf) -> None:
    with SparkContext("local[2]", "types", conf=conf) as sc:
        table = sc.broadcast({"a": 1})
        assert_type(table, Broadcast[dict[str, int]])
        assert_type(table.value, dict[str, int])
        assert_type(sc.accumulator(0), Accumulator[int])
        assert_type(sc.union([sc.range(1), sc.range(2)]), RDD[int])
