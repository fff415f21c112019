"""Listener and Dialer on real sockets: what breaks, who is turned away, and that no message is lost or doubled."""

from __future__ import annotations

import json
import os
import random
import resource
import select
import socket
import threading
import time

import pytest
import zmq

from simspark.publib import machine
from simspark.publib.clock import SystemClock
from simspark.publib.errors import (
    AccessRefused,
    ConfigError,
    MessageTooLarge,
    NoMaster,
    PortTaken,
    VersionMismatch,
)
from simspark.publib.service import Loop
from simspark.publib.wire import codec, connections, envelope, messages, sockets, zap
from simspark.publib.wire.ask import ask_status
from simspark.publib.wire.envelope import LocalIdentity, Opening, local_identity
from simspark.publib.wire.keys import KeyRing, new_pair
from simspark.publib.wire.session import SessionLimits
from simspark.publib.wire.transport import Dialer, Heartbeats, Listener, error_for

pytestmark = pytest.mark.cluster

WAIT_S = 60.0
FAST = Heartbeats(every_ms=100, timeout_ms=400)
SELDOM = Heartbeats(every_ms=60_000, timeout_ms=60_000)
HELLO = messages.StatusQuery()
MASTER, DRIVER = local_identity("master"), local_identity("driver")


def wait_for(condition, what, timeout_s=WAIT_S):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain for {what}"
        time.sleep(0.005)


class Side:
    """One loop on a thread of its own, with one endpoint whose events are kept."""

    def __init__(self, endpoint, on_event=None):
        self.endpoint = endpoint
        self.events = []
        self.crashes = []
        self.loop = Loop(SystemClock(), self.crashes.append)
        self.on_event = on_event
        self.loop.add(endpoint, self.handle)
        self.thread = threading.Thread(target=self.loop.run, daemon=True)
        self.thread.start()

    def handle(self, event):
        if self.on_event is not None:
            self.on_event(self, event)
        self.events.append(event)

    def of(self, kind):
        return [event for event in list(self.events) if isinstance(event, kind)]

    def counts(self):
        return [event.message[0] for event in self.of(machine.Received)]

    def lost(self):
        return [event.reason for event in self.of(machine.PeerLost)]

    def wait(self, kind, how_many=1):
        wait_for(lambda: len(self.of(kind)) >= how_many, f"{how_many} {kind.__name__} in {self.events[-5:]}")
        return self.of(kind)[-1]

    def post_send(self, *arguments):
        self.loop.post(lambda: self.endpoint.send(*arguments))

    def stop(self):
        self.loop.stop()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()
        assert self.crashes == []


def accept_all(side, event):
    if isinstance(event, machine.PeerJoined):
        side.endpoint.accept(event.peer)


class Proxy:
    """Between a dialer and a listener: forwards bytes, and can cut or freeze all connections."""

    def __init__(self, family, address, upstream):
        self.upstream = (family, upstream)
        self.server = socket.socket(family)
        self.server.bind(address)
        self.server.listen(50)
        self.pairs = {}
        self.frozen = False
        self.bytes_left = 1 << 40
        self.lock = threading.Lock()
        self.over = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over:
            with self.lock:
                readers = [self.server] + ([] if self.frozen else list(self.pairs))
            try:
                ready, _, _ = select.select(readers, [], [], 0.02)
            except (OSError, ValueError):
                continue
            for one in ready:
                if one is self.server:
                    self.join(one.accept()[0])
                else:
                    self.pump(one)

    def join(self, here):
        there = socket.socket(self.upstream[0])
        try:
            there.connect(self.upstream[1])
        except OSError:
            here.close()
            there.close()
            return
        with self.lock:
            self.pairs[here], self.pairs[there] = there, here

    def pump(self, one):
        with self.lock:
            other = self.pairs.get(one)
        if other is None:
            return
        try:
            data = one.recv(65536)
            other.sendall(data)
            self.bytes_left -= len(data)
            self.frozen = self.frozen or self.bytes_left < 0
        except OSError:
            data = b""
        if not data:
            with self.lock:
                for end in (one, other):
                    self.pairs.pop(end, None)
                    end.close()

    def cut(self):
        with self.lock:
            for one in self.pairs:
                one.close()
            self.pairs.clear()

    def close(self):
        self.over = True
        self.thread.join(WAIT_S)
        self.cut()
        self.server.close()


