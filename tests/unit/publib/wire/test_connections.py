"""Which connections a listener closes: real descriptors, time and byte counts given by the test."""

from __future__ import annotations

import os
import socket

import pytest

from simspark.publib.wire import connections
from simspark.publib.wire.connections import HELLO_S, UNFINISHED_LIMIT_BYTES, WAITING_LIMIT, Connections


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    yield ours.fileno(), theirs
    ours.close()
    theirs.close()


def is_open(theirs):
    try:
        return theirs.recv(1) != b""
    except BlockingIOError:
        return True


def test_who_says_nothing_is_dropped_in_time(pair):
    fd, theirs = pair
    table = Connections(tcp=False)
    table.accepted(fd, 0.0)
    assert table.sweep(HELLO_S - 0.1, drained=True)
    assert is_open(theirs)
    assert not table.sweep(HELLO_S, drained=True)
    assert not is_open(theirs)
    assert table.dropped == 1


def test_who_says_hello_stays(pair):
    fd, theirs = pair
    table = Connections(tcp=False)
    table.accepted(fd, 0.0)
    table.greeted(fd)
    assert not table.sweep(100.0, drained=True)
    assert is_open(theirs)


def test_a_connection_whose_session_is_over_has_to_go(pair):
    fd, theirs = pair
    table = Connections(tcp=False)
    table.accepted(fd, 0.0)
    table.greeted(fd)
    table.linger(fd, 10.0)
    assert table.sweep(11.0, drained=True)
    table.sweep(10.0 + HELLO_S, drained=True)
    assert not is_open(theirs)


def test_a_descriptor_that_is_something_else_by_now_is_left_alone(pair):
    fd, theirs = pair
    table = Connections(tcp=False)
    table.accepted(fd, 0.0)
    innocent, far = socket.socketpair()
    far.setblocking(False)
    os.dup2(innocent.fileno(), fd)
    table.sweep(100.0, drained=True)
    assert is_open(far)
    assert table.dropped == 0
    innocent.close()
    far.close()


def test_only_so_many_may_wait(pair, monkeypatch):
    monkeypatch.setattr(connections, "inode_of", lambda fd: 0)
    table = Connections(tcp=False)
    for fd in range(WAITING_LIMIT + 10):
        table.accepted(fd, 0.0)
    assert table.waiting == WAITING_LIMIT


class Counter:
    """Stands in for the kernel's count of received bytes."""

    def __init__(self):
        self.bytes = 0

    def __call__(self, fd):
        return self.bytes


def judged(pair):
    counter = Counter()
    table = Connections(tcp=True, received_bytes=counter)
    table.accepted(pair[0], 0.0)
    table.greeted(pair[0])
    return table, counter


def test_a_message_that_does_not_end_is_cut_off(pair):
    table, counter = judged(pair)
    for second in range(10):
        counter.bytes += UNFINISHED_LIMIT_BYTES // 4
        table.sweep(float(second), drained=True)
    assert not is_open(pair[1])
    assert table.dropped == 1


def test_a_burst_beside_whole_messages_counts_as_well(pair):
    table, counter = judged(pair)
    counter.bytes += 2 * UNFINISHED_LIMIT_BYTES
    table.received(pair[0], 1, 1000)
    table.sweep(1.0, drained=True)
    assert not is_open(pair[1])


def test_traffic_of_whole_messages_is_never_cut_off(pair):
    table, counter = judged(pair)
    for second in range(100):
        counter.bytes += UNFINISHED_LIMIT_BYTES // 2 + 100 * 40 + 500
        table.received(pair[0], 100, UNFINISHED_LIMIT_BYTES // 2)
        table.sweep(float(second), drained=True)
    assert is_open(pair[1])


def test_messages_that_wait_to_be_read_are_not_held_against_the_peer(pair):
    table, counter = judged(pair)
    counter.bytes += 2 * UNFINISHED_LIMIT_BYTES
    table.sweep(1.0, drained=False)
    table.received(pair[0], 32, 2 * UNFINISHED_LIMIT_BYTES)
    table.sweep(2.0, drained=True)
    assert is_open(pair[1])


def test_pings_alone_never_add_up(pair):
    table, counter = judged(pair)
    for second in range(1000):
        counter.bytes += 100
        table.sweep(float(second), drained=True)
    assert table._talking[pair[0]].unfinished_bytes == 0
