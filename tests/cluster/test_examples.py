"""The programs in examples/ as a reader runs them, on small input, and the demonstration made of two of them."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
TRUTH = {"a.txt": "The cat sat.\nThe mat!\n", "b.txt": "A cat's mat\n\nthe end"}


@pytest.fixture
def run(scratch: Path):
    """Run an example on two local executors; its output."""

    def run(program, *arguments, **variables):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "SIMSPARK_MASTER": "local[2]", **variables}
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / program), *map(str, arguments)],
            capture_output=True, text=True, timeout=60, check=False, env=environment,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@pytest.fixture
def texts(tmp_path: Path):
    for name, text in TRUTH.items():
        (tmp_path / name).write_text(text)
    return [tmp_path / name for name in TRUTH]


def test_each_example_has_a_test_here():
    source = Path(__file__).read_text(encoding="utf-8")
    assert [path.name for path in sorted(EXAMPLES.glob("*.py")) if f'run("{path.name}"' not in source] == []


def test_sum_of_an_array_in_memory(run):
    assert f"sum: {sum(3 * number + 1 for number in range(1000))}\n" in run("sum_array.py", "--count", "1000")


def test_sum_of_an_array_in_a_file(run, tmp_path):
    file = tmp_path / "numbers.txt"
    file.write_text("\n".join(map(str, range(-500, 700))))
    assert f"sum: {sum(3 * number + 1 for number in range(-500, 700))}\n" in run("sum_array.py", file)


def test_word_count(run, texts):
    counts = Counter(re.findall(r"[a-z']+", " ".join(TRUTH.values()).lower()))
    said = run("wordcount.py", *texts, "--top", 3)
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
    assert said == f"{sum(counts.values())} words, {len(counts)} different\n" + "".join(
        f"{count:>9,}  {word}\n" for word, count in ordered
    )


def test_inverted_index(run, texts, tmp_path):
    said = run("inverted_index.py", *texts, "--word", "mat", "--word", "end", "--word", "dog", "--save", tmp_path / "i")
    assert said == "7 words in 2 files\nmat: a.txt, b.txt\nend: b.txt\ndog: nowhere\n"
    saved = sorted(line for part in (tmp_path / "i").glob("part-*") for line in part.read_text().splitlines())
    assert saved[:2] == ["a\tb.txt", "cat\ta.txt b.txt"]
    assert len(saved) == 7


def test_page_rank(run, tmp_path):
    links = tmp_path / "links.txt"
    links.write_text("home a\nhome b\na home\nb home\n")
    ranks = {page: float(rank) for rank, page in map(str.split, run("pagerank.py", links).splitlines())}
    assert ranks["home"] > 1.3
    assert ranks["a"] == ranks["b"] < 0.9
    assert len(run("pagerank.py", "--pages", 50, "--rounds", 2).splitlines()) == 10


def test_pi(run):
    assert re.fullmatch(r"pi is about 3\.\d{5}\n", run("pi.py", 20_000))


def test_k_means(run, tmp_path):
    chance = random.Random(7)
    places = [(0.0, 0.0), (8.0, 1.0), (3.0, 9.0)]
    points = [[chance.gauss(value, 0.5) for value in place] for place in places for _ in range(40)]
    file = tmp_path / "points.txt"
    file.write_text("\n".join(" ".join(map(repr, point)) for point in points))
    first, *centres = run("kmeans.py", file, "--clusters", 3).splitlines()
    assert re.fullmatch(r"120 points, 3 clusters, \d+ rounds", first)
    means = sorted([sum(point[axis] for point in points[start : start + 40]) / 40 for axis in (0, 1)]
                   for start in (0, 40, 80))  # fmt: skip
    assert [list(map(float, centre.split())) for centre in centres] == [pytest.approx(mean, abs=1e-3) for mean in means]
    assert run("kmeans.py", "--points", 500).startswith("500 points, 3 clusters, ")


def test_transitive_closure(run, tmp_path):
    file = tmp_path / "edges.txt"
    file.write_text("a b\nb c\nc d\nd b\nx y\n")
    # from a to b, c, d; from each of b, c, d to all three; from x to y
    assert run("transitive_closure.py", file).startswith("13 pairs after ")
    assert run("transitive_closure.py", "--vertices", 5, "--edges", 20).startswith("25 pairs after ")


def test_logistic_regression(run, tmp_path):
    chance = random.Random(11)
    points = [(chance.uniform(-1, 1), chance.uniform(-1, 1)) for _ in range(300)]
    file = tmp_path / "points.txt"
    file.write_text("\n".join(f"{1 if x > y else -1},{x},{y}" for x, y in points))
    said = run("logistic_regression.py", file, "--rounds", 30)
    assert float(re.search(r"([\d.]+)% on the right side", said).group(1)) > 97
    _, right, left = map(float, re.search(r"weights: (.*)", said).group(1).split())
    assert right > 2 and left == pytest.approx(-right, rel=0.2)
    assert "400 points" in run("logistic_regression.py", "--points", 400, "--rounds", 2)


def test_alternating_least_squares(run, tmp_path):
    file = tmp_path / "ratings.txt"
    file.write_text("".join(f"u{user} i{item} {(1 + user) * (2 + item)}\n" for user in range(6) for item in range(5)))
    errors = [float(error) for error in re.findall(r"error (\S+)", run("als.py", file, "--rank", 1, "--rounds", 3))]
    assert len(errors) == 3 and errors[-1] < 0.05  # the ratings are products, which one number each explains
    made_up = [float(error) for error in re.findall(r"error (\S+)", run("als.py", "--users", 20, "--items", 15))]
    assert made_up == sorted(made_up, reverse=True) and made_up[-1] < 0.05


def test_the_demonstration_leaves_nothing_not_even_in_the_home_of_who_ran_it(tmp_path, scratch):
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith(("SIMSPARK_", "XDG_"))},
        "HOME": str(tmp_path), "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "simspark.cli.simspark", "demo", "--integers", "1000"],
        capture_output=True, text=True, timeout=60, check=False, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "sum: 1499500\n" in done.stdout
    assert [str(path) for folder in (tmp_path, scratch) for path in folder.rglob("*")] == []
