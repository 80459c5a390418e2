# SPDX-License-Identifier: GPL-2.0-or-later
"""Encryption of IKE messages: CBC ciphers and AEADs behind one class (RFC 3602, RFC 5282, RFC 7634).

The short tags of GCM are the whole one cut off (NIST SP 800-38D 5.2.1.2); those of CCM are tags of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from openswan.base.errors import CryptoError
from openswan.crypto import registry
from openswan.crypto.registry import Kind
from openswan.crypto.secret import Secret

AEADS: dict[str, Callable[[bytes], AESGCM | AESCCM | ChaCha20Poly1305]] = {
    "aes_gcm_16": AESGCM,
    "aes_ccm_16": partial(AESCCM, tag_length=16),
    "aes_ccm_12": partial(AESCCM, tag_length=12),
    "aes_ccm_8": partial(AESCCM, tag_length=8),
    "chacha20_poly1305": ChaCha20Poly1305,
}
SHORT_GCM = ("aes_gcm_12", "aes_gcm_8")
CBC: dict[str, type[AES] | type[TripleDES]] = {"aes_cbc": AES, "3des_cbc": TripleDES}


class Encr:
    """One cipher with its key; for an AEAD the key's last octets are the salt (RFC 5282 7.1, RFC 7634 2)."""

    __slots__ = ("_key", "algorithm")

    def __init__(self, name: str, key: bytes | bytearray) -> None:
        self.algorithm = registry.get(Kind.ENCR, name)
        if not self.algorithm.ike and name != "null":
            raise CryptoError(f"encryption algorithm '{name}' does not protect IKE messages; use aes_gcm_16")
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
            if name in SHORT_GCM:
                return AESGCM(key).encrypt(nonce, plaintext, aad)[: len(plaintext) + self.algorithm.icv]
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
                if name in SHORT_GCM:
                    return self._open_short(key, nonce, ciphertext, aad)
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

    def _open_short(self, key: bytes, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
        cut = len(ciphertext) - self.algorithm.icv
        if cut < 0:
            raise InvalidTag
        mode = modes.GCM(nonce, ciphertext[cut:], min_tag_length=self.algorithm.icv)
        opener = Cipher(AES(key), mode).decryptor()
        opener.authenticate_additional_data(aad)
        return opener.update(ciphertext[:cut]) + opener.finalize()

    def _aead(self, iv: bytes) -> tuple[bytes, bytes]:
        key = bytes(self._key.data)
        cut = len(key) - self.algorithm.salt
        return key[:cut], key[cut:] + iv

    def _check(self, iv: bytes, text: bytes) -> None:
        if len(iv) != self.algorithm.iv or len(text) % self.algorithm.block:
            raise CryptoError(f"{self.algorithm.name}: IV of {len(iv)} and text of {len(text)} octets do not fit")