@pytest.fixture
def context():
    with zmq.Context() as made:
        yield made


@pytest.fixture
def cleanup():
    """What to stop at the end, in the reverse order."""
    stack = []
    yield stack.append
    for stop in reversed(stack):
        stop()


@pytest.fixture
def ring(tmp_path):
    return KeyRing(str(tmp_path / "keys")).ensure()


@pytest.fixture
def directory(tmp_path_factory):
    made = tmp_path_factory.mktemp("ipc")
    os.chmod(made, 0o700)
    return str(made)


class Net:
    """Makes listeners and dialers of one transport."""

    def __init__(self, kind, context, ring, directory, cleanup):
        self.kind, self.context, self.ring, self.directory, self.cleanup = kind, context, ring, directory, cleanup

    def listen(self, on_event=accept_all, endpoint=None, **options):
        options = {"heartbeats": FAST, **options}
        if self.kind == "ipc":
            made = Listener(self.context, endpoint or f"ipc://{self.directory}/s", MASTER, None, None, **options)
        else:
            made = Listener(self.context, endpoint or "tcp://127.0.0.1:0", MASTER, self.ring.server(), self.ring,
                            **options)  # fmt: skip
        side = Side(made, on_event)
        self.cleanup(side.stop)
        return side

    def dial(self, endpoint, hello=HELLO, timeout_s=5.0, keys=None, on_event=None, **options):
        options = {"heartbeats": FAST, **options}
        keys = keys or (None if self.kind == "ipc" else self.ring.client("driver"))
        side = Side(Dialer(self.context, endpoint, DRIVER, hello, keys, timeout_s, **options), on_event)
        self.cleanup(side.stop)
        return side

    def proxy(self, endpoint):
        """Returns a proxy and the endpoint to dial."""
        if self.kind == "ipc":
            path = f"{self.directory}/p"
            made, dial = Proxy(socket.AF_UNIX, path, endpoint.removeprefix("ipc://")), f"ipc://{path}"
        else:
            port = int(endpoint.rpartition(":")[2])
            made = Proxy(socket.AF_INET, ("127.0.0.1", 0), ("127.0.0.1", port))
            dial = f"tcp://127.0.0.1:{made.server.getsockname()[1]}"
        self.cleanup(made.close)
        return made, dial

    def raw(self, endpoint, keys=None):
        """A DEALER without any manners."""
        made = self.context.socket(zmq.DEALER)
        made.linger = 0
        made.rcvtimeo = int(WAIT_S * 1000)
        if self.kind == "tcp":
            keys = keys or self.ring.client("driver")
            made.curve_serverkey = keys.server.encode()
            made.curve_publickey = keys.public.encode()
            made.curve_secretkey = keys.secret.encode()
        made.connect(endpoint)
        self.cleanup(lambda: made.close(0))
        return made


@pytest.fixture(params=["ipc", "tcp"])
def net(request, context, ring, directory, cleanup):
    return Net(request.param, context, ring, directory, cleanup)


@pytest.fixture
def tcp(context, ring, directory, cleanup):
    return Net("tcp", context, ring, directory, cleanup)


@pytest.fixture
def ipc(context, ring, directory, cleanup):
    return Net("ipc", context, ring, directory, cleanup)


