"""A cluster as a backend: the sockets around ``Membership``.

The session with the master, the driver's own TCP listener for executors and workers, and the block server for the
driver's files on a loop of its own, so that large files never hold the scheduling up. All of it speaks CURVE; whom the
listener lets in is what grants have named. Executors on this machine find a Unix socket in the driver's directory
instead, which costs neither them nor the driver a thread to hand over to; who cannot get there takes the other way.
"""

from __future__ import annotations

import getpass
import os
import re
import threading
from collections.abc import Callable
from typing import Any

import zmq

from simspark.driver.cluster import MasterLink, Membership, WorkerSessions
from simspark.driver.conf import DriverSettings
from simspark.driver.service import Engine
from simspark.publib.blocks.app_directory import AppDirectory
from simspark.publib.blocks.fetch import BlockFetcher
from simspark.publib.blocks.segments import decode_inline
from simspark.publib.blocks.server import BlockServer
from simspark.publib.clock import Clock
from simspark.publib.errors import AccessRefused, BlockError, ConfigError, FetchFailed, NoMaster, SimsparkError
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.service import Loop
from simspark.publib.template_client import JANITOR, TemplateClient
from simspark.publib.wire import messages
from simspark.publib.wire.codes import error_for
from simspark.publib.wire.envelope import local_identity
from simspark.publib.wire.keys import ClientKeys, new_pair
from simspark.publib.wire.messages import Owner
from simspark.publib.wire.transport import Dialer, Listener
from simspark.publib.wire.unix import SCHEME, UnixListener

MASTER_TIMEOUT_S = 1.5
MANY_EXECUTORS = 1 << 20
LOOPBACK = "127.0.0.1"


class ClusterAccess(NamedTuple):
    """Where the master is, and the keys that let a driver in."""

    addresses: tuple[str, ...]
    keys: ClientKeys


class _Authenticator:
    """Asks the membership, which is made after the listener that needs this."""

    def __init__(self) -> None:
        self.role_of: Callable[[str], str | None] = lambda _key: None


