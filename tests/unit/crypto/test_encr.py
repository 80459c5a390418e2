# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.encr promises."""

from __future__ import annotations

from typing import Any

import pytest

from openswan.base.errors import CryptoError
from openswan.crypto.encr import Encr
from tests.shareddata import strongswan

NAMES = {
    "ENCR_AES_CBC": "aes_cbc",
    "ENCR_3DES": "3des_cbc",
    "ENCR_AES_GCM_ICV16": "aes_gcm_16",
    "ENCR_AES_GCM_ICV12": "aes_gcm_12",
    "ENCR_AES_GCM_ICV8": "aes_gcm_8",
    "ENCR_AES_CCM_ICV16": "aes_ccm_16",
    "ENCR_AES_CCM_ICV12": "aes_ccm_12",
    "ENCR_AES_CCM_ICV8": "aes_ccm_8",
    "ENCR_CHACHA20_POLY1305": "chacha20_poly1305",
}
FILES = ("aes_cbc", "3des_cbc", "aes_gcm", "aes_ccm", "chacha20poly1305")
CASES = [case for file in FILES for case in strongswan(file) if case["alg"] in NAMES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_vectors(case: dict[str, Any]) -> None:
    # One of theirs holds more octets than its key has.
    key = case["key"][: case["key_size"] + case.get("salt_size", 0)]
    cipher = Encr(NAMES[case["alg"]], key)
    aad = case.get("adata", b"")
    assert cipher.encrypt(case["iv"], case.get("plain", b""), aad) == case["cipher"]
    assert cipher.decrypt(case["iv"], case["cipher"], aad) == case.get("plain", b"")


def test_every_cipher_had_a_vector() -> None:
    assert {case["alg"] for case in CASES} == set(NAMES)


@pytest.mark.parametrize(("name", "octets"), [
    ("aes_gcm_16", 36), ("aes_gcm_12", 28), ("aes_gcm_8", 20), ("aes_ccm_16", 35), ("aes_ccm_12", 27),
    ("aes_ccm_8", 19), ("chacha20_poly1305", 36),
])  # fmt: skip
def test_a_changed_bit_anywhere_is_noticed(name: str, octets: int) -> None:
    cipher = Encr(name, bytes(octets))
    sealed = cipher.encrypt(bytes(8), b"secret", b"aad")
    for bit in range(len(sealed) * 8):
        wrong = bytearray(sealed)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CryptoError, match="integrity check failed"):
            cipher.decrypt(bytes(8), bytes(wrong), b"aad")
    with pytest.raises(CryptoError, match="integrity"):
        cipher.decrypt(bytes(8), sealed, b"other")
    for cut in range(len(sealed)):
        with pytest.raises(CryptoError):
            cipher.decrypt(bytes(8), sealed[:cut], b"aad")


@pytest.mark.parametrize("name", ["aes_cbc", "aes_gcm_16", "aes_gcm_8", "aes_ccm_12", "chacha20_poly1305", "3des_cbc"])
@pytest.mark.parametrize("octets", [0, 1, 15, 17, 33, 64])
def test_wrong_key_length(name: str, octets: int) -> None:
    with pytest.raises(CryptoError, match="no key material"):
        Encr(name, bytes(octets))


def test_lengths_that_do_not_fit() -> None:
    with pytest.raises(CryptoError, match="do not fit"):
        Encr("aes_cbc", bytes(16)).decrypt(bytes(16), bytes(17))
    with pytest.raises(CryptoError, match="do not fit"):
        Encr("aes_cbc", bytes(16)).encrypt(bytes(15), bytes(16))
    with pytest.raises(CryptoError, match="do not fit"):
        Encr("aes_gcm_16", bytes(20)).decrypt(bytes(12), bytes(32))


def test_null_and_refused() -> None:
    assert Encr("null", b"").encrypt(b"", b"text") == b"text"
    assert Encr("null", b"").decrypt(b"", b"text") == b"text"
    with pytest.raises(CryptoError, match="refused"):
        Encr("des", bytes(8))
    for name, octets in (("aes_ctr", 20), ("null_auth_aes_gmac", 20)):
        with pytest.raises(CryptoError, match="does not protect IKE messages"):
            Encr(name, bytes(octets))


def test_wiped() -> None:
    cipher = Encr("aes_cbc", bytes(16))
    cipher.wipe()
    with pytest.raises(CryptoError, match="wiped"):
        cipher.encrypt(bytes(16), bytes(16))
