# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.integ promises."""

from __future__ import annotations

from typing import Any

import pytest

from openswan.base.errors import CryptoError
from openswan.crypto.integ import Integ
from tests.shareddata import strongswan

NAMES = {
    "AUTH_HMAC_SHA1_96": "hmac_sha1_96",
    "AUTH_HMAC_SHA2_256_128": "hmac_sha2_256_128",
    "AUTH_HMAC_SHA2_384_192": "hmac_sha2_384_192",
    "AUTH_HMAC_SHA2_512_256": "hmac_sha2_512_256",
}
CASES = [c for f in ("sha1_hmac", "sha2_hmac") for c in strongswan(f, "signer_test_vector_t") if c["alg"] in NAMES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_vectors(case: dict[str, Any]) -> None:
    integ = Integ(NAMES[case["alg"]], case["key"])
    assert integ.icv(case["data"]) == case["mac"][: integ.algorithm.icv]
    assert integ.verify(case["data"], case["mac"][: integ.algorithm.icv])


def test_every_algorithm_had_a_vector() -> None:
    assert {case["alg"] for case in CASES} == set(NAMES)


def test_each_bit_counts_and_so_does_the_length() -> None:
    integ = Integ("hmac_sha2_256_128", bytes(32))
    icv = integ.icv(b"data")
    for bit in range(128):
        wrong = bytearray(icv)
        wrong[bit // 8] ^= 1 << bit % 8
        assert not integ.verify(b"data", bytes(wrong))
    assert not integ.verify(b"data", icv[:-1])
    assert not integ.verify(b"data", b"")
    assert not integ.verify(b"date", icv)


@pytest.mark.parametrize("octets", [0, 19, 21, 64])
def test_wrong_key_length(octets: int) -> None:
    with pytest.raises(CryptoError, match="wants a key of 20 octets"):
        Integ("hmac_sha1_96", bytes(octets))


@pytest.mark.parametrize("name", ["hmac_md5_96", "aes_xcbc_96", "aes_cmac_96", "aes_128_gmac", "hmac_sha2_256_96"])
def test_those_of_esp_and_ah_alone_are_refused(name: str) -> None:
    with pytest.raises(CryptoError, match="does not protect IKE messages; use sha2_256"):
        Integ(name, bytes(16))


def test_wiped() -> None:
    integ = Integ("hmac_sha1_96", bytes(20))
    integ.wipe()
    with pytest.raises(CryptoError, match="wiped"):
        integ.icv(b"")
