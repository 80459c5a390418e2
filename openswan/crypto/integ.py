# SPDX-License-Identifier: GPL-2.0-or-later
"""Integrity algorithms: truncated HMACs (RFC 2404, RFC 4868)."""

from __future__ import annotations

import hmac

from openswan.base.errors import CryptoError
from openswan.crypto import registry
from openswan.crypto.registry import Kind
from openswan.crypto.secret import Secret


class Integ:
    """One integrity algorithm with its key."""

    __slots__ = ("_key", "algorithm")

    def __init__(self, name: str, key: bytes | bytearray) -> None:
        self.algorithm = registry.get(Kind.INTEG, name)
        if not self.algorithm.ike:
            raise CryptoError(f"integrity algorithm '{name}' does not protect IKE messages; use sha2_256")
        if len(key) != self.algorithm.keymat_octets():
            raise CryptoError(f"{name} wants a key of {self.algorithm.keymat_octets()} octets, not {len(key)}")
        self._key = Secret(key)

    def icv(self, data: bytes) -> bytes:
        """The integrity check value of `data`, truncated as the algorithm says."""
        return hmac.digest(self._key.data, data, self.algorithm.hash)[: self.algorithm.icv]

    def verify(self, data: bytes, icv: bytes) -> bool:
        """Is that the right value? Compared in constant time; a value of another length is wrong."""
        return hmac.compare_digest(self.icv(data), icv)

    def wipe(self) -> None:
        """Overwrite the key; the object is useless afterwards."""
        self._key.wipe()
