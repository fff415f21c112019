"""Both ends of a connection, for everybody else to import."""

from __future__ import annotations

from simspark.publib.wire.codes import error_for
from simspark.publib.wire.dialer import Dialer
from simspark.publib.wire.envelope import LocalIdentity, local_identity
from simspark.publib.wire.listener import Listener
from simspark.publib.wire.sockets import Heartbeats

__all__ = ["Dialer", "Heartbeats", "Listener", "LocalIdentity", "error_for", "local_identity"]
