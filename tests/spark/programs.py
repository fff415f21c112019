"""Programs of many kinds: each makes a value that must be the same on every engine.

Functions of tasks are nested, so that they travel by value: the workers of a cluster do not have this file.
"""

from __future__ import annotations

import operator
import os
from typing import Any

from simspark import AccumulatorParam, BarrierTaskContext, SparkContext, StatCounter, StorageLevel, TaskContext
from simspark.resource import ResourceProfileBuilder, TaskResourceRequests

TEXT = "the cat sat on the mat\nthe dog sat on the cat\n\nand so on\n"


def word_count(sc: SparkContext, folder: str) -> Any:
    path = write(folder, "words.txt")
    words = sc.textFile(path, 3).flatMap(lambda line: line.split())
    return sorted(words.map(lambda word: (word, 1)).reduceByKey(operator.add).collect())


def where_keys_go(sc: SparkContext, _: str) -> Any:
    keys = [None, 1, 1.0, True, "a", "b", b"c", ("a", 1), (None, "x"), -7, 2**70, 0.5]
    return sc.parallelize([(key, number) for number, key in enumerate(keys)], 3).partitionBy(5).glom().collect()


def where_rows_go(sc: SparkContext, _: str) -> Any:
    rdd = sc.parallelize(range(23), 4)
    return [
        rdd.glom().collect(), sc.range(3, 30, 4, 3).glom().collect(), rdd.coalesce(2).glom().collect(),
        rdd.union(sc.parallelize("xyz", 2)).glom().collect(), rdd.zipWithIndex().collect()[-1],
    ]  # fmt: skip


def joins(sc: SparkContext, _: str) -> Any:
    left = sc.parallelize([(1, "a"), (2, "b"), (2, "c"), (3, "d")], 2)
    right = sc.parallelize([(2, "x"), (3, "y"), (3, "z"), (4, "w")], 3)
    return [
        sorted(left.join(right).collect()),
        sorted(left.leftOuterJoin(right).collect(), key=repr),
        sorted(left.fullOuterJoin(right).collect(), key=repr),
        sorted((key, sorted(a), sorted(b)) for key, (a, b) in left.cogroup(right).collect()),
        sorted(left.subtractByKey(right).collect()),
    ]


def aggregations(sc: SparkContext, _: str) -> Any:
    pairs = sc.parallelize([(number % 4, number) for number in range(40)], 4)
    grouped = pairs.groupByKey().mapValues(lambda values: (len(values), sum(values)))
    return [
        sorted(grouped.collect()),
        sorted(pairs.aggregateByKey(0, lambda a, b: a + b, operator.add).collect()),
        sorted(pairs.foldByKey(1, operator.mul).mapValues(lambda x: x % 1009).collect()),
        sorted(pairs.combineByKey(lambda x: [x], lambda a, x: [*a, x], operator.add).mapValues(sorted).collect()),
        pairs.countByKey(), pairs.values().treeReduce(operator.add), pairs.values().aggregate(0, max, max),
    ]  # fmt: skip


def sorting(sc: SparkContext, _: str) -> Any:
    rows = sc.parallelize([(number * 37 % 50, number) for number in range(50)], 4)
    return [
        rows.sortByKey(numPartitions=3).glom().collect(), rows.sortBy(lambda row: -row[1]).take(5),
        rows.takeOrdered(4), rows.top(3, key=lambda row: row[1]),
        rows.repartitionAndSortWithinPartitions(3).glom().collect(),
    ]  # fmt: skip


def statistics(sc: SparkContext, _: str) -> Any:
    numbers = sc.parallelize([float(number) for number in range(1, 101)], 4)
    mine = StatCounter(range(5))
    stats = numbers.stats()
    return [
        stats.count(), round(stats.mean(), 9), round(stats.stdev(), 9), numbers.histogram([1, 26, 51, 100]),
        numbers.max(), numbers.min(), numbers.sum(), sc.parallelize([1], 1).map(lambda _: mine.mean()).collect(),
    ]  # fmt: skip


