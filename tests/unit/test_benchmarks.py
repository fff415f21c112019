"""The benchmark: what it makes of figures and results, and how it watches processes. tests/cluster runs it."""

from __future__ import annotations

import importlib
import json
import marshal
import os
import sys
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

pytestmark = pytest.mark.unit
HERE = os.path.join(os.path.dirname(__file__), "..", "..", "benchmarks")


@pytest.fixture(scope="module", autouse=True)
def benchmarks_are_found():
    before = set(sys.modules)
    sys.path.insert(0, HERE)
    yield
    sys.path.remove(HERE)
    for name in set(sys.modules) - before:
        if os.path.abspath(HERE) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def bench():
    return importlib.import_module("bench")


@pytest.fixture
def report():
    return importlib.import_module("report")


def told(report, scale=1.0, **seconds):
    given = SimpleNamespace(master="local[2]", scale=scale, repeats=3, timeout=100.0)
    runs = {engine: report.Runs(taken, [100.0] * len(taken)) for engine, taken in seconds.items()}
    return report.as_json(given, {"join": runs})


def test_ratios_are_of_medians(report):
    row = told(report, simspark=[1.0, 2.0, 9.0], pyspark=[8.0, 10.0, 8.0], floor=[1.0, 1.0, 1.0])["workloads"]["join"]
    assert row["ratios"] == {"pyspark": 0.25, "floor": 2.0}
    assert row["median_s"]["simspark"] == 2.0


def test_a_row_says_whether_its_goals_are_reached(report):
    table = report.table(told(report, simspark=[2.0], pyspark=[8.0], floor=[1.0]))
    assert "| 0.25 (0.25) ✓ | 2 (1.16) ✗ |" in table
    assert "2.000 (2.000 to 2.000) | 8.000" in table


def test_the_goal_beside_the_floor_has_a_tolerance(report):
    assert "1.4 (1.16) ✓" in report.table(told(report, simspark=[1.4], floor=[1.0]))


def test_goals_are_not_judged_at_another_size(report):
    table = report.table(told(report, scale=0.1, simspark=[2.0], pyspark=[8.0], floor=[1.0]))
    assert "✓" not in table
    assert "✗" not in table


def test_an_engine_that_is_not_here_has_no_figures(report):
    assert "- (0.25)" in report.table(told(report, simspark=[2.0], floor=[1.0]))


def test_the_cluster_is_measured_by_the_time_without_one(report):
    assert "1.25 (1.25) ✓" in report.table(told(report, simspark=[2.0], cluster=[2.5]))
    assert "1.5 (1.25) ✗" in report.table(told(report, simspark=[2.0], cluster=[3.0]))


def test_an_engine_that_took_too_long_has_the_limit_as_its_figure(report):
    figures = told(report, simspark=[2.0], dask=[], floor=[1.0])
    assert "| > 100 |" in report.table(figures)
    assert figures["workloads"]["join"]["ratios"] == {"floor": 2.0}


def test_figures_are_json(report):
    figures = told(report, simspark=[2.0], floor=[1.0])
    assert json.loads(json.dumps(figures)) == figures
    assert figures["machine"]["cores"] >= 1


def test_results_are_the_same_up_to_the_order_of_a_sum(bench):
    assert bench.same([1, 0.1 + 0.2], [1, 0.3])
    assert not bench.same([1, 0.31], [1, 0.3])
    assert not bench.same([1], [1, 2])
    assert not bench.same("a", "b")


def test_an_unknown_workload_or_engine_is_an_error_that_names_those_there_are(bench, capsys):
    for words in (["word_cuont"], ["join", "--against", "flink"]):
        with pytest.raises(SystemExit):
            bench.options(words)
    said = capsys.readouterr().err
    assert "no such workload: word_cuont. There are: start_up," in said
    assert "no such engine: flink. There are: simspark," in said


def test_every_workload_says_what_it_is_and_has_an_rdd_program_and_a_floor():
    for name in importlib.import_module("workloads").NAMES:
        module = importlib.import_module(f"workloads.{name}")
        assert module.TITLE
        assert 0 < module.GOAL.of_pyspark <= 1
        assert hasattr(module, "script") or (hasattr(module, "rdd") and hasattr(module, "floor"))


def test_an_engine_that_is_not_installed_is_left_out_with_a_line(bench, monkeypatch, capsys):
    monkeypatch.setattr(bench, "has", lambda python, module: module != "ray")
    assert bench.installed(["simspark", "ray"], {"simspark": "python", "ray": "python"}) == ["simspark"]
    assert capsys.readouterr().err == "ray is left out: python has no module ray\n"


