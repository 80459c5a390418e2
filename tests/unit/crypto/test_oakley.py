# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.oakley promises."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

import pytest

from openswan.base.errors import CryptoError
from openswan.crypto import oakley
from openswan.crypto.oakley import Oakley, Public, Skeyid
from openswan.crypto.prf import Prf
from openswan.crypto.secret import Secret
from tests.shareddata import DATA

HASHES = {"SHA-1": "sha1", "SHA-224": "sha224", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
KINDS = ("psk", "dsa", "pke")


def cases(kind: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(hash, fields) of each case of one of NIST's files."""
    digest, fields = "", {}
    for line in (DATA / f"vectors/cavp-ike/ikev1/ikev1_{kind}.rsp").read_text().splitlines():
        if line.startswith("[SHA"):
            digest = HASHES[line.strip("[]")]
        elif line.startswith("COUNT"):
            fields = {}
        elif " = " in line and not line.startswith(("#", "[")):
            name, value = line.split(" = ")
            fields[name] = bytes.fromhex(value)
            if name == "SKEYID_e":
                yield digest, fields


@pytest.mark.parametrize("kind", KINDS)
def test_the_vectors_of_nist(kind: str) -> None:
    count, seen = 0, set()
    for digest, case in cases(kind):
        it, ni, nr, shared = Oakley(digest), case["Ni"], case["Nr"], case["g^xy"]
        cookies = case["CKY_I"], case["CKY_R"]
        if kind == "psk":
            skeyid = oakley.skeyid_psk(it, case["pre-shared-key"], ni, nr)
        elif kind == "dsa":
            skeyid = oakley.skeyid_signature(it, ni, nr, shared)
        else:
            skeyid = oakley.skeyid_encryption(it, ni, nr, *cookies)
        assert skeyid == case["SKEYID"]
        keys = oakley.derive(it, skeyid, shared, *cookies)
        assert (keys.id.data, keys.d.data, keys.a.data, keys.e.data) == (
            skeyid,
            case["SKEYID_d"],
            case["SKEYID_a"],
            case["SKEYID_e"],
        )
        count += 1
        seen.add(digest)
    text = (DATA / f"vectors/cavp-ike/ikev1/ikev1_{kind}.rsp").read_text()
    assert count == text.count("COUNT = ") >= 280
    assert seen == set(HASHES.values())


SHA1 = Oakley("sha1")
PUBLIC = Public(b"initiatr", b"responde", b"gxi", b"gxr")


def mac(key: bytes, data: bytes, digest: str = "sha1") -> bytes:
    return hmac.digest(key, data, digest)


def skeyid(e: bytes) -> Skeyid:
    return Skeyid(Secret(b"id"), Secret(b"d"), Secret(b"a"), Secret(e))


def test_a_short_cipher_key_is_skeyid_e_cut() -> None:
    e = bytes(range(20))
    assert oakley.cipher_key(SHA1, skeyid(e), 16).data == e[:16]
    assert oakley.cipher_key(SHA1, skeyid(e), 20).data == e


def test_a_long_cipher_key_is_stretched() -> None:
    """RFC 2409 appendix B: K1 = prf(SKEYID_e, 0), K2 = prf(SKEYID_e, K1)."""
    e = bytes(range(20))
    k1 = mac(e, b"\0")
    k2 = mac(e, k1)
    k3 = mac(e, k2)
    for octets in (21, 24, 32, 40, 56):
        assert oakley.cipher_key(SHA1, skeyid(e), octets).data == (k1 + k2 + k3)[:octets]


@pytest.mark.parametrize("shared", [b"", b"g(qm)^xy"], ids=["without PFS", "with PFS"])
def test_keymat(shared: bytes) -> None:
    seed = shared + b"\3spi!NiNr"
    k1 = mac(b"d", seed)
    k2 = mac(b"d", k1 + seed)
    for octets in (0, 16, 20, 36, 40):
        found = oakley.keymat(SHA1, Secret(b"d"), 3, b"spi!", b"Ni", b"Nr", octets, shared)
        assert found.data == (k1 + k2)[:octets]


def test_ivs() -> None:
    """Appendix B, cut to a cipher's block."""
    assert oakley.first_iv(SHA1, PUBLIC, 8) == hashlib.new("sha1", b"gxigxr").digest()[:8]
    last = bytes(range(16))
    expected = hashlib.new("sha1", last + b"\0\0\0\7").digest()[:16]
    assert oakley.exchange_iv(SHA1, last, 7, len(last)) == expected


def test_hashes_of_phase_1() -> None:
    sa, idi, idr = b"SAi_b", b"IDii_b", b"IDir_b"
    assert oakley.hash_i(SHA1, Secret(b"id"), PUBLIC, sa, idi) == mac(b"id", b"gxigxrinitiatrresponde" + sa + idi)
    assert oakley.hash_r(SHA1, Secret(b"id"), PUBLIC, sa, idr) == mac(b"id", b"gxrgxirespondeinitiatr" + sa + idr)


def test_hashes_of_phase_2() -> None:
    key, m_id = Secret(b"a"), b"\x01\x02\x03\x04"
    assert oakley.hash_1(SHA1, key, 0x01020304, b"rest") == mac(b"a", m_id + b"rest")
    assert oakley.hash_2(SHA1, key, 0x01020304, b"Ni", b"rest") == mac(b"a", m_id + b"Nirest")
    assert oakley.hash_3(SHA1, key, 0x01020304, b"Ni", b"Nr") == mac(b"a", b"\0" + m_id + b"NiNr")


def test_nat_discovery() -> None:
    expected = hashlib.new("sha1", b"initiatrresponde" + b"\xc0\0\2\1" + b"\x01\xf4").digest()
    assert oakley.nat_hash(SHA1, b"initiatr", b"responde", b"\xc0\0\2\1", 500) == expected


def test_a_negotiated_prf_takes_the_place_of_the_hmac() -> None:
    it = Oakley("sha1", Prf("prf_hmac_sha2_256"))
    assert oakley.skeyid_psk(it, b"secret", b"Ni", b"Nr") == mac(b"secret", b"NiNr", "sha256")
    assert oakley.first_iv(it, PUBLIC, 16) == oakley.first_iv(SHA1, PUBLIC, 16)
    assert it.octets == 20


def test_wiping() -> None:
    keys = skeyid(b"e")
    keys.wipe()
    for secret in (keys.id, keys.d, keys.a, keys.e):
        with pytest.raises(CryptoError):
            _ = secret.data
