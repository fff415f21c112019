"""What the floors stand on: two forked processes, with sockets to their parent and to each other."""

from __future__ import annotations

import os
import pickle
import socket
import struct
from collections.abc import Callable
from typing import Any

HEAD = struct.Struct("!Q")


class Line:
    """One end of a socket that carries whole messages."""

    def __init__(self, end: socket.socket, pid: int = 0) -> None:
        self._end = end
        self._pid = pid

    def close(self) -> None:
        """See the process at the other end go."""
        self._end.close()
        if self._pid:
            os.waitpid(self._pid, 0)

    def send(self, message: bytes) -> None:
        """Send one message."""
        self._end.sendall(HEAD.pack(len(message)))
        if message:  # after an empty one the other end may have gone
            self._end.sendall(message)

    def receive(self) -> bytearray:
        """The next message; EOFError when the other end has gone."""
        return self._exactly(HEAD.unpack(self._exactly(HEAD.size))[0])

    def _exactly(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            got = self._end.recv_into(view)
            if not got:
                raise EOFError
            view = view[got:]
        return data


def half(number: int, size: int) -> range:
    """The first or the second half of the numbers up to a size."""
    middle = size // 2
    return range(middle) if number == 0 else range(middle, size)


class Side:
    """What one of the two has: its number, its parent, and the other."""

    def __init__(self, number: int, parent: Line, other: Line) -> None:
        self.number = number
        self.parent = parent
        self.other = other

    def half(self, size: int) -> range:
        """This side's half of the numbers up to a size."""
        return half(self.number, size)

    def swap(self, message: bytes) -> bytearray:
        """Give the other a message and take its own; one after the other, so that no buffer has to hold them."""
        if self.number == 0:
            self.other.send(message)
            return self.other.receive()
        received = self.other.receive()
        self.other.send(message)
        return received


def fork_two(work: Callable[[Side], None]) -> tuple[Line, Line]:
    """Two processes that do some work; they end with it, or when their parent goes."""
    between = socket.socketpair()
    parents = [_fork(work, number, between[number]) for number in range(2)]
    for end in between:
        end.close()
    return parents[0], parents[1]


def _fork(work: Callable[[Side], None], number: int, other: socket.socket) -> Line:
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            work(Side(number, Line(theirs), Line(other)))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            pass
        finally:
            os._exit(0)
    theirs.close()
    return Line(ours, pid)


def together(work: Callable[[Side], Any]) -> tuple[Any, Any]:
    """Have both do some work, and take what they return."""
    lines = fork_two(lambda side: side.parent.send(pickle.dumps(work(side), 5)))
    first, second = (pickle.loads(line.receive()) for line in lines)
    for line in lines:
        line.close()
    return first, second


def answering(answer: Callable[[Side, bytearray], bytes]) -> tuple[Line, Line]:
    """Two processes that answer messages until their parent goes."""

    def serve(side: Side) -> None:
        while True:
            side.parent.send(answer(side, side.parent.receive()))

    return fork_two(serve)
