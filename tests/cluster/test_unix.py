"""The connection between a driver and its own executors: both ends on one loop, in this process."""

from __future__ import annotations

import os
import socket
import struct
import threading

import pytest

from simspark.publib.clock import SystemClock
from simspark.publib.errors import ConfigError
from simspark.publib.machine import PeerJoined, PeerLost, PeerReturned, PeerSilent, Received
from simspark.publib.service import Loop
from simspark.publib.wire import codec, envelope, messages, places, unix
from simspark.publib.wire.envelope import LocalIdentity, Opening, local_identity
from simspark.publib.wire.messages import CommitAnswer, CommitAsk, DropBlocks, ExecutorHello, StageProgram
from simspark.publib.wire.unix import UnixListener
from simspark.publib.wire.unix_dialer import UnixDialer

pytestmark = pytest.mark.cluster
HELLO = ExecutorHello("e0", b"nonce", 1, 1, 7)
TURNS = 2000


class Clock(SystemClock):
    """Time that can be moved on."""

    more_s = 0.0

    def now(self):
        return super().now() + self.more_s


class Pair:
    """A listener and those who dial it. What each hears is kept."""

    def __init__(self, directory):
        self.clock = Clock()
        self.loop = Loop(self.clock)
        self.path = f"{directory}/driver"
        self.listener = UnixListener(self.path, local_identity("driver"))
        self.heard = []
        self.loop.add(self.listener, self.heard.append)
        self.strangers = []
        self.turns = 0

    def dial(self, endpoint="", timeout_s=10.0):
        dialer = UnixDialer(endpoint or self.listener.endpoint, local_identity("executor"), HELLO, timeout_s)
        heard = []
        self.loop.add(dialer, heard.append)
        return dialer, heard

    def join(self):
        dialer, heard = self.dial()
        peer = self.wait(lambda: joined(self.heard)).peer
        self.heard.clear()
        self.listener.accept(peer)
        self.wait(lambda: joined(heard))
        heard.clear()
        return dialer, heard, peer

    def wait(self, condition, turns=TURNS):
        """Turn the loop until something is true."""
        for _ in range(turns):
            found = condition()
            if found:
                return found
            self.turns += 1
            self.loop.post(lambda: None)  # so that a turn does not sleep
            self.loop._turn()
        raise AssertionError("it did not come about")

    def plain(self):
        """A connection of somebody who does not speak like us."""
        plain = socket.socket(socket.AF_UNIX)
        self.strangers.append(plain)
        plain.connect(self.path)
        return plain


def joined(heard):
    return next((event for event in heard if isinstance(event, PeerJoined)), None)


def lost(heard):
    return next((event for event in heard if isinstance(event, PeerLost)), None)


def frame(data):
    return struct.pack("!I", len(data)) + data


@pytest.fixture
def pair(tmp_path):
    tmp_path.chmod(0o700)
    made = Pair(tmp_path)
    yield made
    made.loop._close()
    for stranger in made.strangers:
        stranger.close()


def test_a_hello_is_heard_and_accepted(pair):
    _, heard = pair.dial()
    event = pair.wait(lambda: joined(pair.heard))
    assert event.hello == HELLO and event.role == event.key == ""
    assert not heard
    pair.listener.accept(event.peer)
    assert pair.wait(lambda: joined(heard)).role == "driver"


def test_messages_come_in_order_both_ways(pair):
    dialer, heard, peer = pair.join()
    for number in range(500):
        pair.listener.send(peer, CommitAnswer(number, True))
        dialer.send(CommitAsk(number))
    pair.wait(lambda: len(heard) == len(pair.heard) == 500)
    assert heard == [Received("", CommitAnswer(number, True)) for number in range(500)]
    assert pair.heard == [Received(peer, CommitAsk(number)) for number in range(500)]


def test_what_is_more_than_a_socket_takes_at_once_arrives_whole(pair):
    _, heard, peer = pair.join()
    programs = [StageProgram(bytes([number]) * 16, bytes([number]) * 1_000_000, "") for number in range(20)]
    for program in programs:
        assert pair.listener.send(peer, program)
    pair.wait(lambda: len(heard) == 20)
    assert [event.message for event in heard] == programs