def flood(side, peer, numbers):
    for number in numbers:
        side.endpoint.send(*peer, messages.GiveBack(number))


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_messages_go_both_ways_in_order(net):
    server = net.listen()
    client = net.dial(server.endpoint.endpoint)
    client.wait(machine.PeerJoined)
    peer = server.wait(machine.PeerJoined).peer
    client.loop.post(lambda: flood(client, (), range(2000)))
    server.loop.post(lambda: flood(server, (peer,), range(2000)))
    wait_for(lambda: len(server.counts()) == len(client.counts()) == 2000, "all messages")
    assert server.counts() == client.counts() == list(range(2000))


def test_the_key_says_who_it_is_on_tcp_and_nothing_does_on_ipc(net):
    server = net.listen()
    client = net.dial(server.endpoint.endpoint)
    client.wait(machine.PeerJoined)
    joined = server.wait(machine.PeerJoined)
    known = ("driver", net.ring.client("driver").public) if net.kind == "tcp" else ("", "")
    assert (joined.role, joined.key) == known
    assert joined.hello == HELLO


def test_no_message_is_lost_or_doubled_when_connections_break_again_and_again(net):
    server = net.listen()
    proxy, dial = net.proxy(server.endpoint.endpoint)
    client = net.dial(dial, timeout_s=WAIT_S)
    client.wait(machine.PeerJoined)
    peer = server.wait(machine.PeerJoined).peer
    seeded = random.Random(1)
    for cut in range(1, 16):
        numbers = range(200 * (cut - 1), 200 * cut)
        client.loop.post(lambda numbers=numbers: flood(client, (), numbers))
        server.loop.post(lambda numbers=numbers: flood(server, (peer,), numbers))
        time.sleep(seeded.random() * 0.03)
        wait_for(lambda: proxy.pairs, "a connection to cut, be it one that has not shaken hands yet")
        proxy.cut()
        if cut % 3 == 0:
            wait_for(lambda: len(server.counts()) >= 200 * cut and len(client.counts()) >= 200 * cut, "all messages")
    assert server.counts() == client.counts() == list(range(3000))
    assert server.lost() == client.lost() == []
    assert len(server.of(machine.PeerJoined)) == 1
    client.wait(machine.PeerReturned)
    server.wait(machine.PeerReturned)


def test_a_frozen_connection_is_noticed_and_rebuilt(tcp):
    server = tcp.listen()
    proxy, dial = tcp.proxy(server.endpoint.endpoint)
    client = tcp.dial(dial, timeout_s=WAIT_S)
    client.wait(machine.PeerJoined)
    proxy.frozen = True
    client.wait(machine.PeerSilent)
    server.wait(machine.PeerSilent)
    client.post_send(messages.GiveBack(7))
    proxy.cut()
    proxy.frozen = False
    server.wait(machine.PeerReturned)
    wait_for(lambda: server.counts() == [7], "the message sent meanwhile")


def test_both_sides_learn_when_no_connection_came_back(net):
    server = net.listen(resume_window_s=0.3)
    proxy, dial = net.proxy(server.endpoint.endpoint)
    client = net.dial(dial, resume_window_s=0.3)
    client.wait(machine.PeerJoined)
    proxy.close()
    assert client.wait(machine.PeerLost).reason.startswith(("expired: no connection to", "no_peer: "))
    assert server.wait(machine.PeerLost).reason == "expired: no connection for 0.3 s"


def test_a_session_that_the_other_side_has_forgotten_is_over(net):
    server = net.listen(resume_window_s=0.05)
    proxy, dial = net.proxy(server.endpoint.endpoint)
    client = net.dial(dial)
    client.wait(machine.PeerJoined)
    with proxy.lock:
        proxy.upstream = (socket.AF_UNIX, "/nowhere")
    proxy.cut()
    server.wait(machine.PeerLost)
    with proxy.lock:
        proxy.upstream = (proxy.server.family, address_of(server.endpoint.endpoint))
    assert client.wait(machine.PeerLost).reason.startswith("session_over: ")


def address_of(endpoint):
    scheme, _, rest = endpoint.partition("://")
    return rest if scheme == "ipc" else ("127.0.0.1", int(rest.rpartition(":")[2]))


