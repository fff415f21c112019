"""Broadcast values: one copy on each machine, in a file that all its executors map.

Where the driver's files are on this machine they are mapped as they are. Elsewhere one executor of the machine copies
the value, the others wait for it. It comes in pieces, which every machine asks for in another order and serves to the
others as soon as it has them; so the driver sends little more than each piece once, however many machines there are.
What no other machine has, the driver has.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from zlib import crc32

from simspark.publib import failpoints
from simspark.publib.blocks.segments import SegmentFile, SegmentWriter, decode_inline
from simspark.publib.errors import BlockError, CorruptBlock, FetchFailed, OutOfReach
from simspark.publib.wire.messages import Owner
from simspark.worker.executor.blocks import Fetcher
from simspark.worker.executor.env import Environment

DRIVER = "driver"
PEERS_ASKED = 2


def read_broadcast(environment: Environment, fetcher: Fetcher, broadcast: int, pieces: int) -> Any:
    """The value of a broadcast, mapped from a file of the driver or from this machine's copy."""
    return read_value(environment, fetcher, f"broadcast-{broadcast}", pieces)


def read_value(environment: Environment, fetcher: Fetcher, name: str, pieces: int) -> Any:
    """The value in a file of the driver; mapped. FetchFailed when it cannot be had whole.

    A copy that turns out to be damaged is made once more, from the driver alone.
    """
    failpoints.hit("p9")
    directory = environment.local_directory(DRIVER)
    if directory is not None:
        return _whole(os.path.join(directory, name))
    path = os.path.join(environment.directory, name)
    try:
        return _whole(_copied(environment, fetcher, path, pieces, PEERS_ASKED))
    except CorruptBlock:
        remove_file(path)
    try:
        return _whole(_copied(environment, fetcher, path, pieces, 0))
    except CorruptBlock as error:
        remove_file(path)
        raise FetchFailed(DRIVER, name, -1, -1, str(error)) from error


def _copied(environment: Environment, fetcher: Fetcher, path: str, pieces: int, peers_asked: int) -> str:
    """This machine's copy, which one of its executors makes while the others wait."""
    if not os.path.exists(path):
        with only_one_here(path + ".lock"):
            if not os.path.exists(path):
                _Copy(environment, fetcher, os.path.basename(path), peers_asked).make(path, pieces)
    return path


class _Copy:
    """Brings one value to this machine."""

    def __init__(self, environment: Environment, fetcher: Fetcher, name: str, peers_asked: int) -> None:
        self._environment = environment
        self._fetcher = fetcher
        self._name = name
        self._peers_asked = peers_asked
        self._out_of_reach: set[str] = set()

    def make(self, path: str, pieces: int) -> None:
        """Fetch the pieces, each a file that others may have at once; then make one file of them."""
        first = crc32(self._environment.own_name.encode()) % pieces
        for number in (*range(first, pieces), *range(first)):
            if not os.path.exists(f"{path}.{number}"):
                _write_piece(f"{path}.{number}", self._fetch(number))
        writer = SegmentWriter(path)
        try:
            for number in range(pieces):
                with SegmentFile(f"{path}.{number}") as piece:
                    writer.append_frame(number, piece.segment(0))
            writer.commit()
        finally:
            writer.abort()
        for number in range(pieces):
            os.unlink(f"{path}.{number}")

    def _fetch(self, number: int) -> Any:
        """One piece from another machine: whole copies and pieces of them are looked for, then the driver is asked."""
        for peer in self._peers(number):
            for name, segment in ((f"{self._name}.{number}", 0), (self._name, number)):
                try:
                    return self._fetcher.fetch(peer, name, segment).wait()
                except OutOfReach:
                    self._out_of_reach.add(peer.owner)
                    break
                except BlockError:
                    continue
        driver = self._environment.owner(DRIVER)
        try:
            if driver is None:
                raise BlockError("nobody has said where the driver is")
            return self._fetcher.fetch(driver, self._name, number).wait()
        except BlockError as error:
            raise FetchFailed(DRIVER, self._name, -1, -1, str(error)) from error

    def _peers(self, number: int) -> list[Owner]:
        """A few other machines, other ones for each piece."""
        own = self._environment.own_name
        others = [
            owner for owner in self._environment.owners()
            if owner.endpoint and owner.owner not in (DRIVER, own) and owner.owner not in self._out_of_reach
        ]  # fmt: skip
        return sorted(others, key=lambda owner: crc32(f"{own} {owner.owner} {number}".encode()))[: self._peers_asked]


def _write_piece(path: str, piece: Any) -> None:
    writer = SegmentWriter(path)
    try:
        writer.append_frame(0, piece)
        writer.commit()
    finally:
        writer.abort()


def remove_file(path: str) -> None:
    """Remove a file, if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


@contextmanager
def only_one_here(path: str) -> Iterator[None]:
    """A lock among the executors of this machine; one that dies lets it go."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _whole(path: str) -> Any:
    return decode_inline(SegmentFile(path).whole(), path)
