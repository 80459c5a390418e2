# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.keymat promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from openswan.base.errors import CryptoError
from openswan.crypto import keymat
from openswan.crypto.prf import Prf
from openswan.crypto.secret import Secret
from tests.shareddata import DATA

PRFS = {
    "[SHA-1]": "prf_hmac_sha1",
    "[SHA-256]": "prf_hmac_sha2_256",
    "[SHA-384]": "prf_hmac_sha2_384",
    "[SHA-512]": "prf_hmac_sha2_512",
}


def cases() -> Iterator[tuple[str, dict[str, bytes]]]:
    """(hash, fields) of each case of NIST's file."""
    digest, fields = "", {}
    for line in (DATA / "vectors/cavp-ike/ikev2/ikev2.rsp").read_text().splitlines():
        if line.startswith("[SHA"):
            digest = line
        elif line.startswith("COUNT"):
            fields = {}
        elif " = " in line and not line.startswith(("#", "[")):
            name, value = line.split(" = ")
            fields[name] = bytes.fromhex(value)
            if name == "SKEYSEED(Rekey)":
                yield digest, fields


CASES = list(cases())


def test_all_cases_are_there() -> None:
    assert len(CASES) == 280
    assert {digest for digest, _ in CASES} == {*PRFS, "[SHA-224]"}


def prf_of(digest: str) -> Prf:
    """IKE has no PRF over SHA-224; the derivation does not care."""
    if digest in PRFS:
        return Prf(PRFS[digest])
    prf = Prf("prf_hmac_sha2_256")
    prf.algorithm, prf.octets = replace(prf.algorithm, hash="sha224", output=28), 28
    return prf


@pytest.mark.parametrize("digest", [*PRFS, "[SHA-224]"])
def test_cavp(digest: str) -> None:
    prf = prf_of(digest)
    for case in (fields for name, fields in CASES if name == digest):
        ni, nr, spis = case["Ni"], case["Nr"], case["SPIi"] + case["SPIr"]
        seed = keymat.skeyseed(prf, ni, nr, case["g^ir"])
        assert seed == case["SKEYSEED"]
        dkm = case["DKM"]
        assert prf.plus(seed, ni + nr + spis, len(dkm)) == dkm
        sk_d = Secret(dkm[: prf.octets])
        child, child_dh = case["DKM(Child SA)"], case["DKM(Child SA D-H)"]
        assert keymat.keymat(prf, sk_d, ni, nr, len(child)) == child
        assert keymat.keymat(prf, sk_d, ni, nr, len(child_dh), case["g^ir (new)"]) == child_dh
        assert keymat.skeyseed_rekey(prf, sk_d, ni, nr, case["g^ir (new)"]) == case["SKEYSEED(Rekey)"]


def test_the_seven_keys_in_their_order() -> None:
    prf = Prf("prf_hmac_sha2_256")
    keys = keymat.ike_keys(prf, b"seed", b"ni", b"nr", b"i" * 8, b"r" * 8, "aes_cbc", 256, "hmac_sha1_96")
    sizes = [len(k) for k in (keys.d, keys.ai, keys.ar, keys.ei, keys.er, keys.pi, keys.pr)]
    assert sizes == [32, 20, 20, 32, 32, 32, 32]
    stream = prf.plus(b"seed", b"ninr" + b"i" * 8 + b"r" * 8, sum(sizes))
    assert b"".join(k.data for k in (keys.d, keys.ai, keys.ar, keys.ei, keys.er, keys.pi, keys.pr)) == stream
    keys.wipe()
    with pytest.raises(CryptoError):
        _ = keys.er.data


def test_an_aead_has_salts_and_no_integrity_keys() -> None:
    prf = Prf("prf_hmac_sha2_512")
    keys = keymat.ike_keys(prf, b"seed", b"ni", b"nr", bytes(8), bytes(8), "aes_gcm_16", 128)
    assert (len(keys.ai), len(keys.ei), len(keys.pr)) == (0, 20, 64)


def test_child_keys_in_their_order() -> None:
    """RFC 7296 2.17: initiator to responder first, encryption before integrity."""
    prf, sk_d = Prf("prf_hmac_sha1"), Secret(b"d" * 20)
    keys = keymat.child_keys(prf, sk_d, b"ni", b"nr", "aes_cbc", 128, "hmac_sha2_256_128", b"gir")
    stream = prf.plus(b"d" * 20, b"girninr", 96)
    assert (keys.encr_i.data, keys.integ_i.data) == (stream[:16], stream[16:48])
    assert (keys.encr_r.data, keys.integ_r.data) == (stream[48:64], stream[64:])
    keys.wipe()
    with pytest.raises(CryptoError):
        _ = keys.encr_i.data


def test_keys_of_algorithms_nobody_has() -> None:
    """CVE-2024-3652: never key material of no octets for something unknown."""
    prf, sk_d = Prf("prf_hmac_sha1"), Secret(bytes(20))
    for encr, bits, integ in (("camellia_cbc", 0, ""), ("aes_cbc", 64, "hmac_sha1_96"), ("aes_cbc", 0, "md4")):
        with pytest.raises(CryptoError):
            keymat.child_keys(prf, sk_d, b"", b"", encr, bits, integ)


def test_auth_by_shared_key() -> None:
    """RFC 7296 2.15, spelled out with the prf itself."""
    prf = Prf("prf_hmac_sha2_256")
    octets = keymat.signed_octets(prf, b"message", b"nonce", Secret(b"p" * 32), b"id")
    assert octets == b"messagenonce" + prf(b"p" * 32, b"id")
    assert keymat.psk_auth(prf, b"secret", octets) == prf(prf(b"secret", b"Key Pad for IKEv2"), octets)
    assert keymat.psk_auth(prf, b"secret", octets) != keymat.psk_auth(prf, b"secres", octets)