def test_a_farewell_reaches_the_other_side_at_once(net):
    server = net.listen()
    first, second = net.dial(server.endpoint.endpoint), net.dial(server.endpoint.endpoint)
    first.wait(machine.PeerJoined)
    second.wait(machine.PeerJoined)
    first.post_send(messages.GiveBack(3))
    first.loop.post(first.loop.stop)
    assert server.wait(machine.PeerLost).reason == "closed: driver has left"
    assert server.counts() == [3]
    server.loop.stop()
    assert second.wait(machine.PeerLost).reason == "closed: master is shutting down"


def test_a_closed_peer_hears_the_last_messages_and_then_the_end(net):
    def answer(side, event):
        accept_all(side, event)
        if isinstance(event, machine.PeerJoined):
            side.endpoint.send(event.peer, messages.GiveBack(1))
            side.endpoint.close_peer(event.peer)
            side.endpoint.close_peer(event.peer)
            assert not side.endpoint.send(event.peer, messages.GiveBack(2))

    server = net.listen(answer)
    client = net.dial(server.endpoint.endpoint)
    assert client.wait(machine.PeerLost).reason.startswith("closed: ")
    assert client.counts() == [1]
    assert server.lost() == []


def test_a_refused_hello_names_code_and_reason(net):
    def refuse(side, event):
        if isinstance(event, machine.PeerJoined):
            side.endpoint.refuse(event.peer, "access_refused", "the key is a worker's, this takes a driver's")

    server = net.listen(refuse)
    client = net.dial(server.endpoint.endpoint)
    reason = client.wait(machine.PeerLost).reason
    assert reason == "access_refused: the key is a worker's, this takes a driver's"
    assert isinstance(error_for(reason), AccessRefused)
    assert client.of(machine.PeerJoined) == []


def test_a_peer_that_takes_nothing_ends_its_session_instead_of_filling_memory(ipc):
    server = ipc.listen(limits=SessionLimits(replay_messages=100))
    proxy, dial = ipc.proxy(server.endpoint.endpoint)
    client = ipc.dial(dial, heartbeats=SELDOM)
    client.wait(machine.PeerJoined)
    proxy.frozen = True
    peer = server.wait(machine.PeerJoined).peer
    server.loop.post(lambda: flood(server, (peer,), range(200)))
    assert server.wait(machine.PeerLost).reason.startswith("overflow: ")
    assert server.endpoint.statistics().sessions == 0


def test_a_message_that_is_too_large_is_an_error_of_its_sender(ipc):
    errors = []

    def send(side, event):
        if isinstance(event, machine.PeerJoined):
            try:
                side.endpoint.send(messages.StatusReport("x" * 9_000_000))
            except MessageTooLarge as error:
                errors.append(error)

    server = ipc.listen()
    client = ipc.dial(server.endpoint.endpoint, on_event=send)
    wait_for(lambda: errors, "the error")
    assert client.lost() == []


# ── who is turned away ───────────────────────────────────────────────────────────────────────────────────────────


def lines(raw):
    """The two frames of an answer."""
    line, answer = raw.recv_multipart()
    return envelope.parse_line(line), envelope.decode_answer(answer)


def hello_frames(session=b"s" * 16, me=DRIVER, resume=False, ack=0):
    return [me.line(), envelope.encode_opening(Opening(resume, session, ack, HELLO))]


def test_another_version_is_refused_naming_both_sides(net):
    server = net.listen()
    raw = net.raw(server.endpoint.endpoint)
    old = LocalIdentity("worker", "0.0.9", "3.10")
    raw.send_multipart([old.line(), b"whatever came later"])
    _, answer = lines(raw)
    assert (answer.verb, answer.word) == ("REFUSED", "version")
    assert MASTER.text() in answer.text
    assert old.text() in answer.text
    assert isinstance(error_for(f"{answer.word}: {answer.text}"), VersionMismatch)
    assert server.events == []


