"""The nonce that proves which executor a process is.

Master and driver derive it from a secret that the driver made, so neither has to tell the other: an
executor may say hello to its driver before the master's word about it has arrived there.
"""

from __future__ import annotations

from simspark.publib.digest import blake2b


def executor_nonce(secret: bytes, executor: str) -> bytes:
    """What an executor shows to prove that it is the one: known to who launched it, and to it alone."""
    return blake2b(executor.encode(), key=secret, digest_size=32).digest()
