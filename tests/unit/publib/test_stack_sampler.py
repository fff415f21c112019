from __future__ import annotations

import json
import os
import sys
import threading

import pytest

import simspark
from simspark.publib import stack_sampler
from simspark.publib.stack_sampler import StackSampler, kind_of
from simspark.publib.wire import codec

pytestmark = pytest.mark.unit

ME = threading.get_ident()


class Watch:
    """A sampler of this thread whose clock stands still; ``at`` is where this thread is said to be."""

    def __init__(self, rate_hz=10.0, **options):
        self.time_s = 0.0
        self.sent = []
        self.at = None
        self.sampler = StackSampler(rate_hz, self, self.sent.append, stacks=lambda: {ME: self.at}, **options)

    def now(self):
        return self.time_s

    def look(self, time_s, frame=None):
        self.time_s = time_s
        self.at = frame or sys._getframe(1)
        self.sampler.look(time_s)

    def counts(self):
        self.sampler.flush()
        return [(stage, times) for message in self.sent for stage, times, _ in message.stacks]


def here():
    return sys._getframe(1)


def innermost(message):
    return message.frames[message.stacks[0][2][-1]]


def test_a_look_counts_for_the_stage_that_the_thread_works_for():
    watch = Watch()
    watch.sampler.begin(3)
    for time_s in (0.0, 0.1):
        watch.look(time_s)
    watch.sampler.end()
    watch.look(0.2)
    assert watch.counts() == [(3, 2)]
    file, function, first, line, kind = innermost(watch.sent[0])
    assert (file, function, kind) == (__file__, "test_a_look_counts_for_the_stage_that_the_thread_works_for", "user")
    assert first < line


def test_before_it_is_due_nothing_is_looked_at():
    watch = Watch()
    watch.sampler.begin(1)
    watch.look(0.0)
    watch.look(0.05)
    assert watch.counts() == [(1, 1)]


def test_a_late_look_counts_for_all_that_were_due_since_the_work_began():
    watch = Watch()
    watch.sampler.begin(1)
    watch.look(0.55)  # due at 0.0, 0.1 ... 0.5
    watch.sampler.end()
    watch.time_s = 0.75
    watch.sampler.begin(2)
    watch.look(1.05)  # due at 0.8, 0.9 and 1.0, and at 0.6 and 0.7 for nobody
    assert watch.counts() == [(1, 6), (2, 3)]


def test_work_that_began_after_the_look_was_due_does_not_count():
    watch = Watch()
    watch.time_s = 0.01
    watch.sampler.begin(1)
    watch.look(0.02)
    assert watch.counts() == []


def test_what_was_due_while_nobody_was_watched_is_passed_over_and_the_times_stay():
    watch = Watch()
    watch.sampler._pass_over(0.35)
    watch.sampler.begin(1)
    watch.look(0.39)
    assert watch.counts() == []
    watch.look(0.41)
    assert watch.counts() == [(1, 1)]


def test_stacks_are_seen_from_the_task_on():
    def task():
        inner()

    def inner():
        watch.look(0.0)

    watch = Watch(outermost=test_stacks_are_seen_from_the_task_on.__code__)
    watch.sampler.begin(1)
    task()
    watch.sampler.flush()
    assert [frame[1].rpartition(".")[2] for frame in watch.sent[0].frames] == ["task", "inner"]


def test_of_a_deep_recursion_the_outermost_functions_are_kept():
    watch = Watch()
    watch.sampler.begin(1)

    def down(depth):
        if depth:
            down(depth - 1)
        else:
            watch.look(0.0, here())

    down(300)
    watch.sampler.flush()
    (_, _, stack), = watch.sent[0].stacks
    assert len(stack) == stack_sampler.DEEPEST
    assert not watch.sent[0].frames[stack[0]][1].endswith("down")


def test_moments_of_waiting_do_not_count():
    def wait():
        watch.look(0.0)

    watch = Watch(waits=lambda frame: frame.f_code.co_name == "wait")
    watch.sampler.begin(1)
    wait()
    watch.look(0.1)
    assert watch.counts() == [(1, 1)]


@pytest.fixture
def intervals(monkeypatch):
    """The switch intervals that are asked for."""
    asked = []
    monkeypatch.setattr(sys, "setswitchinterval", asked.append)
    return asked


