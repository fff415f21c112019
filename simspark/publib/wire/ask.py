"""One question to a master, for command lines: who is there, and how they are."""

from __future__ import annotations

import json
from typing import Any

from simspark.publib import machine
from simspark.publib.clock import SystemClock
from simspark.publib.errors import ConfigError, PeerTimeout, ProtocolError
from simspark.publib.wire import messages
from simspark.publib.wire.keys import ClientKeys

SCHEME = "simspark://"


def ask_status(url: str, keys: ClientKeys | None, timeout_s: float) -> dict[str, Any]:
    """The master's tables, by name.

    ``url`` is simspark://host:port (several after commas: the first that answers), or ipc:///path, which needs no
    keys. Raises NoMaster, AccessRefused, VersionMismatch, PeerTimeout or ProtocolError, about two seconds after
    ``timeout_s`` at the latest for each address.
    """
    failure: Exception = ConfigError(f"{url!r} is no master: write simspark://host:port")
    for endpoint in master_endpoints(url):
        try:
            return _ask_one(endpoint, keys, timeout_s)
        except (ConnectionError, PeerTimeout) as error:
            failure = error
    raise failure


def master_endpoints(url: str) -> list[str]:
    """The addresses in simspark://host:port[,host:port], as tcp://host:port."""
    if not url.startswith(SCHEME):
        return [url] if url.startswith(("tcp://", "ipc://")) else []
    return [f"tcp://{one.strip('/ ')}" for one in url.removeprefix(SCHEME).split(",") if one.strip("/ ")]


def _ask_one(endpoint: str, keys: ClientKeys | None, timeout_s: float) -> dict[str, Any]:
    import zmq

    from simspark.publib.service import Loop
    from simspark.publib.wire.transport import Dialer, error_for, local_identity

    answers: list[Any] = []
    loop = Loop(SystemClock())

    def handle(event: Any) -> None:
        match event:
            case machine.Received(_, messages.StatusReport(text)):
                answers.append(_parse(text))
                loop.stop()
            case machine.PeerLost(_, reason):
                answers.append(error_for(reason))
                loop.stop()

    def handle_too_late() -> None:
        answers.append(PeerTimeout(f"{endpoint} did not answer in {timeout_s:g} s"))
        loop.stop()

    with zmq.Context() as context:
        dialer = Dialer(context, endpoint, local_identity("driver"), messages.StatusQuery(), keys, timeout_s)
        loop.add(dialer, handle)
        loop.call_at("too-late", loop.clock.now() + timeout_s + 2.0, handle_too_late)
        loop.run()
    if isinstance(answers[0], Exception):
        raise answers[0]
    status: dict[str, Any] = answers[0]
    return status


def _parse(text: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else ProtocolError("the master's status is not a JSON object")
