"""Two sessions connected to each other, under everything that a network does."""

from __future__ import annotations

import random
from itertools import product

import pytest

from simspark.publib.errors import InternalError, ProtocolError
from simspark.publib.wire.session import TRANSITIONS, Session, SessionLimits, State, Step

DO = {
    Step.OPEN: Session.open,
    Step.BREAK: Session.break_off,
    Step.RESUME: lambda session: session.resume(0),
    Step.END: Session.end,
}


@pytest.mark.parametrize(("state", "step"), list(product(State, Step)))
def test_only_the_steps_of_the_table_are_possible(state, step):
    session = Session()
    session.state = state
    following = TRANSITIONS.get((state, step))
    if following is None:
        with pytest.raises(InternalError, match=f"{state.value} cannot {step.value}"):
            DO[step](session)
        assert session.state is state
    else:
        DO[step](session)
        assert session.state is following


def opened(limits=SessionLimits()):
    session = Session(limits)
    session.open()
    return session


def push(session, count=1):
    for _ in range(count):
        seq, ack = session.upcoming()
        assert session.push(f"{seq} {ack}".encode())


def numbers(frame):
    seq, ack = frame.decode().split()
    return int(seq), int(ack), len(frame)


def test_messages_before_the_session_opens_wait_for_it():
    session = Session()
    push(session, 2)
    assert session.take() == []
    session.open()
    assert [numbers(frame)[0] for frame in session.take()] == [1, 2]


def test_what_was_not_acknowledged_is_sent_again_after_a_break():
    session = opened()
    push(session, 3)
    assert len(session.take()) == 3
    session.break_off()
    push(session)
    assert session.take() == []
    session.resume(1)
    assert [numbers(frame)[0] for frame in session.take()] == [2, 3, 4]
    assert session.take() == []


def test_a_repeated_message_is_dropped_and_counted():
    session = opened()
    assert session.receive(1, 0, 10)
    assert not session.receive(1, 0, 10)
    assert session.duplicates == 1


def test_a_repetition_is_acknowledged_again():
    session = opened()
    session.receive(1, 0, 10)
    session.told(1)
    assert not session.owes()
    session.receive(1, 0, 10)
    assert session.owes()


@pytest.mark.parametrize("numbers_", [(2, 0), (1, 1), (1, 5)])
def test_a_gap_or_an_acknowledgement_of_nothing_is_refused_and_changes_nothing(numbers_):
    session = opened()
    with pytest.raises(ProtocolError):
        session.receive(*numbers_, 10)
    assert session.received == 0


@pytest.mark.parametrize("peer_received", [0, 4])
def test_a_peer_cannot_have_less_than_it_acknowledged_nor_more_than_was_sent(peer_received):
    session = opened()
    push(session, 3)
    session.take()
    session.receive(0, 1, 1)
    session.break_off()
    with pytest.raises(ProtocolError):
        session.resume(peer_received)
    assert session.state is State.AWAY


@pytest.mark.parametrize("state", [State.OPENING, State.OVER])
def test_messages_outside_of_a_session_are_refused(state):
    session = Session()
    session.state = state
    with pytest.raises(ProtocolError):
        session.receive(1, 0, 1)


def test_the_replay_queue_is_bounded_by_count_and_bytes():
    by_count = opened(SessionLimits(replay_messages=2))
    push(by_count, 2)
    assert not by_count.push(b"x")
    by_bytes = opened(SessionLimits(replay_bytes=10))
    assert by_bytes.push(b"x" * 6)
    assert not by_bytes.push(b"x" * 6)
    by_bytes.take()
    by_bytes.receive(0, 1, 1)
    assert by_bytes.push(b"x" * 6)


def test_acknowledgements_ride_on_messages_and_go_alone_when_much_is_owed():
    session = opened(SessionLimits(ack_messages=3))
    for seq in (1, 2):
        session.receive(seq, 0, 1)
    assert session.owes()
    assert not session.owes_much()
    push(session)
    assert numbers(session.take()[0]) == (1, 2, 3)
    assert not session.owes()
    for seq in (3, 4, 5):
        session.receive(seq, 0, 1)
    assert session.owes_much()


def test_large_messages_are_acknowledged_at_once():
    session = opened(SessionLimits(ack_bytes=100))
    session.receive(1, 0, 101)
    assert session.owes_much()


class Pair:
    """Two ends and a network between them that a seed directs."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.ends = (opened(), opened())
        self.wires = ([], [])
        self.got = ([], [])
        self.wanted = ([], [])

    def step(self):
        side = self.random.randrange(2)
        match self.random.randrange(12):
            case 0 | 1 | 2:
                end = self.ends[side]
                self.wanted[1 - side].append(end.upcoming()[0])
                push(end)
            case 3 | 4 | 5:
                self.wires[side].extend(self.ends[side].take())
            case 6 | 7 | 8 | 9:
                self.deliver(side, self.random.randrange(4))
            case 10:
                self.acknowledge(side)
            case 11:
                self.reconnect()

    def deliver(self, side, repeat):
        """One frame arrives; now and then an old one arrives again (the previous connection's)."""
        wire, end = self.wires[side], self.ends[1 - side]
        if not wire:
            return
        frame = wire.pop(0)
        seq, ack, size = numbers(frame)
        for _ in range(2 if repeat == 0 else 1):
            if end.receive(seq, ack, size):
                self.got[1 - side].append(seq)

    def acknowledge(self, side):
        end = self.ends[side]
        if end.owes():
            self.wires[side].append(f"0 {end.received}".encode())
            end.told(end.received)

    def reconnect(self):
        """Everything under way is lost, or its beginning still arrives; then both name what they have."""
        for side in (0, 1):
            for _ in range(self.random.randint(0, len(self.wires[side]))):
                self.deliver(side, self.random.randrange(4))
            self.wires[side].clear()
        left, right = self.ends
        for end in self.ends:
            if self.random.random() < 0.7:
                end.break_off()
        left_has, right_has = left.received, right.received
        left.resume(right_has)
        right.resume(left_has)

    def heal(self):
        for _ in range(3):
            for side in (0, 1):
                self.wires[side].extend(self.ends[side].take())
                while self.wires[side]:
                    self.deliver(side, 1)
                self.acknowledge(1 - side)
                while self.wires[1 - side]:
                    self.deliver(1 - side, 1)


@pytest.mark.parametrize("block", range(10))
def test_every_message_arrives_once_and_in_order_whatever_the_connections_do(block):
    for seed in range(block * 100, block * 100 + 100):
        pair = Pair(seed)
        for _ in range(200):
            pair.step()
        pair.heal()
        assert pair.got == pair.wanted, f"seed {seed}"
        assert [end.kept for end in pair.ends] == [0, 0], f"seed {seed}"