@pytest.mark.parametrize(
    "frames",
    [[b""], [b"GET / HTTP/1.1"], [b"\x93\x01\x00\x22"], [codec.encode(1, 0, messages.GiveBack(1))], [b"x"] * 1000,
     [DRIVER.line()], [DRIVER.line(), b""], [DRIVER.line(), b"\x94\x00\x00\xc0\x01"], [*hello_frames(), b"more"],
     [DRIVER.line(), codec.encode_plain((0, 0, b"s" * 16, 34, 1), 1000)]],
)  # fmt: skip
def test_what_comes_before_a_hello_is_turned_away_and_counted(net, frames):
    server = net.listen()
    raw = net.raw(server.endpoint.endpoint)
    raw.send_multipart(frames)
    _, answer = lines(raw)
    assert answer.verb == "REFUSED"
    assert answer.word in {"hello_first", "protocol"}
    assert server.endpoint.statistics().malformed == 1
    assert server.events == []


@pytest.mark.parametrize(
    "frames",
    [[b""], [b"\xc1"], [b"\x93\x01\x00\x63"], [codec.encode(2, 0, messages.GiveBack(1))],
     [codec.encode(1, 9, messages.GiveBack(1))], [codec.encode_ack(1)], hello_frames(), [b"\x90"] * 5000],
)  # fmt: skip
def test_a_peer_that_breaks_the_rules_loses_its_session_and_nothing_else_happens(ipc, frames):
    server = ipc.listen()
    good = ipc.dial(server.endpoint.endpoint)
    good.wait(machine.PeerJoined)
    raw = ipc.raw(server.endpoint.endpoint)
    raw.send_multipart(hello_frames())
    assert lines(raw)[1].verb == "WELCOME"
    raw.send_multipart(frames)
    assert server.wait(machine.PeerLost).reason.startswith("protocol: ")
    assert lines(raw)[1].word == "protocol"
    assert server.endpoint.statistics().malformed == 1
    good.post_send(messages.GiveBack(1))
    wait_for(lambda: server.counts() == [1], "the good peer's message")


def test_a_repeated_message_has_no_second_effect(ipc):
    server = ipc.listen()
    raw = ipc.raw(server.endpoint.endpoint)
    raw.send_multipart(hello_frames())
    frame = codec.encode(1, 0, messages.GiveBack(1))
    raw.send_multipart([frame, frame])
    raw.send_multipart([frame, codec.encode(2, 0, messages.GiveBack(2))])
    wait_for(lambda: len(server.counts()) == 2, "two messages")
    assert server.counts() == [1, 2]
    assert server.endpoint.statistics().duplicates == 2


def test_a_repeated_hello_of_another_connection_takes_the_session_along(ipc):
    server = ipc.listen()
    first, second = ipc.raw(server.endpoint.endpoint), ipc.raw(server.endpoint.endpoint)
    first.send_multipart(hello_frames())
    first.send(codec.encode(1, 0, messages.GiveBack(1)))
    wait_for(lambda: server.counts() == [1], "the first message")
    second.send_multipart(hello_frames(resume=True))
    assert lines(second)[1][:2] == ("WELCOME", "1")
    second.send(codec.encode(2, 0, messages.GiveBack(2)))
    wait_for(lambda: server.counts() == [1, 2], "the second message")
    first.send(codec.encode(3, 0, messages.GiveBack(3)))
    lines(first)
    assert lines(first)[1].word == "hello_first"
    assert len(server.of(machine.PeerJoined)) == 1


def test_a_session_cannot_be_taken_over_with_another_key(tcp):
    server = tcp.listen()
    owner, thief = tcp.raw(server.endpoint.endpoint), tcp.raw(server.endpoint.endpoint, tcp.ring.client("worker"))
    owner.send_multipart(hello_frames())
    assert lines(owner)[1].verb == "WELCOME"
    thief.send_multipart(hello_frames(resume=True))
    assert lines(thief)[1].word == "access_refused"
    owner.send(codec.encode(1, 0, messages.GiveBack(1)))
    wait_for(lambda: server.counts() == [1], "the owner's message")


