"""Fetches segments from block servers on other machines.

A segment comes in chunks of at most 1 MiB, several under way at a time; chunks of many segments share one
connection for each server. A wait ends in bounded time: with the bytes, whose number is what the server
said, or with a BlockError. A server that refuses, breaks off or says nothing for some seconds is dialled
again a few times, and goes on where it stopped.

Memory is bounded: only the first chunk of a segment is asked for at once. The rest follows while all
segments that are held fit in a budget, or when somebody waits for that very segment, so that waiting for
each other cannot happen.

``fetch``, ``wait`` and ``cancel`` are for any thread; all else happens in the loop's.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from simspark.publib import machine
from simspark.publib.clock import Clock
from simspark.publib.errors import BlockError, CorruptBlock, MissingBlock, OutOfReach
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.resources import MOST_FETCHED_BYTES
from simspark.publib.service import Loop
from simspark.publib.wire.messages import Chunk, FetchChunk, Owner
from simspark.publib.wire.transport import Dialer

CHUNK_BYTES = 1 << 20
CHUNKS_IN_FLIGHT = 6
SEGMENT_LIMIT_BYTES = 16 << 30
DIALS = 3
SILENCE_S = 5.0
UNREACHABLE_S = 5.0
"""A server that could not be reached is not tried again for so long: a task that needs ten of its files waits once."""
CHECK_S = 1.0

Place = tuple[str, str]


class Segment:
    """A segment on its way."""

    def __init__(self, fetcher: BlockFetcher, place: Place, name: str, number: int) -> None:
        self.place = place
        self.name = name
        self.number = number
        self.data = bytearray()
        self.size_known = False
        self.missing_bytes = 0
        self.admitted = False
        self.wanted_now = False
        self.error: BlockError | None = None
        self._fetcher = fetcher
        self._done = threading.Event()

    @property
    def over(self) -> bool:
        """Whether it has come, or cannot."""
        return self._done.is_set()

    def wait(self) -> bytearray:
        """The bytes; BlockError when they cannot be had. Call it once."""
        if not self.over:
            self.wanted_now = True
            self._fetcher.post_look()
        self._done.wait()
        self._fetcher.post_release(self)
        if self.error is not None:
            raise self.error
        return self.data

    def cancel(self) -> None:
        """Nobody wants it any more."""
        self.finish(MissingBlock(f"{self.name}: not wanted any more"))
        self._fetcher.post_release(self)

    def finish(self, error: BlockError | None) -> None:
        """It is there, or never will be. Only the first word counts."""
        if not self.over:
            self.error = error
            self._done.set()


class _Part(NamedTuple):
    segment: Segment
    offset: int


class _Link:
    """The connection to one block server, and what is to come over it."""

    def __init__(self, owner: Owner, now: float) -> None:
        self.owner = owner
        self.dialer: Dialer | None = None
        self.open = False
        self.dials = 0
        self.heard_at = now
        self.waiting: deque[_Part] = deque()
        self.asked: dict[int, _Part] = {}


class BlockFetcher:
    """Fetches segments over one loop. ``dial(owner)`` makes a dialer that says hello to a block server."""

    def __init__(self, loop: Loop, clock: Clock, dial: Callable[[Owner], Dialer],
                 budget_bytes: int = MOST_FETCHED_BYTES) -> None:
        self._loop = loop
        self._budget_bytes = budget_bytes
        self._clock = clock
        self._dial = dial
        self._links: dict[Place, _Link] = {}
        self._sized: list[Segment] = []
        self._unreachable: dict[Place, tuple[float, str]] = {}
        self._held_bytes = 0
        self._requests = 0

    def fetch(self, owner: Owner, name: str, segment: int) -> Segment:
        """Start fetching one segment of a file. Any thread."""
        wanted = Segment(self, (owner.endpoint, owner.server_key), name, segment)
        self._loop.post(lambda: self._start(owner, wanted))
        return wanted

    def post_look(self) -> None:
        """Somebody waits now. Any thread."""
        self._loop.post(self._admit)

    def post_release(self, segment: Segment) -> None:
        """A segment was taken over by who wanted it, or is not wanted. Any thread."""
        self._loop.post(lambda: self._release(segment))

    # ── in the loop ──────────────────────────────────────────────────────────────────────────────

    def _start(self, owner: Owner, segment: Segment) -> None:
        until, reason = self._unreachable.get(segment.place, (0.0, ""))
        if self._clock.now() < until:
            segment.finish(_out_of_reach(segment, reason))
            return
        link = self._links.get(segment.place)
        if link is None:
            link = self._links[segment.place] = _Link(owner, self._clock.now())
            self._connect(link)
        link.waiting.append(_Part(segment, 0))
        self._ask(link)

    def _connect(self, link: _Link) -> None:
        link.dials += 1
        link.open = False
        link.heard_at = self._clock.now()
        link.dialer = self._dial(link.owner)
        self._loop.add(link.dialer, lambda event: self._handle(link, event))
        self._loop.call_at(f"fetch {link.owner.endpoint}", link.heard_at + CHECK_S, lambda: self._check(link))

    def _handle(self, link: _Link, event: object) -> None:
        match event:
            case machine.PeerJoined():
                link.open = True
                link.heard_at = self._clock.now()
                self._ask(link)
            case machine.Received(_, Chunk() as chunk):
                link.heard_at = self._clock.now()
                link.dials = 1
                self._take(link, chunk)
            case machine.PeerLost(_, reason):
                self._broken(link, reason)

    def _ask(self, link: _Link) -> None:
        """Ask for more parts, as far as the window allows."""
        if not link.open or link.dialer is None:
            return
        if not link.asked:
            link.heard_at = self._clock.now()
        while link.waiting and len(link.asked) < CHUNKS_IN_FLIGHT:
            part = link.waiting.popleft()
            if part.segment.over:
                continue
            self._requests += 1
            link.asked[self._requests] = part
            name, number = part.segment.name, part.segment.number
            link.dialer.send(FetchChunk(self._requests, name, number, part.offset, CHUNK_BYTES))

    def _take(self, link: _Link, chunk: Chunk) -> None:
        part = link.asked.pop(chunk.request, None)
        if part is not None and not part.segment.over:
            self._take_part(part, chunk)
        self._ask(link)

    def _take_part(self, part: _Part, chunk: Chunk) -> None:
        segment, offset = part
        if chunk.error:
            segment.finish(MissingBlock(f"{segment.name}: {chunk.error}"))
            return
        expected = min(CHUNK_BYTES, chunk.total - offset)
        if chunk.offset != offset or len(chunk.data) != expected or chunk.total > SEGMENT_LIMIT_BYTES:
            segment.finish(CorruptBlock(f"{segment.name}: the server sent another part than was asked for"))
            return
        if not segment.size_known:
            segment.size_known = True
            segment.missing_bytes = chunk.total
            segment.data += chunk.data
            if chunk.total > CHUNK_BYTES:
                self._sized.append(segment)
        elif chunk.total != len(segment.data):
            segment.finish(CorruptBlock(f"{segment.name}: its length changed"))
            return
        else:
            segment.data[offset : offset + len(chunk.data)] = chunk.data
        segment.missing_bytes -= len(chunk.data)
        if segment.missing_bytes == 0:
            segment.finish(None)
        self._admit()

    def _admit(self) -> None:
        """Ask for the rest of segments, in the order in which they came, as far as memory allows."""
        waiting = [segment for segment in self._sized if not segment.over]
        self._sized = []
        for segment in waiting:
            rest = segment.missing_bytes
            if segment.wanted_now or self._held_bytes + rest <= self._budget_bytes:
                self._admit_one(segment, rest)
            else:
                self._sized.append(segment)

    def _admit_one(self, segment: Segment, rest: int) -> None:
        segment.admitted = True
        self._held_bytes += rest
        segment.data += bytes(rest)
        link = self._links[segment.place]
        link.waiting.extend(_Part(segment, at) for at in range(CHUNK_BYTES, len(segment.data), CHUNK_BYTES))
        self._ask(link)

    def _release(self, segment: Segment) -> None:
        if segment.admitted:
            segment.admitted = False
            self._held_bytes -= len(segment.data) - CHUNK_BYTES
            self._admit()

    # ── when a server does not answer ────────────────────────────────────────────────────────────

    def _check(self, link: _Link) -> None:
        now = self._clock.now()
        if link.dialer is None:
            return
        if (link.asked or not link.open) and now - link.heard_at > SILENCE_S:
            self._broken(link, f"no answer for {SILENCE_S:.0f} s")
            return
        self._loop.call_at(f"fetch {link.owner.endpoint}", now + CHECK_S, lambda: self._check(link))

    def _broken(self, link: _Link, reason: str) -> None:
        """Dial again for what is still wanted, or give it up."""
        if link.dialer is None:
            return
        self._loop.remove(link.dialer)
        link.dialer = None
        link.waiting.extendleft(reversed(link.asked.values()))
        link.asked.clear()
        wanted = {part.segment for part in link.waiting if not part.segment.over}
        wanted |= {segment for segment in self._sized if segment.place == _place(link) and not segment.over}
        if wanted and link.dials < DIALS:
            self._connect(link)
            return
        del self._links[_place(link)]
        if link.dials >= DIALS:
            self._unreachable[_place(link)] = (self._clock.now() + UNREACHABLE_S, reason)
        for segment in wanted:
            segment.finish(_out_of_reach(segment, reason))


def _out_of_reach(segment: Segment, reason: str) -> OutOfReach:
    return OutOfReach(f"{segment.name}: {segment.place[0]} cannot be reached: {reason}")


def _place(link: _Link) -> Place:
    return link.owner.endpoint, link.owner.server_key