def test_what_is_sent_before_the_welcome_waits_for_it(pair):
    dialer, heard = pair.dial()
    dialer.send(CommitAsk(1))
    peer = pair.wait(lambda: joined(pair.heard)).peer
    assert not pair.listener.send(peer, CommitAnswer(1, True))  # it is not in yet
    pair.listener.accept(peer)
    pair.wait(lambda: Received(peer, CommitAsk(1)) in pair.heard)
    assert joined(heard)


def test_threads_may_send_at_once_without_the_loop(pair):
    dialer, _, peer = pair.join()
    each = 200
    program = b"p" * 20_000

    def send(first):
        for number in range(first, first + each):
            dialer.send_at_once(StageProgram(str(number).encode(), program, ""))

    threads = [threading.Thread(target=send, args=(first,)) for first in (0, 1000, 2000)]
    for thread in threads:
        thread.start()
    pair.wait(lambda: len(pair.heard) == 3 * each, turns=1_000_000)
    for thread in threads:
        thread.join()
    numbers = [int(event.message.hash) for event in pair.heard]
    for first in (0, 1000, 2000):
        assert [number for number in numbers if first <= number < first + each] == list(range(first, first + each))
    assert all(event.peer == peer and event.message.program == program for event in pair.heard)


def test_what_is_sent_at_once_leaves_without_a_turn_of_the_loop(pair):
    dialer, _, _ = pair.join()
    turns = pair.turns
    dialer.send_at_once(CommitAsk(1))
    assert pair.listener._peers["u1"].stream.receive()[0][0] == codec.encode(1, 0, CommitAsk(1))
    assert pair.turns == turns


def test_a_send_that_a_signal_broke_off_is_the_last(pair, monkeypatch):
    dialer, _, peer = pair.join()
    monkeypatch.setattr(dialer._stream, "send", broken_off)
    with pytest.raises(KeyboardInterrupt):
        dialer.send_at_once(CommitAsk(1))
    monkeypatch.undo()
    dialer.send(CommitAsk(2))
    dialer.close()
    pair.loop.post(lambda: None)
    pair.loop._turn()
    assert Received(peer, CommitAsk(2)) not in pair.heard
    dialer._end()


def broken_off():
    raise KeyboardInterrupt


def test_who_is_refused_hears_why(pair):
    _, heard = pair.dial()
    peer = pair.wait(lambda: joined(pair.heard)).peer
    pair.listener.refuse(peer, "access_refused", "no such executor")
    assert pair.wait(lambda: lost(heard)).reason == "access_refused: no such executor"
    assert not pair.listener.send(peer, CommitAnswer(1, True))
    assert lost(pair.heard) is None


def test_an_executor_that_has_gone_is_silent_and_then_lost(pair):
    dialer, _, peer = pair.join()
    dialer.send(CommitAsk(1))
    dialer.close()
    pair.wait(lambda: PeerSilent(peer) in pair.heard)
    assert pair.heard == [Received(peer, CommitAsk(1)), PeerSilent(peer)]  # what it had said comes first
    assert pair.listener.send(peer, CommitAnswer(1, True))  # nobody hears it
    pair.clock.more_s = unix.ORPHANED_S + 1
    assert pair.wait(lambda: lost(pair.heard)).peer == peer


def test_an_executor_whose_end_is_known_is_not_lost_twice(pair):
    dialer, _, peer = pair.join()
    dialer.close()
    pair.wait(lambda: PeerSilent(peer) in pair.heard)
    pair.listener.close_peer(peer)
    pair.clock.more_s = unix.ORPHANED_S + 1
    for _ in range(5):
        pair.loop.post(lambda: None)
        pair.loop._turn()
    assert lost(pair.heard) is None


def test_the_end_of_the_driver_is_heard(pair):
    _, heard, _ = pair.join()
    pair.loop.remove(pair.listener)
    assert "driver is shutting down" in pair.wait(lambda: lost(heard)).reason


def test_nobody_there_is_said(pair, tmp_path):
    _, heard = pair.dial(f"unix://{tmp_path}/nobody")
    assert pair.wait(lambda: lost(heard)).reason.startswith("no_peer")


def test_a_driver_that_does_not_answer_is_given_up(pair):
    _, heard = pair.dial(timeout_s=5.0)
    pair.wait(lambda: joined(pair.heard))
    pair.clock.more_s = 6.0
    assert "did not answer" in pair.wait(lambda: lost(heard)).reason


