"""The first line that any two versions of simspark can read, and what is said around a session.

A connection begins with ``SIMSPARK <wire> <simspark version> <python major.minor> <role>`` from who dialled, and the
same line from who answers. Its form never changes, so a version mismatch can always be reported with both sides
named. Beside it goes one more frame: for an opening, msgpack; for an answer or a farewell, a line of text.

    dials      line + [resume, session, ack, tag, fields...]     asks for a session, or to go on with one
    answers    line + "WELCOME <ack>"                            go on after this number
               line + "REFUSED <code> <text>"                    no session, or it is over
    dialled    line + "BYE <code> <text>"                        the session is over
"""

from __future__ import annotations

import sys
from typing import Any

from simspark._version import __version__
from simspark.publib.errors import ProtocolError
from simspark.publib.named_tuple import NamedTuple
from simspark.publib.wire import codec, messages

MAGIC = b"SIMSPARK "
LINE_LIMIT_BYTES = 200
TEXT_LIMIT_BYTES = 4096
SESSION_BYTES = 16


class LocalIdentity(NamedTuple):
    """Who speaks: the role is for texts only, what a peer may do comes from its key."""

    role: str
    simspark: str
    python: str
    wire: int = messages.WIRE_VERSION

    def line(self) -> bytes:
        """The first frame of a connection."""
        return f"SIMSPARK {self.wire} {self.simspark} {self.python} {self.role}".encode("ascii")

    def text(self) -> str:
        """For people."""
        return f"{self.role} (simspark {self.simspark}, Python {self.python}, wire {self.wire})"


class Opening(NamedTuple):
    """What a connection asks for. ``resume`` is False as long as no welcome was heard."""

    resume: bool
    session: bytes
    ack: int
    hello: Any


class Answer(NamedTuple):
    """A line of text beside the first one: verb, and a code or number, and a text."""

    verb: str
    word: str
    text: str


def local_identity(role: str) -> LocalIdentity:
    """This process, in a role: "master", "worker", "driver" or "executor"."""
    return LocalIdentity(role, __version__, f"{sys.version_info[0]}.{sys.version_info[1]}")


def parse_line(frame: bytes) -> LocalIdentity:
    """Who wrote this first frame. Raises ProtocolError."""
    if not frame.startswith(MAGIC) or len(frame) > LINE_LIMIT_BYTES or not frame.isascii():
        raise ProtocolError("hello first")
    parts = frame.decode("ascii").split(" ")
    if len(parts) < 5 or not parts[1].isdigit() or not frame.decode("ascii").isprintable():
        raise ProtocolError("hello first")
    return LocalIdentity(parts[4][:40], parts[2][:40], parts[3][:20], int(parts[1][:9]))


def version_conflict(mine: LocalIdentity, other: LocalIdentity) -> str:
    """Why the two cannot work together, naming both; "" when they can."""
    if mine.wire == other.wire and mine.python == other.python and _minor(mine) == _minor(other):
        return ""
    return f"{mine.text()} cannot work with {other.text()}: install the same simspark and Python minor version"


def _minor(one: LocalIdentity) -> list[str]:
    return one.simspark.split(".")[:2]


def encode_opening(opening: Opening) -> bytes:
    """The frame after the first one of who dials."""
    hello = opening.hello
    row = (int(opening.resume), opening.ack, opening.session, codec.tag_of(type(hello)), *hello)
    return codec.encode_plain(row, messages.DEFAULT_LIMIT_BYTES)


def decode_opening(frame: bytes) -> Opening:
    """Checked; raises ProtocolError."""
    resume, ack, *rest = codec.decode_plain(frame, messages.DEFAULT_LIMIT_BYTES)
    if len(rest) < 2 or type(rest[0]) is not bytes or len(rest[0]) != SESSION_BYTES or type(rest[1]) is not int:
        raise ProtocolError("not an opening")
    kind = messages.REGISTRY.get(rest[1])
    if kind not in messages.HELLOS or kind is None:
        raise ProtocolError("hello first")
    return Opening(resume == 1, rest[0], ack, codec.struct_check(kind)(tuple(rest[2:])))


def encode_answer(verb: str, word: str, text: str = "") -> bytes:
    """The line of text that goes beside the first one."""
    return f"{verb} {word} {text}".encode()[:TEXT_LIMIT_BYTES]


def decode_answer(frame: bytes) -> Answer:
    """Checked; raises ProtocolError."""
    if len(frame) > TEXT_LIMIT_BYTES:
        raise ProtocolError("an answer that is too long")
    verb, _, rest = frame.decode("utf-8", "replace").partition(" ")
    word, _, text = rest.partition(" ")
    if verb not in {"WELCOME", "REFUSED", "BYE"} or not word:
        raise ProtocolError("an answer of no known form")
    if verb == "WELCOME" and not (word.isascii() and word.isdigit() and len(word) < 20):
        raise ProtocolError("a welcome without a number")
    return Answer(verb, word, text)
