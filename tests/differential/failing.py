"""Random programs with a function that raises at some rows, and a table of lines that must fail as they say."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.differential.programs import (
    FOR_US,
    Program,
    Rules,
    coalesced,
    cogrouped,
    dealt,
    distinct,
    folded_by_key,
    grouped,
    grouped_by,
    in_order,
    joined,
    keep,
    new,
    of_values,
    placed,
    row_by_row,
    sorted_within,
    united,
)

RAISING = (
    "lambda x: x if len(repr(x)) % 4 else {}['gone']",
    "lambda x: x if len(repr(x)) % 3 else 1 // 0",
    "lambda x: x if len(repr(x)) != 6 else int('six')",
    "lambda x: x if len(repr(x)) > 4 else [][9]",
)
# Whoever runs these reads all rows of all that they stand on, so that it does not matter how lazily.
THOROUGH = (row_by_row, row_by_row, of_values, united, dealt, placed, folded_by_key, grouped, grouped_by, distinct,
            joined, cogrouped, in_order, coalesced, sorted_within)


@st.composite
def failing_programs(draw: Any, rules: Rules = FOR_US) -> list[str]:
    """A program of which most prints are errors."""
    program = Program(draw, rules)
    new(program)
    for _ in range(draw(st.integers(0, 3))):
        program.one_of(THOROUGH)(program)
    sound = program.made[-1]
    failing = program.add(f"{sound.name}.map({program.one_of(RAISING)})", sound.kind, sound.parts, sound.most,
                          sound.narrow)
    for _ in range(draw(st.integers(0, 4))):
        program.one_of(THOROUGH)(program)
        if program.chance(30):
            keep(program)
    last = program.made[-1].name
    program.lines += [f"print({last}.count())", f"print({failing.name}.collect())", f"print({sound.name}.count())",
                      f"print({last}.glom().collect())", f"print({failing.name}.foreach(lambda x: None))"]
    return program.lines


EMPTY, ONE, TWO = "sc.parallelize([], 2)", "sc.parallelize([1], 1)", "sc.parallelize([(1, 2)], 2)"
NOT_EMPTY = "!ValueError: Can not reduce() empty RDD"
POSITIVE = "!ValueError: Number of partitions must be positive."
BELOW_ONE = "!ValueError: Depth cannot be smaller than 1 but got"
DIVISION = "!ZeroDivisionError: integer division or modulo by zero"
ADDITION = "!TypeError: unsupported operand type(s) for +: 'int' and 'str'"

# What a line shows in PySpark, too.
LINES = {
    f"{EMPTY}.first()": "!ValueError: RDD is empty",
    "sc.emptyRDD().first()": "!ValueError: RDD is empty",
    f"{EMPTY}.reduce(max)": NOT_EMPTY,
    "sc.emptyRDD().reduce(max)": NOT_EMPTY,
    f"{EMPTY}.max()": NOT_EMPTY,
    f"{EMPTY}.min(key=repr)": NOT_EMPTY,
    f"{EMPTY}.treeReduce(max)": "!ValueError: Cannot reduce empty RDD.",
    "sc.emptyRDD().treeReduce(max)": "!ValueError: Cannot reduce empty RDD.",
    f"{ONE}.treeReduce(max, 0)": f"{BELOW_ONE} 0.",
    f"{ONE}.treeAggregate(0, max, max, -1)": f"{BELOW_ONE} -1.",
    "sc.emptyRDD().fold(5, max)": "5",
    "sc.emptyRDD().treeAggregate(5, max, max)": "5",
    "sc.emptyRDD().aggregate(5, max, max)": "5",
    f"{EMPTY}.sum()": "0",
    f"{ONE}.take(-1)": "[]",
    f"{ONE}.top(-1)": "[]",
    f"{ONE}.takeOrdered(-1)": "!ValueError: top N cannot be negative.",
    f"{ONE}.takeSample(False, -1, 1)": "!ValueError: Sample size cannot be negative.",
    "sc.emptyRDD().takeSample(True, 3, 1)": "[]",
    f"{ONE}.histogram([3, 1])": "!ValueError: buckets should be sorted",
    f"{ONE}.histogram([1, 1])": "!ValueError: buckets should not contain duplicated values",
    f"{ONE}.histogram([1])": "!ValueError: buckets should have more than one value",
    f"{ONE}.histogram([None, 1])": "!ValueError: can not have None or NaN in buckets",
    f"{ONE}.histogram(0)": "!ValueError: number of buckets must be >= 1",
    f"{ONE}.histogram(1.5)": "!TypeError: buckets should be a list or tuple or number(int or long)",
    "sc.parallelize(['a', 'b'], 1).histogram(2)": "!TypeError: Can not generate buckets with non-number in RDD",
    f"{ONE}.coalesce(0)": POSITIVE,
    f"{ONE}.repartition(-2)": POSITIVE,
    f"{ONE}.sample(False, -0.1, 1)": "!ValueError: Fraction must be nonnegative.",
    f"{ONE}.randomSplit([-1, 2], 1)": "!ValueError: Weights must be nonnegative",
    f"{ONE}.randomSplit([0, 0], 1)": "!ValueError: Sum of weights must be positive",
    f"{ONE}.sampleByKey(False, {{1: -1.0}}, 1)": "!AssertionError: Negative fraction value: -1.0",
    f"{TWO}.sampleByKey(False, {{2: 1.0}}, 1).collect()": "!KeyError: 1",
    f"{ONE}.zip({EMPTY})": "!ValueError: Can only zip with RDD which has the same number of partitions",
    "sc.range(1, 5, 0)": "!ValueError: range() arg 3 must not be zero",
    "sc.parallelize(5)": "!TypeError: 'int' object is not iterable",
    "sc.parallelize([1, None, 2], 1).sortBy(lambda x: x, numPartitions=1).collect()":
        "!TypeError: '<' not supported between instances of 'NoneType' and 'int'",
    "sc.parallelize([1, None, 'a'], 1).sortBy(lambda x: x, numPartitions=2)":
        "!TypeError: '<' not supported between instances of 'NoneType' and 'int'",
    "sc.parallelize([1, 'a'], 1).max()": "!TypeError: '>' not supported between instances of 'str' and 'int'",
    "sc.parallelize([1, 'a'], 1).sum()": ADDITION,
    f"{ONE}.map(lambda x: x + 'a').collect()": ADDITION,
    f"{ONE}.aggregate(0, lambda a, x: a + 'b', max)": ADDITION,
    "sc.parallelize([1, 2], 2).aggregate(0, max, lambda a, b: a + 'b')": ADDITION,
    "sc.parallelize([1, 0], 2).map(lambda x: 1 // x).count()": DIVISION,
    f"{ONE}.foreach(lambda x: 1 // 0)": DIVISION,
    f"{ONE}.foreachPartition(lambda rows: 1 // 0)": DIVISION,
    f"sc.runJob({ONE}, lambda rows: [next(rows), 1 // 0])": DIVISION,
    f"{ONE}.flatMap(lambda x: x).collect()": "!TypeError: 'int' object is not iterable",
    f"{ONE}.filter(lambda x: x.a).collect()": "!AttributeError: 'int' object has no attribute 'a'",
    f"{ONE}.map(5).collect()": "!TypeError: 'int' object is not callable",
    f"{ONE}.reduceByKey(max).collect()": "!TypeError: cannot unpack non-iterable int object",
    "sc.parallelize([(1, 2, 3)], 1).reduceByKey(max).collect()":
        "!ValueError: too many values to unpack (expected 2)",
    "sc.parallelize([([], 2)], 1).reduceByKey(max).collect()": "!TypeError: unhashable type: 'list'",
    "sc.parallelize([([], 2)], 1).partitionBy(2).collect()": "!TypeError: unhashable type: 'list'",
    "sc.parallelize([[1], [2]], 1).distinct().collect()": "!TypeError: unhashable type: 'list'",
    "sc.parallelize([[1], [2]], 1).countByValue()": "!TypeError: unhashable type: 'list'",
    f"{TWO}.partitionBy(2, lambda k: None).collect()":
        "!TypeError: unsupported operand type(s) for %: 'NoneType' and 'int'",
    f"{TWO}.mapValues(lambda v: v[0]).collect()": "!TypeError: 'int' object is not subscriptable",
    f"{ONE}.values().collect()": "!TypeError: 'int' object is not subscriptable",
    f"{ONE}.lookup(1)": "!TypeError: 'int' object is not subscriptable",
}

# What PySpark answers with an error of Java's, or of another type, or with fewer rows than there are.
OUR_LINES = {
    "sc.parallelize([1, 2], 0)": "!ValueError: Number of slices must be positive.",
    "sc.range(3, numSlices=-1)": "!ValueError: Number of slices must be positive.",
    f"{ONE}.zip(sc.parallelize([1, 2], 1)).collect()":
        "!ValueError: Can only zip RDDs with same number of elements in each partition",
    f"{TWO}.partitionBy(0)": POSITIVE,
    f"{TWO}.reduceByKey(max, 0)": POSITIVE,
    f"{TWO}.groupByKey(-1)": POSITIVE,
    f"{TWO}.join({TWO}, 0)": POSITIVE,
    f"{ONE}.distinct(0)": POSITIVE,
    f"{ONE}.sortBy(lambda x: x, True, 0)": POSITIVE,
    f"{TWO}.repartitionAndSortWithinPartitions(0)": POSITIVE,
    "sc.union([])": "!ValueError: Cannot make the union of no RDDs. Use emptyRDD() for an empty one.",
}