def test_another_version_is_refused_by_name(pair):
    plain = pair.plain()
    other = LocalIdentity("executor", "9.9.0", "3.11")
    plain.sendall(frame(other.line()) + frame(envelope.encode_opening(Opening(False, b"x" * 16, 0, HELLO))))
    answer = read_all(pair, plain)
    assert b"REFUSED version" in answer and b"9.9.0" in answer
    assert not pair.heard


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n" * 10,
        frame(b"something else"),
        frame(local_identity("executor").line()) + frame(b"\xc1"),
        struct.pack("!I", codec.MAX_FRAME_BYTES + 1),
        b"\xff" * 100_000,
    ],
    ids=["http", "no line", "no opening", "too long", "noise"],
)
def test_who_does_not_speak_like_us_is_turned_away(pair, data):
    _, heard, peer = pair.join()
    plain = pair.plain()
    plain.sendall(data)
    read_all(pair, plain)
    assert not pair.heard
    pair.listener.send(peer, CommitAnswer(5, False))  # the others go on
    pair.wait(lambda: heard == [Received("", CommitAnswer(5, False))])


def test_who_leaves_without_a_word_is_forgotten(pair):
    plain = pair.plain()
    pair.wait(lambda: pair.listener._peers)
    plain.close()
    pair.wait(lambda: not pair.listener._peers)
    assert not pair.heard


def test_nonsense_in_a_session_ends_it(pair):
    dialer, heard, peer = pair.join()
    dialer._stream.put(b"\xc1\xc1\xc1")
    pair.loop.flush_soon(dialer)
    assert pair.wait(lambda: lost(pair.heard)).reason.startswith("protocol")
    assert pair.wait(lambda: lost(heard)).reason.startswith("protocol")
    assert peer not in pair.listener._peers


def test_who_does_not_read_is_given_up_before_memory_is(pair, monkeypatch):
    monkeypatch.setattr(unix, "UNSENT_LIMIT_BYTES", 5_000_000)
    dialer, _, peer = pair.join()
    pair.loop.remove_fd(dialer._stream.fd)
    monkeypatch.setattr(dialer, "_end", lambda: None)
    program = StageProgram(b"h" * 16, b"p" * 1_000_000, "")
    assert any(not pair.listener.send(peer, program) for _ in range(10))
    assert pair.wait(lambda: lost(pair.heard)).reason.startswith("overflow")


def test_a_message_that_is_too_long_is_the_senders_error(pair):
    _, heard, peer = pair.join()
    with pytest.raises(Exception, match="limit"):
        pair.listener.send(peer, StageProgram(b"h", b"p" * (messages.DEFAULT_LIMIT_BYTES + 1), ""))
    pair.listener.send(peer, DropBlocks((1,), (), ()))
    pair.wait(lambda: len(heard) == 1)


def test_a_socket_that_others_could_reach_is_not_made(tmp_path):
    me = local_identity("driver")
    with pytest.raises(ConfigError, match="under 100 bytes"):
        UnixListener(f"{tmp_path}/{'x' * 100}", me)
    with pytest.raises(ConfigError, match="the directory"):
        UnixListener(f"{tmp_path}/none/driver", me)
    tmp_path.chmod(0o755)
    with pytest.raises(ConfigError, match="chmod 700"):
        UnixListener(f"{tmp_path}/driver", me)


def events(heard, kind):
    return [event for event in heard if type(event) is kind]


def test_who_is_doubted_is_asked_again_and_again_until_it_is_no_more(pair):
    dialer, heard, peer = pair.join()
    asked = []
    send = dialer._send_frame
    dialer._send_frame = lambda frame: asked.append(frame) or send(frame)
    pair.listener.doubt(peer, True)
    for times in (1, 2, 3):
        pair.wait(lambda: len(asked) == times and not pair.listener._peers[peer].asked)
        pair.clock.more_s += unix.ANSWER_S + 0.1
    pair.listener.doubt(peer, False)
    turns(pair)
    assert asked == [b""] * 3
    assert not heard and not pair.heard


