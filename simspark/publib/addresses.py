"""Which address others dial, where a daemon listens on all of them."""

from __future__ import annotations

import socket

EVERY_ADDRESS = frozenset({"0.0.0.0", "::", "[::]", "*"})
ELSEWHERE = "192.0.2.1"  # set aside for examples: to find a route, nothing is sent


def advertised(host: str, wanted: str, peer: str = ELSEWHERE) -> str:
    """The host that others dial: ``wanted``, or what is listened on, or this machine's address towards ``peer``."""
    if wanted:
        return wanted
    return own_address(peer) if host in EVERY_ADDRESS else host


def own_address(peer: str) -> str:
    """The address that packets from here to ``peer`` would carry; the host's name where there is no way."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((peer, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()


def listening(host: str, port: int) -> str:
    """The endpoint to listen on; port 0 takes a free one."""
    return f"tcp://{bracketed(host)}:{port or '*'}"


def bracketed(host: str) -> str:
    """An IPv6 address in brackets, everything else as it is."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def port_of(endpoint: str) -> int:
    """The port of tcp://host:port."""
    return int(endpoint.rpartition(":")[2])