class ClusterBackend:
    """Executors that a master grants. ``start`` is for the thread that makes the context, the rest for the loop.

    The janitor is a process that removes the driver's directory when this process ends, however it ends; where somebody
    does that already there is none.
    """

    def __init__(self, access: ClusterAccess, settings: DriverSettings, directory: AppDirectory, clock: Clock,
                 nonce_secret: bytes, name: str, *, swept: bool = False) -> None:
        self._access = access
        self._settings = settings
        self._directory = directory
        self._clock = clock
        self._nonce_secret = nonce_secret
        self._name = name
        self._janitor = None if swept else TemplateClient(JANITOR)
        self._endpoints: list[Listener | UnixListener | Dialer] = []
        self._context = zmq.Context()
        self._server = new_pair()
        self._executor_keys = new_pair()
        self._me = local_identity("driver")
        self._blocks_loop = Loop(clock)
        self._blocks_thread = threading.Thread(target=self._blocks_loop.run, name="simspark-blocks", daemon=True)
        self._fetcher = BlockFetcher(self._blocks_loop, clock, self._dial_blocks)
        self._master: Dialer | None = None
        self._registered = threading.Event()
        self._engine: Engine | None = None
        self.owner = Owner("driver", directory.path, directory.token, "", "")

    # ── start ────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, engine: Engine) -> None:
        """Listen, serve, register; returns when the master has answered. Raises what kept it from that."""
        self._engine = engine
        if self._janitor is not None:
            self._janitor.start(self._directory.path)
        host = self._bind_host()
        authenticator = _Authenticator()
        listener = self._listen(host, self._settings.driver_port, authenticator)
        self._serve_blocks(host, authenticator)
        sessions = WorkerSessions(listener.send, listener.accept, listener.refuse, listener.close_peer)
        near = self._listen_here()
        self._membership = Membership(
            self._registration(self._advertised(listener.endpoint), near), engine,
            MasterLink(self._send_to_master, self._dial_master), sessions, self._learn_owner, self._call_later,
            len(self._access.addresses),
        )  # fmt: skip
        self._membership.on_registered = self._registered.set
        authenticator.role_of = self._membership.role_of
        engine.listen(listener, self._membership.handle_worker)
        if near is not None:
            engine.listen(near)
        self._learn_owner(self.owner)
        engine.start()
        self._blocks_thread.start()
        engine.loop.post(self._membership.redial)
        self._registered.wait()
        if self._membership.refused is not None:
            raise self._refusal(error_for(self._membership.refused))

    def _refusal(self, error: SimsparkError) -> SimsparkError:
        """The same error with what the user can do about it."""
        url = "simspark://" + ",".join(self._access.addresses)
        why = re.sub(r"^tcp://[^ ]*: ", "", str(error))
        if isinstance(error, NoMaster):
            return NoMaster(
                f"No simspark master at {url}: {why}. Start one: simspark-master start · or run locally: "
                f'SparkContext("local[2]"). (SS201)'
            )
        if isinstance(error, AccessRefused):
            return AccessRefused(
                f"The master at {url} does not know this key: {why}. On its machine: simspark keys issue "
                "--role driver · and set the token that it prints as SIMSPARK_TOKEN here. (SS202)"
            )
        return error

    @property
    def application(self) -> str:
        """The application's id, given by the master."""
        return self._membership.application

    @property
    def slots(self) -> int:
        """Slots of all workers when the application registered."""
        return self._membership.slots

    def _bind_host(self) -> str:
        if self._settings.driver_bind_address:
            return self._settings.driver_bind_address
        masters = {address.rpartition(":")[0] for address in self._access.addresses}
        return LOOPBACK if masters <= {LOOPBACK, "localhost", "[::1]"} else "0.0.0.0"

    def _advertised(self, endpoint: str) -> str:
        """The endpoint as executors reach it: the address of ours that the master's side sees, unless told."""
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        if self._settings.driver_host:
            host = self._settings.driver_host
        elif host == "0.0.0.0":
            host = _address_towards(self._access.addresses[0])
        return f"tcp://{host}:{port}"

    def _listen(self, host: str, port: int, authenticator: _Authenticator) -> Listener:
        listener = Listener(self._context, f"tcp://{host}:{port}", self._me, self._server, authenticator)
        self._endpoints.append(listener)
        return listener

    def _listen_here(self) -> UnixListener | None:
        """Where executors on this machine connect, if there is room for a socket; they need not.

        Its name is used once, so whoever finds it elsewhere has found this one.
        """
        if self._settings.blocks_over_network:
            return None
        try:
            near = UnixListener(self._directory.file(f"driver-{os.urandom(4).hex()}"), self._me)
        except ConfigError:  # the path is too long
            return None
        self._endpoints.append(near)
        return near

    def _serve_blocks(self, host: str, authenticator: _Authenticator) -> None:
        listener = self._listen(host, self._settings.block_port, authenticator)
        server = BlockServer(listener, self._directory_of)
        self._blocks_loop.add(listener, server.handle)
        self.owner = self.owner._replace(endpoint=self._advertised(listener.endpoint), server_key=self._server.public)

    def _directory_of(self, application: str) -> str | None:
        return self._directory.path if application == self.application else None

    def _registration(self, endpoint: str, near: UnixListener | None) -> messages.RegisterApplication:
        settings = self._settings
        cores_max = settings.cores_max // settings.executor_cores
        return messages.RegisterApplication(
            name=self._name, user=getpass.getuser(), application="", driver_endpoint=endpoint,
            driver_key=self._server.public, executor_public=self._executor_keys.public,
            executor_secret=self._executor_keys.secret.encode(), nonce_secret=self._nonce_secret,
            cores_per_executor=settings.executor_cores, memory_per_executor_bytes=settings.executor_memory_bytes,
            max_executors=cores_max, labels=dict(settings.labels), placement=settings.placement, executors=(),
            driver_socket="" if near is None else near.endpoint.removeprefix(SCHEME),
        )  # fmt: skip

    # ── the seams of Membership ──────────────────────────────────────────────────────────────────────────────────

    def _send_to_master(self, message: Any) -> None:
        if self._master is not None:
            self._master.send(message)

    def _dial_master(self, registration: messages.RegisterApplication, attempt: int) -> None:
        assert self._engine is not None
        loop = self._engine.loop
        if self._master is not None:
            loop.remove(self._master)
            self._endpoints.remove(self._master)
        address = self._access.addresses[attempt % len(self._access.addresses)]
        self._master = Dialer(self._context, f"tcp://{address}", self._me, registration, self._access.keys,
                              MASTER_TIMEOUT_S)
        self._endpoints.append(self._master)
        loop.add(self._master, self._membership.handle_master)

    def _learn_owner(self, owner: Owner) -> None:
        """Tell who keeps files. Without its token no directory is known again, so all but its own executors fetch."""
        assert self._engine is not None
        self._engine.add_owner(owner._replace(token="") if self._settings.blocks_over_network else owner)

    def _call_later(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        assert self._engine is not None
        self._engine.loop.call_at(name, self._clock.now() + seconds, call)

    # ── see Backend ──────────────────────────────────────────────────────────────────────────────────────────────

    def joined(self, executor: str) -> None:
        """Nothing to learn from it."""

    def want(self, total: int) -> None:
        """So many executors are wanted in all."""
        self._membership.want(total)

    def end(self, executors: tuple[str, ...], reason: str) -> None:
        """Give executors back."""
        self._membership.end(executors, reason)

    def remove_files(self, worker: str, prefixes: tuple[str, ...]) -> None:
        """Remove files on workers, and the driver's own."""
        self._membership.remove_files(worker, prefixes)
        if worker in ("", self.owner.owner):
            self._directory.remove_matching(prefixes)

    def finish(self) -> None:
        """Tell the master; in the loop, before it ends."""
        self._membership.finish()

    def stop(self) -> None:
        """End the block server and the sockets, also those of a start that failed. After the loop has ended."""
        if self._blocks_thread.is_alive():
            self._blocks_loop.stop()
            self._blocks_thread.join(5)
        for endpoint in self._endpoints:
            endpoint.close()
        self._context.term()
        if self._janitor is not None:
            self._janitor.close()

    # ── large results on other machines ──────────────────────────────────────────────────────────────────────────

    def fetch(self, owner: Owner, name: str) -> Any:
        """The value in a result file of another machine. Any thread but the loops'."""
        try:
            return decode_inline(self._fetcher.fetch(owner, name, 0).wait(), name)
        except BlockError as error:
            raise FetchFailed(owner.owner, name, -1, -1, str(error)) from None

    def _dial_blocks(self, owner: Owner) -> Dialer:
        keys = ClientKeys(self._executor_keys.public, self._executor_keys.secret, owner.server_key)
        hello = messages.BlockClientHello(self.application)
        return Dialer(self._context, owner.endpoint, self._me, hello, keys, MASTER_TIMEOUT_S)


def _address_towards(address: str) -> str:
    """The address of this machine that packets to ``address`` leave from; nothing is sent."""
    import socket

    host, _, port = address.rpartition(":")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, int(port)))
            found: str = probe.getsockname()[0]
    except OSError:  # no such name, or no way there: dialling it will say which
        return LOOPBACK
    return found

