"""Why nobody answers: questions to the network that may block, for a thread of their own.

zmq tells that a connection did not come about, but not whether the name is unknown, the port is closed, the machine
is silent, or something else lives there. A plain connection does: whoever speaks ZMTP sends its signature at once.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

LOOK_S = 1.0
ZMTP_FIRST_BYTE = b"\xff"


class Found(Enum):
    """What is there, for people."""

    OUR_KIND = "it answers, but did not let us in"
    SOMETHING_ELSE = "something that is not simspark answers there"
    MUTE = "something listens there but says nothing (a stopped process, or not simspark)"
    REFUSED = "nobody listens there (connection refused)"
    SILENT = "no answer (the machine is off, or a firewall drops what we send)"
    UNREACHABLE = "no way to that address"
    NO_NAME = "the name cannot be resolved"
    NOBODY = "nobody listens there"


def as_number(host: str) -> str:
    """The address when no resolver is needed to know it, else ""."""
    if host == "localhost":
        return "127.0.0.1"
    return host if ":" in host or not host.strip("0123456789.") else ""


def resolve(host: str) -> str:
    """The first address of a name, IPv4 before IPv6; "" when there is none. Blocks."""
    import socket

    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ""
    addresses = sorted((family != socket.AF_INET, str(address[0])) for family, _, _, _, address in found)
    return addresses[0][1]


def look(host: str, port: int) -> Found:
    """Connect and listen for a second. Blocks."""
    import socket

    number = as_number(host) or resolve(host)
    if not number:
        return Found.NO_NAME
    try:
        with socket.create_connection((number, port), LOOK_S) as connection:
            return _listen(connection)
    except ConnectionRefusedError:
        return Found.REFUSED
    except TimeoutError:
        return Found.SILENT
    except OSError:
        return Found.UNREACHABLE


def _listen(connection: socket.socket) -> Found:
    try:
        return Found.OUR_KIND if connection.recv(1) == ZMTP_FIRST_BYTE else Found.SOMETHING_ELSE
    except TimeoutError:
        return Found.MUTE
    except OSError:
        return Found.SOMETHING_ELSE