def reason_of_the_end(net, endpoint, keys, timeout_s=600.0):
    """Why a dialer gave up, which with the usual time-out is not the time."""
    return net.dial(endpoint, keys=keys, timeout_s=timeout_s).wait(machine.PeerLost).reason


def test_a_key_that_nobody_authorised_is_refused_at_once(tcp):
    server = tcp.listen()
    pair = new_pair()
    stranger = tcp.ring.client("driver")._replace(public=pair.public, secret=pair.secret)
    assert reason_of_the_end(tcp, server.endpoint.endpoint, stranger).startswith("access_refused: ")
    assert server.events == []


def test_a_wrong_key_of_the_server_is_refused_at_once(tcp):
    server = tcp.listen()
    wrong = tcp.ring.client("driver")._replace(server=new_pair().public)
    reason = reason_of_the_end(tcp, server.endpoint.endpoint, wrong)
    assert reason.startswith("access_refused: ")
    assert "other keys" in reason
    assert server.events == []


def test_a_client_without_any_key_gets_nowhere(tcp, context):
    server = tcp.listen()
    plain = context.socket(zmq.DEALER)
    monitor = sockets.Monitor(context, plain, sockets.FAILED_PROTOCOL | sockets.FAILED_NO_DETAIL | sockets.DISCONNECTED)
    plain.connect(server.endpoint.endpoint)
    plain.send_multipart(hello_frames())
    assert monitor.socket.poll(WAIT_S * 1000)
    monitor.close()
    plain.close(0)
    assert server.events == []


def test_an_authenticator_that_raises_denies_and_goes_on(tcp):
    class Moody:
        angry = True

        def role_of(self, public_key):
            if self.angry:
                raise RuntimeError(public_key)
            return "driver"

    moody = Moody()
    listener = Listener(tcp.context, "tcp://127.0.0.1:0", MASTER, tcp.ring.server(), moody, heartbeats=FAST)
    server = Side(listener, accept_all)
    tcp.cleanup(server.stop)
    reason = reason_of_the_end(tcp, listener.endpoint, tcp.ring.client("driver"))
    assert reason.startswith("access_refused: ")
    moody.angry = False
    client = tcp.dial(listener.endpoint)
    client.wait(machine.PeerJoined)


def test_nobody_is_let_in_when_the_authenticator_does_not_answer(tcp, monkeypatch):
    monkeypatch.setattr(sockets, "HANDSHAKE_MS", 300)
    server = tcp.listen()
    zap.leave_domain(tcp.context, server.endpoint._domain)
    raw = tcp.raw(server.endpoint.endpoint)
    monitor = sockets.Monitor(tcp.context, raw, sockets.HANDSHAKE_SUCCEEDED | sockets.FAILED_NO_DETAIL)
    raw.send_multipart(hello_frames())
    assert monitor.socket.poll(WAIT_S * 1000)
    assert monitor.drain()[0].event == sockets.FAILED_NO_DETAIL
    monitor.close()
    assert server.events == []


def test_each_listener_asks_its_own_authenticator(tcp):
    class Nobody:
        def role_of(self, public_key):
            return None

    open_server = tcp.listen()
    closed = Listener(tcp.context, "tcp://127.0.0.1:0", MASTER, tcp.ring.server(), Nobody(), heartbeats=FAST)
    tcp.cleanup(Side(closed).stop)
    reason = reason_of_the_end(tcp, closed.endpoint, tcp.ring.client("driver"))
    assert reason.startswith("access_refused: ")
    tcp.dial(open_server.endpoint.endpoint).wait(machine.PeerJoined)


