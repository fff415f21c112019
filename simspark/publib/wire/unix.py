"""The connection between a driver and the executors on its machine: a Unix socket, and no more. The driver's end.

``UnixListener`` and ``UnixDialer`` (``unix_dialer``) tell their handlers what Listener and Dialer tell: PeerJoined,
messages in order and exactly once, and one PeerLost. What a network needs is missing. Who may come is decided by the
directory, which is its user's alone, and by whose the other end is; the owner asks the hello for more. Nothing is
acknowledged or sent again, since a connection within one machine breaks only when one of its ends is gone.

No ping is sent, since the parent of the executors sees when one ends or is stopped, while one that holds Python's lock
for long would be late to answer. Only as long as that parent is silent itself (it was stopped, or all of a container
was) its executors are asked, by empty frames that they send back.

Why there is a second transport: zmq takes two threads in each process, two hand-overs more on each way of a message,
and a tenth of the time in which a small program starts. Here the loop reads and writes by itself.

A connection that breaks is a PeerSilent for the listener's owner, who soon hears from the executor's parent how it has
ended; a PeerLost follows only when the owner has not ended the session for some seconds. For an executor it is the
end of its driver.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from typing import Any

from simspark.publib import machine
from simspark.publib.errors import ConfigError, ProtocolError, VersionMismatch
from simspark.publib.service import Loop
from simspark.publib.wire import codec, codes, envelope
from simspark.publib.wire.envelope import LocalIdentity
from simspark.publib.wire.places import check_place, is_same_user

SCHEME = "unix://"
BACKLOG = 1024
ORPHANED_S = 15.0
ANSWER_S = 2.0
UNSENT_LIMIT_BYTES = 64 << 20
READ_BYTES = 1 << 18
READS_AT_ONCE = 8
ASK = b""

_LENGTH = struct.Struct("!I")


class Stream:
    """Frames with their lengths over one connected socket. Nothing here blocks."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._in = bytearray()
        self._out = bytearray()
        self.fd = connected.fileno()

    @property
    def unsent_bytes(self) -> int:
        """How much the other side has not taken."""
        return len(self._out)

    def put(self, frame: bytes) -> int:
        """Queue a frame; how many bytes the other side has not taken now."""
        self._out += _LENGTH.pack(len(frame))
        self._out += frame
        return len(self._out)

    def send(self) -> bool:
        """Send what the other side takes; False when something is left. OSError when it is gone."""
        while self._out:
            try:
                del self._out[: self._socket.send(self._out)]
            except BlockingIOError:
                return False
        return True

    def receive(self) -> tuple[Iterable[bytes], bool]:
        """The frames that have come, and whether the other side has gone."""
        gone = False
        for _ in range(READS_AT_ONCE):
            try:
                data = self._socket.recv(READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                gone = True
                break
            if not self._in and _is_one_frame(data):
                return (data[_LENGTH.size :],), False
            self._in += data
            if len(data) < READ_BYTES:
                break
        return self._frames(), gone

    def _frames(self) -> Iterator[bytes]:
        while len(self._in) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._in)[0]
            if end > codec.MAX_FRAME_BYTES:
                raise ProtocolError(f"a frame of {end} bytes, the limit is {codec.MAX_FRAME_BYTES}")
            if len(self._in) < end:
                return
            frame = bytes(memoryview(self._in)[_LENGTH.size : end])
            del self._in[:end]
            yield frame

    def close(self) -> None:
        """Twice is harmless."""
        self._socket.close()


class _Peer:
    """Who has connected: ``line`` is its first frame, ``greeted`` when its hello has come, ``open`` when it is in.

    ``doubted``: who would know of its end is silent. ``asked``: it has not answered yet; ``silent``: not in time.
    """

    __slots__ = ("asked", "broken", "doubted", "greeted", "line", "name", "open", "silent", "stream")

    def __init__(self, name: str, stream: Stream) -> None:
        self.name = name
        self.stream = stream
        self.line: LocalIdentity | None = None
        self.greeted = self.open = self.broken = False
        self.doubted = self.asked = self.silent = False


