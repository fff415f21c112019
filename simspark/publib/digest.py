"""Digests, by blake2b: names of what is the same, and proofs of who was told a secret. hashlib would load OpenSSL."""

from __future__ import annotations

try:
    from _blake2 import blake2b  # what hashlib passes on
except ImportError:
    from hashlib import blake2b

__all__ = ["blake2b"]