# ── who talks nonsense, or not at all ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def is_closed(connection):
    try:
        while connection.recv(4096):
            pass
    except (BlockingIOError, TimeoutError):
        return False
    except OSError:
        return True
    return True


@pytest.mark.slow
def test_connections_that_say_nothing_or_nonsense_are_dropped_while_good_ones_are_served(tcp, many_descriptors):
    server = tcp.listen()
    endpoint = server.endpoint.endpoint
    client = tcp.dial(endpoint)
    client.wait(machine.PeerJoined)
    seeded = random.Random(3)
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x01CURVE" + bytes(15) + b"\x00" * 32
    crowd = []
    for number in range(500):
        one = socket.create_connection(address_of(endpoint))
        crowd.append(one)
        sent = [b"", seeded.randbytes(seeded.randrange(200)), greeting[: seeded.randrange(64)], greeting][number % 4]
        one.sendall(sent)
        one.setblocking(False)
    for number in range(100):
        client.post_send(messages.GiveBack(number))
    wait_for(lambda: len(server.counts()) == 100, "the good client's messages")
    wait_for(lambda: all(is_closed(one) for one in crowd), "the end of all silent connections")
    for one in crowd:
        one.close()
    wait_for(lambda: server.endpoint.statistics().waiting == 0, "an empty table")
    assert client.lost() == []
    assert server.endpoint.statistics().sessions == 1


def test_who_connects_with_a_key_but_says_no_hello_is_dropped(net, monkeypatch):
    server = net.listen(heartbeats=SELDOM)
    good = net.dial(server.endpoint.endpoint, heartbeats=SELDOM)
    good.wait(machine.PeerJoined)
    monkeypatch.setattr(connections, "HELLO_S", 0.2)
    raw = net.raw(server.endpoint.endpoint)
    monitor = sockets.Monitor(net.context, raw, sockets.DISCONNECTED)
    assert monitor.socket.poll(WAIT_S * 1000)
    monitor.close()
    assert server.endpoint.statistics().dropped >= 1
    assert good.of(machine.PeerSilent) == []


def test_an_oversize_frame_ends_the_connection_and_nothing_else(net):
    server = net.listen(resume_window_s=0.1, heartbeats=SELDOM)
    good = net.dial(server.endpoint.endpoint, heartbeats=SELDOM)
    good.wait(machine.PeerJoined)
    raw = net.raw(server.endpoint.endpoint)
    raw.send_multipart(hello_frames())
    assert lines(raw)[1].verb == "WELCOME"
    raw.send(b"x" * (codec.MAX_FRAME_BYTES + 1))
    server.wait(machine.PeerSilent)
    server.wait(machine.PeerLost)
    good.post_send(messages.GiveBack(1))
    wait_for(lambda: server.counts() == [1], "the good peer's message")


def test_a_message_without_end_is_cut_off(tcp, monkeypatch):
    monkeypatch.setattr(connections, "UNFINISHED_LIMIT_BYTES", 4 << 20)
    server = tcp.listen(resume_window_s=0.1, heartbeats=SELDOM)
    good = tcp.dial(server.endpoint.endpoint, heartbeats=SELDOM)
    good.wait(machine.PeerJoined)
    proxy, dial = tcp.proxy(server.endpoint.endpoint)
    raw = tcp.raw(dial)
    raw.send_multipart(hello_frames())
    assert lines(raw)[1].verb == "WELCOME"
    proxy.bytes_left = 8 << 20
    raw.send_multipart([b"x" * (1 << 20)] * 16)
    server.wait(machine.PeerSilent)
    assert server.endpoint.statistics().dropped >= 1
    good.post_send(messages.GiveBack(1))
    wait_for(lambda: server.counts() == [1], "the good peer's message")


# ── nobody there, and what cannot be ─────────────────────────────────────────────────────────────────────────────


