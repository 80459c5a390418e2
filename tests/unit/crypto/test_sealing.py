# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.sealing promises."""

from __future__ import annotations

import pytest

from openswan.base.entropy import SeededRng
from openswan.base.errors import CryptoError
from openswan.crypto.sealing import Sealer

SUITES = [
    ("aes_gcm_16", 36, "", 0),
    ("chacha20_poly1305", 36, "", 0),
    ("aes_cbc", 32, "hmac_sha2_256_128", 32),
    ("aes_cbc", 16, "hmac_sha1_96", 20),
    ("3des_cbc", 24, "hmac_sha2_512_256", 64),
]


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_sealing_and_opening(suite: tuple[str, int, str, int]) -> None:
    encr, encr_octets, integ, integ_octets = suite
    sealer = Sealer(encr, bytes(range(encr_octets)), integ, bytes(integ_octets))
    rng = SeededRng(1)
    seen = set()
    for count in range(1, 6):
        text = bytes(count * max(sealer.block, 4))
        body = sealer.seal(b"prefix", text, rng)
        assert len(body) == sealer.body_octets(len(text))
        assert sealer.open(b"prefix", body) == text
        seen.add(body[: sealer.iv_octets])
    assert len(seen) == 5  # no IV twice


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_every_octet_is_protected(suite: tuple[str, int, str, int]) -> None:
    encr, encr_octets, integ, integ_octets = suite
    sealer = Sealer(encr, bytes(encr_octets), integ, bytes(integ_octets))
    body = sealer.seal(b"prefix", bytes(32 // sealer.block * sealer.block), SeededRng(2))
    for at in range(len(body)):
        wrong = bytearray(body)
        wrong[at] ^= 0x80
        with pytest.raises(CryptoError, match="integrity check failed"):
            sealer.open(b"prefix", bytes(wrong))
    for cut in range(len(body)):
        with pytest.raises(CryptoError):
            sealer.open(b"prefix", body[:cut])
    with pytest.raises(CryptoError, match="integrity check failed"):
        sealer.open(b"prefiy", body)


def test_cbc_ivs_are_unpredictable() -> None:
    """An IV that is the last ciphertext block lets a chosen plaintext be guessed."""
    sealer = Sealer("aes_cbc", bytes(16), "hmac_sha1_96", bytes(20))
    rng = SeededRng(3)
    first, second = (sealer.seal(b"", bytes(16), rng) for _ in range(2))
    assert second[:16] not in first


def test_an_aead_has_no_integrity_algorithm_and_others_need_one() -> None:
    with pytest.raises(CryptoError, match="brings its own integrity"):
        Sealer("aes_gcm_16", bytes(20), "hmac_sha1_96", bytes(20))
    with pytest.raises(CryptoError, match="needs an integrity algorithm"):
        Sealer("aes_cbc", bytes(16))


def test_wiped() -> None:
    sealer = Sealer("aes_cbc", bytes(16), "hmac_sha1_96", bytes(20))
    sealer.wipe()
    with pytest.raises(CryptoError, match="wiped"):
        sealer.seal(b"", bytes(16), SeededRng(1))
