"""The master daemon: the core between a journal and a listener.

One thread runs the loop and decides. What the core wants persisted is on disk before any later effect of
the same event is performed; a journal that cannot be written ends the daemon, for then nothing it says
could be relied on. On TERM the sessions end in an orderly way: workers and drivers go on, and wait for the
master's return.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import zmq

from simspark.master.core import MasterCore, MasterSettings
from simspark.master.journal import Journal
from simspark.master.records import Persist
from simspark.publib import addresses, failpoints
from simspark.publib.clock import SystemClock
from simspark.publib.errors import MessageTooLarge
from simspark.publib.event_log import EventLog
from simspark.publib.events import kind_of
from simspark.publib.liveness import Liveness
from simspark.publib.machine import (
    Accept,
    CancelTimer,
    Close,
    Emit,
    PeerLost,
    Refuse,
    Send,
    SetTimer,
    TimerFired,
)
from simspark.publib.service import Loop
from simspark.publib.signals import LeaveSignals
from simspark.publib.wire.keys import KeyRing
from simspark.publib.wire.transport import Listener, local_identity

if TYPE_CHECKING:
    from simspark.publib.config import MasterConfig
    from simspark.publib.daemon import Ready

log = logging.getLogger("simspark.master")

USUAL_LATE_S = 5.0


def run(config: MasterConfig, ready: Ready, *, lasting: bool = True) -> None:
    """Be the master until TERM. Raises PortTaken, StorageFault, ConfigError or AccessRefused at the start.

    Unless it is ``lasting`` it goes with a parent, and nothing that it keeps waits for the disk.
    """
    if config.failpoints:
        failpoints.arm(config.failpoints, "master")
    ring = KeyRing(config.keys_dir, lasting=lasting).ensure()
    context = zmq.Context()
    try:
        loop = Loop(SystemClock())
        endpoint = addresses.listening(config.host, config.port)
        listener = Listener(context, endpoint, local_identity("master"), ring.server(), ring)
        try:
            # After the listener: a master that finds its port taken must not touch the other's journal.
            journal = Journal(config.state_dir, lasting=lasting)
            try:
                _serve(config, loop, listener, journal, ready)
            finally:
                journal.close()
        finally:
            listener.close()
    finally:
        context.term()  # not ``with``: that would close the socket of the thread that checks keys under its feet


def _serve(config: MasterConfig, loop: Loop, listener: Listener, journal: Journal, ready: Ready) -> None:
    from simspark.publib.daemon import ReadyInfo

    events = EventLog(os.path.join(config.state_dir, "events"), "master", loop.clock)
    service = MasterService(loop, listener, journal, events, settings_of(config))
    signals = LeaveSignals(loop, service.leave, loop.stop)
    try:
        service.start()
        ready(ReadyInfo(url_of(config, listener.endpoint), os.getpid()))
        loop.run()
    finally:
        signals.close()
        events.close()


def url_of(config: MasterConfig, endpoint: str) -> str:
    """Where others find this master."""
    host = addresses.bracketed(addresses.advertised(config.host, config.advertised_host))
    return f"simspark://{host}:{addresses.port_of(endpoint)}"


def settings_of(config: MasterConfig) -> MasterSettings:
    """The core's settings. Waits that are no settings shrink with the threshold for late, as tests want."""
    usual = MasterSettings()
    scale = min(1.0, config.late_after_s / USUAL_LATE_S)
    return usual._replace(
        liveness=Liveness(
            config.heartbeat_interval_s, config.late_after_s, config.check_interval_s, config.dead_after_checks
        ),
        application_grace_s=max(1.0, usual.application_grace_s * scale),
        return_grace_s=max(5.0, usual.return_grace_s * scale),
        launch_timeout_s=max(3.0, usual.launch_timeout_s * scale),
        rebalance_s=max(0.3, usual.rebalance_s * scale),
        worker_return_s=max(3.0, config.late_after_s),
    )


class MasterService:
    """Performs what the core decides. Of the loop's thread alone."""

    def __init__(self, loop: Loop, listener: Listener, journal: Journal, events: EventLog,
                 settings: MasterSettings) -> None:
        self._loop = loop
        self._listener = listener
        self._journal = journal
        self._events = events
        if journal.notice:
            log.warning("%s", journal.notice)
        known = journal.known
        self._core = MasterCore(settings, journal.start_epoch(), known)

    def start(self) -> None:
        """Let peers in from the loop's first turn on."""
        self._loop.add(self._listener, self._handle)
        self._perform(self._core.start(self._loop.clock.now()))
        if self._core.recovering:
            log.info("recovering: no executors are granted until the known workers have been heard")

    def leave(self) -> None:
        """Stop after this turn; the loop says good-bye to everybody."""
        log.info("leaving")
        failpoints.hit("p10")
        self._loop.stop()

    def _send(self, peer: str, message: Any) -> None:
        """Send; a message that is too large ends the session, for a peer must not miss one."""
        try:
            self._listener.send(peer, message)
        except MessageTooLarge as error:
            log.error("cannot send: %s", error)
            lost = PeerLost(peer, f"protocol: {error}")
            self._listener.close_peer(peer)
            self._loop.post(lambda: self._handle(lost))

    def _handle(self, event: Any) -> None:
        self._perform(self._core.handle(self._loop.clock.now(), event))

    def _perform(self, effects: list[Any]) -> None:
        for effect in effects:
            self._perform_one(effect)

    def _perform_one(self, effect: Any) -> None:
        match effect:
            case Send(peer, message):
                self._send(peer, message)
            case SetTimer(name, when):
                self._loop.call_at(name, when, lambda: self._handle(TimerFired(name)))
            case CancelTimer(name):
                self._loop.cancel(name)
            case Persist(record):
                self._journal.append(record)
            case Accept(peer):
                failpoints.hit("p1")
                self._listener.accept(peer)
            case Refuse(peer, code, text):
                log.warning("refused: %s", text)
                self._listener.refuse(peer, code, text)
            case Close(peer):
                self._listener.close_peer(peer)
            case Emit(event):
                log.info("%s", kind_of(event).replace("_", " "), extra={"ids": event._asdict()})
                self._events.add(event)
                self._events.flush()  # few, and each is news to who follows the log
            case _:
                raise TypeError(f"no effect of the master: {type(effect).__name__}")