def test_nobody_there_is_told_apart_from_somebody_else_there(tcp):
    with socket.create_server(("127.0.0.1", 0)) as ftp:
        port = ftp.getsockname()[1]

        def greet():
            try:
                while True:
                    one, _ = ftp.accept()
                    with one:
                        one.sendall(b"220 ready\r\n")
            except OSError:
                pass

        threading.Thread(target=greet, daemon=True).start()
        reason = reason_of_the_end(tcp, f"tcp://127.0.0.1:{port}", None)
        assert reason == f"no_peer: tcp://127.0.0.1:{port}: something that is not simspark answers there"
        ftp.shutdown(socket.SHUT_RDWR)
    reason = reason_of_the_end(tcp, f"tcp://127.0.0.1:{port}", None, 0.3)
    assert "connection refused" in reason
    assert isinstance(error_for(reason), NoMaster)


def test_an_unknown_name_is_told(tcp):
    reason = reason_of_the_end(tcp, "tcp://no-such-host.invalid:7077", None, 0.3)
    assert "the name cannot be resolved" in reason


def test_a_dialer_waits_for_a_listener_that_comes_late(ipc):
    client = ipc.dial(f"ipc://{ipc.directory}/s", timeout_s=WAIT_S)
    client.loop.post(lambda: None)
    server = ipc.listen()
    client.wait(machine.PeerJoined)
    server.wait(machine.PeerJoined)
    assert len(server.of(machine.PeerJoined)) == 1


def test_a_taken_port_is_named(net):
    server = net.listen()
    if net.kind == "ipc":
        return  # zmq takes over a path; whoever makes the directory is alone in it
    with pytest.raises(PortTaken, match="choose another port"):
        net.listen(endpoint=server.endpoint.endpoint)


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:0", "tcp://0.0.0.0:0", "http://x", "tcp://x:y", "127.0.0.1:1"])
def test_nothing_listens_on_tcp_without_keys(context, endpoint):
    with pytest.raises(ConfigError):
        Listener(context, endpoint, MASTER, None, None)
    with pytest.raises(ConfigError):
        Dialer(context, endpoint, MASTER, HELLO, None, 1.0)


def test_an_authenticator_is_as_needed_as_a_key(context, ring):
    with pytest.raises(ConfigError):
        Listener(context, "tcp://127.0.0.1:0", MASTER, ring.server(), None)


def test_a_unix_socket_needs_a_private_directory_and_a_short_path(context, directory):
    with pytest.raises(ConfigError, match="100 bytes"):
        Listener(context, f"ipc://{directory}/{'x' * 100}", MASTER, None, None)
    with pytest.raises(ConfigError, match="No such"):
        Listener(context, f"ipc://{directory}/none/s", MASTER, None, None)
    os.chmod(directory, 0o755)
    with pytest.raises(ConfigError, match="chmod 700"):
        Listener(context, f"ipc://{directory}/s", MASTER, None, None)


# ── asking a master how it is ────────────────────────────────────────────────────────────────────────────────────


def test_a_master_tells_how_it_is(tcp):
    def answer(side, event):
        if isinstance(event, machine.PeerJoined):
            side.endpoint.accept(event.peer)
            side.endpoint.send(event.peer, messages.StatusReport(json.dumps({"workers": 2})))

    server = tcp.listen(answer)
    url = server.endpoint.endpoint.replace("tcp", "simspark")
    assert ask_status(url, tcp.ring.client("driver"), 5.0) == {"workers": 2}
    assert ask_status(f"simspark://127.0.0.1:1,{url[11:]}", tcp.ring.client("driver"), 1.0) == {"workers": 2}


@pytest.mark.parametrize("url", ["spark://x", "", "simspark://", "simspark://host"])
def test_a_url_that_names_no_master_is_refused(tcp, url):
    with pytest.raises(ConfigError):
        ask_status(url, tcp.ring.client("driver"), 1.0)


def test_asking_nobody_ends_soon(tcp):
    with pytest.raises(NoMaster):
        ask_status("simspark://127.0.0.1:1", tcp.ring.client("driver"), 0.2)