class UnixListener:
    """The driver's end. Made by any thread, then of the loop's alone."""

    PEERS = "u"  # what the names of its peers start with

    def __init__(self, path: str, me: LocalIdentity) -> None:
        check_place(path)
        self.endpoint = SCHEME + path
        self._me = me
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.bind(path)
            self._socket.listen(BACKLOG)
        except OSError as error:
            self._socket.close()
            raise ConfigError(f"cannot listen at {path}: {error.strerror}") from error
        self._socket.setblocking(False)
        self._numbers = count(1)
        self._peers: dict[str, _Peer] = {}
        self._dirty: dict[str, _Peer] = {}
        self._loop: Loop | None = None
        self._handler: Callable[[Any], None] = _nobody

    # ── what the owner calls ─────────────────────────────────────────────────────────────────────────────────────

    def send(self, peer: str, message: Any) -> bool:
        """Send. False when there is no such peer, or it does not take what it was sent."""
        found = self._peers.get(peer)
        if found is None or not found.open:
            return False
        if found.broken:
            return True
        if found.stream.put(codec.encode(1, 0, message)) > UNSENT_LIMIT_BYTES:
            self._end(found)
            self._of_loop().post(lambda: self._handler(_lost(peer, codes.OVERFLOW, "too much waits for this peer")))
            return False
        self._flush_soon(found)
        return True

    def accept(self, peer: str) -> None:
        """Let a peer in that has said hello."""
        found = self._peers.get(peer)
        if found is not None and found.greeted:
            found.open = True
            self._answer(found, "WELCOME", "0")
            self._flush_soon(found)

    def refuse(self, peer: str, code: str, text: str) -> None:
        """Turn a peer away, naming the reason. It hears PeerLost; the owner does not."""
        found = self._peers.get(peer)
        if found is not None:
            self._answer(found, "REFUSED", code, text)
            self._end(found)

    def close_peer(self, peer: str) -> None:
        """End a session. The peer hears PeerLost; the owner does not."""
        self.refuse(peer, codes.CLOSED, f"{self._me.role} has ended the connection")

    def doubt(self, peer: str, is_doubted: bool) -> None:
        """Whoever would know of this peer's end is silent, or is heard again; meanwhile the peer is asked.

        PeerSilent when it does not answer, PeerReturned when it does after all, or need not any more.
        """
        found = self._peers.get(peer)
        if found is None or not found.open or found.broken or found.doubted == is_doubted:
            return
        found.doubted = is_doubted
        if is_doubted:
            self._ask(found)
        else:
            self._of_loop().cancel(self._timer(found))
            self._hear(found)

    # ── what the loop calls ──────────────────────────────────────────────────────────────────────────────────────

    def attach(self, loop: Loop, handler: Callable[[Any], None]) -> None:
        """See service.Endpoint."""
        self._loop = loop
        self._handler = handler
        loop.add_fd(self._socket.fileno(), self._handle_callers)

    def flush(self) -> None:
        """See service.Endpoint."""
        dirty, self._dirty = self._dirty, {}
        for peer in dirty.values():
            self._write(peer)

    def close(self) -> None:
        """See service.Endpoint."""
        for peer in list(self._peers):
            self.refuse(peer, codes.CLOSED, f"{self._me.role} is shutting down")
        if self._loop is not None and self._socket.fileno() >= 0:
            self._loop.remove_fd(self._socket.fileno())
        self._socket.close()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _handle_callers(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:  # nobody is left, or there is no room for a descriptor: the next turn tries again
                return
            if is_same_user(caller):
                peer = _Peer(f"{self.PEERS}{next(self._numbers)}", Stream(caller))
                self._peers[peer.name] = peer
                self._of_loop().add_fd(peer.stream.fd, partial(self._handle_readable, peer))
            else:
                caller.close()

    def _handle_readable(self, peer: _Peer) -> None:
        frames, gone = peer.stream.receive()
        if peer.asked and not gone:
            self._hear(peer)
        try:
            for frame in frames:
                if peer.open and frame != ASK:
                    self._handler(machine.Received(peer.name, codec.decode(frame)[2]))
                elif not peer.open:
                    self._handle_opening(peer, frame)
                if peer.name not in self._peers:
                    return
        except VersionMismatch as error:
            self.refuse(peer.name, codes.VERSION, str(error))
        except ProtocolError as error:
            was_open = peer.open
            self.refuse(peer.name, codes.PROTOCOL, str(error))
            if was_open:
                self._handler(_lost(peer.name, codes.PROTOCOL, str(error)))
        else:
            if gone:
                self._break(peer)

    def _handle_opening(self, peer: _Peer, frame: bytes) -> None:
        """The two frames of an opening, one after the other."""
        if peer.line is None:
            peer.line = envelope.parse_line(frame)
            conflict = envelope.version_conflict(self._me, peer.line)
            if conflict:
                raise VersionMismatch(conflict)
        elif peer.greeted:
            raise ProtocolError("a message outside of a session")
        else:
            peer.greeted = True
            self._handler(machine.PeerJoined(peer.name, "", "", envelope.decode_opening(frame).hello))

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _ask(self, peer: _Peer) -> None:
        peer.asked = True
        peer.stream.put(ASK)
        self._flush_soon(peer)
        loop = self._of_loop()
        loop.call_at(self._timer(peer), loop.clock.now() + ANSWER_S, lambda: self._check(peer))

    def _check(self, peer: _Peer) -> None:
        """Ask again who has answered; who has not is silent until it does, for the question waits in its socket."""
        if not peer.asked:
            self._ask(peer)
        elif not peer.silent:
            peer.silent = True
            self._handler(machine.PeerSilent(peer.name))

    def _hear(self, peer: _Peer) -> None:
        peer.asked = False
        if peer.silent:
            peer.silent = False
            if peer.doubted:
                self._ask(peer)
            self._handler(machine.PeerReturned(peer.name))

    # ── writing, and ends ────────────────────────────────────────────────────────────────────────────────────────

    def _answer(self, peer: _Peer, verb: str, word: str, text: str = "") -> None:
        peer.stream.put(self._me.line())
        peer.stream.put(envelope.encode_answer(verb, word, text))

    def _flush_soon(self, peer: _Peer) -> None:
        if not self._dirty:
            self._of_loop().flush_soon(self)
        self._dirty[peer.name] = peer

    def _write(self, peer: _Peer) -> None:
        if peer.broken or peer.name not in self._peers:
            return
        try:
            if not peer.stream.send():
                self._of_loop().when_writable(peer.stream.fd, lambda: self._write(peer))
        except OSError:
            self._break(peer)

    def _break(self, peer: _Peer) -> None:
        """The other end is gone. Its parent is about to say why; who has not said hello is forgotten."""
        loop = self._of_loop()
        if not peer.open:
            self._end(peer)
        elif not peer.broken:
            peer.broken = True
            loop.remove_fd(peer.stream.fd)
            loop.call_at(self._timer(peer), loop.clock.now() + ORPHANED_S, lambda: self._give_up(peer))
            self._handler(machine.PeerSilent(peer.name))

    def _give_up(self, peer: _Peer) -> None:
        self._end(peer)
        self._handler(_lost(peer.name, codes.CLOSED, "the connection broke"))

    def _end(self, peer: _Peer) -> None:
        if self._peers.pop(peer.name, None) is None:
            return
        self._dirty.pop(peer.name, None)
        loop = self._of_loop()
        loop.cancel(self._timer(peer))
        try:
            peer.stream.send()
        except OSError:
            pass  # it has just left
        if not peer.broken:
            loop.remove_fd(peer.stream.fd)
        peer.stream.close()

    def _timer(self, peer: _Peer) -> str:
        return f"unix-{id(self)}-{peer.name}"

    def _of_loop(self) -> Loop:
        assert self._loop is not None
        return self._loop


def _is_one_frame(data: bytes) -> bool:
    """Whether nothing else was read: a small message, as nearly all are."""
    return len(data) >= _LENGTH.size and _LENGTH.unpack_from(data)[0] == len(data) - _LENGTH.size


def _lost(peer: str, code: str, text: str) -> machine.PeerLost:
    return machine.PeerLost(peer, f"{code}: {text}")


def _nobody(event: Any) -> None:
    """The handler before there is one."""
