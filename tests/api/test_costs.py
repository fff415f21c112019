"""What a row costs, counted and not timed: Python frames entered for each further row of a data set.

Everything runs in this process and is counted: source, steps, sinks, both sides of a shuffle, the driver. ``own`` are
the frames of the program's own functions; ``more`` is what simspark may add. An operation may always get cheaper.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

FEW, MANY = 2000, 6000


class Cost(NamedTuple):
    program: Callable
    own: float
    more: float


def pairs(rdd):
    return rdd.map(lambda x: (x, x))


def few_keys(rdd):
    return rdd.map(lambda x: (x % 10, x))


COSTS = {
    # Chains of narrow steps are C-level iterators or inlined: nothing but the program's own functions.
    "map": Cost(lambda rdd: rdd.map(lambda x: x + 1).count(), 1, 0),
    "map, filter, flatMap": Cost(
        lambda rdd: rdd.map(lambda x: x + 1).filter(lambda x: x > 0).flatMap(lambda x: (x,)).count(), 3, 0
    ),
    "mapPartitions": Cost(lambda rdd: rdd.mapPartitions(lambda rows: rows).count(), 0, 0),
    "keys": Cost(lambda rdd: pairs(rdd).keys().count(), 1, 0),
    "mapValues": Cost(lambda rdd: pairs(rdd).mapValues(lambda value: value).count(), 2, 1),
    "flatMapValues": Cost(lambda rdd: pairs(rdd).flatMapValues(lambda value: (value,)).count(), 2, 1),
    "keyBy": Cost(lambda rdd: rdd.keyBy(lambda x: x).count(), 1, 1),
    "union": Cost(lambda rdd: rdd.union(rdd).count(), 0, 0),
    "zip": Cost(lambda rdd: rdd.zip(rdd).count(), 0, 0),
    "zipWithIndex": Cost(lambda rdd: rdd.zipWithIndex().count(), 0, 0),
    "glom": Cost(lambda rdd: rdd.glom().count(), 0, 0),
    # Actions without a function of the program's have none of ours either.
    "count": Cost(lambda rdd: rdd.count(), 0, 0),
    "sum": Cost(lambda rdd: rdd.sum(), 0, 0),
    "max": Cost(lambda rdd: rdd.max(), 0, 0),
    "collect": Cost(lambda rdd: rdd.collect(), 0, 0),
    "takeOrdered": Cost(lambda rdd: rdd.takeOrdered(5), 0, 0),
    "countByValue": Cost(lambda rdd: rdd.map(lambda x: x % 5).countByValue(), 1, 0),
    "countByKey": Cost(lambda rdd: few_keys(rdd).countByKey(), 1, 0),
    "foreach": Cost(lambda rdd: rdd.foreach(lambda x: None), 1, 0),
    "reduce": Cost(lambda rdd: rdd.reduce(lambda a, b: a + b), 1, 0),
    "aggregate": Cost(lambda rdd: rdd.aggregate(0, lambda a, b: a + b, lambda a, b: a + b), 1, 0),
    "stats": Cost(lambda rdd: rdd.stats(), 0, 0),
    "histogram": Cost(lambda rdd: rdd.histogram(5), 0, 0.1),
    "histogram of given bounds": Cost(lambda rdd: rdd.histogram([0, 7, 1000, 4000]), 0, 0),
    "max by a key": Cost(lambda rdd: rdd.max(key=lambda x: -x), 1, 0),
    "min by a key": Cost(lambda rdd: rdd.min(key=lambda x: -x), 1, 0),
    "top": Cost(lambda rdd: rdd.top(5, key=lambda x: -x), 1, 0),
    "sample": Cost(lambda rdd: rdd.sample(False, 0.5, 1).count(), 0, 0.6),  # a row that is drawn passes one generator
    "sumApprox": Cost(lambda rdd: rdd.map(float).sumApprox(9000), 0, 0),
    "zipWithUniqueId": Cost(lambda rdd: rdd.zipWithUniqueId().count(), 0, 0),
    "values": Cost(lambda rdd: pairs(rdd).values().count(), 1, 0),
    "fold": Cost(lambda rdd: rdd.fold(0, lambda a, b: a + b), 1, 0),
    "treeReduce": Cost(lambda rdd: rdd.treeReduce(lambda a, b: a + b), 1, 0),
    "reduceByKeyLocally": Cost(lambda rdd: few_keys(rdd).reduceByKeyLocally(lambda a, b: a + b), 2, 0),
    "cartesian": Cost(lambda rdd: rdd.cartesian(rdd.context.range(1)).count(), 0, 0),
    "toLocalIterator": Cost(lambda rdd: sum(1 for _ in rdd.toLocalIterator()), 1, 1),  # two generators
    # What is cached is read again by nothing at all.
    "cache": Cost(lambda rdd: [kept := rdd.map(lambda x: x).cache(), kept.count(), kept.count()], 1, 0),
    # Shuffles of few keys combine them; of many, a key costs some frames of ours, once and not for each row.
    "reduceByKey": Cost(lambda rdd: few_keys(rdd).reduceByKey(lambda a, b: a + b).count(), 2, 0.1),
    "reduceByKey, distinct keys": Cost(lambda rdd: pairs(rdd).reduceByKey(lambda a, b: a + b).count(), 1, 0.5),
    "groupByKey": Cost(lambda rdd: few_keys(rdd).groupByKey().count(), 1, 0.1),
    "groupByKey, distinct keys": Cost(lambda rdd: pairs(rdd).groupByKey().count(), 1, 2.5),
    "partitionBy": Cost(lambda rdd: pairs(rdd).partitionBy(3).count(), 1, 0.1),
    "distinct": Cost(lambda rdd: rdd.distinct().count(), 0, 0.2),
    "sortByKey": Cost(lambda rdd: pairs(rdd).sortByKey().count(), 2, 1),  # its sample runs the map a second time
    "join": Cost(lambda rdd: pairs(rdd).join(pairs(rdd)).count(), 2, 0.2),
    "join, few keys": Cost(lambda rdd: few_keys(rdd).join(few_keys(rdd.filter(lambda x: x < 9))).count(), 2, 0.2),
    "leftOuterJoin": Cost(lambda rdd: pairs(rdd).leftOuterJoin(few_keys(rdd.filter(lambda x: x < 9))).count(), 3, 0.1),
    "subtract": Cost(lambda rdd: rdd.subtract(rdd.filter(lambda x: x < 9)).count(), 1, 0.2),
    "subtractByKey": Cost(lambda rdd: few_keys(rdd).subtractByKey(pairs(rdd.filter(lambda x: x < 5))).count(), 2, 0.2),
    "intersection": Cost(lambda rdd: rdd.intersection(rdd).count(), 0, 0.2),
    "cogroup": Cost(lambda rdd: pairs(rdd).cogroup(pairs(rdd)).count(), 2, 0.2),
}


def frames_entered(action):
    """How many Python functions and generators were entered meanwhile."""
    entered = 0

    def count(frame, event, argument):
        nonlocal entered
        entered += event == "call"

    gc.disable()  # what it finds enters frames, too, whenever it runs
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
        gc.enable()
    return entered


def frames_a_row(action_on):
    """Of the rows beyond some, so that what each job costs is left out."""
    action_on(FEW)  # what happens at the first time only
    few, many = (frames_entered(lambda rows=rows: action_on(rows)) for rows in (FEW, MANY))
    return (many - few) / (MANY - FEW)


@pytest.mark.parametrize("name", COSTS)
def test_a_row_enters_no_more_frames_than(name, sc):
    cost = COSTS[name]
    assert frames_a_row(lambda rows: cost.program(sc.range(rows, numSlices=2))) <= cost.own + cost.more


def test_a_line_of_a_file_enters_no_frame(sc, tmp_path):
    for lines in (FEW, MANY):
        (tmp_path / str(lines)).write_text("two words\n" * lines)
    assert frames_a_row(lambda lines: sc.textFile(str(tmp_path / str(lines)), 2).count()) == 0


def test_a_row_of_a_list_enters_no_frame_on_its_way(sc):
    enters = frames_a_row(lambda rows: sc.parallelize([str(row) for row in range(rows)], 2).count())
    assert enters <= 0.02  # some for each batch of 1,000 rows that is written