def test_after_looks_that_were_dear_it_waits_longer_for_the_lock_and_shorter_again_after_cheap_ones(intervals):
    sampler = Watch(soon_s=0.001).sampler
    cheap, dear = stack_sampler.DEAR_S / 2, stack_sampler.DEAR_S * 2
    for _ in range(50):
        sampler._pace(cheap)
    assert intervals == []
    for _ in range(3):
        sampler._pace(dear)
    assert intervals == [0.004, 0.005]  # 0.005 is what the interpreter begins with
    for _ in range(50):
        sampler._pace(cheap)
    assert intervals[2:] == [0.0025, 0.00125, 0.001]


def test_at_the_end_the_interpreter_is_as_it_was(intervals):
    watch = Watch()
    watch.sampler.stop()
    assert intervals == [sys.getswitchinterval()]


def test_it_sends_by_itself_every_second():
    watch = Watch()
    watch.sampler.begin(1)
    watch.look(0.9)
    assert watch.sent == []
    watch.look(1.0)
    assert len(watch.sent) == 1
    assert sum(times for _, times in watch.counts()) == 11
    assert len(watch.sent) == 1  # nothing was left


def test_the_largest_message_can_be_sent(monkeypatch):
    """So many different lines that the sampler is full, each with names as long as they get."""
    monkeypatch.setattr(stack_sampler, "SEND_EVERY_S", 1e9)
    watch = Watch(rate_hz=8)
    watch.sampler.begin(1)
    name = "f" + "é" * 300
    calls = "\n".join(f"  if depth == {depth}: return {name}({depth + 1})" for depth in range(120))
    for number in range(30):
        scope = {"watch": watch, "here": here}
        code = f"def {name}(depth):\n{calls}\n  watch.look(watch.time_s + 0.125, here())"
        exec(compile(code, "/" + "ü" * 500 + str(number), "exec"), scope)
        scope[name](0)
    watch.sampler.flush()
    sizes = [len(codec.encode(1, 1, message)) for message in watch.sent]
    assert 100_000 < max(sizes) < codec.limit_bytes(type(watch.sent[0]))
    assert len(watch.sent[0].frames) >= stack_sampler.MOST_FRAMES
    assert codec.decode(codec.encode(1, 1, watch.sent[0]))[2] == watch.sent[0]
    assert sum(times for message in watch.sent for _, times, _ in message.stacks) == 31  # the one at 0 s was due, too


def test_what_many_threads_do_at_once_is_only_counted_when_there_is_no_room(monkeypatch):
    monkeypatch.setattr(stack_sampler, "MOST_STACKS", 3)
    monkeypatch.setattr(stack_sampler, "SEND_EVERY_S", 1e9)
    watch = Watch()
    watch.sampler._watched = {number: (number, 0.0) for number in range(9)}
    watch.sampler._stacks = lambda: dict.fromkeys(range(9), here())
    watch.look(0.0)
    (message,) = watch.sent
    assert [len(stack) > 0 for _, _, stack in message.stacks] == [True] * 3 + [False] * 6
    assert sum(times for _, times, _ in message.stacks) == 9


def test_names_that_utf_8_lacks_do_not_end_the_executor():
    watch = Watch()
    watch.sampler.begin(1)
    scope = {"watch": watch, "here": here}
    exec(compile("watch.look(0.0, here())", "odd\udc80.py", "exec"), scope)
    watch.sampler.flush()
    codec.encode(1, 1, watch.sent[0])
    assert any(frame[0] == "odd?.py" for frame in watch.sent[0].frames)


def test_whose_code_is_in_a_file():
    package = os.path.dirname(simspark.__file__)
    assert kind_of(os.path.join(package, "publib", "row.py")) == "engine"
    assert kind_of(os.path.join(package, "examples", "wordcount.py")) == "user"
    assert kind_of(json.__file__) == "library"
    assert kind_of("/opt/venv/lib/python3.12/site-packages/numpy/core.py") == "library"
    assert kind_of("<frozen importlib._bootstrap>") == "library"
    assert kind_of("/home/ada/program.py") == kind_of("<stdin>") == "user"
