from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from simspark.publib.flame_graph import INNER, MARGIN, flame_graph, tree
from simspark.publib.sampling_profile import DRIVER_STAGE, Profile
from simspark.publib.wire.messages import TaskSamples

pytestmark = pytest.mark.unit

SVG = "{http://www.w3.org/2000/svg}"


def profile(stacks, name="words.py"):
    """Of {(stage, function, function, ...): times}."""
    made = Profile(name, 100)
    for (stage, *functions), times in stacks.items():
        frames = tuple(("/home/words.py", function, 3, 5, "user") for function in functions)
        made.add(TaskSamples(frames, ((stage, times, tuple(range(len(functions)))),)))
        made.stages[0, stage] = f"map at words.py:{stage}"
    made.executors = {"e1", "e2"}
    return made


def picture(made):
    return ET.fromstring(flame_graph(made, made.folded()))


class Frame:
    def __init__(self, group):
        rect = group.find(f"{SVG}rect")
        self.name = group.get("data-name")
        self.kind = group.get("class")
        self.x, self.y, self.width = (float(rect.get(key)) for key in ("x", "y", "width"))
        self.tooltip = group.find(f"{SVG}title").text
        text = group.find(f"{SVG}text")
        self.text = "" if text is None else text.text


def frames(svg):
    return [Frame(group) for group in svg.find(f"{SVG}g[@id='frames']")]


def named(svg, start):
    return next(frame for frame in frames(svg) if frame.name.startswith(start))


STACKS = {(0, "parse"): 30, (0, "parse", "clean"): 50, (0, "score"): 10, (1, "add"): 5, (DRIVER_STAGE, "main"): 5}


def test_widths_are_shares_and_children_stand_under_their_caller_without_gaps():
    svg = picture(profile(STACKS))
    rows = {}
    for frame in frames(svg):
        rows.setdefault(frame.y, []).append(frame)
    top, stages, functions, deepest = (rows[y] for y in sorted(rows))
    assert [frame.width for frame in top] == [INNER]
    for row in (stages, functions):
        x = MARGIN
        for frame in sorted(row, key=lambda frame: frame.x):
            assert frame.x == pytest.approx(x, abs=0.01)
            x += frame.width
        assert x == pytest.approx(MARGIN + INNER, abs=0.01)
    assert named(svg, "parse").width == pytest.approx(0.8 * INNER, abs=0.01)
    (clean,) = deepest
    assert (clean.x, clean.width) == (named(svg, "parse").x, pytest.approx(0.5 * INNER, abs=0.01))


def test_stages_come_in_their_order_then_the_driver_and_functions_by_their_time():
    svg = picture(profile(STACKS))
    by_place = sorted((frame.y, frame.x, frame.name) for frame in frames(svg))
    assert [name for _, _, name in by_place][1:6] == [
        "stage 0 · map at words.py:0", "stage 1 · map at words.py:1", "driver",
        "parse (words.py:3)", "score (words.py:3)",
    ]  # fmt: skip
    assert {frame.kind for frame in frames(svg)} == {"all", "stage", "driver", "user"}


def test_a_tooltip_says_function_place_share_time_and_samples():
    said = named(picture(profile(STACKS)), "parse").tooltip.splitlines()
    assert said == [
        "parse (words.py:3)", "80.0 % of all, 0.8 s, 80 samples", "/home/words.py", "38 % of it in its own lines",
    ]  # fmt: skip


def test_busy_lines_of_a_function_are_in_its_tooltip():
    made = profile({(0, "parse"): 30})
    made.add(TaskSamples((("/home/words.py", "parse", 3, 9, "user"),), ((0, 10, (0,)),)))
    assert named(picture(made), "parse").tooltip.endswith("busiest lines: 5 (75 %), 9 (25 %)")


def test_a_name_is_cut_to_its_frame_and_left_out_of_narrow_ones():
    names = {"a_function_with_quite_a_long_name": 98, "other_function_of_some_length": 1, "wide" * 9: 10}
    svg = picture(profile({(0, name): times for name, times in names.items()}))
    assert named(svg, "a_function").text == "a_function_with_quite_a_long_name (words.py:3)"
    assert named(svg, "other").text == ""
    assert named(svg, "wide").text.endswith("…")


def test_frames_too_narrow_to_be_seen_are_left_out_with_all_below_them():
    made = profile({(0, "parse"): 1_000_000, (0, "rare", "rarer"): 1})
    assert not [frame for frame in frames(picture(made)) if frame.name.startswith("rare")]


def test_any_text_is_well_formed_xml():
    odd = 'a<b>&"c\x00\x1b\ud800\uffff]]>'
    svg = picture(profile({(0, odd): 5}, name=odd))
    assert named(svg, "a<b>").name.startswith('a<b>&"c????]]>')


def test_the_heading_says_how_much_was_seen_and_whose_it_was():
    texts = [text.text for text in picture(profile(STACKS)).iter(f"{SVG}text")]
    assert texts[:4] == [
        "Where the time of words.py went",
        "0.9 s of tasks on 2 executors, 0.1 s of the driver; 100 samples, 100 a second",
        "your code 100 %", "libraries that it calls 0 %",
    ]  # fmt: skip


def test_the_busiest_lines_are_listed_with_their_source(tmp_path):
    script = tmp_path / "program.py"
    script.write_text("def f(x):\n    return x < 1\n")
    made = Profile("program.py", 100)
    made.add(TaskSamples(((str(script), "f", 1, 2, "user"),), ((0, 10, (0,)),)))
    texts = [text.text for text in picture(made).iter(f"{SVG}text")]
    assert texts[-6] == "Your busiest lines, with what they call"
    assert texts[-5:] == ["100.0 %", "0.1 s", "program.py:2", "f", "return x < 1"]


def test_a_profile_without_samples_is_a_picture_too():
    made = Profile("nothing.py", 100)
    assert [frame.name for frame in frames(picture(made))] == ["0.0 s"]


def test_nothing_is_fetched_from_elsewhere():
    text = flame_graph(made := profile(STACKS), made.folded())
    assert text.count("http") == text.count("http://www.w3.org/")
    assert "href" not in text


def test_samples_add_up_on_every_level():
    def check(node):
        assert node.samples == node.own + sum(child.samples for child in node.children.values())
        for child in node.children.values():
            check(child)

    top = tree(profile(STACKS).folded())
    assert top.samples == sum(STACKS.values())
    check(top)
