"""The loop: posts, timers, descriptors and its end, without a socket."""

from __future__ import annotations

import contextlib
import os
import threading

import pytest

from simspark.publib.service import Loop


class StillClock:
    """Stands still until it is moved."""

    def __init__(self):
        self.seconds = 100.0

    def now(self):
        return self.seconds

    def wall(self):
        return self.seconds


@pytest.fixture
def clock():
    return StillClock()


@pytest.fixture
def loop(clock):
    return Loop(clock)


class Recorder:
    """An endpoint that only remembers."""

    def __init__(self):
        self.calls = []

    def attach(self, loop, handler):
        self.calls.append("attach")

    def flush(self):
        self.calls.append("flush")

    def close(self):
        self.calls.append("close")


def test_calls_run_in_the_order_of_their_posting(loop):
    ran = []
    for number in range(5):
        loop.post(lambda number=number: ran.append(number))
    loop.post(loop.stop)
    loop.run()
    assert ran == [0, 1, 2, 3, 4]


def test_posts_of_many_threads_all_arrive_each_threads_in_order(loop):
    ran = []
    total = 4 * 500

    def add(thread, number):
        ran.append((thread, number))
        if len(ran) == total:
            loop.stop()

    def post(thread):
        for number in range(500):
            loop.post(lambda: None)
            loop.post(lambda number=number: add(thread, number))

    threads = [threading.Thread(target=post, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    loop.run()
    for thread in threads:
        thread.join()
    for thread in range(4):
        assert [number for one, number in ran if one == thread] == list(range(500))


def test_an_idle_loop_is_woken_every_time(loop):
    ran = [threading.Event() for _ in range(50)]

    def post():
        for event in ran:
            loop.post(event.set)
            assert event.wait(10)
        loop.stop()

    thread = threading.Thread(target=post)
    thread.start()
    loop.run()
    thread.join()


def test_timers_run_when_they_are_due_earliest_first(loop, clock):
    ran = []
    loop.call_at("late", 105, lambda: ran.append("late"))
    loop.call_at("early", 101, lambda: ran.append("early"))
    loop.call_at("never", 102, lambda: ran.append("never"))
    loop.cancel("never")
    loop.call_at("end", 106, loop.stop)
    clock.seconds = 107
    loop.run()
    assert ran == ["early", "late"]


def test_a_timer_of_the_same_name_is_replaced(loop, clock):
    ran = []
    loop.call_at("it", 101, lambda: ran.append("first"))
    loop.call_at("it", 102, lambda: ran.append("second"))
    loop.call_at("end", 103, loop.stop)
    clock.seconds = 104
    loop.run()
    assert ran == ["second"]


def test_a_timer_may_set_itself_again(loop, clock):
    ran = []

    def tick():
        ran.append(clock.seconds)
        clock.seconds += 1
        if len(ran) == 3:
            loop.stop()
        loop.call_at("tick", clock.seconds, tick)

    loop.call_at("tick", 100, tick)
    loop.run()
    assert ran == [100, 101, 102]


def test_replaced_timers_do_not_pile_up(loop):
    for number in range(10_000):
        loop.call_at("it", 200 + number, lambda: None)
    assert len(loop._timers) < 200


@pytest.mark.parametrize(
    ("set_up", "sleeps_ms"),
    [
        (lambda loop: None, -1),
        (lambda loop: loop.call_at("it", 100.5, lambda: None), 501),
        (lambda loop: loop.call_at("it", 99, lambda: None), 0),
        (lambda loop: loop.post(lambda: None), 0),
        (lambda loop: (loop.call_at("it", 101, lambda: None), loop.cancel("it")), -1),
    ],
)
def test_an_idle_loop_sleeps_until_its_next_timer(loop, set_up, sleeps_ms):
    set_up(loop)
    assert loop._sleep_ms() == sleeps_ms
    loop._close()


def test_a_readable_descriptor_is_called_back(loop):
    read, write = os.pipe()
    got = []

    def take():
        got.append(os.read(read, 10))
        loop.remove_fd(read)
        loop.stop()

    loop.add_fd(read, take)
    os.write(write, b"x")
    loop.run()
    os.close(read)
    os.close(write)
    assert got == [b"x"]


def test_what_a_turn_wants_to_send_is_flushed_once_at_its_end(loop):
    endpoint = Recorder()
    loop.add(endpoint, print)

    def send_twice():
        loop.flush_soon(endpoint)
        loop.flush_soon(endpoint)
        endpoint.calls.append("sent")

    loop.post(send_twice)
    loop.post(lambda: loop.post(loop.stop))
    loop.run()
    assert endpoint.calls == ["attach", "sent", "flush", "close"]


def test_removing_an_endpoint_twice_is_harmless(loop):
    endpoint = Recorder()
    loop.add(endpoint, print)
    loop.remove(endpoint)
    loop.remove(endpoint)
    assert endpoint.calls == ["attach", "close"]
    loop._close()


def fail():
    raise ZeroDivisionError


def test_a_crash_is_reported_and_everything_is_closed(clock):
    crashes = []
    loop = Loop(clock, crashes.append)
    endpoint = Recorder()
    loop.add(endpoint, print)
    loop.post(fail)
    loop.run()
    assert [type(crash) for crash in crashes] == [ZeroDivisionError]
    assert endpoint.calls[-1] == "close"


def test_a_crash_that_nobody_asked_for_comes_out_of_run(loop):
    loop.post(fail)
    with pytest.raises(ZeroDivisionError):
        loop.run()


def test_what_is_posted_after_the_end_is_dropped(loop):
    loop.stop()
    loop.run()
    loop.post(fail)
    loop.stop()


def turn(loop):
    loop.post(lambda: None)  # so that it does not sleep
    loop._turn()


@pytest.mark.parametrize("polls_zmq", [False, True])
def test_who_waits_until_a_descriptor_takes_bytes_is_called_once(loop, polls_zmq):
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    called = []
    if polls_zmq:
        loop._poll_zmq()
    loop.add_fd(writes, lambda: called.append("readable"))
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writes, b"x" * 65536)
    loop.when_writable(writes, lambda: called.append("writable"))
    turn(loop)
    assert called == []
    os.read(reads, 1 << 20)
    turn(loop)
    turn(loop)
    assert called == ["writable"]
    loop.remove_fd(writes)
    os.close(reads)
    os.close(writes)
    loop._close()


def test_descriptors_are_heard_also_when_zmq_has_taken_over(loop):
    reads, writes = os.pipe()
    heard = []
    loop.add_fd(reads, lambda: heard.append(os.read(reads, 10)))
    loop._poll_zmq()
    os.write(writes, b"a")
    turn(loop)
    assert heard == [b"a"]
    loop.remove_fd(reads)
    os.close(reads)
    os.close(writes)
    loop._close()