def broadcasts(sc: SparkContext, _: str) -> Any:
    table = sc.broadcast({number: str(number) for number in range(100)})
    got = sc.parallelize(range(50), 3).map(lambda number: table.value[number]).collect()
    table.unpersist()
    return got + sc.parallelize([7]).map(lambda number: table.value[number]).collect()


def accumulators(sc: SparkContext, _: str) -> Any:
    class Vectors(AccumulatorParam[list[int]]):
        def zero(self, value: list[int]) -> list[int]:
            return [0] * len(value)

        def addInPlace(self, value1: list[int], value2: list[int]) -> list[int]:
            return [a + b for a, b in zip(value1, value2, strict=True)]

    count, vector = sc.accumulator(10), sc.accumulator([1, 1], Vectors())

    def add(number: int) -> None:
        count.add(1)
        vector.add([number, 1])

    sc.parallelize(range(10), 3).foreach(add)
    vector += [100, 100]
    return [count.value, vector.value, repr(sc.accumulator(1.5).value)]


def storage_levels(sc: SparkContext, _: str) -> Any:
    rdd = sc.parallelize(range(10), 2).map(lambda number: number + 1)
    kept = rdd.persist(StorageLevel.MEMORY_AND_DISK)
    first = [kept.is_cached, kept.getStorageLevel() == StorageLevel.MEMORY_AND_DISK, kept.sum(), kept.sum()]
    other = sc.range(3).persist(StorageLevel.DISK_ONLY_2)
    return [*first, other.getStorageLevel() == StorageLevel.DISK_ONLY_2, repr(rdd.unpersist().getStorageLevel())]


def task_contexts(sc: SparkContext, _: str) -> Any:
    sc.setLocalProperty("who", "me")

    def ask(rows: Any) -> Any:
        task = TaskContext.get()
        return [(task.partitionId(), task.attemptNumber(), task.getLocalProperty("who"), len(list(rows)))]

    return [TaskContext.get(), sc.parallelize(range(10), 3).mapPartitions(ask).collect()]


def files(sc: SparkContext, folder: str) -> Any:
    path = write(folder, "lines.txt")
    pickled, saved = f"{folder}/pickled-{id(sc)}", f"{folder}/saved-{id(sc)}"
    sc.parallelize([{"a": 1}, (2, 3)], 2).saveAsPickleFile(pickled)
    sc.textFile(path).map(str.upper).saveAsTextFile(saved)
    return [
        sorted(map(repr, sc.pickleFile(pickled).collect())), sorted(sc.textFile(saved).collect()),
        [text for _, text in sc.wholeTextFiles(path).collect()], sc.textFile([path, path]).count(),
    ]  # fmt: skip


def shared_files(sc: SparkContext, folder: str) -> Any:
    from simspark import SparkFiles

    sc.addFile(write(folder, "shared.txt"))
    sc.addPyFile(write(folder, "seasons.py", "def name(month): return 'summer' if 6 <= month < 9 else 'not summer'"))
    os.makedirs(f"{folder}/engine", exist_ok=True)
    write(folder, "engine/valves.py", "COUNT = 16")
    sc.addPyFile(f"{folder}/engine")

    def ask(month: int) -> Any:
        import seasons
        from engine import valves

        with open(SparkFiles.get("shared.txt"), encoding="utf-8") as file:
            return seasons.name(month), valves.COUNT, len(file.read())

    with open(SparkFiles.get("shared.txt"), encoding="utf-8") as file:
        return [sc.parallelize([3, 7], 2).map(ask).collect(), file.read()]


