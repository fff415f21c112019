"""A program as a user types it: mypy --strict must infer these types, and find nothing wrong.

All public members of the classes are in it; ``test_consumer.py`` counts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from operator import add
from typing import Any, assert_type

from simspark import (
    RDD,
    Accumulator,
    AccumulatorParam,
    BarrierTaskContext,
    BarrierTaskInfo,
    BasicProfiler,
    Broadcast,
    FutureAction,
    InheritableThread,
    MarshalSerializer,
    RDDBarrier,
    ResultIterable,
    SparkConf,
    SparkContext,
    SparkExecutorInfo,
    SparkFiles,
    SparkJobInfo,
    SparkStageInfo,
    StatCounter,
    StatusTracker,
    StorageLevel,
    TaskContext,
)
from simspark.profiler import ProfilerCollector
from simspark.rdd import BoundedFloat, Partitioner, portable_hash
from simspark.resource import (
    ExecutorResourceRequests,
    ResourceInformation,
    ResourceProfile,
    ResourceProfileBuilder,
    TaskResourceRequests,
)
from simspark.serializers import Serializer
from simspark.sql import Row, SparkSession


def one(value: int) -> list[int]:
    return [value]


def added(values: list[int], value: int) -> list[int]:
    return [*values, value]


def joined(left: list[int], right: list[int]) -> list[int]:
    return left + right


def rows(sc: SparkContext) -> None:
    numbers = sc.parallelize([1, 2, 3])
    assert_type(numbers, RDD[int])
    assert_type(numbers.map(str), RDD[str])
    assert_type(numbers.filter(lambda x: x > 1), RDD[int])
    assert_type(sc.textFile("x").filter(str.strip), RDD[str])
    assert_type(sc.textFile("x").flatMap(str.split), RDD[str])
    assert_type(numbers.glom(), RDD[list[int]])
    assert_type(numbers.union(sc.textFile("x")), RDD[int | str])
    assert_type(numbers + sc.textFile("x"), RDD[int | str])
    assert_type(numbers.keyBy(str), RDD[tuple[str, int]])
    assert_type(numbers.zip(sc.textFile("x")), RDD[tuple[int, str]])
    assert_type(numbers.zipWithIndex(), RDD[tuple[int, int]])
    assert_type(numbers.zipWithUniqueId(), RDD[tuple[int, int]])
    assert_type(numbers.cartesian(sc.textFile("x")), RDD[tuple[int, str]])
    assert_type(numbers.mapPartitions(lambda part: [sum(part)]), RDD[int])
    assert_type(numbers.mapPartitionsWithIndex(lambda i, part: [(i, str(x)) for x in part]), RDD[tuple[int, str]])
    assert_type(numbers.mapPartitionsWithSplit(lambda i, part: [i]), RDD[int])
    assert_type(numbers.distinct().coalesce(2).repartition(3), RDD[int])
    assert_type(numbers.randomSplit([1, 2]), list[RDD[int]])
    assert_type(numbers.sample(False, 0.5, seed=1), RDD[int])
    assert_type(numbers.pipe("cat"), RDD[str])
    assert_type(numbers.subtract(numbers), RDD[int])
    assert_type(numbers.intersection(numbers), RDD[int])
    assert_type(numbers.sortBy(lambda x: (-x, str(x)), ascending=False), RDD[int])
    assert_type(numbers.groupBy(str), RDD[tuple[str, Iterable[int]]])


def widened(numbers: RDD[float]) -> float:
    return numbers.sum()


def narrower_rows_do(sc: SparkContext) -> None:
    assert_type(widened(sc.range(3)), float)


def pairs(sc: SparkContext) -> None:
    words = sc.textFile("x").map(lambda word: (word, 1))
    assert_type(words, RDD[tuple[str, int]])
    assert_type(words.reduceByKey(add), RDD[tuple[str, int]])
    assert_type(words.foldByKey(0, lambda a, b: a + b), RDD[tuple[str, int]])
    assert_type(words.groupByKey(), RDD[tuple[str, Iterable[int]]])
    assert_type(words.mapValues(float), RDD[tuple[str, float]])
    assert_type(words.flatMapValues(range), RDD[tuple[str, int]])
    assert_type(words.keys(), RDD[str])
    assert_type(words.values(), RDD[int])
    assert_type(words.sortByKey(), RDD[tuple[str, int]])
    assert_type(words.sortByKey(False, keyfunc=len), RDD[tuple[str, int]])
    assert_type(words.partitionBy(3), RDD[tuple[str, int]])
    assert_type(words.repartitionAndSortWithinPartitions(2), RDD[tuple[str, int]])
    assert_type(words.sampleByKey(False, {"a": 0.5}), RDD[tuple[str, int]])
    assert_type(words.collectAsMap(), dict[str, int])
    assert_type(words.countByKey(), dict[str, int])
    assert_type(words.reduceByKeyLocally(max), dict[str, int])
    assert_type(words.lookup("a"), list[int])
    assert_type(words.combineByKey(one, added, joined), RDD[tuple[str, list[int]]])
    assert_type(words.aggregateByKey("", lambda a, x: a + str(x), lambda a, b: a + b), RDD[tuple[str, str]])


def together(sc: SparkContext) -> None:
    words = sc.textFile("x").map(lambda word: (word, 1))
    texts = words.mapValues(str)
    assert_type(words.join(texts), RDD[tuple[str, tuple[int, str]]])
    assert_type(words.leftOuterJoin(texts), RDD[tuple[str, tuple[int, str | None]]])
    assert_type(words.rightOuterJoin(texts), RDD[tuple[str, tuple[int | None, str]]])
    assert_type(words.fullOuterJoin(texts), RDD[tuple[str, tuple[int | None, str | None]]])
    assert_type(words.subtractByKey(texts), RDD[tuple[str, int]])
    assert_type(words.cogroup(texts), RDD[tuple[str, tuple[ResultIterable[int], ResultIterable[str]]]])
    assert_type(words.groupWith(texts), RDD[tuple[str, tuple[ResultIterable[int], ResultIterable[str]]]])
    assert_type(
        words.groupWith(texts, words),
        RDD[tuple[str, tuple[ResultIterable[int], ResultIterable[str], ResultIterable[int]]]],
    )
    assert_type(
        words.groupWith(texts, words, words.mapValues(float)),
        RDD[tuple[str, tuple[ResultIterable[int], ResultIterable[str], ResultIterable[int], ResultIterable[float]]]],
    )
    assert_type(words.groupWith(texts, words, words, words), RDD[tuple[str, tuple[ResultIterable[Any], ...]]])


def actions(sc: SparkContext) -> None:
    numbers = sc.range(10)
    assert_type(numbers.collect(), list[int])
    assert_type(numbers.collectWithJobGroup("group", "what"), list[int])
    assert_type(numbers.toLocalIterator(prefetchPartitions=True), Iterator[int])
    assert_type(numbers.count(), int)
    assert_type(numbers.first(), int)
    assert_type(numbers.isEmpty(), bool)
    assert_type(numbers.take(2), list[int])
    assert_type(numbers.takeSample(False, 2, seed=1), list[int])
    assert_type(numbers.top(2), list[int])
    assert_type(numbers.takeOrdered(2, key=lambda x: -x), list[int])
    assert_type(numbers.max(), int)
    assert_type(numbers.min(key=str), int)
    assert_type(numbers.reduce(max), int)
    assert_type(numbers.treeReduce(add, depth=3), int)
    assert_type(numbers.fold(0, lambda a, b: a + b), int)
    assert_type(numbers.aggregate("", lambda a, x: a + str(x), lambda a, b: a + b), str)
    assert_type(numbers.treeAggregate("", lambda a, x: a + str(x), lambda a, b: a + b), str)
    assert_type(numbers.countByValue(), dict[int, int])
    assert_type(numbers.histogram(2), tuple[Sequence[int], list[int]])
    numbers.foreach(lambda x: None)
    numbers.foreach(print)
    numbers.foreachPartition(list)
    numbers.saveAsTextFile("out", "org.apache.hadoop.io.compress.GzipCodec")
    numbers.saveAsPickleFile("out", batchSize=5)


def statistics(sc: SparkContext) -> None:
    numbers = sc.range(10)
    assert_type(numbers.sum(), int)
    assert_type(numbers.stats(), StatCounter)
    for deviation in (numbers.stdev(), numbers.sampleStdev(), numbers.variance(), numbers.sampleVariance()):
        assert_type(deviation, float)
    assert_type(numbers.mean(), float)
    assert_type(numbers.countApprox(1000), int)
    assert_type(numbers.sumApprox(1000), BoundedFloat)
    assert_type(numbers.meanApprox(1000).low, float)
    assert_type(numbers.countApproxDistinct(), int)


def counters(stats: StatCounter) -> None:
    assert_type(stats.merge(1.0).mergeStats(stats.copy()), StatCounter)
    assert_type(stats.count(), int)
    print(stats.mean(), stats.sum(), stats.min(), stats.max(), stats.variance(), stats.sampleVariance())
    print(stats.stdev(), stats.sampleStdev(), stats.asDict(sample=True))


async def futures(sc: SparkContext) -> None:
    numbers = sc.range(10)
    assert_type(numbers.collectAsync(), FutureAction[list[int]])
    assert_type(numbers.countAsync().result(timeout=1), int)
    assert_type(numbers.takeAsync(2).result(), list[int])
    assert_type(numbers.foreachAsync(print), FutureAction[None])
    assert_type(numbers.foreachPartitionAsync(list), FutureAction[None])
    assert_type(await numbers.countAsync(), int)
    assert_type(numbers.countAsync().jobIds, list[int])


def identity(sc: SparkContext) -> None:
    numbers = sc.range(10)
    assert_type(numbers.id(), int)
    assert_type(numbers.context, SparkContext)
    assert_type(numbers.partitioner, Partitioner | None)
    assert_type(numbers.getNumPartitions(), int)
    assert_type(numbers.setName("n").name(), str | None)
    assert_type(numbers.toDebugString(), bytes | None)
    assert_type(numbers.cache().unpersist(blocking=True), RDD[int])
    assert_type(numbers.persist(StorageLevel.DISK_ONLY), RDD[int])
    assert_type(numbers.is_cached, bool)
    assert_type(numbers.getStorageLevel(), StorageLevel)
    numbers.checkpoint()
    numbers.localCheckpoint()
    assert_type((numbers.isCheckpointed(), numbers.is_checkpointed, numbers.isLocallyCheckpointed()),
                tuple[bool, bool, bool])  # fmt: skip
    assert_type(numbers.getCheckpointFile(), str | None)
    numbers.cleanShuffleDependencies(blocking=True)
    assert_type(portable_hash("x"), int)


def sources(sc: SparkContext) -> None:
    assert_type(sc.range(0, 10, 2, numSlices=3), RDD[int])
    assert_type(sc.parallelize(("a", "b"), 2), RDD[str])
    assert_type(sc.emptyRDD(), RDD[Any])
    assert_type(sc.textFile(["x", "y"], minPartitions=2), RDD[str])
    assert_type(sc.wholeTextFiles("x"), RDD[tuple[str, str]])
    assert_type(sc.binaryFiles("x"), RDD[tuple[str, bytes]])
    assert_type(sc.binaryRecords("x", 4), RDD[bytes])
    assert_type(sc.pickleFile("x"), RDD[Any])
    assert_type(sc.union([sc.range(1), sc.range(2)]), RDD[int])
    assert_type(sc.runJob(sc.range(3), lambda part: [str(x) for x in part]), list[str])


def context(conf: SparkConf) -> None:
    with SparkContext("local[2]", "types", conf=conf, batchSize=10, serializer=MarshalSerializer(),
                      profiler_cls=BasicProfiler) as sc:  # fmt: skip
        print(sc.master, sc.appName, sc.applicationId, sc.version, sc.sparkUser(), sc.pythonVer, sc.uiWebUrl)
        assert_type((sc.startTime, sc.defaultParallelism, sc.defaultMinPartitions), tuple[int, int, int])
        assert_type(sc.getConf(), SparkConf)
        assert_type(sc.serializer, Serializer)
        assert_type(sc.environment, dict[str, str])
        assert_type(sc.sparkHome, str | None)
        assert_type(sc.profiler_collector, ProfilerCollector | None)
        sc.setCheckpointDir("x")
        assert_type(sc.getCheckpointDir(), str | None)
        sc.setLogLevel("WARN")
        SparkContext.setSystemProperty("key", "value")
        assert_type(SparkContext.getSystemProperty("key"), str | None)
        sc.show_profiles()
        sc.dump_profiles("x")
        sc.addFile("x", recursive=True)
        sc.addPyFile("x.py")
        sc.add_path("x")
        sc.addArchive("x.zip")
        assert_type((sc.listFiles, sc.listArchives), tuple[list[str], list[str]])
        assert_type(SparkFiles.get("x") + SparkFiles.getRootDirectory(), str)
        print(sc.PACKAGE_EXTENSIONS, sc.resources)
    SparkContext.getOrCreate(conf).stop()


def jobs(sc: SparkContext) -> None:
    sc.setLocalProperty("key", None)
    assert_type(sc.getLocalProperty("key"), str | None)
    sc.setJobGroup("group", "what", interruptOnCancel=True)
    sc.setJobDescription("what")
    sc.setInterruptOnCancel(True)
    sc.addJobTag("tag")
    sc.removeJobTag("tag")
    assert_type(sc.getJobTags(), set[str])
    sc.clearJobTags()
    sc.cancelJobGroup("group")
    sc.cancelJobsWithTag("tag")
    sc.cancelAllJobs()
    tracker = sc.statusTracker()
    assert_type(tracker, StatusTracker)
    assert_type(tracker.getJobInfo(0), SparkJobInfo | None)
    assert_type(tracker.getStageInfo(0), SparkStageInfo | None)
    assert_type(tracker.getExecutorInfos(), list[SparkExecutorInfo])
    for ids in (tracker.getJobIdsForGroup("group"), tracker.getActiveJobsIds(),
                tracker.getActiveStageIds()):  # fmt: skip
        assert_type(ids, list[int])
    InheritableThread(target=sc.range(3).count).start()


class Union(AccumulatorParam[set[str]]):
    def zero(self, value: set[str]) -> set[str]:
        return set()

    def addInPlace(self, value1: set[str], value2: set[str]) -> set[str]:
        return value1 | value2


def shared(sc: SparkContext) -> None:
    table = sc.broadcast({"a": 1})
    assert_type(table, Broadcast[dict[str, int]])
    assert_type(table.value, dict[str, int])
    assert_type(table.load_from_path("x"), dict[str, int])
    with open("x", "rb") as file:
        assert_type(table.load(file), dict[str, int])
    with open("x", "wb") as target:
        table.dump({"b": 2}, target)
    table.unpersist(blocking=True)
    table.destroy()
    total = sc.accumulator(0)
    assert_type(total, Accumulator[int])
    total += 1
    total.add(2)
    total.value = 5
    assert_type(total.value, int)
    seen = sc.accumulator(set[str](), Union())
    assert_type(seen.value, set[str])


def task(context: TaskContext) -> None:
    known = TaskContext.get()
    assert known is not None
    numbers = (context.partitionId(), context.stageId(), context.attemptNumber(), context.taskAttemptId())
    assert_type(numbers, tuple[int, int, int, int])
    assert_type(context.cpus(), int)
    assert_type(context.cpuAmount(), Decimal)
    assert_type(context.getLocalProperty("key"), str | None)
    assert_type(context.resources(), dict[str, ResourceInformation])


def meet(index: int, rows: Iterator[int]) -> Iterator[str]:
    context = BarrierTaskContext.get()
    context.barrier()
    assert_type(context.allGather("x"), list[str])
    assert_type(context.getTaskInfos(), list[BarrierTaskInfo])
    yield from (f"{info.address} {index} {row}" for info in context.getTaskInfos() for row in rows)


def gangs(numbers: RDD[int]) -> None:
    assert_type(numbers.barrier(), RDDBarrier[int])
    assert_type(numbers.barrier().mapPartitionsWithIndex(meet), RDD[str])
    assert_type(numbers.barrier().mapPartitions(lambda rows: map(str, rows)), RDD[str])
    needs = ResourceProfileBuilder().require(ExecutorResourceRequests().cores(2).memory("1g"))
    assert_type(needs.require(TaskResourceRequests().cpus(2)).build, ResourceProfile)
    assert_type(numbers.withResources(needs.build).getResourceProfile(), ResourceProfile | None)


def settings() -> None:
    conf = SparkConf(loadDefaults=False).setMaster("local").setAppName("x").set("a", 1).setIfMissing("b", True)
    conf = conf.setAll([("c", 2)]).setExecutorEnv(pairs=[("A", "1")]).setSparkHome("/opt/spark").copy()
    assert_type(conf, SparkConf)
    assert_type(conf.get("a"), str | None)
    assert_type(conf.getAll(), list[tuple[str, str]])
    assert_type(conf.contains("a"), bool)
    assert_type(conf.toDebugString(), str)


def session() -> None:
    with SparkSession.builder.master("local[2]").appName("x").config("a", 1).getOrCreate() as spark:
        assert_type(spark.sparkContext.range(3), RDD[int])
        assert_type(spark.read.text("x").rdd, RDD[Row])
        assert_type(spark.conf.get("a"), str | None)
