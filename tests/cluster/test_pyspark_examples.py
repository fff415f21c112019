"""PySpark's own examples run with only their import lines changed, and give what plain Python gives.

They come with PySpark, or are in the directory that SIMSPARK_SPARK_EXAMPLES names (examples/src/main/python of Spark).
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from random import Random

import pytest

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
MASTERS = ["local[2]", "local-cluster[2,1,512]"]
TEN_SLOTS = dict(zip(MASTERS, ["local[10]", "local-cluster[2,5,512]"]))
IMPORT = re.compile(r"^(from|import) pyspark\b", re.MULTILINE)


NAMED = os.environ.get("SIMSPARK_SPARK_EXAMPLES")  # read here: tests do not see the settings of who runs them


def examples():
    if NAMED:
        return Path(NAMED)
    pyspark = importlib.util.find_spec("pyspark")
    inside = Path(pyspark.origin).parent / "examples/src/main/python" if pyspark is not None else None
    if inside is None or not inside.is_dir():
        pytest.skip("PySpark's examples are not here: install pyspark, or set SIMSPARK_SPARK_EXAMPLES")
    return inside


STARTER = """
import runpy, sys
from simspark import SparkContext
SparkContext.setSystemProperty("spark.default.parallelism", "2")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(params=MASTERS)
def run(request, scratch, tmp_path):
    """Run an example of PySpark's, with its import lines changed; its output."""

    def run(program, *arguments, master=request.param, starter=()):
        text = (examples() / program).read_text(encoding="utf-8")
        changed = tmp_path / program
        changed.write_text(IMPORT.sub(r"\1 simspark", text))
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "SIMSPARK_MASTER": master,
                       "PYTHONWARNINGS": "ignore::DeprecationWarning"}  # fmt: skip
        done = subprocess.run(
            [sys.executable, *starter, str(changed), *map(str, arguments)],
            capture_output=True, text=True, timeout=90, check=False, env=environment,
        )  # fmt: skip
        errors = [line for line in done.stderr.splitlines() if not is_warning(line)]
        assert (done.returncode, errors) == (0, []), done.stderr
        return done.stdout

    return run


def is_warning(line):
    """The examples say on stderr that they are naive."""
    said = ("WARN: This is a naive", "as an example!", "example on how", "example. Please", "conventional use",
            "Please refer", "given as an example", "to see how")  # fmt: skip
    return not line.strip() or any(part in line for part in said)


def test_pi(run):
    assert re.fullmatch(r"Pi is roughly 3\.1\d{5}\n", run("pi.py", 2))


def test_wordcount(run, tmp_path):
    text = "to be or not to be\n\nthat  is the question\nto be"
    (tmp_path / "words.txt").write_text(text)
    counts = Counter(word for line in text.split("\n") for word in line.split(" "))
    assert Counter(run("wordcount.py", tmp_path / "words.txt").splitlines()) == Counter(
        f"{word}: {count}" for word, count in counts.items()
    )


def test_sort(run, tmp_path):
    numbers = [Random(5).randrange(-500, 500) for _ in range(400)]
    (tmp_path / "numbers.txt").write_text("\n".join(f"{a} {b}" for a, b in zip(*[iter(numbers)] * 2)))
    assert list(map(int, run("sort.py", tmp_path / "numbers.txt").split())) == sorted(numbers)


def test_kmeans(run, tmp_path):
    random = Random(3)
    middles = [(0.0, 0.0), (50.0, 50.0)]
    points = [[random.gauss(at, 1) for at in middle] for middle in middles for _ in range(50)]
    (tmp_path / "points.txt").write_text("\n".join(f"{x:.4f} {y:.4f}" for x, y in points))
    said = run("kmeans.py", tmp_path / "points.txt", 2, 0.001)
    found = sorted(float(number) for number in re.findall(r"-?\d+\.\d+", said))
    means = [sum(points[row][axis] for row in rows) / 50 for rows in (range(50), range(50, 100)) for axis in (0, 1)]
    assert found == pytest.approx(sorted(means), abs=1e-3)


