"""Block server and fetcher over tcp with keys: what arrives, who may read, and that every wait ends."""

from __future__ import annotations

import socket
import threading

import pytest
import zmq

from simspark.publib.blocks import fetch
from simspark.publib.blocks.app_directory import AppDirectory
from simspark.publib.blocks.fetch import BlockFetcher
from simspark.publib.blocks.segments import SegmentFile, SegmentWriter
from simspark.publib.blocks.server import BlockServer
from simspark.publib.clock import SystemClock
from simspark.publib.errors import BlockError
from simspark.publib.service import Loop
from simspark.publib.wire import messages
from simspark.publib.wire.keys import ClientKeys, new_pair
from simspark.publib.wire.messages import BlockClientHello, Owner
from simspark.publib.wire.transport import Dialer, Listener, local_identity

MIB = 1 << 20


class Roles:
    def __init__(self, roles):
        self.roles = roles

    def role_of(self, public_key):
        return self.roles.get(public_key)


class Running:
    """A loop in a thread."""

    def __init__(self):
        self.loop = Loop(SystemClock())
        self.thread = threading.Thread(target=self.loop.run, daemon=True)

    def stop(self):
        self.loop.stop()
        self.thread.join(10)


class Stand:
    def __init__(self, root):
        self.context = zmq.Context()
        self.directory = AppDirectory.create(str(root), "app")
        self.keys = new_pair()
        self.client = new_pair()
        self.other = new_pair()
        roles = Roles({self.client.public: "executor:app", self.other.public: "executor:another"})
        self.server = Running()
        self.listener = Listener(
            self.context, "tcp://127.0.0.1:0", local_identity("worker"), self.keys, roles
        )
        paths = {"app": self.directory.path, "another": str(root / "another")}
        self.blocks = BlockServer(self.listener, paths.get)
        self.server.loop.add(self.listener, self.blocks.handle)
        self.server.thread.start()
        self.owner = Owner("w1", "/elsewhere", "t", self.listener.endpoint, self.keys.public)
        self.here = Running()
        self.here.thread.start()

    def fetcher(self, pair=None, application="app", budget_bytes=48 * MIB):
        pair = pair or self.client

        def dial(owner):
            curve = ClientKeys(pair.public, pair.secret, owner.server_key)
            me = local_identity("executor")
            return Dialer(self.context, owner.endpoint, me, BlockClientHello(application), curve, 2.0)

        return BlockFetcher(self.here.loop, SystemClock(), dial, budget_bytes)

    def put(self, name, *segments):
        writer = SegmentWriter(self.directory.file(name))
        for index, rows in enumerate(segments):
            writer.append(index, rows)
        writer.commit()
        return SegmentFile(self.directory.file(name))

    def close(self):
        self.here.stop()
        self.server.stop()
        self.context.term()


@pytest.fixture
def stand(tmp_path):
    here = Stand(tmp_path)
    yield here
    here.close()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(fetch, "SILENCE_S", 0.5)
    monkeypatch.setattr(fetch, "CHECK_S", 0.1)
    monkeypatch.setattr(fetch, "UNREACHABLE_S", 600.0)
    monkeypatch.setattr(fetch, "DIALS", 2)


def test_segments_arrive_whole_small_large_and_empty(stand):
    file = stand.put("shuffle-1-0-0", [1, 2], [], ["x" * MIB for _ in range(5)])
    fetcher = stand.fetcher()
    pending = [fetcher.fetch(stand.owner, "shuffle-1-0-0", index) for index in range(3)]
    for index, segment in enumerate(pending):
        assert bytes(segment.wait()) == bytes(file.segment(index))


def test_many_large_segments_are_had_within_the_budget(stand):
    files = [stand.put(f"shuffle-1-{index}-0", [bytes([index]) * (2 * MIB + index)]) for index in range(8)]
    fetcher = stand.fetcher(budget_bytes=3 * MIB)
    pending = [fetcher.fetch(stand.owner, f"shuffle-1-{index}-0", 0) for index in range(8)]
    for index in (7, 0, 3, 1, 2, 4, 5, 6):  # in whatever order they are wanted
        assert bytes(pending[index].wait()) == bytes(files[index].segment(0))
    done = threading.Event()
    stand.here.loop.post(done.set)
    assert done.wait(60)
    assert fetcher._held_bytes == 0
    assert fetcher._sized == []


