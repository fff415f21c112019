from __future__ import annotations

import json
import os
import sys
import threading
import types

import pytest

from simspark import SparkConf
from simspark.driver import job, sample_collector
from simspark.driver.conf import driver_settings
from simspark.driver.sample_collector import SampleCollector, is_waiting
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
    collected.handle(events.JobStarted(0, "collect", "a.py:9", "", ((4, "map", "a.py:9", 2),)))
    collected.handle(events.JobEnded(0, "succeeded", ""))
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


def frame_of(wait, *arguments):
    """Where a thread is that waits in a call; it is released afterwards."""
    thread = threading.Thread(target=wait, args=arguments, daemon=True)
    thread.start()
    while True:
        frame = sys._current_frames()[thread.ident]
        if frame.f_code is not thread.run.__func__.__code__ and frame.f_code.co_name in {"wait", "acquire_it"}:
            return frame


def test_waiting_for_a_job_or_for_a_part_of_simspark_does_not_count():
    running = job.RunningJob(None, {}, {})
    assert is_waiting(frame_of(running.wait))
    event = threading.Event()
    engine = types.FunctionType(compile("event.wait()", sample_collector.__file__, "exec"), {"event": event})
    assert is_waiting(frame_of(engine))
    assert not is_waiting(frame_of(event.wait))  # the user's own waiting is the user's time
    running.finish(None)
    event.set()


def test_it_watches_the_thread_that_has_the_context_until_the_end(tmp_path):
    collected = collector(tmp_path / "p.svg")
    engine = types.SimpleNamespace(sinks=[], take_samples=None)
    collected.attach(engine)
    assert engine.sinks == [collected.handle] and engine.take_samples == collected.take
    assert list(collected._sampler._watched) == [threading.get_ident()]
    collected.end()
    assert not collected._sampler._watched and collected._sampler._over
