# SPDX-License-Identifier: GPL-2.0-or-later
"""ESP packets built and opened field by field, over the `cryptography` library. Twin of _fast.esp."""

from __future__ import annotations

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from openswan.base.drops import Drop
from openswan.klips.slow.replay import Window

AEADS: dict[str, type[AESGCM] | type[ChaCha20Poly1305]] = {
    "aes_gcm_16": AESGCM,
    "chacha20_poly1305": ChaCha20Poly1305,
}
INTEGS = {
    "hmac_sha1_96": ("sha1", 12),
    "hmac_sha2_256_128": ("sha256", 16),
    "hmac_sha2_384_192": ("sha384", 24),
    "hmac_sha2_512_256": ("sha512", 32),
}


class Esp:
    """One SA; keys as in plane.commands.AddSa."""

    def __init__(
        self, cipher: str, key: bytes, integ: str = "", auth: bytes = b"", esn: bool = False, window: int = 64
    ) -> None:
        self.aead = AEADS[cipher](key[:-4]) if cipher in AEADS else None
        self.salt = key[-4:] if self.aead else b""
        self.key, self.auth, self.esn = key, auth, esn
        self.digest, self.icv_len = INTEGS[integ] if integ else ("", 16)
        self.iv_len = 8 if self.aead else 16 if cipher == "aes_cbc" else 0
        self.align = 16 if cipher == "aes_cbc" else 4
        self.window = Window(window)

    def _high(self, sequence: int) -> bytes:
        return (sequence >> 32).to_bytes(4, "big") if self.esn else b""

    def _icv(self, covered: bytes, sequence: int) -> bytes:
        return hmac.digest(self.auth, covered + self._high(sequence), self.digest)[: self.icv_len]

    def seal(self, spi: int, sequence: int, payload: bytes, next_header: int, iv: bytes) -> bytes:
        """The ESP packet of `payload` with this IV."""
        pad = -(len(payload) + 2) % self.align
        text = payload + bytes(range(1, pad + 1)) + bytes([pad, next_header])
        low = (sequence & 0xFFFFFFFF).to_bytes(4, "big")
        head = spi.to_bytes(4, "big") + low
        if self.aead:
            aad = head[:4] + self._high(sequence) + low
            return head + iv + self.aead.encrypt(self.salt + iv, text, aad)
        if self.iv_len:
            text = _cbc(self.key, iv, text, encrypt=True)
        covered = head + iv + text
        return covered + self._icv(covered, sequence)

    def open(self, packet: bytes) -> tuple[Drop, bytes, int, int]:
        """(drop reason, payload, next header, sequence); after any reason but NONE the rest is empty."""
        fixed = 8 + self.iv_len + self.icv_len
        if not fixed + self.align <= len(packet) <= 65535 or (len(packet) - fixed) % self.align:
            return (Drop.MALFORMED, b"", 0, 0)
        low = int.from_bytes(packet[4:8], "big")
        sequence = self.window.infer(low) if self.esn else low
        if sequence is None or not self.window.check(sequence):
            return (Drop.REPLAY, b"", 0, 0)
        text = self._decrypt(packet, sequence)
        if text is None:
            return (Drop.AUTH_FAILED, b"", 0, 0)
        self.window.mark(sequence)
        pad, next_header = text[-2], text[-1]
        if pad + 2 > len(text) or text[len(text) - 2 - pad : -2] != bytes(range(1, pad + 1)):
            return (Drop.BAD_PADDING, b"", 0, 0)
        return (Drop.NONE, text[: len(text) - 2 - pad], next_header, sequence)

    def _decrypt(self, packet: bytes, sequence: int) -> bytes | None:
        iv = packet[8 : 8 + self.iv_len]
        if self.aead:
            aad = packet[:4] + self._high(sequence) + packet[4:8]
            try:
                return self.aead.decrypt(self.salt + iv, packet[16:], aad)
            except InvalidTag:
                return None
        covered, icv = packet[: -self.icv_len], packet[-self.icv_len :]
        if not hmac.compare_digest(self._icv(covered, sequence), icv):
            return None
        text = covered[8 + self.iv_len :]
        return _cbc(self.key, iv, text, encrypt=False) if self.iv_len else text


def _cbc(key: bytes, iv: bytes, text: bytes, *, encrypt: bool) -> bytes:
    cipher = Cipher(AES(key), CBC(iv))
    worker = cipher.encryptor() if encrypt else cipher.decryptor()
    return worker.update(text) + worker.finalize()
