"""Random RDD programs, as lines of source that run in any shell of PySpark's API.

A program is a list of lines: ``r3 = r1.join(r2, 3)``, ``r3.persist(StorageLevel.DISK_ONLY)``,
``print(r3.glom().collect())``, and functions of several lines that it defines. The strategy knows of each RDD what kind
of rows it has, so that functions fit.

Where an engine may choose an order of rows, the program sorts them at once, within their partition (``SETTLED``). For
our own engine that are only the values of NaN keys. For Spark it is more: see ``Rules``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.differential.functions import (
    AGGREGATIONS,
    COMBINATIONS,
    COMMUTATIVE,
    FILTERS,
    FLAT_MAPS,
    FOLDS,
    MAPS,
    OF_INDEXED_PARTITIONS,
    OF_PARTITIONS,
    PLACES,
    REDUCERS,
    SORT_KEYS,
    Function,
    Kind,
    has_list,
    has_nan,
    is_key,
    is_ordered,
    is_pair,
    literal,
    pair,
    values,
)

LEVELS = ("MEMORY_ONLY", "MEMORY_AND_DISK", "DISK_ONLY", "MEMORY_ONLY_2", "MEMORY_AND_DISK_2", "DISK_ONLY_2",
          "DISK_ONLY_3", "OFF_HEAP", "MEMORY_AND_DISK_DESER")
MOST_ROWS = 300
SETTLED = ".mapPartitions(lambda rows: sorted(rows, key=repr))"


class Rules(NamedTuple):
    """What programs may do. Spark has NaN keys by their addresses, gives cartesian rows in the order of its batches,
    lets coalesce follow the places where partitions are, and compares keyfunc(key) with keys as they are to place them
    by sortByKey. It mixes the partitions of RDDs that are partitioned alike when they are grouped in another way: there
    ours gives the first RDD's keys first."""

    nan_keys: bool = True
    cartesian_order: bool = True
    free_coalesce: bool = True
    sort_by_key_function: bool = True
    alike_elsewhere: bool = True
    most_partitions: int = 7
    levels: tuple[str, ...] = LEVELS


FOR_US = Rules()
FOR_SPARK = Rules(nan_keys=False, cartesian_order=False, free_coalesce=False, sort_by_key_function=False,
                  alike_elsewhere=False, most_partitions=4)


class Made(NamedTuple):
    """An RDD of a program. ``most``: it has no more rows. ``narrow``: nothing shuffled or kept below it."""

    name: str
    kind: Kind
    parts: int
    most: int
    narrow: bool = True


# ── programs ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Program:
    """A program while it is drawn. ``add`` writes a line that makes an RDD."""

    def __init__(self, draw: Callable[[Any], Any], rules: Rules) -> None:
        self.draw = draw
        self.rules = rules
        self.lines: list[str] = []
        self.made: list[Made] = []
        self.kept: set[str] = set()
        self.cut = False

    def chance(self, percent: int) -> bool:
        return bool(self.draw(st.integers(0, 99)) < percent)

    def one_of(self, choices: Any) -> Any:
        return self.draw(st.sampled_from(list(choices)))

    def function(self, table: tuple[Function, ...], kind: Kind) -> Function | None:
        fitting = [function for function in table if function.takes(kind)]
        if not fitting:
            return None
        function: Function = self.one_of(fitting)
        if not function.source.startswith("def f("):
            return function
        name = f"f{len(self.lines)}"
        self.lines.append(function.source.replace("def f(", f"def {name}("))
        return function._replace(source=name)

    def partitions(self) -> int:
        return int(self.draw(st.integers(1, self.rules.most_partitions)))

    def rdd(self, wanted: Callable[[Made], bool] = lambda _: True) -> Made | None:
        """One of those that fit, the latest more often."""
        fitting = [made for made in self.made if wanted(made)]
        return self.one_of(fitting + fitting[-2:] * 2) if fitting else None

    def pairs(self) -> Made | None:
        return self.rdd(lambda made: is_pair(made.kind) and is_key(made.kind[1], self.rules.nan_keys))

    def add(self, expression: str, kind: Kind, parts: int, most: int, narrow: bool = False) -> Made:
        made = Made(f"r{len(self.made)}", kind, parts, most, narrow)
        self.lines.append(f"{made.name} = {expression}")
        self.made.append(made)
        return made

    def other(self, left: Made, right: Made) -> str:
        """The right one, where it is grouped with the left one in partitions that neither may have."""
        alike = left.parts == right.parts and not self.rules.alike_elsewhere
        return f"{right.name}.map(lambda kv: kv)" if alike else right.name

    def settled(self, kind: Kind) -> str:
        """What brings the rows of a partition in order, where NaN keys were grouped."""
        return SETTLED if has_nan(kind) else ""


