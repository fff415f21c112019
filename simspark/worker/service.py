"""The worker daemon: the core between the launcher, a block server, the master and the drivers.

One thread runs the loop and decides; nothing here unpickles. The executors belong to the template process,
which ends them when this process ends, however that comes. On TERM they are ended first, within the core's
drain time, and the master is told.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from typing import TYPE_CHECKING, Any

import zmq

from simspark.publib import addresses, failpoints
from simspark.publib.blocks.server import EXECUTOR_ROLE, BlockServer
from simspark.publib.clock import SystemClock
from simspark.publib.errors import ConfigError, MessageTooLarge, ProtocolError, SimsparkError, StorageFault
from simspark.publib.machine import CancelTimer, Close, PeerLost, Send, SetTimer, TimerFired
from simspark.publib.service import Loop, OneAtATime
from simspark.publib.signals import LeaveSignals
from simspark.publib.wire.ask import master_endpoints
from simspark.publib.wire.keys import ClientKeys, ServerKeys, client_keys
from simspark.publib.wire.messages import ExecutorSpec, Owner, WorkerHello
from simspark.publib.wire.sockets import split_tcp
from simspark.publib.wire.transport import Dialer, Listener, error_for, local_identity
from simspark.worker.core import (
    Dial,
    Leave,
    LoadMeasured,
    RemoveApplication,
    RemoveFiles,
    ShutDown,
    StartExecutors,
    StopExecutor,
    WorkerCore,
    WorkerSettings,
)
from simspark.worker.launcher import Launcher
from simspark.worker.supervision import HEARTBEAT, MASTER, Phase

if TYPE_CHECKING:
    from simspark.publib.config import WorkerConfig
    from simspark.publib.daemon import Ready
    from simspark.publib.template_client import TemplateClient

log = logging.getLogger("simspark.worker")

FIRST_DIAL_S = 1.5
LATER_DIAL_S = 5.0


def run(config: WorkerConfig, ready: Ready, template: TemplateClient | None = None) -> None:
    """Be a worker until TERM, with this template, or one of its own.

    Raises NoMaster after 1.5 s without an answer, AccessRefused, VersionMismatch, PortTaken, ConfigError or
    StorageFault when it cannot start. Once it has joined it waits for a lost master for ever.
    """
    if config.failpoints:
        failpoints.arm(config.failpoints, "worker")
    masters = master_endpoints(config.master_url)
    if not masters:
        raise ConfigError(f"{config.master_url!r} is no master: write simspark://host:port")
    for endpoint in masters:
        split_tcp(endpoint)
    keys = client_keys(config.keys_dir, config.token.reveal(), "worker")
    context = zmq.Context()
    try:
        failure = _join(context, config, keys, masters, ready, template)
    finally:
        context.term()  # not ``with``: that would close the socket of the thread that checks keys under its feet
    if failure is not None:
        raise failure


def _join(context: zmq.Context[zmq.Socket[bytes]], config: WorkerConfig, keys: ClientKeys, masters: list[str],
          ready: Ready, template: TemplateClient | None) -> SimsparkError | None:
    """Work until the end; returns why it could not join."""
    loop = Loop(SystemClock())
    hosted = HostedKeys()
    endpoint = addresses.listening(config.host, config.port)
    own = ServerKeys(keys.public, keys.secret)
    listener = Listener(context, endpoint, local_identity("worker"), own, hosted)
    service = None
    signals = None
    try:
        service = WorkerService(loop, context, config, keys, masters, listener, hosted, ready, template)
        signals = LeaveSignals(loop, service.leave, loop.stop)
        service.start()
        loop.run()
        return service.failure
    finally:
        if signals is not None:
            signals.close()
        listener.close()
        if service is not None:
            service.close()


class HostedKeys:
    """Whose executors may fetch blocks here. ``role_of`` is called by the thread that checks keys."""

    def __init__(self) -> None:
        self._applications: dict[str, str] = {}

    def role_of(self, public_key: str) -> str | None:
        """The role of an executor of an application that is hosted here, or None."""
        application = self._applications.get(public_key)
        return None if application is None else EXECUTOR_ROLE + application

    def admit(self, spec: ExecutorSpec) -> None:
        """The executors of this application may fetch."""
        self._applications[spec.executor_public] = spec.application

    def forget(self, application: str) -> None:
        """They may not any more."""
        self._applications = {key: name for key, name in self._applications.items() if name != application}


class WorkerService:
    """Performs what the core decides. Of the loop's thread alone."""

    def __init__(self, loop: Loop, context: zmq.Context[zmq.Socket[bytes]], config: WorkerConfig, keys: ClientKeys,
                 masters: list[str], listener: Listener, hosted: HostedKeys, ready: Ready,
                 template: TemplateClient | None = None) -> None:
        self.failure: SimsparkError | None = None
        self._loop = loop
        self._context = context
        self._config = config
        self._keys = keys
        self._masters = deque(masters)
        self._listener = listener
        self._hosted = hosted
        self._ready: Ready | None = ready
        self._untried = len(masters)
        self._me = local_identity("worker")
        self._dialers: dict[str, Dialer] = {}
        self._deliver = OneAtATime(self._decide)
        self._launcher = _launcher(loop, config, self._deliver, template)
        master_host = masters[0].removeprefix("tcp://").rpartition(":")[0]
        self._host = addresses.advertised(config.host, config.advertised_host, master_host)
        port = addresses.port_of(listener.endpoint)
        self._blocks = f"tcp://{addresses.bracketed(self._host)}:{port}"
        self._core = WorkerCore(self._settings())

    def _settings(self) -> WorkerSettings:
        config = self._config
        return WorkerSettings(
            name=config.name, host=self._host, process=os.getpid(), slots=config.cores,
            memory_bytes=config.memory_bytes, labels=dict(config.labels), block_endpoint=self._blocks,
            master_endpoint=self._masters[0], master_key=self._keys.server,
        )  # fmt: skip

    def start(self) -> None:
        """Serve blocks and dial the master from the loop's first turn on."""
        server = BlockServer(self._listener, self._launcher.directory_path)
        self._loop.add(self._listener, server.handle)
        self._perform(self._core.start(self._loop.clock.now()))

    def leave(self) -> None:
        """End the executors, tell the master and stop."""
        log.info("leaving")
        failpoints.hit("p10")
        self._deliver(ShutDown("the worker shuts down"))

    def close(self) -> None:
        """After the loop's end: nothing of this worker runs or lies about, but logs."""
        for peer in list(self._dialers):
            self._hang_up(peer)
        failpoints.hit("p10")
        self._launcher.close()

    # ── events ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _decide(self, event: Any) -> None:
        before = self._core.phase
        self._perform(self._core.handle(self._loop.clock.now(), event))
        if self._core.phase is Phase.REGISTERED and before is not Phase.REGISTERED:
            self._registered()

    def _registered(self) -> None:
        from simspark.publib.daemon import ReadyInfo

        worker, incarnation = self._core.identity
        log.info("registered", extra={"ids": {"worker": worker, "incarnation": incarnation}})
        failpoints.hit("p1")
        if self._ready is not None:
            config = self._config
            self._ready(ReadyInfo(config.master_url, os.getpid(), worker, config.cores, config.memory_bytes))
            self._ready = None

    def _timer(self, name: str) -> None:
        if name == HEARTBEAT:
            self._deliver(self._load())
        self._deliver(TimerFired(name))

    def _load(self) -> LoadMeasured:
        import psutil  # the first heartbeat, which has no load to tell yet, comes when all else has started

        cores = psutil.cpu_percent() / 100 * (psutil.cpu_count() or 1)
        return LoadMeasured(round(cores, 2), psutil.virtual_memory().used)

    # ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────

    def _handle_session(self, peer: str, dialer: Dialer, event: Any) -> None:
        if self._dialers.get(peer) is not dialer:
            return
        if isinstance(event, PeerLost):
            self._session_lost(peer, event.reason)
        else:
            self._deliver(event._replace(peer=peer))

    def _session_lost(self, peer: str, reason: str) -> None:
        self._hang_up(peer)
        log.info("lost %s: %s", peer, reason)
        if peer != MASTER or not self._is_final(reason):
            self._deliver(PeerLost(peer, reason))

    def _is_final(self, reason: str) -> bool:
        """Before the worker has ever joined, the last address that fails ends it."""
        self._masters.rotate(-1)
        self._untried -= 1
        if self._ready is None or self._untried > 0:
            return False
        self.failure = error_for(reason)
        self._loop.stop()
        return True

    def _dial(self, dial: Dial) -> None:
        self._hang_up(dial.peer)
        failpoints.hit("p1")
        hello, endpoint, seconds = dial.hello, dial.endpoint, LATER_DIAL_S
        if dial.peer == MASTER:
            endpoint = self._masters[0]
            seconds = FIRST_DIAL_S if self._ready is not None else LATER_DIAL_S
        try:
            if isinstance(hello, WorkerHello):
                hello = hello._replace(owner=self._owner(hello.worker, dial.peer.partition(":")[2]))
            keys = self._keys._replace(server=dial.key)
            dialer = Dialer(self._context, endpoint, self._me, hello, keys, seconds)
        except (OSError, ProtocolError, ConfigError) as error:
            log.warning("cannot dial %s: %s", dial.peer, error)
            reason = f"no_peer: {error}"
            self._loop.post(lambda: self._session_lost(dial.peer, reason))
            return
        self._dialers[dial.peer] = dialer
        self._loop.add(dialer, lambda event: self._handle_session(dial.peer, dialer, event))

    def _owner(self, worker: str, application: str) -> Owner:
        made = self._launcher.directory(application)
        return Owner(worker, made.path, made.token, self._blocks, self._keys.public)

    def _hang_up(self, peer: str) -> None:
        dialer = self._dialers.pop(peer, None)
        if dialer is not None:
            self._loop.remove(dialer)

    # ── effects ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _perform(self, effects: list[Any]) -> None:
        for effect in effects:
            self._perform_one(effect)

    def _perform_one(self, effect: Any) -> None:
        match effect:
            case Send(peer, message):
                self._send(peer, message)
            case SetTimer(name, when):
                self._loop.call_at(name, when, lambda: self._timer(name))
            case CancelTimer(name):
                self._loop.cancel(name)
            case Dial():
                self._dial(effect)
            case Close(peer):
                self._hang_up(peer)
            case StartExecutors(specs):
                for spec in specs:
                    self._hosted.admit(spec)
                self._launcher.start(specs)
            case StopExecutor(executor, reason):
                log.info("ending %s: %s", executor, reason)
                self._launcher.stop(executor, reason)
            case RemoveApplication(application):
                self._hosted.forget(application)
                self._launcher.forget(application)
            case RemoveFiles(application, prefixes):
                self._remove_files(application, prefixes)
            case Leave():
                self._loop.stop()
            case _:
                raise TypeError(f"no effect of a worker: {type(effect).__name__}")

    def _send(self, peer: str, message: Any) -> None:
        """Send; a message that is too large ends the session, for a peer must not miss one."""
        dialer = self._dialers.get(peer)
        if dialer is None:
            return
        try:
            dialer.send(message)
        except MessageTooLarge as error:
            log.error("cannot send to %s: %s", peer, error)
            reason = f"protocol: {error}"
            self._loop.post(lambda: self._session_lost(peer, reason))

    def _remove_files(self, application: str, prefixes: tuple[str, ...]) -> None:
        try:
            self._launcher.directory(application).remove_matching(prefixes)
        except (ProtocolError, OSError) as error:
            log.warning("cannot remove files of %s: %s", application, error)


def _launcher(loop: Loop, config: WorkerConfig, deliver: Any, template: TemplateClient | None) -> Launcher:
    work_dir = config.work_dir
    try:
        return Launcher(loop, work_dir, os.path.join(config.log_dir, "executors"), deliver, template)
    except StorageFault:
        raise
    except OSError as error:
        raise StorageFault(error.errno, f"cannot use the work directory {work_dir}: {error.strerror}") from error