def test_who_does_not_answer_is_silent_until_it_does(pair):
    dialer, heard, peer = pair.join()
    answer, dialer._send_frame = dialer._send_frame, lambda frame: None
    pair.listener.doubt(peer, True)
    turns(pair)
    assert not pair.heard
    pair.clock.more_s += unix.ANSWER_S + 0.1
    turns(pair)
    assert pair.heard == [PeerSilent(peer)]
    pair.clock.more_s += 10 * unix.ANSWER_S
    turns(pair)
    dialer._send_frame = answer
    answer(b"")
    pair.wait(lambda: len(pair.heard) == 2)
    assert pair.heard == [PeerSilent(peer), PeerReturned(peer)]
    dialer.send(CommitAsk(1))
    pair.wait(lambda: events(pair.heard, Received))


def test_who_is_silent_and_not_doubted_any_more_is_as_good_as_heard(pair):
    dialer, _, peer = pair.join()
    dialer._send_frame = lambda frame: None
    pair.listener.doubt(peer, True)
    pair.clock.more_s += unix.ANSWER_S + 0.1
    pair.wait(lambda: events(pair.heard, PeerSilent))
    pair.listener.doubt(peer, False)
    pair.listener.doubt(peer, False)
    turns(pair)
    assert pair.heard == [PeerSilent(peer), PeerReturned(peer)]


def test_who_goes_while_it_is_asked_is_gone(pair):
    dialer, _, peer = pair.join()
    dialer._send_frame = lambda frame: None
    pair.listener.doubt(peer, True)
    pair.loop.remove(dialer)
    pair.wait(lambda: events(pair.heard, PeerSilent))
    pair.listener.doubt(peer, False)
    pair.clock.more_s += unix.ORPHANED_S + 1
    pair.wait(lambda: lost(pair.heard))
    assert len(pair.heard) == 2


def test_a_stranger_that_says_nothing_in_many_frames_is_turned_away(pair):
    plain = pair.plain()
    plain.sendall(frame(b"") * 3)
    assert b"REFUSED" in read_all(pair, plain)
    assert not pair.listener._peers


def turns(pair, count=50):
    for _ in range(count):
        pair.loop.post(lambda: None)
        pair.loop._turn()


def test_a_socket_that_is_connected_already_is_dialled_on(pair):
    connected = places.reach(pair.path)
    dialer = UnixDialer(pair.listener.endpoint, local_identity("executor"), HELLO, 10.0, connected)
    heard = []
    pair.loop.add(dialer, heard.append)
    pair.listener.accept(pair.wait(lambda: joined(pair.heard)).peer)
    pair.wait(lambda: joined(heard))


def dead(directory):
    """A socket whose listener is gone."""
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(f"{directory}/dead")
    return f"{directory}/dead"


def file(directory):
    (directory / "file").write_text("")
    return f"{directory}/file"


def open_to_others(directory):
    path = dead(directory)
    directory.chmod(0o755)
    return path


@pytest.mark.parametrize("made", [
    dead, file, open_to_others, lambda directory: f"{directory}/nobody", lambda directory: f"{directory}/none/driver",
    lambda directory: f"{directory}/{'x' * 200}", lambda directory: f"{directory}/with\0zero", lambda _: "",
])  # fmt: skip
def test_where_nobody_can_be_reached_is_no_error(tmp_path, made):
    tmp_path.chmod(0o700)
    assert places.reach(made(tmp_path)) is None


def test_a_listener_that_takes_nobody_more_is_not_waited_for(tmp_path):
    tmp_path.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as full:
        full.bind(f"{tmp_path}/full")
        full.listen(0)
        taken = [places.reach(f"{tmp_path}/full") for _ in range(3)]
    assert None in taken
    for connected in filter(None, taken):
        connected.close()


def test_a_directory_or_a_listener_of_another_user_is_left_alone(pair, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert places.reach(pair.path) is None
    monkeypatch.setattr(places, "check_place", lambda _: None)
    assert places.reach(pair.path) is None
    monkeypatch.undo()
    reached = places.reach(pair.path)
    assert reached is not None
    reached.close()


def test_somebody_else_who_comes_is_not_listened_to(pair, monkeypatch):
    plain = pair.plain()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert read_all(pair, plain) == b""
    assert not pair.listener._peers


def read_all(pair, plain):
    """What somebody is answered until the connection ends."""
    plain.setblocking(False)
    data = b""

    def ended():
        nonlocal data
        try:
            more = plain.recv(1 << 16)
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        data += more
        return not more

    pair.wait(ended)
    return data
