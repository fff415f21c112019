from __future__ import annotations

import json
import os
import sys
import threading
import types

import pytest

from simspark import SparkConf
from simspark.driver import sample_collector
from simspark.driver.conf import driver_settings
from simspark.driver.sample_collector import SampleCollector, Waiting
from simspark.publib import events
from simspark.publib.errors import ConfigError
from simspark.publib.wire.messages import TaskSamples

pytestmark = pytest.mark.unit

SEEN = TaskSamples((("/home/a.py", "parse", 2, 3, "user"),), ((4, 7, (0,)),))


class Stopped:
    """A clock that stands still, so the sampler's thread sees nothing."""

    def now(self):
        return 0.0


def collector(out):
    return SampleCollector("a.py", 100, str(out), Stopped())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.folded", "stage 4 · map at a.py:9;parse (a.py:2) 7\n"),
        ("p.svg", "Where the time of a.py went"),
        ("p.json", '"executors": ["app/1"]'),
    ],
)
def test_what_executors_send_is_written_in_the_form_that_the_name_says(name, text, tmp_path):
    collected = collector(tmp_path / name)
    collected.take("app/1", SEEN)
    collected.handle([events.JobStarted(0, "collect", "a.py:9", "", ((4, "map", "a.py:9", 2),))])
    collected.handle([events.JobEnded(0, "succeeded", "")])
    collected.write("app")
    assert text in (tmp_path / name).read_text()
    assert os.listdir(tmp_path) == [name]


def test_the_applications_id_can_be_in_the_name(tmp_path):
    collector(tmp_path / "{app}.json").write("local-1")
    assert json.loads((tmp_path / "local-1.json").read_text())["name"] == "a.py"


def test_a_file_that_cannot_be_written_is_a_warning_and_leaves_nothing(tmp_path):
    collected = collector(tmp_path / "p.svg")
    (tmp_path / "p.svg").mkdir()
    with pytest.warns(UserWarning, match=r"The profile could not be written to .*p\.svg: Is a directory"):
        collected.write("app")
    assert os.listdir(tmp_path) == ["p.svg"]


def test_a_file_that_cannot_be_is_said_at_the_start(tmp_path):
    with pytest.raises(ConfigError, match=r"is 'p\.png', but must end in \.svg, \.folded or \.json"):
        collector("p.png")
    with pytest.raises(ConfigError, match=r"there is no directory .*/none"):
        collector(tmp_path / "none" / "p.svg")


def test_it_is_off_unless_a_rate_is_set():
    assert driver_settings(SparkConf(False)).profile_sample_hz == 0
    assert driver_settings(SparkConf(False).set("spark.simspark.profile.sample", 50)).profile_sample_hz == 50
    with pytest.raises(ConfigError, match="must be a number of times a second, at most 1000"):
        driver_settings(SparkConf(False).set("spark.simspark.profile.sample", 5000))


def frame_in(file):
    """A frame of code from this file."""
    found = {}
    exec(compile("found['frame'] = sys._getframe()", file, "exec"), {"sys": sys, "found": found})
    return found["frame"]


ENGINES = frame_in(sample_collector.__file__)


def test_a_thread_that_does_nothing_in_simspark_waits_and_one_that_works_or_is_the_users_does_not():
    cpu = [1.0]
    waits = Waiting(lambda: cpu[0])
    assert not waits(ENGINES)
    assert waits(ENGINES)
    assert not waits(frame_in("/home/a.py"))  # the user's own waiting is the user's time
    cpu[0] += 0.005
    assert not waits(ENGINES)
    assert waits(ENGINES)


def test_waiting_for_another_thread_is_whose_it_is_that_asked_for_it(monkeypatch):
    waits = Waiting(lambda: 1.0)
    waits(ENGINES)
    in_threading = types.SimpleNamespace(f_code=types.SimpleNamespace(co_filename=threading.__file__), f_back=ENGINES)
    assert waits(in_threading)
    in_threading.f_back = frame_in("/home/a.py")
    assert not waits(in_threading)


def test_it_watches_the_thread_that_has_the_context_until_the_end(tmp_path):
    collected = collector(tmp_path / "p.svg")
    engine = types.SimpleNamespace(sinks=[], take_samples=None)
    collected.attach(engine)
    assert engine.sinks == [collected.handle] and engine.take_samples == collected.take
    assert list(collected._sampler._watched) == [threading.get_ident()]
    collected.end()
    assert not collected._sampler._watched and collected._sampler._over
