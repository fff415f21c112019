"""Who may connect: the answer to zmq's question about each client key (ZAP, RFC 27).

zmq lets anybody in who knows the server's public key unless somebody answers here. One responder serves a zmq
context, on a thread of its own. It denies whenever anything is not as it should be, an exception included, and never
ends before its context does. Each listener has its own domain; an unknown domain denies, and zmq itself denies when
nobody answers (``zap_enforce_domain``).
"""

from __future__ import annotations

import threading
import weakref
from itertools import count
from typing import Protocol

import zmq

ADDRESS = "inproc://zeromq.zap.01"
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
        threading.Thread(target=self._run, name="simspark-zap", daemon=True).start()

    def add(self, authenticator: Authenticator) -> str:
        """A new domain, in which this authenticator decides. Any thread."""
        domain = f"simspark-{next(self._numbers)}"
        self._authenticators[domain] = authenticator
        return domain

    def remove(self, domain: str) -> None:
        """Deny everything in this domain from now on. Any thread; twice is harmless."""
        self._authenticators.pop(domain, None)

    def _run(self) -> None:
        try:
            while True:
                self._socket.send_multipart(self._answer(self._socket.recv_multipart()))
        except zmq.ZMQError:
            self._socket.close(0)  # the context has ended

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


def responder(context: zmq.Context[zmq.Socket[bytes]]) -> Responder:
    """The context's responder, started by the first who asks."""
    with _lock:
        found = _responders.get(context)
        if found is None:
            found = _responders[context] = Responder(context)
        return found


def user_id(role: str, key: str) -> bytes:
    """What zmq attaches to every frame of an authenticated peer."""
    return f"{key} {role}".encode()


def parse_user_id(text: str) -> tuple[str, str]:
    """The (role, key) of a peer, from the User-Id of its frames."""
    key, _, role = text.partition(" ")
    return role, key
