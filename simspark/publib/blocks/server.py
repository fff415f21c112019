"""The block server: files of an application for those who may read them, on other machines.

It runs in the loop of a worker or a driver. A client says of which application it wants files, and its key
must be that application's executors'. It reads, and nothing else; names are checked, so nothing outside the
application's directory can be named. One answer is at most 1 MiB, and a client asks for more only as
answers come: that is the flow control. A client that asks without taking the answers is cut off by its
session's bounded queue.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from simspark.publib import failpoints, machine
from simspark.publib.blocks.app_directory import checked_name
from simspark.publib.blocks.segments import SegmentFile
from simspark.publib.errors import BlockError, ProtocolError
from simspark.publib.wire.messages import BlockClientHello, Chunk, FetchChunk
from simspark.publib.wire.transport import Listener

CHUNK_BYTES = 1 << 20
EXECUTOR_ROLE = "executor:"


class BlockServer:
    """Serves segments from the directories that ``directory_of(application)`` names. The loop's alone.

    ``handle`` takes the listener's events. ``trusted`` is for listeners on private Unix sockets, where keys
    prove nothing and nobody else can connect.
    """

    def __init__(self, listener: Listener, directory_of: Callable[[str], str | None], trusted: bool = False) -> None:
        self._listener = listener
        self._directory_of = directory_of
        self._trusted = trusted
        self._applications: dict[str, str] = {}

    def handle(self, event: machine.PeerJoined | machine.PeerLost | machine.Received | object) -> None:
        """Take one event of the listener."""
        match event:
            case machine.PeerJoined(peer, role, _, hello):
                self._admit(peer, role, hello)
            case machine.PeerLost(peer, _):
                self._applications.pop(peer, None)
            case machine.Received(peer, FetchChunk() as request):
                self._listener.send(peer, self._answer(peer, request))
            case machine.Received(peer, _):
                self._listener.close_peer(peer)

    def _admit(self, peer: str, role: str, hello: object) -> None:
        if not isinstance(hello, BlockClientHello):
            self._listener.refuse(peer, "role", "this is a block server")
        elif role != EXECUTOR_ROLE + hello.application and not (self._trusted and not role):
            self._listener.refuse(peer, "role", f"the key is not that of executors of {hello.application[:80]}")
        else:
            self._applications[peer] = hello.application
            self._listener.accept(peer)

    def _answer(self, peer: str, request: FetchChunk) -> Chunk:
        try:
            total, data = self._read(self._applications.get(peer, ""), request)
        except (BlockError, ProtocolError, OSError) as error:
            return Chunk(request.request, request.offset, 0, b"", f"{type(error).__name__}: {error}"[:1000])
        if failpoints.hit("p7"):
            data = failpoints.spoil(data)
        return Chunk(request.request, request.offset, total, data, "")

    def _read(self, application: str, request: FetchChunk) -> tuple[int, bytes]:
        directory = self._directory_of(application)
        if directory is None:
            raise ProtocolError(f"no files of {application} here")
        if request.segment < 0 or request.offset < 0 or not 0 < request.length <= CHUNK_BYTES:
            raise ProtocolError("no such part of a segment can be")
        with SegmentFile(os.path.join(directory, checked_name(request.name))) as file:
            segment = file.segment(request.segment)
            return len(segment), bytes(segment[request.offset : request.offset + request.length])