def test_pagerank(run, tmp_path):
    links = [("1", "2"), ("1", "3"), ("1", "4"), ("2", "1"), ("3", "1"), ("4", "1"), ("4", "1")]
    (tmp_path / "links.txt").write_text("\n".join(" ".join(link) for link in links))
    said = run("pagerank.py", tmp_path / "links.txt", 10)
    ranks = {page: float(rank) for page, rank in re.findall(r"(\d) has rank: (\S+)\.\n", said)}
    assert ranks == pytest.approx(page_ranks(sorted(set(links)), 10))


def page_ranks(links, rounds):
    targets = defaultdict(list)
    for page, target in links:
        targets[page].append(target)
    ranks = dict.fromkeys(targets, 1.0)
    for _ in range(rounds):
        given = defaultdict(float)
        for page, rank in ranks.items():
            for target in targets[page]:
                given[target] += rank / len(targets[page])
        ranks = {page: 0.15 + 0.85 * share for page, share in given.items()}
    return ranks


def test_transitive_closure(run):
    random = Random(42)
    edges = set()
    while len(edges) < 200:
        edge = random.randrange(0, 100), random.randrange(0, 100)
        if edge[0] != edge[1]:
            edges.add(edge)
    # joins and unions add partitions up, here as in PySpark: 65,534 in the last round, unless a setting says how many
    assert run("transitive_closure.py", 2, starter=("-c", STARTER)) == f"TC has {len(closure(edges))} edges\n"


def closure(edges):
    after = defaultdict(set)
    for source, target in edges:
        after[source].add(target)
    paths = set()
    for start in list(after):
        waiting = list(after[start])
        while waiting:
            place = waiting.pop()
            if (start, place) not in paths:
                paths.add((start, place))
                waiting.extend(after[place])
    return paths


def test_als(run):
    np = pytest.importorskip("numpy")
    said = run("als.py", 10, 15, 3, 2, 2)
    expected = list(als_errors(np, 10, 15, 3, 2))
    assert list(map(float, re.findall(r"RMSE: (\S+)", said))) == pytest.approx(expected, abs=1e-3)


def als_errors(np, movies, users, features, rounds):
    np.random.seed(42)
    ratings = np.random.rand(movies, features) @ np.random.rand(users, features).T
    of_movies, of_users = np.random.rand(movies, features), np.random.rand(users, features)
    for _ in range(rounds):
        of_movies = solved(np, of_users, ratings.T)
        of_users = solved(np, of_movies, ratings)
        yield np.sqrt(np.mean((ratings - of_movies @ of_users.T) ** 2))


def solved(np, fixed, ratings):
    square = fixed.T @ fixed + 0.01 * len(fixed) * np.eye(fixed.shape[1])
    return np.linalg.solve(square, fixed.T @ ratings).T


def test_logistic_regression(run, tmp_path):
    np = pytest.importorskip("numpy")
    random = np.random.RandomState(1)
    labels = random.choice([-1.0, 1.0], size=30)
    values = random.rand(30, 10) + labels[:, None]
    rows = np.round(np.column_stack([labels, values]), 4)
    (tmp_path / "points.txt").write_text("\n".join(" ".join(map(str, row)) for row in rows))
    said = run("logistic_regression.py", tmp_path / "points.txt", 3)
    first, last = (np.array(list(map(float, text.split()))) for text in re.findall(r"w: \[([^]]*)\]", said))
    labels, values = rows[:, 0], rows[:, 1:]
    for _ in range(3):
        first -= ((1 / (1 + np.exp(-labels * (values @ first))) - 1) * labels * values.T).sum(1)
    assert last == pytest.approx(first, abs=1e-4)


def test_status_api_demo(run, request):
    said = run("status_api_demo.py", master=TEN_SLOTS[request.node.callspec.params["run"]])
    results = re.search(r"Job results are: (\[.*\])", said)
    assert sorted(eval(results.group(1))) == [(number, 1) for number in range(10)]
    assert re.search(r"Job 0 status:  RUNNING\nStage \d+: 10 tasks total \(\d+ active, \d+ complete\)", said)
