"""Real sizes: ten million integers, 200 MB of text, partitions of 100 MB. Slow; ``.ci/run`` samples them.

``SIMSPARK_LARGE_TEXT=2000,256`` has 2,000 MB of text sorted and grouped by executors of 256 MiB: 4 minutes on 2 cores.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from simspark import SparkConf, SparkContext

from .lines import added, counted, in_order, keyed, keyed_by_prefix, most_resident_mib
from .test_cluster_faults import cluster as cluster  # noqa: PLC0414 (a fixture)

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(300)]

INTEGERS = 10_000_000
EXPECTED = 3 * INTEGERS * (INTEGERS - 1) // 2 + INTEGERS
LICENCES = Path("/usr/share/common-licenses")
TEXT_MB, EXECUTOR_MIB = map(int, os.environ.get("SIMSPARK_LARGE_TEXT", "200,64").split(","))
LINE_BYTES = 100
REDUCERS = 8


@pytest.fixture(params=["local[2]", "local-cluster[2,1,512]", "cluster"])
def context(request: pytest.FixtureRequest, scratch: Path) -> Iterator[SparkContext]:
    """A context on each kind of master; the last on daemons that others could share."""
    master = request.param
    if master == "cluster":
        request.getfixturevalue("cluster")
        master = os.environ["SIMSPARK_MASTER"]
    with SparkContext(master, conf=SparkConf().set("spark.executor.memory", "512m")) as made:
        yield made


def scaled(number: int) -> int:
    return 3 * number + 1


def test_ten_million_integers_from_memory(context: SparkContext) -> None:
    assert context.parallelize(list(range(INTEGERS)), 8).map(scaled).sum() == EXPECTED


def test_ten_million_integers_from_a_file(context: SparkContext, tmp_path: Path) -> None:
    path = tmp_path / "integers.txt"
    with path.open("w") as file:
        for start in range(0, INTEGERS, 100_000):
            file.write("\n".join(map(str, range(start, start + 100_000))) + "\n")
    assert context.textFile(str(path), 8).map(int).map(scaled).sum() == EXPECTED


@pytest.fixture(scope="module")
def text_of_200_mb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The licences over and over, each time with words of its own."""
    sources = sorted(LICENCES.glob("*")) if LICENCES.is_dir() else sorted(Path(__file__).parents[2].glob("*.md"))
    text = "".join(path.read_text() for path in sources if path.is_file())
    path = tmp_path_factory.mktemp("text") / "text.txt"
    with path.open("w") as file:
        for copy in range(200_000_000 // len(text) + 1):
            file.write(text)
            file.write(" ".join(f"word{copy}x{number}" for number in range(300)) + "\n")
    return path


@pytest.mark.parametrize("master", ["local[2]", "local-cluster[2,1,512]"])
def test_word_count_of_200_mb_equals_plain_python(master: str, scratch: Path, text_of_200_mb: Path) -> None:
    expected: Counter[str] = Counter()
    with text_of_200_mb.open() as file:
        for line in file:
            expected.update(line.split())
    with SparkContext(master) as sc:
        words = sc.textFile(str(text_of_200_mb), 8).flatMap(str.split)
        counted = words.map(lambda word: (word, 1)).reduceByKey(lambda a, b: a + b).collectAsMap()
    assert counted == dict(expected)


def test_partitions_of_100_mb_are_shuffled_and_come_back(context: SparkContext) -> None:
    size = 100 << 20
    blocks = context.parallelize(range(2), 2).map(lambda number: (number, bytes([number + 65]) * size))
    moved = blocks.partitionBy(2).mapValues(lambda value: (len(value), value[:1], value[-1:])).collect()
    assert sorted(moved) == [(0, (size, b"A", b"A")), (1, (size, b"B", b"B"))]
    assert [len(value) for value in blocks.values().collect()] == [size, size]


@pytest.fixture(scope="module")
def shuffled_lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lines of 100 bytes: a random key of 10 and the number of the line."""
    path = tmp_path_factory.mktemp("lines") / "lines.txt"
    chance = random.Random(100)
    with path.open("w") as file:
        for row in range(TEXT_MB * 1_000_000 // LINE_BYTES):
            file.write(f"{chance.getrandbits(40):010x}{row:089d}\n")
    return path


def most_memory_mib(sc: SparkContext) -> int:
    """The most that any of the executors has had resident, shared pages too: never less than its PSS."""
    return max(sc.parallelize(range(2), 2).map(most_resident_mib).collect())


@pytest.mark.timeout(1200)
def test_more_text_than_memory_is_sorted_and_grouped_within_the_limit_of_the_executors(
        scratch: Path, shuffled_lines: Path) -> None:
    rows = TEXT_MB * 1_000_000 // LINE_BYTES
    with SparkContext(f"local-cluster[2,1,{EXECUTOR_MIB}]") as sc:
        lines = sc.textFile(str(shuffled_lines))
        parts = lines.map(keyed).sortByKey(numPartitions=REDUCERS).mapPartitions(in_order).collect()
        assert len(parts) == REDUCERS
        assert all(parts[at][1] <= parts[at + 1][0] for at in range(REDUCERS - 1))
        assert (sum(part[2] for part in parts), sum(part[3] for part in parts)) == (rows, sum(range(rows)))
        assert most_memory_mib(sc) <= EXECUTOR_MIB
        groups = lines.map(keyed_by_prefix).groupByKey(REDUCERS).map(counted).reduce(added)
        assert groups == (16**4, rows, sum(range(rows)))
        assert most_memory_mib(sc) <= EXECUTOR_MIB
