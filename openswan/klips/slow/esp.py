# SPDX-License-Identifier: GPL-2.0-or-later
"""ESP packets built and opened field by field, over the `cryptography` library. Twin of _fast.esp and its providers."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR, ECB, GCM
from cryptography.hazmat.primitives.cmac import CMAC

from openswan.base.drops import Drop
from openswan.klips.slow.replay import Window


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a cipher, octets: salt behind the key, IV, alignment, ICV (0: an integrity algorithm brings it)."""

    salt: int = 0
    iv: int = 0
    align: int = 4
    icv: int = 0


CIPHERS = {
    "null": Shape(),
    "aes_cbc": Shape(iv=16, align=16),
    "3des_cbc": Shape(iv=8, align=8),
    "aes_ctr": Shape(salt=4, iv=8),
    "chacha20_poly1305": Shape(salt=4, iv=8, icv=16),
    "null_auth_aes_gmac": Shape(salt=4, iv=8, icv=16),
    **{f"aes_gcm_{icv}": Shape(salt=4, iv=8, icv=icv) for icv in (8, 12, 16)},
    **{f"aes_ccm_{icv}": Shape(salt=3, iv=8, icv=icv) for icv in (8, 12, 16)},
}
HASHES = {
    "hmac_md5_96": ("md5", 12),
    "hmac_sha1_96": ("sha1", 12),
    "hmac_sha2_256_96": ("sha256", 12),
    "hmac_sha2_256_128": ("sha256", 16),
    "hmac_sha2_384_192": ("sha384", 24),
    "hmac_sha2_512_256": ("sha512", 32),
    "aes_xcbc_96": ("xcbc", 12),
    "aes_cmac_96": ("cmac", 12),
}


class Esp:
    """One SA; keys as in plane.commands.AddSa."""

    def __init__(
        self, cipher: str, key: bytes, integ: str = "", auth: bytes = b"", esn: bool = False, window: int = 64
    ) -> None:
        shape = CIPHERS[cipher]
        cut = len(key) - shape.salt
        self.cipher, self.key, self.salt = cipher, key[:cut], key[cut:]
        self.auth, self.esn = auth, esn
        self.hash, self.icv_len = HASHES[integ] if integ else ("", shape.icv)
        self.iv_len, self.align = shape.iv, shape.align
        self.window = Window(window)

    def _high(self, sequence: int) -> bytes:
        return (sequence >> 32).to_bytes(4, "big") if self.esn else b""

    def _icv(self, covered: bytes, sequence: int) -> bytes:
        return icv(self.hash, self.auth, covered + self._high(sequence))[: self.icv_len]

    def _aad(self, head: bytes, sequence: int) -> bytes:
        return head[:4] + self._high(sequence) + head[4:8]

    def seal(self, spi: int, sequence: int, payload: bytes, next_header: int, iv: bytes) -> bytes:
        """The ESP packet of `payload` with this IV."""
        pad = -(len(payload) + 2) % self.align
        text = payload + bytes(range(1, pad + 1)) + bytes([pad, next_header])
        head = spi.to_bytes(4, "big") + (sequence & 0xFFFFFFFF).to_bytes(4, "big")
        if not self.hash:
            return head + iv + self.seal_aead(iv, text, self._aad(head, sequence))
        covered = head + iv + self._crypt(iv, text, encrypt=True)
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
        covered, tag = packet[: -self.icv_len], packet[-self.icv_len :]
        text = covered[8 + self.iv_len :]
        if not self.hash:
            try:
                return self._open_aead(iv, text, tag, self._aad(packet, sequence))
            except InvalidTag:
                return None
        if not hmac.compare_digest(self._icv(covered, sequence), tag):
            return None
        return self._crypt(iv, text, encrypt=False)

    def _crypt(self, iv: bytes, text: bytes, *, encrypt: bool) -> bytes:
        if self.cipher == "null":
            return text
        if self.cipher == "aes_ctr":
            # RFC 3686 4: nonce, IV, a block counter from 1.
            made: Cipher[CBC | CTR] = Cipher(AES(self.key), CTR(self.salt + iv + b"\0\0\0\1"))
        else:
            made = Cipher(AES(self.key) if self.cipher == "aes_cbc" else TripleDES(self.key), CBC(iv))
        worker = made.encryptor() if encrypt else made.decryptor()
        return worker.update(text) + worker.finalize()

    def seal_aead(self, iv: bytes, text: bytes, aad: bytes) -> bytes:
        """Ciphertext and ICV of `text`, trailer included; for an AEAD."""
        nonce = self.salt + iv
        if self.cipher == "null_auth_aes_gmac":
            return text + AESGCM(self.key).encrypt(nonce, b"", aad + iv + text)
        if self.cipher.startswith("aes_gcm"):
            return AESGCM(self.key).encrypt(nonce, text, aad)[: len(text) + self.icv_len]
        if self.cipher.startswith("aes_ccm"):
            return AESCCM(self.key, self.icv_len).encrypt(nonce, text, aad)
        return ChaCha20Poly1305(self.key).encrypt(nonce, text, aad)

    def _open_aead(self, iv: bytes, text: bytes, tag: bytes, aad: bytes) -> bytes:
        nonce = self.salt + iv
        if self.cipher == "null_auth_aes_gmac":
            AESGCM(self.key).decrypt(nonce, tag, aad + iv + text)
            return text
        if self.cipher.startswith("aes_gcm"):
            opener = Cipher(AES(self.key), GCM(nonce, tag, min_tag_length=self.icv_len)).decryptor()
            opener.authenticate_additional_data(aad)
            return opener.update(text) + opener.finalize()
        if self.cipher.startswith("aes_ccm"):
            return AESCCM(self.key, self.icv_len).decrypt(nonce, text + tag, aad)
        return ChaCha20Poly1305(self.key).decrypt(nonce, text + tag, aad)


def icv(name: str, key: bytes, data: bytes) -> bytes:
    """The whole, uncut ICV by hash `name`: a hashlib name for HMAC, `cmac` or `xcbc`."""
    if name == "xcbc":
        return xcbc(key, data)
    if name == "cmac":
        mac = CMAC(AES(key))
        mac.update(data)
        return mac.finalize()
    return hmac.digest(key, data, name)


def gmac(key: bytes, data: bytes, iv: bytes) -> bytes:
    """AES-GMAC as AH makes it (RFC 4543 4): `key` ends with its salt."""
    return AESGCM(key[:-4]).encrypt(key[-4:] + iv, b"", data)


def xcbc(key: bytes, data: bytes) -> bytes:
    """AES-XCBC-MAC of 16 octets (RFC 3566 4)."""

    def block(under: bytes, text: bytes) -> bytes:
        worker = Cipher(AES(under), ECB()).encryptor()
        return worker.update(text) + worker.finalize()

    first, whole, short = (block(key, bytes([n]) * 16) for n in (1, 2, 3))
    blocks = [data[at : at + 16] for at in range(0, len(data), 16)] or [b""]
    chain = bytes(16)
    for one in blocks[:-1]:
        chain = block(first, _xor(chain, one))
    last = blocks[-1]
    mixed = _xor(last, whole) if len(last) == 16 else _xor((last + b"\x80").ljust(16, b"\0"), short)
    return block(first, _xor(chain, mixed))


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))