def new(program: Program) -> None:
    kind = program.one_of(["int", "int", "text", "real", "scalar", "any", pair("int", "int"), pair("text", "int"),
                           pair("scalar", "text"), pair("any", "int"), pair("real", "scalar"),
                           pair(pair("int", "scalar"), "any"), pair("int", pair("text", "any"))])
    size = program.one_of([0, 1, 2, 5, 8, 12, 25, 60])
    rows = program.draw(st.lists(values(kind), min_size=size // 2, max_size=size))
    parts = program.partitions()
    program.add(f"sc.parallelize({literal(rows)}, {parts})", kind, parts, len(rows), True)


def new_range(program: Program) -> None:
    size, parts = program.one_of([0, 3, 11, 60]), program.partitions()
    source = program.one_of([f"sc.range({size}, numSlices={parts})", f"sc.parallelize(range({size}), {parts})",
                             f"sc.range({size}, 0, -2, {parts})", f"sc.parallelize(range({size}), numSlices={parts})"])
    program.add(source, "int", parts, size, True)


def row_by_row(program: Program) -> None:
    method, table = program.one_of([("map", MAPS), ("map", MAPS), ("flatMap", FLAT_MAPS), ("filter", FILTERS)])
    made = program.rdd(lambda made: made.most <= MOST_ROWS)
    function = made and program.function(table, made.kind)
    if made and function:
        keep = ", True" if method != "filter" and function.gives(made.kind) == made.kind and program.chance(10) else ""
        program.add(f"{made.name}.{method}({function.source}{keep})", function.gives(made.kind), made.parts,
                    made.most * function.growth, made.narrow)


def by_partition(program: Program) -> None:
    made = program.rdd()
    method, table = program.one_of([("mapPartitions", OF_PARTITIONS),
                                    ("mapPartitionsWithIndex", OF_INDEXED_PARTITIONS)])
    function = made and program.function(table, made.kind)
    if made and function:
        keep = ", True" if function.gives(made.kind) == made.kind and program.chance(20) else ""
        program.add(f"{made.name}.{method}({function.source}{keep})", function.gives(made.kind), made.parts,
                    max(made.most, made.parts), made.narrow)


def of_values(program: Program) -> None:
    method, table = program.one_of([("mapValues", MAPS), ("flatMapValues", FLAT_MAPS), ("keys", ()), ("values", ())])
    made = program.rdd(lambda made: is_pair(made.kind) and made.most <= MOST_ROWS)
    if not made:
        return
    _, key, value = made.kind
    if not table:
        program.add(f"{made.name}.{method}()", key if method == "keys" else value, made.parts, made.most, made.narrow)
        return
    function = program.function(table, value)
    if function:
        program.add(f"{made.name}.{method}({function.source})", pair(key, function.gives(value)), made.parts,
                    made.most * function.growth, made.narrow)


def numbered(program: Program) -> None:
    made = program.rdd()
    if made:
        method = program.one_of(["zipWithIndex", "zipWithUniqueId"])
        program.add(f"{made.name}.{method}()", pair(made.kind, "int"), made.parts, made.most, made.narrow)


def in_lists(program: Program) -> None:
    made = program.rdd()
    if made:
        program.add(f"{made.name}.glom()", ("list", made.kind), made.parts, made.parts, made.narrow)


def key_by(program: Program) -> None:
    made = program.rdd()
    function = made and program.function(SORT_KEYS[1:3], made.kind)
    if made and function:
        kind = "text" if function.source == "repr" else "int"
        program.add(f"{made.name}.keyBy({function.source})", pair(kind, made.kind), made.parts, made.most, made.narrow)


def united(program: Program) -> None:
    made = program.rdd(lambda made: made.most <= MOST_ROWS and made.parts <= 20)
    if not made:
        return
    other = program.one_of([each for each in program.made if each.kind == made.kind and each.most <= MOST_ROWS])
    source = program.one_of([f"{made.name}.union({other.name})", f"{made.name} + {other.name}",
                             f"sc.union([{made.name}, {other.name}, {made.name}]).map(lambda x: x)"])
    program.add(source, made.kind, made.parts * 2 + other.parts, made.most * 2 + other.most,
                made.narrow and other.narrow)


def coalesced(program: Program) -> None:
    made = program.rdd(lambda made: made.narrow or program.rules.free_coalesce)
    if made:
        parts = program.partitions()
        program.add(f"{made.name}.coalesce({parts})", made.kind, parts, made.most, made.narrow)


def dealt(program: Program) -> None:
    made = program.rdd()
    if made:
        parts = program.partitions()
        source = program.one_of([f"repartition({parts})", f"coalesce({parts}, True)"])
        program.add(f"{made.name}.{source}", made.kind, parts, made.most)


def zipped(program: Program) -> None:
    made = program.rdd(lambda made: not has_list(made.kind))
    function = made and program.function(MAPS, made.kind)
    if made and function:
        program.add(f"{made.name}.zip({made.name}.map({function.source}))", pair(made.kind, function.gives(made.kind)),
                    made.parts, made.most, made.narrow)


def crossed(program: Program) -> None:
    left = program.rdd(lambda made: made.most <= 20 and made.parts <= 3 and not has_list(made.kind))
    right = program.rdd(lambda made: made.most <= 20 and made.parts <= 3)
    if left and right:
        settled = "" if program.rules.cartesian_order else SETTLED
        program.add(f"{left.name}.cartesian({right.name}){settled}", pair(left.kind, right.kind),
                    left.parts * right.parts, left.most * right.most)


def sampled(program: Program) -> None:
    made = program.rdd()
    if not made:
        return
    number, fraction = program.draw(st.integers(0, 99)), program.one_of([0.0, 0.3, 0.5, 1.0, 1.7])
    source = program.one_of([f"sample(False, {min(fraction, 1.0)}, {number})", f"sample(True, {fraction}, {number})",
                             f"randomSplit([2, 1, 3.5], {number})[{number % 3}]"])
    program.add(f"{made.name}.{source}", made.kind, made.parts, made.most * 6, made.narrow)


def sampled_by_key(program: Program) -> None:
    made = program.rdd(lambda made: is_pair(made.kind) and not has_list(made.kind[1]))
    if made:
        number = program.draw(st.integers(0, 99))
        again = program.one_of(["False", "True"])
        fractions = "{'a': 0.5, 'b': 1.0, '': 0.2}"
        program.add(f"{made.name}.map(lambda kv: (('', 'a', 'b')[len(repr(kv[0])) % 3], kv[1]))"
                    f".sampleByKey({again}, {fractions}, {number})",
                    pair("text", made.kind[2]), made.parts, made.most * 6, made.narrow)


def _shuffle_arguments(program: Program, made: Made, placed: bool = True) -> tuple[str, int]:
    """``, numPartitions`` and perhaps a function that places, and how many partitions that makes."""
    if program.chance(30):
        return "", max(1, made.parts)
    parts = program.partitions()
    place = f", {program.one_of(PLACES)}" if placed and program.chance(15) else ""
    return f", {parts}{place}", parts


def placed(program: Program) -> None:
    made = program.pairs()
    if made:
        arguments, parts = _shuffle_arguments(program, made)
        arguments = arguments or ", None"
        program.add(f"{made.name}.partitionBy({arguments[2:]})", made.kind, parts, made.most)


def folded_by_key(program: Program) -> None:
    made = program.pairs()
    if not made:
        return
    _, key, value = made.kind
    arguments, parts = _shuffle_arguments(program, made)
    method, table = program.one_of([
        ("reduceByKey", COMMUTATIVE if has_nan(key) else REDUCERS),
        *([] if has_nan(key) else [("aggregateByKey", AGGREGATIONS), ("combineByKey", COMBINATIONS),
                                   ("foldByKey", FOLDS)])])
    function = program.function(table, value)
    if function:
        program.add(f"{made.name}.{method}({function.source}{arguments})", pair(key, function.gives(value)), parts,
                    made.most)


def grouped(program: Program) -> None:
    made = program.pairs()
    if made:
        _, key, value = made.kind
        arguments, parts = _shuffle_arguments(program, made)
        lists = "lambda group: sorted(group, key=repr)" if has_nan(key) else "list"
        program.add(f"{made.name}.groupByKey({arguments[2:]}).mapValues({lists})", pair(key, ("list", value)), parts,
                    made.most)


def grouped_by(program: Program) -> None:
    made = program.rdd()
    function = made and program.function(SORT_KEYS[1:3], made.kind)
    if made and function:
        arguments, parts = _shuffle_arguments(program, made)
        kind = "text" if function.source == "repr" else "int"
        program.add(f"{made.name}.groupBy({function.source}{arguments}).mapValues(list)",
                    pair(kind, ("list", made.kind)), parts, made.most)


def distinct(program: Program) -> None:
    made = program.rdd(lambda made: is_key(made.kind, program.rules.nan_keys))
    if made:
        arguments, parts = _shuffle_arguments(program, made, placed=False)
        program.add(f"{made.name}.distinct({arguments[2:]})", made.kind, parts, made.most)


def joined(program: Program) -> None:
    left = program.pairs()
    right = left and program.rdd(lambda made: is_pair(made.kind) and is_key(made.kind[1], program.rules.nan_keys)
                                 and made.most * left.most <= 2000)
    if not left or not right:
        return
    method = program.one_of(["join", "leftOuterJoin", "rightOuterJoin", "fullOuterJoin"])
    parts = program.partitions()
    arguments = program.one_of([(f", {parts}", parts), ("", left.parts + right.parts)])
    key = left.kind[1] if left.kind[1] == right.kind[1] else "scalar"
    key = "any" if has_nan(left.kind[1]) or has_nan(right.kind[1]) else key
    sides = ["opaque" if has_nan(side.kind[2]) or has_list(side.kind[2]) else "scalar" for side in (left, right)]
    other = program.other(left, right) if arguments[0] else right.name
    program.add(f"{left.name}.{method}({other}{arguments[0]}){program.settled(key)}",
                pair(key, pair(*sides)), arguments[1], left.most * right.most + left.most + right.most)


def cogrouped(program: Program) -> None:
    left, right, third = program.pairs(), program.pairs(), program.pairs()
    if not left or not right or not third:
        return
    parts = program.partitions()
    nans = any(has_nan(made.kind[1]) for made in (left, right, third))
    lists = "sorted(group, key=repr)" if nans else "list(group)"
    source, count = program.one_of([
        (f"cogroup({program.other(left, right)}, {parts})", parts),
        (f"cogroup({right.name})", left.parts + right.parts),
        (f"groupWith({program.other(left, right)}, {third.name})", left.parts + right.parts + third.parts)])
    program.add(f"{left.name}.{source}.mapValues(lambda groups: [{lists} for group in groups])",
                pair("any" if nans else "scalar", ("list", "opaque")), count,
                left.most + right.most + third.most)


def taken_away(program: Program) -> None:
    left = program.rdd(lambda made: is_key(made.kind, program.rules.nan_keys))
    right = program.rdd(lambda made: is_key(made.kind, program.rules.nan_keys))
    if left and right:
        parts = program.partitions()
        source, count = program.one_of([
            (f"subtract({right.name})", left.parts + right.parts), (f"subtract({right.name}, {parts})", parts),
            (f"intersection({right.name})", left.parts + right.parts)])
        program.add(f"{left.name}.{source}", left.kind, count, left.most)


def keys_taken_away(program: Program) -> None:
    left, right = program.pairs(), program.pairs()
    if left and right:
        parts = program.partitions()
        nans = has_nan(left.kind[1])
        program.add(f"{left.name}.subtractByKey({program.other(left, right)}, {parts}){SETTLED if nans else ''}",
                    left.kind, parts, left.most)


def in_order(program: Program) -> None:
    made = program.rdd()
    if not made:
        return

    def key(kind: Kind) -> str:
        return str(program.one_of([function.source for function in SORT_KEYS if function.takes(kind)]))

    ascending = program.one_of(["", ", ascending=False"])
    parts = program.partitions()
    if is_pair(made.kind) and is_ordered(made.kind[1]) and program.chance(40):
        source = f"sortByKey(numPartitions={parts}{ascending})"
    elif is_pair(made.kind) and program.chance(40) and program.rules.sort_by_key_function:
        source = f"sortByKey(numPartitions={parts}, keyfunc={key(made.kind[1])}{ascending})"
    else:
        source = f"sortBy({key(made.kind)}{ascending}, numPartitions={parts})"
    program.add(f"{made.name}.{source}", made.kind, parts, made.most)


def sorted_within(program: Program) -> None:
    made = program.pairs()
    function = made and program.function(SORT_KEYS, made.kind[1])
    if made and function:
        parts, ascending = program.partitions(), program.one_of(["", ", ascending=False"])
        place = f", partitionFunc={program.one_of(PLACES)}" if program.chance(30) else ""
        program.add(f"{made.name}.repartitionAndSortWithinPartitions({parts}{place}, keyfunc={function.source}"
                    f"{ascending})", made.kind, parts, made.most)


TRANSFORMATIONS = (
    new, new_range, row_by_row, row_by_row, row_by_row, by_partition, of_values, numbered, in_lists, key_by, united,
    coalesced, dealt, zipped, crossed, sampled, sampled_by_key, placed, folded_by_key, folded_by_key, grouped,
    grouped_by, distinct, joined, joined, cogrouped, taken_away, keys_taken_away, in_order, in_order, sorted_within,
)


def keep(program: Program) -> None:
    """Persist an RDD, forget one that is kept, or cut the lineage of one; what was cut stays kept."""
    made = program.rdd(lambda made: not made.narrow or program.rules.free_coalesce)
    if not made:
        return
    if program.chance(25):
        program.lines.append(f"{made.name}.{program.one_of(['checkpoint', 'localCheckpoint'])}()")
        program.cut = True
    elif made.name not in program.kept:
        program.lines.append(f"{made.name}.persist(StorageLevel.{program.one_of(program.rules.levels)})")
        program.kept.add(made.name)
    elif not program.cut:
        program.lines.append(f"{made.name}.unpersist()")
        program.kept.remove(made.name)


def _actions(program: Program, made: Made) -> list[str]:
    """Expressions whose value all engines must agree on."""
    kind, number = made.kind, program.draw(st.integers(0, 9))
    actions = ["count()", f"take({number})", "isEmpty()", "getNumPartitions()", "first()", "collect()",
               "partitioner is None", f"aggregate({AGGREGATIONS[3].source})",
               "treeAggregate(0, lambda n, x: n + len(repr(x)), lambda a, b: a + b, 3)",
               f"takeSample(False, {number}, {number})", f"takeSample(True, {number}, {number})",
               f"takeSample(False, {made.most}, {number})",
               "map(lambda x: len(repr(x))).histogram([0, 2, 5, 9.5, 60])",
               f"takeOrdered({number}, key=repr)", f"top({number}, key=lambda x: len(repr(x)))", "max(key=repr)",
               "map(repr).treeReduce(max)", "foreach(lambda x: None)"]
    if program.rules.nan_keys or not has_nan(kind):
        actions += ["map(repr).countByValue()"]
    if is_key(kind, program.rules.nan_keys) and not has_nan(kind):
        actions += ["countByValue()"]
    if kind == "int":
        actions += ["sum()", "fold(0, lambda a, b: a + b)", "reduce(lambda a, b: a + b)", "max()", "min()",
                    f"top({number})", f"takeOrdered({number})"]
    if kind in {"int", "real"}:
        actions += ["mean()", "variance()"]
    if is_pair(kind) and is_key(kind[1], program.rules.nan_keys) and not has_nan(kind[1]):
        actions += ["countByKey()", "collectAsMap()", "reduceByKeyLocally(lambda a, b: a)", "lookup(1)", "lookup('a')",
                    "lookup(None)"] * 2
    return actions


def act(program: Program) -> None:
    made = program.rdd()
    if made:
        program.lines.append(f"print({made.name}.{program.one_of(_actions(program, made))})")


@st.composite
def programs(draw: Any, rules: Rules = FOR_US) -> list[str]:
    """The lines of a program. All its partitions are printed in the end."""
    program = Program(draw, rules)
    new(program)
    for _ in range(draw(st.integers(2, 12))):
        program.one_of(TRANSFORMATIONS)(program)
        if program.chance(20):
            keep(program)
        if program.chance(25):
            act(program)
    last = program.made[-1].name
    program.lines.append(f"print({last}.glom().collect())")
    if program.chance(50):
        program.lines.append(f"print([{last}.partitioner is None, {last}.getNumPartitions()])")
    if program.kept:
        program.lines.append(f"print({program.one_of(sorted(program.kept))}.glom().collect())")
    return program.lines


def generated(numbers: Iterable[int], strategy: st.SearchStrategy[list[str]] | None = None) -> list[list[str]]:
    """The programs of these numbers, always the same ones."""
    return [_of_number(number, programs() if strategy is None else strategy) for number in numbers]


def _of_number(number: int, strategy: st.SearchStrategy[list[str]]) -> list[str]:
    """The second example of a seed: the first is always the simplest one, later ones are like those before."""
    made: list[list[str]] = []
    examples(number, 2)(given(strategy)(lambda lines: made.append(lines)))()
    return made[-1]


def examples(number: int, count: int) -> Callable[[Any], Any]:
    """Decorates a Hypothesis test: so many examples of a seed, the failing one made small."""
    fixed = settings(max_examples=count, database=None, deadline=None, phases=[Phase.generate, Phase.shrink],
                     suppress_health_check=list(HealthCheck))
    return lambda test: seed(number)(fixed(test))
