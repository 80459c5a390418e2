# SPDX-License-Identifier: GPL-2.0-or-later
"""Encryption of IKE messages: CBC ciphers and AEADs behind one class (RFC 3602, RFC 5282, RFC 7634)."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from openswan.base.errors import CryptoError
from openswan.crypto import registry
from openswan.crypto.registry import Kind
from openswan.crypto.secret import Secret

AEADS: dict[str, type[AESGCM] | type[ChaCha20Poly1305]] = {
    "aes_gcm_16": AESGCM,
    "chacha20_poly1305": ChaCha20Poly1305,
}
CBC: dict[str, type[AES] | type[TripleDES]] = {"aes_cbc": AES, "3des_cbc": TripleDES}


class Encr:
    """One cipher with its key; for an AEAD the key's last octets are the salt (RFC 5282 7.1, RFC 7634 2)."""

    __slots__ = ("_key", "algorithm")

    def __init__(self, name: str, key: bytes | bytearray) -> None:
        self.algorithm = registry.get(Kind.ENCR, name)
        bits = (len(key) - self.algorithm.salt) * 8
        if bits not in self.algorithm.key_bits:
            raise CryptoError(f"{name} has no key material of {len(key)} octets")
        self._key = Secret(key)

    def encrypt(self, iv: bytes, plaintext: bytes, aad: bytes = b"") -> bytes:
        """Ciphertext; an AEAD's tag (`algorithm.icv` octets) stands behind it.

        `plaintext` is a whole number of `algorithm.block` octets, `iv` has `algorithm.iv` octets and, for an AEAD, is
        never used twice with one key; `aad` is authenticated by AEADs and ignored by others.
        """
        self._check(iv, plaintext)
        name = self.algorithm.name
        if self.algorithm.aead:
            key, nonce = self._aead(iv)
            return AEADS[name](key).encrypt(nonce, plaintext, aad)
        if name == "null":
            return plaintext
        encryptor = Cipher(CBC[name](bytes(self._key.data)), modes.CBC(iv)).encryptor()
        return encryptor.update(plaintext) + encryptor.finalize()

    def decrypt(self, iv: bytes, ciphertext: bytes, aad: bytes = b"") -> bytes:
        """Plaintext of what encrypt() made; CryptoError when an AEAD's tag is wrong or lengths do not fit."""
        self._check(iv, ciphertext)
        name = self.algorithm.name
        if self.algorithm.aead:
            key, nonce = self._aead(iv)
            try:
                return AEADS[name](key).decrypt(nonce, ciphertext, aad)
            except InvalidTag:
                raise CryptoError("integrity check failed") from None
        if name == "null":
            return ciphertext
        decryptor = Cipher(CBC[name](bytes(self._key.data)), modes.CBC(iv)).decryptor()
        return decryptor.update(ciphertext) + decryptor.finalize()

    def wipe(self) -> None:
        """Overwrite the key; the object is useless afterwards."""
        self._key.wipe()

    def _aead(self, iv: bytes) -> tuple[bytes, bytes]:
        key = bytes(self._key.data)
        cut = len(key) - self.algorithm.salt
        return key[:cut], key[cut:] + iv

    def _check(self, iv: bytes, text: bytes) -> None:
        if len(iv) != self.algorithm.iv or len(text) % self.algorithm.block:
            raise CryptoError(f"{self.algorithm.name}: IV of {len(iv)} and text of {len(text)} octets do not fit")
