"""Executors that come before their worker has said where their files will be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simspark.driver.core import SchedulerCore
from simspark.driver.scheduling import SchedulerSettings
from simspark.driver.service import Engine
from simspark.publib import machine
from simspark.publib.template_client import ExecutorExit
from simspark.publib.wire import messages
from simspark.publib.wire.nonce import executor_nonce
from simspark.testing import ManualClock

pytestmark = pytest.mark.unit

SECRET = b"secret"
OWNER = messages.Owner("w1", "/files", "token", "tcp://w1:1", "key")


class Peers:
    """A listener and a backend that note what they are asked for."""

    PEERS = "p"

    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.refused: list[str] = []
        self.sent: list[Any] = []

    def attach(self, loop: Any, handler: Callable[[Any], None]) -> None:
        self.handle = handler

    def accept(self, peer: str) -> None:
        self.accepted.append(peer)

    def refuse(self, peer: str, code: str, text: str) -> None:
        self.refused.append(peer)

    def send(self, peer: str, message: Any) -> bool:
        self.sent.append(message)
        return True

    def close_peer(self, peer: str) -> None:
        pass

    def joined(self, executor: str) -> None:
        pass

    def want(self, total: int) -> None:
        pass


@pytest.fixture
def peers() -> Peers:
    return Peers()


@pytest.fixture
def engine(peers: Peers) -> Engine:
    def settings(worker: str) -> messages.ExecutorSettings:
        return messages.ExecutorSettings("app", (), "/", 1 << 20, 100, 1000, {}, engine.owner(worker) or OWNER)

    core, unused = SchedulerCore(SchedulerSettings()), Any
    made: Any = Engine
    engine: Engine = made(ManualClock(), core, peers, unused, settings, SECRET, unused)
    listener: Any = peers
    engine.listen(listener)
    engine.expect("e1", "w1", "host")
    return engine


def hello(peers: Peers, peer: str = "p1", executor: str = "e1") -> None:
    said = messages.ExecutorHello(executor, executor_nonce(SECRET, executor), 7, 1, 42)
    peers.handle(machine.PeerJoined(peer, "executor", "", said))


def test_an_executor_of_a_known_worker_is_let_in_at_once(engine: Engine, peers: Peers) -> None:
    engine.add_owner(OWNER)
    hello(peers)
    assert peers.accepted == ["p1"]


def test_one_of_a_worker_that_has_not_come_is_let_in_with_it(engine: Engine, peers: Peers) -> None:
    hello(peers)
    assert not peers.accepted
    assert not peers.sent
    engine.add_owner(OWNER._replace(owner="w2"))
    assert not peers.accepted
    engine.add_owner(OWNER)
    assert peers.accepted == ["p1"]
    settings, owners = peers.sent
    assert settings.owner == OWNER
    assert OWNER in owners.owners


def test_one_that_left_meanwhile_is_not_let_in(engine: Engine, peers: Peers) -> None:
    hello(peers)
    peers.handle(machine.PeerLost("p1", "closed: it left"))
    engine.add_owner(OWNER)
    assert not peers.accepted


def test_one_whose_process_has_ended_is_not_let_in(engine: Engine, peers: Peers) -> None:
    hello(peers)
    engine.gone(ExecutorExit("e1", 0, 0, 0, ""))
    engine.add_owner(OWNER)
    assert not peers.accepted


def test_one_that_waits_is_not_taken_for_another(engine: Engine, peers: Peers) -> None:
    hello(peers)
    hello(peers, "p2")
    assert peers.refused == ["p2"]
    engine.add_owner(OWNER)
    assert peers.accepted == ["p1"]
