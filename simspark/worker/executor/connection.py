"""Whom an executor dials, and with which keys: its driver, and the block servers of its application."""

from __future__ import annotations

import os
from typing import Any

import zmq

from simspark.publib.clock import Clock
from simspark.publib.service import Loop
from simspark.publib.template_client import ExecutorStart
from simspark.publib.wire.envelope import local_identity
from simspark.publib.wire.messages import BlockClientHello, ExecutorHello, Owner
from simspark.publib.wire.transport import Dialer
from simspark.worker.executor.blocks import PendingFetch

CONNECT_TIMEOUT_S = 10.0
BLOCK_CONNECT_TIMEOUT_S = 1.0

Context = zmq.Context[zmq.Socket[bytes]]


def dial_driver(context: Context, start: ExecutorStart, hash_probe: int) -> Dialer:
    """The executor's one connection to its driver."""
    hello = ExecutorHello(start.executor, start.nonce, os.getpid(), start.cores, hash_probe)
    curve = _curve(start, start.driver_key)
    return Dialer(context, start.driver_endpoint, local_identity("executor"), hello, curve, CONNECT_TIMEOUT_S)


class RemoteBlocks:
    """Fetches from other machines. What it takes is imported and connected when the first block is needed."""

    def __init__(self, context: Context, loop: Loop, clock: Clock, start: ExecutorStart) -> None:
        self._context = context
        self._loop = loop
        self._clock = clock
        self._start = start
        self._fetcher: Any = None

    def fetch(self, owner: Owner, name: str, segment: int) -> PendingFetch:
        """Start fetching one segment. Any thread."""
        if self._fetcher is None:
            from simspark.publib.blocks.fetch import BlockFetcher

            self._fetcher = BlockFetcher(self._loop, self._clock, self._dial)
        pending: PendingFetch = self._fetcher.fetch(owner, name, segment)
        return pending

    def _dial(self, owner: Owner) -> Dialer:
        hello = BlockClientHello(self._start.application)
        curve = _curve(self._start, owner.server_key)
        me = local_identity("executor")
        return Dialer(self._context, owner.endpoint, me, hello, curve, BLOCK_CONNECT_TIMEOUT_S)


def _curve(start: ExecutorStart, server_key: str) -> Any:
    if not server_key:
        return None
    from simspark.publib.wire.keys import ClientKeys

    return ClientKeys(start.executor_public, start.executor_secret.decode("ascii"), server_key)