def futures(sc: SparkContext, _: str) -> Any:
    total = sc.accumulator(0)
    rdd = sc.parallelize(range(20), 3)
    under_way = [rdd.collectAsync(), rdd.countAsync(), rdd.takeAsync(5), rdd.foreachAsync(total.add),
                 rdd.foreachPartitionAsync(lambda rows: total.add(sum(rows)))]  # fmt: skip
    fails = rdd.map(lambda number: 1 // number).collectAsync()
    results = [future.result() for future in under_way]
    return [*results, total.value, caught(ZeroDivisionError, fails.result), fails.done(), fails.cancelled()]


def threads_inherit_properties(sc: SparkContext, _: str) -> Any:
    from simspark import InheritableThread

    sc.setJobGroup("evening", "sums")
    sc.addJobTag("tag")
    seen: list[Any] = []

    def look() -> None:
        seen.extend([sc.getLocalProperty("spark.jobGroup.id"), sorted(sc.getJobTags()), sc.range(3).sum()])

    thread = InheritableThread(target=look)
    thread.start()
    thread.join()
    sc.clearJobTags()
    return [*seen, sorted(sc.getJobTags())]


def approximations(sc: SparkContext, _: str) -> Any:
    numbers = sc.parallelize([float(number) for number in range(100)], 4)
    return [numbers.countApprox(60_000), float(numbers.sumApprox(60_000)), float(numbers.meanApprox(60_000)),
            90 < numbers.countApproxDistinct(0.01) < 110]  # fmt: skip


def samples(sc: SparkContext, _: str) -> Any:
    parts = sc.parallelize(range(1000), 2).randomSplit([1.0, 3.0], seed=7)
    return [sum(part.count() for part in parts), sc.range(9).sample(False, 1.0, 3).collect()]


def iterators(sc: SparkContext, _: str) -> Any:
    rdd = sc.parallelize(range(100), 4)
    return [list(rdd.toLocalIterator()), rdd.take(3), rdd.first(), rdd.isEmpty()]


def lookups(sc: SparkContext, _: str) -> Any:
    pairs = sc.parallelize([("a", 1), ("b", 2), ("a", 3), (None, 4)], 3)
    placed = pairs.partitionBy(4)
    return [sorted(pairs.lookup("a")), sorted(placed.lookup("a")), placed.lookup(None), placed.lookup("none")]


def barrier(sc: SparkContext, _: str) -> Any:
    return sc.parallelize(range(4), 2).barrier().mapPartitions(lambda rows: [sum(rows)]).collect()


def barrier_tasks_meet(sc: SparkContext, _: str) -> Any:
    from simspark import BarrierTaskContext

    def meet(index: int, rows: Any) -> Any:
        task = BarrierTaskContext.get()
        task.barrier()
        return [(task.partitionId(), task.allGather(f"{index}: {sum(rows)}"), len(task.getTaskInfos()))]

    return sc.parallelize(range(4), 2).barrier().mapPartitionsWithIndex(meet).collect()


def loops(sc: SparkContext, _: str) -> Any:
    """Page rank: many jobs, each on the shuffles of the one before."""
    links = sc.parallelize([(1, 2), (1, 3), (2, 3), (3, 1)], 2).groupByKey().cache()
    ranks = links.mapValues(lambda _: 1.0)
    for _round in range(3):
        gifts = links.join(ranks).flatMap(lambda row: [(to, row[1][1] / len(row[1][0])) for to in row[1][0]])
        ranks = gifts.reduceByKey(operator.add).mapValues(lambda rank: 0.15 + 0.85 * rank)
    return sorted((page, round(rank, 9)) for page, rank in ranks.collect())


def empty(sc: SparkContext, _: str) -> Any:
    nothing = sc.emptyRDD()
    return [nothing.collect(), nothing.getNumPartitions(), nothing.isEmpty(), sc.parallelize([], 3).count()]


def a_value_error_of_a_task(sc: SparkContext, _: str) -> Any:
    return caught(ValueError, lambda: sc.parallelize(["1", "x"], 2).map(int).collect())


def a_key_error_of_a_task(sc: SparkContext, _: str) -> Any:
    return caught(KeyError, lambda: sc.parallelize([1, 2], 2).foreach(lambda number: {1: 1}[number]))


def an_error_while_iterating(sc: SparkContext, _: str) -> Any:
    return caught(ZeroDivisionError, lambda: list(sc.parallelize([1, 0], 2).map(lambda x: 1 // x).toLocalIterator()))


def an_error_while_saving(sc: SparkContext, folder: str) -> Any:
    rdd = sc.parallelize([1, 0], 2).map(lambda x: 1 // x)
    return caught(ZeroDivisionError, lambda: rdd.saveAsTextFile(f"{folder}/never-{id(sc)}"))


def the_first_of_nothing(sc: SparkContext, _: str) -> Any:
    return caught(ValueError, sc.parallelize([], 2).first)


def a_file_that_is_not_there(sc: SparkContext, folder: str) -> Any:
    return caught(FileNotFoundError, lambda: sc.textFile(f"{folder}/nothing").count())[:1]


def a_folder_that_is_there(sc: SparkContext, folder: str) -> Any:
    return caught(FileExistsError, lambda: sc.range(2).saveAsTextFile(folder))[:1]


def what_cannot_be_pickled(sc: SparkContext, _: str) -> Any:
    from threading import Lock

    from simspark import NotSerializable

    lock = Lock()
    return caught(NotSerializable, lambda: sc.range(2).map(lambda number: (number, lock)).collect())[:1]


def an_rdd_in_a_task(sc: SparkContext, _: str) -> Any:
    from simspark import NotSerializable

    other = sc.range(2)
    return caught(NotSerializable, lambda: sc.range(2).map(lambda number: other.count()).collect())[:1]


def a_context_beside_it(sc: SparkContext, _: str) -> Any:
    return [caught(ValueError, lambda: SparkContext("local[1]"))[:1], SparkContext.getOrCreate() is sc]


def tasks_that_meet(sc: SparkContext, _: str) -> Any:
    def meet(index: int, rows: Any) -> Any:
        context = BarrierTaskContext.get()
        context.barrier()
        heard = context.allGather(f"{index}: {sum(rows)}")
        same = type(TaskContext.get()) is type(context)
        return [(index, heard, len(context.getTaskInfos()), context.cpus(), str(context.cpuAmount()), same)]

    rdd = sc.parallelize(range(8), 2)
    met = rdd.barrier().mapPartitionsWithIndex(meet)
    passed = rdd.barrier().mapPartitions(lambda rows: rows)
    return [met.collect(), passed.zipWithIndex().collect(), passed.zip(rdd).collect(), passed.coalesce(2).collect(),
            sorted(passed.repartition(3).collect()), passed.getNumPartitions(), passed.max()]  # fmt: skip


def no_barrier_context_elsewhere(sc: SparkContext, _: str) -> Any:
    def look(_row: Any) -> str:
        try:
            return str(BarrierTaskContext.get().partitionId())
        except RuntimeError:
            return "a RuntimeError"

    return sc.range(2, numSlices=2).map(look).collect()


def a_profile(sc: SparkContext, _: str) -> Any:
    profile = ResourceProfileBuilder().require(TaskResourceRequests().cpus(1)).build
    rdd = sc.parallelize(range(4), 2).withResources(profile)
    asked = rdd.getResourceProfile()
    assert asked is not None
    amounts = {name: request.amount for name, request in asked.taskResources.items()}
    return [amounts, rdd.map(lambda x: (x, TaskContext.get().cpus())).collect(), rdd.map(str).getResourceProfile()]


def caught(kind: type[Exception], call: Any) -> Any:
    """The name and text of an error that must be of this kind."""
    try:
        call()
    except kind as error:
        return [kind.__name__, str(error)]
    return "nothing was raised"


def write(folder: str, name: str, text: str = TEXT) -> str:
    with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
        file.write(text)
    return f"{folder}/{name}"


PROGRAMS = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", "") == __name__ and name not in {"caught", "write"}
}