class Runs:
    """A bench whose runs are told and not made."""

    def __init__(self, bench, results):
        given = bench.options(["join", "--repeats", "2"])
        self.order = []
        self.bench = bench.Bench.__new__(bench.Bench)
        self.bench.__dict__.update(_given=given, _directory="", _engines=["simspark", "floor"], _pythons={}, failures=0)
        self.bench._files = lambda module: __import__("contextlib").nullcontext("")
        self.bench._run = self.run
        self.results = results

    def run(self, name, engine, directory):
        self.order.append(engine)
        return {"seconds": 1.0, "result": self.results[engine]}, SimpleNamespace(peak_mb=1.0)


def test_engines_take_turns_after_the_floor_has_said_what_is_right(bench):
    runs = Runs(bench, {"simspark": 1, "floor": 1})
    figures = runs.bench.measure("join")
    assert runs.order == ["floor", "simspark", "floor", "simspark", "floor"]
    assert figures["simspark"].seconds == [1.0, 1.0]


def test_a_wrong_result_has_no_figures_and_is_not_tried_again(bench, capsys):
    runs = Runs(bench, {"simspark": 2, "floor": 1})
    assert set(runs.bench.measure("join")) == {"floor"}
    assert runs.order.count("simspark") == 1
    assert runs.bench.failures == 1
    assert "simspark, join: its result is 2, and the floor's 1" in capsys.readouterr().err


def test_an_engine_that_took_too_long_is_not_tried_again(bench, capsys):
    runs = Runs(bench, {"simspark": 1, "floor": 1})

    def run(name, engine, directory):
        if engine == "simspark":
            runs.order.append(engine)
            raise bench.Late
        return runs.run(name, engine, directory)

    runs.bench._run = run
    assert runs.bench.measure("join")["simspark"].seconds == []
    assert runs.order.count("simspark") == 1
    assert runs.bench.failures == 0
    assert "simspark, join: not within 100 s" in capsys.readouterr().err


@pytest.mark.parametrize("width", [0, 17], ids=["the middle is the end of a line", "it is within a line"])
def test_halves_of_a_text_are_all_of_it_cut_at_lines(tmp_path, width):
    word_count = importlib.import_module("workloads.word_count")
    text = "".join(f"line {'x' * (n % 17 if width else 0)} {n:04d}\n" for n in range(2000))
    path = tmp_path / "text"
    path.write_text(text)
    halves = ["".join(word_count.chunks(str(path), number)) for number in range(2)]
    assert "".join(halves) == text
    assert all(half.endswith("\n") for half in halves)


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="memory is read from Linux's /proc")
def test_memory_of_a_process_is_seen():
    processes = importlib.import_module("processes")
    assert processes.pss_kb(os.getpid()) > 1000
    assert processes.pss_kb(2**22 + 1) == 0


def test_a_plot_is_svg_with_a_point_for_each_size():
    scaling = importlib.import_module("scaling")
    drawn = ET.fromstring(scaling.svg({"tasks": [(10, 40.0), (100_000, 20.0)], "executors": [(1, 33.3)]}))
    circles = [element for element in drawn.iter() if element.tag.endswith("circle")]
    heights = [float(circle.get("cy")) for circle in circles]
    assert len(circles) == 3
    assert heights[0] < heights[2] < heights[1]  # the dearest is the highest
    assert {"10", "100,000", "by tasks", "by executors"} <= {element.text for element in drawn.iter()}


def test_the_drivers_core_is_measured_with_any_number_of_executors():
    scaling = importlib.import_module("scaling")
    curve = scaling.core_costs(0.001)
    assert [size for size, _ in curve] == list(scaling.EXECUTORS)
    assert all(cost > 0 for _, cost in curve)


def test_single_steps_are_measured_and_do_what_they_say():
    costs = importlib.import_module("costs")
    assert costs.mapped(3000) == sum(x * 2 + 1 for x in range(3000))
    assert sum(map(marshal.loads, costs.written([*range(1500)])), []) == [*range(1500)]
    assert costs.added([2, 3, 2]) == {2: 4, 3: 3}
    assert costs.counted(["a b", "b"]) == {"a": 1, "b": 2}
    assert all(cost > 0 for _, cost in costs.costs(2000))


def test_medians_of_curves_are_taken_point_by_point():
    assert importlib.import_module("scaling").middle([[(1, 1.0)], [(1, 5.0)], [(1, 2.0)]]) == [(1, 2.0)]
