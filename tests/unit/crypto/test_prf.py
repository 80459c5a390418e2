# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.prf promises."""

from __future__ import annotations

from typing import Any

import pytest

from openswan.base.errors import CryptoError
from openswan.crypto.prf import Prf
from tests.shareddata import strongswan

NAMES = {
    "PRF_HMAC_SHA1": "prf_hmac_sha1",
    "PRF_HMAC_SHA2_256": "prf_hmac_sha2_256",
    "PRF_HMAC_SHA2_384": "prf_hmac_sha2_384",
    "PRF_HMAC_SHA2_512": "prf_hmac_sha2_512",
}
PRFS = [
    case
    for file in ("sha1_hmac", "sha2_hmac")
    for case in strongswan(file, "prf_test_vector_t")
    if case["alg"] in NAMES
]
KDFS = [case for case in strongswan("kdf_prf") if case["arg.prf"] in NAMES]
PLUS = [case for case in strongswan("kdf_prf_plus") if case["arg.prf"] in NAMES]


@pytest.mark.parametrize("case", PRFS, ids=lambda case: case["name"])
def test_prf(case: dict[str, Any]) -> None:
    assert Prf(NAMES[case["alg"]])(case["key"], case["seed"]) == case["out"]


@pytest.mark.parametrize("case", KDFS, ids=lambda case: case["name"])
def test_prf_as_extractor(case: dict[str, Any]) -> None:
    assert Prf(NAMES[case["arg.prf"]])(case["salt"], case["key"]) == case["out"]


@pytest.mark.parametrize("case", PLUS, ids=lambda case: case["name"])
def test_prf_plus(case: dict[str, Any]) -> None:
    assert Prf(NAMES[case["arg.prf"]]).plus(case["key"], case["salt"], len(case["out"])) == case["out"]


def test_enough_cases_were_found() -> None:
    assert (len(PRFS) > 15, len(KDFS) > 5, len(PLUS) > 5) == (True, True, True)


def test_prf_plus_ends_after_255_rounds() -> None:
    """RFC 7296 2.13: the counter is one octet."""
    prf = Prf("prf_hmac_sha1")
    assert len(prf.plus(b"k", b"s", 255 * 20)) == 255 * 20
    assert prf.plus(b"k", b"s", 0) == b""
    with pytest.raises(ValueError, match="at most 5100"):
        prf.plus(b"k", b"s", 255 * 20 + 1)


@pytest.mark.parametrize("name", ["prfmd5", "prf_aes128_xcbc", "nothing"])
def test_a_prf_nobody_has(name: str) -> None:
    """CVE-2018-10811, CVE-2016-3071."""
    with pytest.raises(CryptoError):
        Prf(name)
