"""Mistakes that mypy --strict must find: each line that ends with a comment ``# error: code`` is one, and no other."""

from __future__ import annotations

from simspark import RDD, SparkContext, StorageLevel
from simspark.serializers import PickleSerializer


class Unordered:
    """Rows that neither compare nor add."""


def mistakes(sc: SparkContext, things: RDD[Unordered], words: RDD[str], numbers: RDD[int]) -> None:
    words.sum()  # error: misc
    words.mean()  # error: misc
    words.stats()  # error: misc
    things.max()  # error: call-arg
    things.min()  # error: call-arg
    things.top(2)  # error: call-arg
    things.takeOrdered(2)  # error: call-arg
    things.sortBy(lambda thing: thing)  # error: arg-type, return-value
    things.keyBy(lambda thing: thing).sortByKey()  # error: call-overload
    numbers.keys()  # error: misc
    numbers.reduceByKey(max)  # error: misc
    numbers.join(numbers)  # error: misc, arg-type
    numbers.map(len)  # error: arg-type
    numbers.flatMap(lambda x: x)  # error: arg-type, return-value
    numbers.filter(str.strip)  # error: arg-type
    numbers.reduce(lambda a, b: str(a))  # error: arg-type, return-value
    numbers.coalesce("2")  # error: arg-type
    numbers.persist("MEMORY_ONLY")  # error: arg-type
    numbers.colect()  # error: attr-defined
    numbers.take()  # error: call-arg
    sc.parallelize(5)  # error: arg-type
    sc.union([numbers, 5])  # error: arg-type
    sc.accumulator(0).add("x")  # error: arg-type
    sc.broadcast([1]).value.items()  # error: attr-defined
    sc.textFile(5)  # error: arg-type
    SparkContext(serializer=PickleSerializer)  # error: arg-type
    wide: RDD[int] = numbers.map(float)  # error: arg-type
    print(wide, StorageLevel.MEMORY_ONLY)
