from __future__ import annotations

import pytest

from simspark.driver.cluster import MasterLink, Membership, WorkerSessions
from simspark.publib import machine
from simspark.publib.wire import messages

GRANTS = tuple(messages.Grant(name, "w1", 1, "key", "h1") for name in ("a/1", "a/2"))


class News:
    """Nobody listens."""

    def __getattr__(self, _name):
        return lambda *_: None


class Driver:
    """A membership whose dials, sends and timers are kept."""

    def __init__(self):
        self.sent, self.dialled, self.timers = [], [], {}
        link = MasterLink(self.sent.append, lambda registration, _attempt: self.dialled.append(registration))
        sessions = WorkerSessions(*(lambda *_: None for _ in range(4)))
        first = messages.RegisterApplication("n", "u", "", "e", "k", "x", b"", b"s", 1, 0, 0, {}, "spread", ())
        self.membership = Membership(first, News(), link, sessions, lambda _owner: None, self._timer)
        self.hear(messages.ApplicationRegistered("app-1-1", 1, ()))
        self.hear(messages.ExecutorsGranted(GRANTS))

    def _timer(self, name, _delay_s, call):
        self.timers[name] = call

    def hear(self, message):
        self.membership.handle_master(machine.Received("", message))

    def register_again(self):
        self.membership.handle_master(machine.PeerLost("", "expired: away"))
        self.timers.pop("redial-master")()
        return self.dialled[-1].executors


@pytest.fixture
def driver():
    return Driver()


def test_a_registration_after_a_lost_session_claims_the_executors_that_are_held(driver):
    assert driver.register_again() == ("a/1", "a/2")


def test_it_does_not_claim_what_was_given_back_since_the_master_may_not_have_heard_that(driver):
    driver.membership.end(("a/1",), "was silent for 15 s")
    assert messages.ReleaseExecutors(("a/1",)) in driver.sent
    assert driver.register_again() == ("a/2",)


def test_giving_back_while_the_master_is_away_counts_as_well(driver):
    driver.membership.handle_master(machine.PeerLost("", "expired: away"))
    driver.membership.end(("a/2",), "")
    driver.timers.pop("redial-master")()
    assert driver.dialled[-1].executors == ("a/1",)
