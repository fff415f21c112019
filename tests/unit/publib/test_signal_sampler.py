from __future__ import annotations

import os
import signal
import sys

import pytest

from simspark.publib import signal_sampler
from simspark.publib.signal_sampler import SignalSampler

pytestmark = pytest.mark.unit


class Watch:
    """A sampler of this thread at 100 samples a second, on times that the test makes, without signals."""

    def __init__(self, monkeypatch):
        self.time_s = self.cpu_s = self.delayed_s = 0.0
        self.sent = []
        monkeypatch.setattr(signal_sampler, "thread_cpu_s", lambda: self.cpu_s)
        monkeypatch.setattr(os, "pread", lambda *_: f"{self.cpu_s * 1e9:.0f} {self.delayed_s * 1e9:.0f} 1\n".encode())
        for name in ("signal", "siginterrupt", "setitimer"):
            monkeypatch.setattr(signal, name, lambda *_: None)
        monkeypatch.setattr(os, "open", lambda *_: -1)
        self.sampler = SignalSampler(100, self, self.sent.append)

    def now(self):
        return self.time_s

    def computes(self, seconds):
        self.time_s += seconds
        self.cpu_s += seconds

    def signal(self):
        self.sampler._on_signal(signal.SIGPROF, sys._getframe(1))

    def counts(self):
        self.sampler.flush()
        return [(stage, times) for message in self.sent for stage, times, _ in message.stacks]


@pytest.fixture
def watch(monkeypatch):
    return Watch(monkeypatch)


def test_a_signal_counts_for_the_processor_time_since_the_one_before(watch):
    watch.sampler.begin(3)
    watch.computes(0.255)  # one long function of C, in which no signal is heard
    watch.signal()
    assert watch.counts() == [(3, 25)]
    (_, _, stack), = watch.sent[0].stacks
    assert watch.sent[0].frames[stack[-1]][1] == "test_a_signal_counts_for_the_processor_time_since_the_one_before"


def test_what_is_left_of_a_task_counts_in_the_next_and_what_was_between_does_not(watch):
    watch.sampler.begin(1)
    watch.computes(0.006)
    watch.signal()
    watch.sampler.end()
    watch.computes(5.0)
    watch.signal()
    watch.sampler.begin(2)
    watch.computes(0.006)
    watch.signal()
    assert watch.counts() == [(2, 1)]


def test_a_signal_while_the_sampler_is_at_work_is_made_up_for_by_the_next(watch):
    watch.sampler.begin(1)
    watch.computes(0.02)
    with watch.sampler._lock:
        watch.signal()
    watch.computes(0.01)
    watch.signal()
    assert watch.counts() == [(1, 3)]


def test_a_signal_within_the_handler_of_another_is_made_up_for_by_the_next(watch):
    watch.sampler.begin(1)
    watch.computes(0.02)
    found = {}
    exec(compile("found['frame'] = sys._getframe()", signal_sampler.__file__, "exec"), {"sys": sys, "found": found})
    watch.sampler._on_signal(signal.SIGPROF, found["frame"])
    assert watch.counts() == []
    watch.signal()
    assert watch.counts() == [(1, 2)]


def test_time_neither_on_a_processor_nor_due_for_one_counts_where_the_thread_waits(watch):
    watch.time_s = watch.delayed_s = 7.0  # before the first task
    watch.sampler.begin(1)
    watch.computes(0.3)
    watch.time_s += 0.505  # waits
    watch.time_s += 0.2
    watch.delayed_s += 0.2
    watch.sampler.look(watch.time_s)
    assert watch.counts() == [(1, 50)]


def test_the_time_between_tasks_is_not_waiting(watch):
    watch.sampler.begin(1)
    watch.time_s += 0.05
    watch.sampler.end()
    watch.time_s += 9.0
    watch.sampler.look(watch.time_s)
    watch.sampler.begin(2)
    watch.time_s += 0.05
    watch.sampler.look(watch.time_s)
    watch.sampler.look(watch.time_s)  # not due
    assert watch.counts() == [(2, 10)]
