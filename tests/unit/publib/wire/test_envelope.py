"""The line that any two versions can read."""

from __future__ import annotations

import random

import pytest

from simspark.publib.errors import ProtocolError
from simspark.publib.wire import envelope, messages
from simspark.publib.wire.envelope import LocalIdentity, Opening

ME = LocalIdentity("master", "0.1.0", "3.11")


def test_the_first_line_never_changes_its_form():
    assert ME.line() == b"SIMSPARK 1 0.1.0 3.11 master"
    assert envelope.parse_line(b"SIMSPARK 1 0.1.0 3.11 master") == ME


def test_a_later_version_may_add_words_to_the_line():
    assert envelope.parse_line(b"SIMSPARK 9 4.0.0 3.20 worker more words") == LocalIdentity(
        "worker", "4.0.0", "3.20", 9
    )


@pytest.mark.parametrize(
    "bad",
    [b"", b"GET / HTTP/1.1", b"SIMSPARK", b"SIMSPARK ", b"SIMSPARK x 1 2 3", b"SIMSPARK 1 a b", b"SIMSPARK 1 \x00 b c",
     b"SIMSPARK 1 \xff b c", b"SIMSPARK 1 0.1 3.11 " + b"r" * 300],
)  # fmt: skip
def test_anything_else_is_answered_hello_first(bad):
    with pytest.raises(ProtocolError, match="hello first"):
        envelope.parse_line(bad)


@pytest.mark.parametrize("other", [ME._replace(wire=2), ME._replace(python="3.12"), ME._replace(simspark="0.2.0")])
def test_a_mismatch_names_both_sides(other):
    text = envelope.version_conflict(ME, other._replace(role="worker"))
    assert "master (simspark 0.1.0, Python 3.11, wire 1)" in text
    assert f"worker (simspark {other.simspark}, Python {other.python}, wire {other.wire})" in text


def test_patch_releases_work_together():
    assert not envelope.version_conflict(ME, ME._replace(simspark="0.1.7", role="worker"))


def test_an_opening_comes_back_as_it_was():
    opening = Opening(True, b"s" * 16, 7, messages.WorkerHello("w", 1, "h", messages.Owner("w", "/d", "t", "e", "k")))
    assert envelope.decode_opening(envelope.encode_opening(opening)) == opening


def test_an_opening_with_another_message_than_a_hello_is_refused():
    row = (0, 0, b"s" * 16, 34, 1)
    with pytest.raises(ProtocolError, match="hello first"):
        envelope.decode_opening(envelope.codec.encode_plain(row, 1000))


def test_answers_come_back_as_they_were():
    refusal = envelope.decode_answer(envelope.encode_answer("REFUSED", "access_refused", "the key is of another role"))
    assert refusal == ("REFUSED", "access_refused", "the key is of another role")
    assert envelope.decode_answer(envelope.encode_answer("WELCOME", "17")).word == "17"


def test_damaged_openings_and_answers_are_protocol_errors():
    seeded = random.Random(5)
    good = [
        envelope.encode_opening(Opening(False, b"s" * 16, 0, messages.StatusQuery())),
        envelope.encode_answer("WELCOME", "17"),
        ME.line(),
    ]
    for _ in range(30_000):
        data = bytearray(seeded.choice(good))
        for _ in range(seeded.randint(1, 3)):
            data[seeded.randrange(len(data))] = seeded.randrange(256)
        for read in (envelope.decode_opening, envelope.decode_answer, envelope.parse_line):
            try:
                read(bytes(data))
            except ProtocolError:
                pass
