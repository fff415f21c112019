"""Which way an executor takes to its driver."""

from __future__ import annotations

from typing import Any

import pytest

from simspark.publib.template_client import ExecutorStart
from simspark.publib.wire import transport
from simspark.publib.wire.unix_dialer import UnixDialer
from simspark.worker.executor import connection

pytestmark = pytest.mark.unit

PATH = "/tmp/simspark/app/driver-1"
START = ExecutorStart("e/1", "e", "", "tcp://10.0.0.1:5", "", "", b"", b"nonce", "/files", driver_socket=PATH)
HERE: Any = object()


class Zmq:
    """Notes that zmq would have been used, and for what."""

    def __init__(self, _context: object, endpoint: str, *_: object) -> None:
        self.endpoint = endpoint


class Tried(list[str]):
    """Paths of sockets that were tried; all lead to one answer."""

    answer: Any = None

    def reach(self, path: str) -> Any:
        self.append(path)
        return self.answer


class Sockets(connection.Sockets):
    def context(self) -> Any:
        return None


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Tried:
    tried = Tried()
    monkeypatch.setattr(connection, "reach", tried.reach)
    monkeypatch.setattr(transport, "Dialer", Zmq)
    return tried


def dialled(start: ExecutorStart) -> Any:
    return connection.dial_driver(Sockets(), start, 1)


def test_a_driver_that_can_be_reached_on_this_machine_is_and_without_zmq(tried: Tried) -> None:
    tried.answer = HERE
    dialer = dialled(START)
    assert type(dialer) is UnixDialer
    assert dialer.endpoint == f"unix://{PATH}"
    assert tried == [PATH]


def test_any_other_is_dialled_at_its_endpoint(tried: Tried) -> None:
    dialer = dialled(START)
    assert (type(dialer), dialer.endpoint) == (Zmq, START.driver_endpoint)
    assert tried == [PATH]


def test_a_driver_that_named_no_socket_is_not_looked_for(tried: Tried) -> None:
    tried.answer = HERE
    assert type(dialled(START._replace(driver_socket=""))) is Zmq
    assert not tried


def test_a_local_driver_has_one_place_only(tried: Tried) -> None:
    dialer = dialled(START._replace(driver_endpoint=f"unix://{PATH}", driver_socket=""))
    assert type(dialer) is UnixDialer
    assert not tried
