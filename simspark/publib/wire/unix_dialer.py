"""The executor's end of a Unix socket to its driver: see ``unix`` for what both promise."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from typing import Any

from simspark.publib import machine
from simspark.publib.errors import ProtocolError
from simspark.publib.interpreters import watched
from simspark.publib.service import Loop
from simspark.publib.wire import codec, codes, envelope
from simspark.publib.wire.envelope import LocalIdentity, Opening
from simspark.publib.wire.places import peer_of
from simspark.publib.wire.unix import ASK, SCHEME, UNSENT_LIMIT_BYTES, Stream


class UnixDialer:
    """The executor's end: one connection, whose end is the end.

    Made by any thread, then of the loop's alone, but for ``send_at_once``. What is queued is under a lock for its sake.
    ``connected`` is a socket that is there already: see ``places.reach``.
    """

    def __init__(self, endpoint: str, me: LocalIdentity, hello: Any, connect_timeout_s: float,
                 connected: socket.socket | None = None) -> None:
        self.endpoint = endpoint
        self._me = me
        self._hello = hello
        self._connect_timeout_s = connect_timeout_s
        self._connected = connected
        self._stream: Stream | None = None
        self._driver_fd = -1
        self._early: list[bytes] = []
        self._sending = threading.Lock()
        self._line: LocalIdentity | None = None
        self._is_open = self._is_over = False
        self._loop: Loop | None = None
        self._handler: Callable[[Any], None] = _nobody

    def send(self, message: Any) -> None:
        """Send, or keep until the session is open. After PeerLost, nothing happens."""
        if self._stream is None or self._is_over:
            return
        frame = codec.encode(1, 0, message)
        if not self._is_open:
            self._early.append(frame)
            return
        self._send_frame(frame)

    def _send_frame(self, frame: bytes) -> None:
        assert self._stream is not None
        with self._sending:
            self._stream.put(frame)
        if self._stream.unsent_bytes > UNSENT_LIMIT_BYTES:
            self._lose_later(codes.OVERFLOW, f"too much waits for {self.endpoint}")
        else:
            self._of_loop().flush_soon(self)

    def send_at_once(self, message: Any) -> None:
        """Send from any thread without waking the loop, unless the driver does not take it all now."""
        if not self._is_open or self._stream is None or self._is_over:
            self._of_loop().post(lambda: self.send(message))
            return
        frame = codec.encode(1, 0, message)
        try:
            with self._sending:
                self._stream.put(frame)
                is_sent = self._stream.send()
        except OSError:
            is_sent = False  # the loop is about to hear why
        except BaseException:
            self._is_over = True  # a signal came between: nobody knows what has left, and nothing more may
            raise
        if is_sent:
            return
        if self._stream.unsent_bytes > UNSENT_LIMIT_BYTES:
            self._of_loop().post(lambda: self._lose(codes.OVERFLOW, f"too much waits for {self.endpoint}"))
        else:
            self._of_loop().post(self.flush)

    # ── what the loop calls ──────────────────────────────────────────────────────────────────────────────────────

    def attach(self, loop: Loop, handler: Callable[[Any], None]) -> None:
        """See service.Endpoint."""
        self._loop = loop
        self._handler = handler
        try:
            connected = self._connected or _connect(self.endpoint.removeprefix(SCHEME))
        except OSError as error:
            self._lose_later(codes.NO_PEER, f"{self.endpoint}: {error.strerror}")
            return
        self._driver_fd = watched(peer_of(connected))
        if self._driver_fd >= 0:
            loop.add_fd(self._driver_fd, self._handle_end_of_driver)
        self._stream = Stream(connected)
        self._stream.put(self._me.line())
        self._stream.put(envelope.encode_opening(Opening(False, os.urandom(envelope.SESSION_BYTES), 0, self._hello)))
        loop.add_fd(self._stream.fd, self._handle_readable)
        loop.call_at(self._timer(), loop.clock.now() + self._connect_timeout_s, self._handle_too_late)
        loop.flush_soon(self)

    def flush(self) -> None:
        """See service.Endpoint."""
        if self._stream is None or self._is_over:
            return
        try:
            with self._sending:
                is_sent = self._stream.send()
            if not is_sent:
                self._of_loop().when_writable(self._stream.fd, self.flush)
        except OSError:
            self._handle_readable()  # which hears what was said last

    def close(self) -> None:
        """See service.Endpoint."""
        if not self._is_over:
            self.flush()
            self._end()

    # ── reading, and ends ────────────────────────────────────────────────────────────────────────────────────────

    def _handle_readable(self) -> None:
        if self._stream is None or self._is_over:
            return
        frames, gone = self._stream.receive()
        try:
            for frame in frames:
                if not self._handle_frame(frame):
                    return
        except ProtocolError as error:
            self._lose(codes.PROTOCOL, str(error))
            return
        if gone:
            self._lose(codes.CLOSED, f"{self.endpoint} is gone")

    def _handle_frame(self, frame: bytes) -> bool:
        """Take one frame; False when it was the last."""
        if frame == ASK:
            self._send_frame(ASK)
        elif self._line is not None:
            line, self._line = self._line, None
            self._handle_answer(line, envelope.decode_answer(frame))
        elif frame.startswith(envelope.MAGIC):
            self._line = envelope.parse_line(frame)
        elif self._is_open:
            self._handler(machine.Received("", codec.decode(frame)[2]))
        else:
            raise ProtocolError("a message outside of a session")
        return not self._is_over

    def _handle_answer(self, other: LocalIdentity, answer: envelope.Answer) -> None:
        conflict = envelope.version_conflict(self._me, other)
        if answer.verb == "REFUSED":
            self._lose(answer.word, answer.text)
        elif conflict:
            self._lose(codes.VERSION, conflict)
        elif answer.verb != "WELCOME" or self._is_open:
            raise ProtocolError("an answer that nobody asked for")
        else:
            assert self._stream is not None
            self._of_loop().cancel(self._timer())
            for frame in self._early:
                self._stream.put(frame)
            self._early.clear()
            self._is_open = True
            self._of_loop().flush_soon(self)
            self._handler(machine.PeerJoined("", other.role, "", None))

    def _handle_end_of_driver(self) -> None:
        """Its process has ended, though a fork of it may hold the connection open."""
        self._handle_readable()
        if not self._is_over:
            self._lose(codes.CLOSED, f"{self.endpoint} is gone")

    def _handle_too_late(self) -> None:
        text = f"{self.endpoint} did not answer the hello in {self._connect_timeout_s:g} s"
        self._lose(codes.NO_PEER, text)

    def _lose_later(self, code: str, text: str) -> None:
        self._end()
        self._of_loop().post(lambda: self._handler(machine.PeerLost("", f"{code}: {text}")))

    def _lose(self, code: str, text: str) -> None:
        self._end()
        self._handler(machine.PeerLost("", f"{code}: {text}"))

    def _end(self) -> None:
        self._is_over = True
        loop = self._of_loop()
        loop.cancel(self._timer())
        if self._stream is not None:
            loop.remove_fd(self._stream.fd)
            self._stream.close()
        if self._driver_fd >= 0:
            loop.remove_fd(self._driver_fd)
            os.close(self._driver_fd)
            self._driver_fd = -1

    def _timer(self) -> str:
        return f"unix-{id(self)}"

    def _of_loop(self) -> Loop:
        assert self._loop is not None
        return self._loop


def _connect(path: str) -> socket.socket:
    connected = socket.socket(socket.AF_UNIX)
    try:
        connected.connect(path)
    except OSError:
        connected.close()
        raise
    return connected


def _nobody(event: Any) -> None:
    """The handler before there is one."""