def test_a_segment_that_is_not_wanted_any_more_gives_its_memory_back(stand):
    stand.put("shuffle-1-0-0", ["x" * (4 * MIB)])
    fetcher = stand.fetcher()
    fetcher.fetch(stand.owner, "shuffle-1-0-0", 0).cancel()
    fetcher.fetch(stand.owner, "shuffle-1-0-0", 0).wait()
    done = threading.Event()
    stand.here.loop.post(done.set)
    assert done.wait(60)
    assert fetcher._held_bytes == 0


@pytest.mark.parametrize("name", ["shuffle-9-9-9", "../app/shuffle-1-0-0", ".owner", "/etc/passwd"])
def test_what_is_not_there_or_has_no_plain_name_is_an_error_at_once(stand, name):
    with pytest.raises(BlockError):
        stand.fetcher().fetch(stand.owner, name, 0).wait()


def test_the_key_of_another_application_reads_nothing(stand, impatient):
    stand.put("shuffle-1-0-0", [1])
    with pytest.raises(BlockError, match="cannot be reached"):
        stand.fetcher(stand.other, "app").fetch(stand.owner, "shuffle-1-0-0", 0).wait()


def test_an_unknown_key_is_refused_in_bounded_time(stand, impatient):
    stand.put("shuffle-1-0-0", [1])
    with pytest.raises(BlockError, match="cannot be reached"):
        stand.fetcher(new_pair()).fetch(stand.owner, "shuffle-1-0-0", 0).wait()


def test_a_server_that_is_gone_or_says_nothing_is_given_up(stand, impatient, monkeypatch):
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen()
    with socket.socket() as gone:
        gone.bind(("127.0.0.1", 0))
        nobody = f"tcp://127.0.0.1:{gone.getsockname()[1]}"
    fetcher = stand.fetcher()
    with silent:
        for endpoint in (f"tcp://127.0.0.1:{silent.getsockname()[1]}", nobody):
            with pytest.raises(BlockError, match="cannot be reached"):
                fetcher.fetch(stand.owner._replace(endpoint=endpoint), "shuffle-1-0-0", 0).wait()
    stand.put("shuffle-1-0-0", [1])
    monkeypatch.setattr(fetch, "SILENCE_S", 60.0)
    assert fetcher.fetch(stand.owner, "shuffle-1-0-0", 0).wait()


def test_a_server_that_was_out_of_reach_is_not_dialled_for_the_next_file(stand, impatient, monkeypatch):
    with socket.socket() as gone:
        gone.bind(("127.0.0.1", 0))
        nobody = stand.owner._replace(endpoint=f"tcp://127.0.0.1:{gone.getsockname()[1]}")
    fetcher = stand.fetcher()
    dial, dialled = fetcher._dial, []
    monkeypatch.setattr(fetcher, "_dial", lambda owner: dialled.append(owner) or dial(owner))
    for name in ("shuffle-1-0-0", "shuffle-1-1-1", "shuffle-1-2-2"):
        with pytest.raises(BlockError, match="cannot be reached"):
            fetcher.fetch(nobody, name, 0).wait()
    assert dialled == [nobody] * fetch.DIALS


def test_a_client_that_sends_something_else_is_cut_off(stand):
    lost = threading.Event()
    curve = ClientKeys(stand.client.public, stand.client.secret, stand.keys.public)
    dialer = Dialer(
        stand.context, stand.listener.endpoint, local_identity("executor"), BlockClientHello("app"), curve, 2.0
    )

    def handle(event):
        if type(event).__name__ == "PeerLost":
            lost.set()

    stand.here.loop.add(dialer, handle)
    stand.here.loop.post(lambda: dialer.send(messages.CommitAsk(1)))
    assert lost.wait(60)
