from __future__ import annotations

import pytest

from simspark.publib.machine import CancelTimer, Emit, PeerLost, Received, Send, SetTimer, TimerFired
from simspark.testing import Loopback, ManualClock, Wire


class Echo:
    """Sends back what it gets, and rings two seconds after each."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def handle(self, now, event):
        self.heard.append((now, event))
        match event:
            case Received(peer, number) if number > 0:
                return [Send(peer, number - 1), SetTimer("ring", now + 2.0)]
            case Received(_, number) if number < 0:
                return [CancelTimer("ring"), Emit("stopped")]
        return []


def test_a_manual_clock_moves_only_when_told():
    clock = ManualClock()
    wall = clock.wall()
    clock.advance(5.0)
    assert clock.now() == 5.0 and clock.wall() == wall + 5.0
    with pytest.raises(ValueError):
        clock.advance(-1)


def test_a_step_of_the_time_of_day_leaves_the_monotonic_clock_alone():
    clock = ManualClock()
    before = clock.wall()
    clock.step_wall(-3600.0)
    assert clock.now() == 0.0 and clock.wall() == before - 3600.0


def test_a_loopback_performs_sends_and_fires_timers_at_their_moment():
    core = Echo()
    loopback = Loopback(core, ManualClock())
    loopback.give(Received("a", 3))
    assert loopback.sent == [("a", 2)] and loopback.next_timer_at() == 2.0
    loopback.advance(10.0)
    assert core.heard[-1] == (2.0, TimerFired("ring")) and loopback.clock.now() == 10.0


def test_a_cancelled_or_replaced_timer_does_not_fire():
    core = Echo()
    loopback = Loopback(core, ManualClock())
    loopback.give(Received("a", 3))
    loopback.advance(1.0)
    loopback.give(Received("a", 3))
    assert loopback.next_timer_at() == 3.0
    loopback.give(Received("a", -1))
    loopback.advance(10.0)
    assert TimerFired("ring") not in [event for _, event in core.heard] and loopback.effects == [Emit("stopped")]


def test_a_wire_joins_two_cores_until_it_is_cut():
    left, right = Loopback(Echo(), ManualClock()), Loopback(Echo(), ManualClock())
    wire = Wire(left, "right", right, "left")
    left.give(Received("right", 4))
    assert wire.pump() == 4 and not left.sent
    left.give(Received("right", 4))
    wire.cut()
    assert wire.pump() == 0
    assert right.core.heard[-1][1] == PeerLost("left", "cut by the test")
