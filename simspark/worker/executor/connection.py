"""Whom an executor dials, and with which keys: its driver, and the block servers of its application.

A driver in a cluster listens at two places. Executors of its user that see its directory connect to a Unix socket in
it; all others, by zmq. Nobody changes from one to the other later: a connection within one machine breaks only when one
of its ends is gone.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from simspark.publib.clock import Clock
from simspark.publib.resources import fetch_bytes
from simspark.publib.service import Loop
from simspark.publib.template_client import ExecutorStart
from simspark.publib.wire.envelope import local_identity
from simspark.publib.wire.messages import BlockClientHello, ExecutorHello, Owner
from simspark.publib.wire.places import reach
from simspark.publib.wire.unix import SCHEME
from simspark.publib.wire.unix_dialer import UnixDialer
from simspark.worker.executor.blocks import PendingFetch

if TYPE_CHECKING:
    import zmq

    from simspark.publib.wire.transport import Dialer

CONNECT_TIMEOUT_S = 10.0
BLOCK_CONNECT_TIMEOUT_S = 1.0


class Sockets:
    """The context of zmq's sockets. An executor of a driver on the same machine may never need it, nor import zmq."""

    def __init__(self) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None

    def context(self) -> zmq.Context[zmq.Socket[bytes]]:
        """The one of this process."""
        if self._context is None:
            import zmq

            self._context = zmq.Context()
        return self._context


def dial_driver(sockets: Sockets, start: ExecutorStart, hash_probe: int) -> Dialer | UnixDialer:
    """The executor's one connection to its driver."""
    hello = ExecutorHello(start.executor, start.nonce, os.getpid(), start.cores, hash_probe)
    endpoint, me = start.driver_endpoint, local_identity("executor")
    if endpoint.startswith(SCHEME):
        return UnixDialer(endpoint, me, hello, CONNECT_TIMEOUT_S)
    connected = reach(start.driver_socket) if start.driver_socket else None
    if connected is not None:
        return UnixDialer(SCHEME + start.driver_socket, me, hello, CONNECT_TIMEOUT_S, connected)
    from simspark.publib.wire.transport import Dialer

    return Dialer(sockets.context(), endpoint, me, hello, _curve(start, start.driver_key), CONNECT_TIMEOUT_S)


class RemoteBlocks:
    """Fetches from other machines. What it takes is imported and connected when the first block is needed."""

    def __init__(self, sockets: Sockets, loop: Loop, clock: Clock, start: ExecutorStart) -> None:
        self._sockets = sockets
        self._loop = loop
        self._clock = clock
        self._start = start
        self._fetcher: Any = None

    def fetch(self, owner: Owner, name: str, segment: int) -> PendingFetch:
        """Start fetching one segment. Any thread."""
        if self._fetcher is None:
            from simspark.publib.blocks.fetch import BlockFetcher

            self._fetcher = BlockFetcher(
                self._loop, self._clock, self._dial, fetch_bytes(self._start.memory_bytes)
            )
        pending: PendingFetch = self._fetcher.fetch(owner, name, segment)
        return pending

    def _dial(self, owner: Owner) -> Dialer:
        from simspark.publib.wire.transport import Dialer

        hello = BlockClientHello(self._start.application)
        curve = _curve(self._start, owner.server_key)
        me = local_identity("executor")
        return Dialer(self._sockets.context(), owner.endpoint, me, hello, curve, BLOCK_CONNECT_TIMEOUT_S)


def _curve(start: ExecutorStart, server_key: str) -> Any:
    if not server_key:
        return None
    from simspark.publib.wire.keys import ClientKeys

    return ClientKeys(start.executor_public, start.executor_secret.decode("ascii"), server_key)
