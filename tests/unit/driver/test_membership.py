from __future__ import annotations

import pytest

from simspark.driver.cluster import MasterLink, Membership, WorkerSessions
from simspark.publib import machine
from simspark.publib.wire import messages

GRANTS = tuple(messages.Grant(name, "w1", 1, "key", "h1") for name in ("a/1", "a/2"))


class News:
    """Nobody listens, but to who is stopped or doubted."""

    def __init__(self):
        self.said = []

    def stopped(self, executor, is_stopped):
        self.said.append((executor, is_stopped))

    def doubted(self, worker, is_doubted):
        self.said.append((worker, is_doubted))

    def __getattr__(self, _name):
        return lambda *_: None


class Driver:
    """A membership whose dials, sends and timers are kept."""

    def __init__(self):
        self.sent, self.dialled, self.timers = [], [], {}
        self.accepted, self.refused, self.closed, self.told, self.owners = [], [], [], [], []
        link = MasterLink(self.sent.append, lambda registration, _attempt: self.dialled.append(registration))
        sessions = WorkerSessions(
            lambda peer, message: self.told.append((peer, message)), self.accepted.append,
            lambda peer, code, _text: self.refused.append((peer, code)), self.closed.append,
        )  # fmt: skip
        first = messages.RegisterApplication("n", "u", "", "e", "k", "x", b"", b"s", 1, 0, 0, {}, "spread", ())
        self.news = News()
        self.membership = Membership(first, self.news, link, sessions, self.owners.append, self._timer)
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


OWNER = messages.Owner("w1", "/files", "token", "tcp://h1:1", "key")


def hello(worker="w1", incarnation=1, owner=OWNER):
    return messages.WorkerHello(worker, incarnation, "h1", owner)


def join(driver, peer="p1", role="worker", key="key", says=None):
    return driver.membership.handle_worker(machine.PeerJoined(peer, role, key, says or hello()))


def test_a_worker_that_a_grant_named_is_let_in_and_its_files_are_known(driver):
    assert join(driver)
    assert (driver.accepted, driver.refused, driver.owners) == (["p1"], [], [OWNER])


@pytest.mark.parametrize("wrong", [
    {"key": "another"},
    {"role": "executor:app-1-1"},
    {"says": hello("w2", 1, OWNER._replace(owner="w2"))},
    {"says": hello(owner=OWNER._replace(owner="driver"))},
])  # fmt: skip
def test_nobody_else_is_and_nobody_speaks_for_another(driver, wrong):
    join(driver, **wrong)
    assert (driver.accepted, driver.owners) == ([], [])
    assert driver.refused == [("p1", "access_refused")]


def test_a_worker_of_an_older_incarnation_is_refused(driver):
    driver.hear(messages.ExecutorsGranted((messages.Grant("a/3", "w1", 2, "key", "h1"),)))
    join(driver)
    assert driver.refused == [("p1", "old_incarnation")]


def test_a_worker_keeps_its_way_in_when_the_last_executor_has_gone_for_its_files_are_needed(driver):
    exits = tuple(messages.ExecutorExit(grant.executor, 0, 0, 0, "") for grant in GRANTS)
    driver.hear(messages.ExecutorsGone(exits))
    assert driver.membership.role_of("key") == "worker"
    join(driver)
    assert driver.accepted == ["p1"]


def test_a_dead_worker_loses_it_and_its_session_is_closed(driver):
    join(driver)
    driver.hear(messages.WorkersChanged((messages.WorkerState("w1", 1, "dead"),)))
    assert driver.closed == ["p1"]
    assert driver.membership.role_of("key") is None
    join(driver, peer="p2")
    assert driver.refused == [("p2", "access_refused")]


def test_executors_end_through_their_worker_even_when_the_master_is_away(driver):
    join(driver)
    driver.membership.handle_master(machine.PeerLost("", "expired: away"))
    driver.membership.end(("a/1",), "it hangs")
    assert driver.told == [("p1", messages.KillExecutors(("a/1",), "it hangs"))]


def say_paused(driver, *executors, peer="p1"):
    assert driver.membership.handle_worker(machine.Received(peer, messages.ExecutorsPaused(executors)))
    said, driver.news.said = driver.news.said, []
    return sorted(said)


def test_a_worker_says_which_executors_are_stopped_and_each_change_is_told_once(driver):
    join(driver)
    assert say_paused(driver, "a/1") == [("a/1", True)]
    assert say_paused(driver, "a/1", "a/2") == [("a/2", True)]
    assert say_paused(driver, "a/2") == [("a/1", False)]
    assert say_paused(driver) == [("a/2", False)]


def test_nobody_is_stopped_in_a_new_session_until_it_says_so(driver):
    join(driver)
    say_paused(driver, "a/1")
    driver.membership.handle_worker(machine.PeerLost("p1", "expired: away"))
    assert join(driver, peer="p2")
    assert ("a/1", False) in driver.news.said
    driver.news.said = []
    assert say_paused(driver, "a/1", peer="p2") == [("a/1", True)]


def test_only_a_workers_own_executors_are_stopped_by_its_word(driver):
    driver.hear(messages.ExecutorsGranted((messages.Grant("a/3", "w2", 1, "key2", "h2"),)))
    join(driver)
    assert say_paused(driver, "a/3", "a/unknown") == []
    assert say_paused(driver, "a/1", peer="a stranger") == []


def tell(driver, event):
    assert driver.membership.handle_worker(event)
    said, driver.news.said = driver.news.said, []
    return said


def say_state(driver, state, incarnation=1):
    driver.hear(messages.WorkersChanged((messages.WorkerState("w1", incarnation, state),)))
    said, driver.news.said = driver.news.said, []
    return said


def test_a_worker_that_is_away_is_doubted_until_it_is_back(driver):
    join(driver)
    assert tell(driver, machine.PeerSilent("p1")) == [("w1", True)]
    assert tell(driver, machine.PeerReturned("p1")) == [("w1", False)]
    assert tell(driver, machine.PeerSilent("p1")) == [("w1", True)]
    assert tell(driver, machine.PeerLost("p1", "expired: away")) == []
    join(driver, peer="p2")
    assert driver.news.said == [("w1", False)]


def test_a_worker_that_its_master_does_not_hear_is_doubted_and_for_two_reasons_once(driver):
    join(driver)
    assert say_state(driver, "late") == [("w1", True)]
    assert tell(driver, machine.PeerSilent("p1")) == []
    assert say_state(driver, "alive") == []
    assert tell(driver, machine.PeerReturned("p1")) == [("w1", False)]
    assert say_state(driver, "alive") == []


def test_an_executor_that_its_worker_saw_stopped_stays_so_when_the_worker_is_no_longer_doubted(driver):
    join(driver)
    say_paused(driver, "a/1")
    tell(driver, machine.PeerSilent("p1"))
    assert tell(driver, machine.PeerReturned("p1")) == [("w1", False), ("a/1", True)]


def test_a_dead_worker_is_not_doubted_when_it_comes_back(driver):
    join(driver)
    tell(driver, machine.PeerSilent("p1"))
    assert say_state(driver, "dead") == []
    driver.hear(messages.ExecutorsGranted((messages.Grant("a/3", "w1", 2, "key", "h1"),)))
    join(driver, peer="p2", says=hello(incarnation=2))
    assert driver.news.said == []
    assert tell(driver, machine.PeerSilent("p2")) == [("w1", True)]
