"""Whole programs over real processes, equal to what plain Python gives."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from simspark import SparkConf, SparkContext

pytestmark = pytest.mark.cluster

LICENCES = Path("/usr/share/common-licenses")
WORD = re.compile(r"[a-z]+")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Real texts: a Debian machine's licences, or this project's own words where there are none."""
    found = sorted({path.resolve() for path in LICENCES.glob("*")}) if LICENCES.is_dir() else []
    return found or sorted(Path(__file__).parents[2].glob("*.md"))


def words_of(line: str) -> list[str]:
    return WORD.findall(line.lower())


def test_array_from_memory_is_mapped_and_summed(sc: SparkContext) -> None:
    numbers = list(range(100_000))
    assert sc.parallelize(numbers, 8).map(lambda x: x * 2).reduce(lambda a, b: a + b) == 2 * sum(numbers)


def test_array_from_a_file_is_mapped_and_summed(sc: SparkContext, tmp_path: Path) -> None:
    path = tmp_path / "numbers.txt"
    path.write_text("".join(f"{number}\n" for number in range(50_000)))
    assert sc.textFile(str(path), 7).map(int).map(lambda x: x + 1).sum() == sum(range(1, 50_001))


def test_word_count_equals_plain_python(sc: SparkContext, texts: list[Path]) -> None:
    expected = Counter(word for path in texts for line in path.read_text().splitlines() for word in words_of(line))
    lines = sc.textFile(",".join(map(str, texts)))
    counted = lines.flatMap(words_of).map(lambda word: (word, 1)).reduceByKey(lambda a, b: a + b).collect()
    assert dict(counted) == dict(expected)
    assert len(counted) == len(expected)


def test_inverted_index_equals_plain_python(sc: SparkContext, texts: list[Path]) -> None:
    expected: dict[str, set[str]] = defaultdict(set)
    for path in texts:
        for word in words_of(path.read_text()):
            expected[word].add(path.name)
    pairs = sc.union([
        sc.textFile(str(path), 2).flatMap(words_of).map(lambda word, name=path.name: (word, name)) for path in texts
    ])
    index = pairs.groupByKey().mapValues(lambda names: sorted(set(names))).collect()
    assert dict(index) == {word: sorted(names) for word, names in expected.items()}


def plain_page_rank(links: dict[int, list[int]], rounds: int) -> dict[int, float]:
    ranks = dict.fromkeys(links, 1.0)
    for _ in range(rounds):
        sums: dict[int, float] = defaultdict(float)
        for page, targets in links.items():
            for target in targets:
                sums[target] += ranks[page] / len(targets)
        ranks = {page: 0.15 + 0.85 * total for page, total in sums.items()}
        ranks = {page: ranks[page] for page in links if page in ranks}
    return ranks


def test_page_rank_equals_plain_python(sc: SparkContext) -> None:
    pages = 60
    edges = [(page, (page * 7 + step * step) % pages) for page in range(pages) for step in range(1, 5)]
    edges = sorted(set(edges))
    plain: dict[int, list[int]] = defaultdict(list)
    for page, target in edges:
        plain[page].append(target)
    links = sc.parallelize(edges, 4).groupByKey().cache()
    ranks = links.mapValues(lambda _: 1.0)
    for _ in range(4):
        parts = links.join(ranks).flatMap(
            lambda item: [(target, item[1][1] / len(item[1][0])) for target in item[1][0]]
        )
        ranks = parts.reduceByKey(lambda a, b: a + b).mapValues(lambda total: 0.15 + 0.85 * total)
    expected = plain_page_rank(dict(plain), 4)
    assert dict(ranks.collect()) == pytest.approx(expected)


def test_sort_by_key_orders_all_partitions(sc: SparkContext) -> None:
    pairs = [((number * 7919) % 10_007, number) for number in range(10_007)]
    assert sc.parallelize(pairs, 5).sortByKey(numPartitions=4).collect() == sorted(pairs)


