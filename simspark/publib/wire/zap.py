"""Who may connect: the answer to zmq's question about each client key (ZAP, RFC 27).

zmq lets anybody in who knows the server's public key unless somebody answers here. One responder serves a zmq
context, on a thread of its own. It denies whenever anything is not as it should be, an exception included, and never
ends while a listener needs it. Each listener has its own domain; an unknown domain denies, and zmq itself denies when
nobody answers (``zap_enforce_domain``). The responder leaves with the context's last listener.
"""

from __future__ import annotations

import threading
import weakref
from itertools import count
from typing import Protocol

import zmq

ADDRESS = "inproc://zeromq.zap.01"
STOP = b"stop"
STOP_MS = 2000
KEY_BYTES = 32


class Authenticator(Protocol):
    """Knows the clients' keys. Called on the responder's thread; must be quick."""

    def role_of(self, public_key: str) -> str | None:
        """The role that a key (z85) proves, or None when it may not connect."""
        ...


class Responder:
    """Answers for one zmq context."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self._authenticators: dict[str, Authenticator] = {}
        self._numbers = count(1)
        self._socket = context.socket(zmq.REP)
        self._socket.linger = 0
        self._socket.bind(ADDRESS)
        self.denied = 0
        self._thread = threading.Thread(target=self._run, name="simspark-zap", daemon=True)
        self._thread.start()

    def add(self, authenticator: Authenticator) -> str:
        """A new domain, in which this authenticator decides."""
        domain = f"simspark-{next(self._numbers)}"
        self._authenticators[domain] = authenticator
        return domain

    def remove(self, domain: str) -> bool:
        """Deny everything in this domain from now on; False when it was the last one."""
        self._authenticators.pop(domain, None)
        return bool(self._authenticators)

    def stop(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """End the thread and wait for it, for two seconds at most."""
        with context.socket(zmq.REQ) as caller:
            caller.linger = 0
            caller.connect(ADDRESS)
            caller.send(STOP)
            caller.poll(STOP_MS)
        self._thread.join(STOP_MS / 1000)

    def _run(self) -> None:
        try:
            while True:
                request = self._socket.recv_multipart()
                if request == [STOP]:
                    break
                self._socket.send_multipart(self._answer(request))
            self._socket.send(STOP)
        except zmq.ZMQError:
            pass  # the context has ended
        finally:
            self._socket.close(0)

    def _answer(self, request: list[bytes]) -> list[bytes]:
        sequence = request[1] if len(request) > 1 else b""
        role = key = ""
        try:
            key, role = self._judge(request)
        except Exception:
            role = ""
        if role:
            return [b"1.0", sequence, b"200", b"OK", user_id(role, key), b""]
        self.denied += 1
        return [b"1.0", sequence, b"400", b"no access", b"", b""]

    def _judge(self, request: list[bytes]) -> tuple[str, str]:
        """The key and the role that it proves, "" for none."""
        version, _, domain, _, _, mechanism, raw_key = request
        if version != b"1.0" or mechanism != b"CURVE" or len(raw_key) != KEY_BYTES:
            return "", ""
        from zmq.utils import z85

        key = z85.encode(raw_key).decode("ascii")
        role = self._authenticators[domain.decode("ascii")].role_of(key)
        return key, role if isinstance(role, str) else ""


_responders: weakref.WeakKeyDictionary[zmq.Context[zmq.Socket[bytes]], Responder] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def join_domain(context: zmq.Context[zmq.Socket[bytes]], authenticator: Authenticator) -> str:
    """A domain of the context's responder, which the first to ask starts. Any thread."""
    with _lock:
        found = _responders.get(context)
        if found is None:
            found = _responders[context] = Responder(context)
        return found.add(authenticator)


def leave_domain(context: zmq.Context[zmq.Socket[bytes]], domain: str) -> None:
    """The listener of this domain is gone; with the last one goes the responder. Any thread; twice is harmless."""
    with _lock:
        found = _responders.get(context)
        if found is not None and not found.remove(domain) and not context.closed:
            del _responders[context]
            found.stop(context)


def user_id(role: str, key: str) -> bytes:
    """What zmq attaches to every frame of an authenticated peer."""
    return f"{key} {role}".encode()


def proven_by(frame: zmq.Frame) -> tuple[str, str]:
    """The (role, key) that a frame's sender has proved; empty texts when nobody was asked."""
    try:
        key, _, role = str(frame.get("User-Id")).partition(" ")
    except zmq.ZMQError:
        return "", ""
    return role, key
