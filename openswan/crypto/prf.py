# SPDX-License-Identifier: GPL-2.0-or-later
"""Pseudo-random functions: HMACs of any key length (RFC 7296 2.13, RFC 4868)."""

from __future__ import annotations

import hmac

from openswan.crypto import registry
from openswan.crypto.registry import Kind


class Prf:
    """One PRF of the table; CryptoError when the name is unknown or of another kind."""

    __slots__ = ("algorithm", "octets")

    def __init__(self, name: str) -> None:
        self.algorithm = registry.get(Kind.PRF, name)
        self.octets = self.algorithm.output
        """Octets it makes, and its preferred key length."""

    def __call__(self, key: bytes | bytearray, data: bytes) -> bytes:
        """prf(key, data)."""
        return hmac.digest(key, data, self.algorithm.hash)

    def plus(self, key: bytes | bytearray, seed: bytes, count: int) -> bytes:
        """prf+(key, seed), `count` octets of it (RFC 7296 2.13); at most 255 rounds, ValueError beyond."""
        if count > 255 * self.octets:
            raise ValueError(f"prf+ makes at most {255 * self.octets} octets")
        out = bytearray()
        block = b""
        for counter in range(1, -(-count // self.octets) + 1):
            block = self(key, block + seed + bytes([counter]))
            out += block
        return bytes(out[:count])