def test_saved_text_is_read_back_and_says_success(sc: SparkContext, tmp_path: Path) -> None:
    target = tmp_path / "out"
    sc.parallelize([f"line {number}" for number in range(1000)], 4).saveAsTextFile(str(target))
    assert sorted(path.name for path in target.iterdir()) == ["_SUCCESS", *(f"part-{part:05d}" for part in range(4))]
    assert sc.textFile(str(target)).collect() == [f"line {number}" for number in range(1000)]


def test_broadcast_reaches_all_tasks_and_accumulators_count_once(sc: SparkContext) -> None:
    table = sc.broadcast({number: str(number) for number in range(1000)})
    seen = sc.accumulator(0)

    def look_up(number: int) -> str:
        seen.add(1)
        return table.value[number]

    assert sc.parallelize(range(1000), 6).map(look_up).collect() == [str(number) for number in range(1000)]
    assert seen.value == 1000


def test_large_partitions_and_results_travel(sc: SparkContext) -> None:
    megabytes = sc.parallelize(range(4), 4).map(lambda number: bytes([number]) * (8 << 20)).collect()
    assert [len(value) for value in megabytes] == [8 << 20] * 4
    assert [value[0] for value in megabytes] == [0, 1, 2, 3]


def test_many_more_tasks_than_slots(sc: SparkContext) -> None:
    assert sc.parallelize(range(2000), 500).map(lambda x: x + 1).count() == 2000


def test_a_raising_function_raises_its_own_type_here(sc: SparkContext) -> None:
    with pytest.raises(ZeroDivisionError):
        sc.parallelize(range(10), 2).map(lambda x: 1 // (x - 7)).collect()
    assert sc.parallelize(range(10), 2).sum() == 45


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("size", [300 << 10, 6 << 20])
@pytest.mark.parametrize("over_network", [False, True])
@pytest.mark.parametrize("master", ["local[2]", "local-cluster[2,1,512]"])
def test_programs_too_large_for_a_message_travel_as_files(master: str, over_network: bool, size: int) -> None:
    settings = SparkConf().set("spark.simspark.autoBroadcast", "0").set("spark.executor.memory", "512m")
    settings.set("spark.simspark.blocks.overNetwork", over_network)
    data = bytes(range(256)) * (size // 256)
    with SparkContext(master, conf=settings) as context:
        assert context.parallelize([1, 2], 2).map(lambda x: len(data) + data[x]).collect() == [size + 1, size + 2]


@pytest.mark.parametrize("master", ["local[1]", "local-cluster[1,1,512]"])
def test_executors_have_the_variables_that_the_program_gives_them(master: str) -> None:
    conf = SparkConf().setExecutorEnv("SIMSPARK_TEST_REGION", "north")
    names = ["SIMSPARK_TEST_REGION", "SIMSPARK_TEST_CITY"]
    with SparkContext(master, "variables", conf=conf, environment={"SIMSPARK_TEST_CITY": "Umeå"}) as sc:
        assert sc.parallelize(names, 1).map(os.getenv).collect() == ["north", "Umeå"]
    assert not os.environ.keys() & set(names)


@pytest.mark.parametrize(("inherited", "given", "expected"), [("", "", "1"), ("5", "", "5"), ("5", "3", "3")])
@pytest.mark.parametrize("master", ["local[2]", "local-cluster[1,1,512]"])
def test_numerical_libraries_have_threads_for_their_executor_and_not_for_the_machine(
        monkeypatch: pytest.MonkeyPatch, master: str, inherited: str, given: str, expected: str) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if inherited:
        monkeypatch.setenv("OMP_NUM_THREADS", inherited)
    conf = SparkConf().setExecutorEnv("OMP_NUM_THREADS", given) if given else SparkConf()
    with SparkContext(master, "threads", conf=conf) as sc:
        assert sc.parallelize(["OMP_NUM_THREADS"], 1).map(os.getenv).collect() == [expected]
