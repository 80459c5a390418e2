# SPDX-License-Identifier: GPL-2.0-or-later
"""Sealing IKE messages: cipher and integrity as one thing, AEAD or encrypt-then-MAC (RFC 7296 3.14, RFC 5282)."""

from __future__ import annotations

from openswan.base.entropy import Rng
from openswan.base.errors import CryptoError
from openswan.crypto.encr import Encr
from openswan.crypto.integ import Integ


class Sealer:
    """One direction's SK_e and SK_a at work.

    A body is IV, ciphertext and ICV. `prefix` is everything of the message in front of it (wire.message.sk_prefix and
    Message.associated), with lengths already as they will be sent.
    """

    __slots__ = ("_counter", "_encr", "_integ")

    def __init__(self, encr: str, encr_key: bytes | bytearray, integ: str = "", integ_key: bytes = b"") -> None:
        self._encr = Encr(encr, encr_key)
        self._integ = Integ(integ, integ_key) if integ else None
        self._counter = 0
        if self._encr.algorithm.aead == bool(integ):
            raise CryptoError(f"{encr} {'brings its own integrity' if integ else 'needs an integrity algorithm'}")

    @property
    def iv_octets(self) -> int:
        """Octets of IV at the front of a body."""
        return self._encr.algorithm.iv

    @property
    def icv_octets(self) -> int:
        """Octets of integrity check value at the end of a body."""
        return self._integ.algorithm.icv if self._integ else self._encr.algorithm.icv

    @property
    def block(self) -> int:
        """What a padded plaintext must be a multiple of."""
        return self._encr.algorithm.block

    def body_octets(self, plaintext_octets: int) -> int:
        """Length of the body that seals so many octets of padded plaintext."""
        return self.iv_octets + plaintext_octets + self.icv_octets

    def seal(self, prefix: bytes, plaintext: bytes, rng: Rng) -> bytes:
        """The body for `plaintext`, payloads padded to a multiple of `block` (wire.v2.sk.pad).

        CBC IVs are unpredictable (from `rng`); an AEAD's are a counter, never used twice under one key.
        """
        if self._encr.algorithm.aead:
            iv = self._counter.to_bytes(self.iv_octets, "big")
            self._counter += 1
        else:
            iv = rng.octets(self.iv_octets)
        text = iv + self._encr.encrypt(iv, plaintext, prefix)
        return text + self._integ.icv(prefix + text) if self._integ else text

    def open(self, prefix: bytes, body: bytes) -> bytes:
        """The padded plaintext of a body; CryptoError when lengths or integrity are wrong, before any decryption."""
        inside = len(body) - self.iv_octets - self.icv_octets
        if inside < 1 or inside % self.block:
            raise CryptoError("sealed body of a length that does not fit the cipher")
        iv, text = body[: self.iv_octets], body[self.iv_octets :]
        if self._integ:
            cut = len(text) - self.icv_octets
            text, icv = text[:cut], text[cut:]
            if not self._integ.verify(prefix + iv + text, icv):
                raise CryptoError("integrity check failed")
        return self._encr.decrypt(iv, text, prefix)

    def wipe(self) -> None:
        """Overwrite both keys; the object is useless afterwards."""
        self._encr.wipe()
        if self._integ:
            self._integ.wipe()
