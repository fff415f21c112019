"""Why a session is over: what a PeerLost's reason begins with, ``<code>: <text>``.

A core that refuses a hello may use other codes.
"""

from __future__ import annotations

from simspark.publib.errors import AccessRefused, NoMaster, PeerTimeout, ProtocolError, SimsparkError, VersionMismatch

ACCESS_REFUSED = "access_refused"  # no key, a wrong key, the key of another role
VERSION = "version"  # another simspark, Python or wire version
NO_PEER = "no_peer"  # nobody there, or somebody who does not speak like us; the text tells which
EXPIRED = "expired"  # the connection broke and did not come back in time
SESSION_OVER = "session_over"  # the other side does not know this session (any more)
OVERFLOW = "overflow"  # too much waits for a peer that does not take it
PROTOCOL = "protocol"  # the peer sent what it must not
HELLO_FIRST = "hello_first"  # messages without a session
CLOSED = "closed"  # the other side ended it in an orderly way


def error_for(reason: str) -> SimsparkError:
    """The typed error of a PeerLost's reason, for who has to raise it."""
    code, _, text = reason.partition(": ")
    kinds: dict[str, type[SimsparkError]] = {
        ACCESS_REFUSED: AccessRefused, VERSION: VersionMismatch, NO_PEER: NoMaster, PROTOCOL: ProtocolError,
        HELLO_FIRST: ProtocolError, EXPIRED: PeerTimeout,
    }  # fmt: skip
    return kinds.get(code, NoMaster)(text or reason)
