# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.sign promises."""

from __future__ import annotations

import hashlib
import re

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from openswan.base.errors import CryptoError
from openswan.crypto import rsakey, sign
from openswan.crypto.rsakey import PrivateKey
from openswan.crypto.sign import DEFAULT_HASHES, PKCS1_SHA1, SCHEMES, Encoding, Scheme
from tests.shareddata import DATA
from tests.unit.crypto.keys import ec_key, ed448_key, ed_key, rsa_key

KEYS: tuple[PrivateKey, ...] = (rsa_key(), ec_key(), ed_key(), ed448_key())
ALL = (*DEFAULT_HASHES, "sha1")


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_what_is_signed_verifies_and_nothing_else_does(scheme: Scheme) -> None:
    key = next(key for key in KEYS if scheme.fits(key))
    signature = sign.sign(key, scheme, b"octets")
    sign.verify(key.public_key(), scheme, b"octets", signature, ALL)
    for octets, bad in (
        (b"other", signature),
        (b"octets", signature[:-1]),
        (b"octets", signature + b"\0"),
        (b"octets", b""),
        (b"octets", bytes(len(signature))),
        (b"octets", signature[:-1] + bytes([signature[-1] ^ 1])),
    ):
        with pytest.raises(CryptoError):
            sign.verify(key.public_key(), scheme, octets, bad, ALL)
    for other in SCHEMES:
        if other != scheme and other.fits(key):
            with pytest.raises(CryptoError):
                sign.verify(key.public_key(), other, b"octets", signature, ALL)


def test_hashes_that_are_not_allowed() -> None:
    signature = sign.sign(rsa_key(), PKCS1_SHA1, b"octets")
    with pytest.raises(CryptoError, match="that hash is not allowed"):
        sign.verify(rsa_key().public_key(), PKCS1_SHA1, b"octets", signature)


def test_a_scheme_for_another_kind_of_key() -> None:
    for scheme in SCHEMES:
        for key in KEYS:
            if not scheme.fits(key):
                with pytest.raises(CryptoError, match="cannot sign"):
                    sign.sign(key, scheme, b"")
                with pytest.raises(CryptoError, match="does not fit the peer's key"):
                    sign.verify(key.public_key(), scheme, b"", b"x", ALL)


def test_identifiers_are_those_printed_in_the_rfc() -> None:
    """RFC 7427 appendix A."""
    text = (DATA / "rfc" / "rfc7427.txt").read_text(errors="replace")
    printed = set()
    for dump in re.findall(r"Length = \d+\n((?:   [0-9a-f]{4}: [0-9a-f ]+\n)+)", text):
        printed.add(bytes.fromhex("".join(line.split(": ")[1] for line in dump.splitlines())))
    known = {blob for blob in printed if sign.scheme_of(blob)}
    assert len(known) >= 9
    # What is left is DSA, and PSS with its SHA-1 defaults.
    dsa = re.compile(rb"\x2a\x86\x48\xce\x38\x04|\x65\x03\x04\x03")
    assert all(dsa.search(blob) or b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a" in blob for blob in printed - known)


@pytest.mark.parametrize("blob", [b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", bytes(255)])
def test_identifiers_nobody_knows(blob: bytes) -> None:
    """CVE-2018-16151: anything behind the OID makes it another identifier."""
    assert sign.scheme_of(blob) is None
    for scheme in SCHEMES:
        assert sign.scheme_of(scheme.algorithm + b"\0") is None
        assert sign.scheme_of(scheme.algorithm[:-1]) is None


def test_choosing_a_scheme() -> None:
    assert str(sign.choose(rsa_key(), ("sha256",))) == "RSASSA-PSS with sha256"
    assert str(sign.choose(rsa_key(), ("sha384", "sha256"), pss=False)) == "RSA PKCS#1 v1.5 with sha256"
    assert str(sign.choose(ec_key("secp384r1"), ("sha256", "sha384"))) == "ECDSA with sha384"
    assert str(sign.choose(ec_key("secp384r1"), ("sha256",))) == "ECDSA with sha256"
    assert str(sign.choose(ed_key(), ("identity",))) == "EdDSA"
    assert sign.choose(ed_key(), ("sha256",)) is None
    assert sign.choose(rsa_key(), ("sha1",)) is None
    assert sign.choose(rsa_key(), ()) is None


def test_the_notification_that_lists_hashes() -> None:
    """RFC 7427 4."""
    assert sign.hash_ids(("sha256", "sha512")) == bytes.fromhex("00020004")
    assert sign.hash_names(bytes.fromhex("0004 0002 0063 0005 00")) == ("sha512", "sha256", "identity")
    assert sign.hash_names(b"") == sign.hash_names(b"\0") == ()


def test_method_1() -> None:
    data = sign.sign_method(1, rsa_key(), b"octets")
    assert data == rsa_key().sign(b"octets", padding.PKCS1v15(), hashes.SHA1())
    sign.verify_method(1, rsa_key().public_key(), b"octets", data)
    with pytest.raises(CryptoError):
        sign.verify_method(1, rsa_key().public_key(), b"other", data)
    with pytest.raises(CryptoError):
        sign.verify_method(1, ec_key().public_key(), b"octets", data)


@pytest.mark.parametrize(
    ("method", "curve", "octets"), [(9, "secp256r1", 64), (10, "secp384r1", 96), (11, "secp521r1", 132)]
)
def test_methods_9_to_11(method: int, curve: str, octets: int) -> None:
    """RFC 4754: r and s concatenated, the curve bound to the method."""
    key = ec_key(curve)
    data = sign.sign_method(method, key, b"octets")
    assert len(data) == octets
    sign.verify_method(method, key.public_key(), b"octets", data)
    half = octets // 2
    for bad in (data[:-1], data + b"\0", bytes(octets), data[half:] + data[:half], data[:half] + bytes(half), b""):
        with pytest.raises(CryptoError):
            sign.verify_method(method, key.public_key(), b"octets", bad)
    for other in {9, 10, 11} - {method}:
        with pytest.raises(CryptoError, match="needs a key on"):
            sign.verify_method(other, key.public_key(), b"octets", data)


@pytest.mark.parametrize("method", [0, 2, 3, 12, 13, 14, 255])
def test_methods_that_are_no_fixed_signature(method: int) -> None:
    with pytest.raises(CryptoError, match="no signature known here"):
        sign.verify_method(method, rsa_key().public_key(), b"", b"x")


def test_the_method_for_peers_without_method_14() -> None:
    assert sign.best_method(rsa_key()) == 1
    assert sign.best_method(ec_key("secp521r1")) == 11
    assert sign.best_method(ed_key()) is None


def raw(number: int, key: object) -> bytes:
    """number^d mod n: a signature over an encoded message of our choice."""
    numbers = key.private_numbers()  # type: ignore[attr-defined]
    n = numbers.public_numbers.n
    return int(pow(number, numbers.d, n)).to_bytes((n.bit_length() + 7) // 8, "big")


SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
SHA1_INFO = bytes.fromhex("3021300906052b0e03021a05000414")


def forgeries(octets: int) -> dict[str, bytes]:
    """Encoded messages that a lax check of PKCS#1 v1.5 with SHA-256 takes."""
    digest = hashlib.sha256(b"octets").digest()
    good = SHA256_INFO + digest

    def padded(tail: bytes, head: bytes = b"\0\1", fill: int = 0xFF, zero: bytes = b"\0") -> bytes:
        return head + bytes([fill]) * (octets - len(head) - len(zero) - len(tail)) + zero + tail

    no_null = bytes.fromhex("302f300b0609608648016503040201") + bytes.fromhex("0420") + digest
    return {
        "good": padded(good),
        "garbage behind the hash": b"\0\1" + b"\xff" * 8 + b"\0" + good + bytes(octets - 11 - len(good)),
        "garbage inside the parameters": padded(
            bytes.fromhex("3039300d06096086480165030402010508") + bytes(8) + bytes.fromhex("0420") + digest
        ),
        "block type 2": padded(good, b"\0\2"),
        "first octet not zero": padded(good, b"\1\1"),
        "padding not 0xff": padded(good, fill=0xFE),
        "no separator": padded(good, zero=b"\xff"),
        "bare hash": padded(digest),
        "truncated hash": padded(SHA256_INFO[:-1] + b"\x10" + digest[:16]),
        "over-long hash": padded(SHA256_INFO[:-1] + b"\x28" + digest + bytes(8)),
        "another hash's name": padded(SHA1_INFO + digest[:20]),
        "without the parameters": padded(no_null),
        "nothing": bytes(octets),
    }


@pytest.mark.parametrize("name", forgeries(256))
def test_pkcs1_encodings(name: str) -> None:
    """CVE-2018-15836, CVE-2026-50722: made with the private key, so only a strict check of the encoding helps."""
    key = rsa_key(2048, 3)
    scheme = next(s for s in SCHEMES if s.encoding is Encoding.PKCS1 and s.hash == "sha256")
    signature = raw(int.from_bytes(forgeries(256)[name], "big"), key)
    if name == "good":
        sign.verify(key.public_key(), scheme, b"octets", signature)
        return
    with pytest.raises(CryptoError):
        sign.verify(key.public_key(), scheme, b"octets", signature)


def test_a_cube_root_is_no_signature() -> None:
    """Bleichenbacher 2006: with exponent 3 a perfect cube whose front looks right needs no private key."""
    key = rsa_key(2048, 3).public_key()
    scheme = next(s for s in SCHEMES if s.encoding is Encoding.PKCS1 and s.hash == "sha256")
    front = b"\0\1" + b"\xff" * 8 + b"\0" + SHA256_INFO + hashlib.sha256(b"octets").digest()
    target = int.from_bytes(front + b"\xff" * (256 - len(front)), "big")
    root = 1 << (target.bit_length() // 3 + 1)
    while True:
        better = (2 * root + target // root**2) // 3
        if better >= root:
            break
        root = better
    assert (root**3).to_bytes(256, "big").startswith(front)
    with pytest.raises(CryptoError, match="does not verify"):
        sign.verify(key, scheme, b"octets", root.to_bytes(256, "big"))


@pytest.mark.parametrize("octets", [0, 1, 255, 257, 512])
def test_rsa_signatures_have_the_moduluss_length(octets: int) -> None:
    for scheme in SCHEMES:
        if scheme.fits(rsa_key()):
            with pytest.raises(CryptoError, match=f"RSA signature of {octets} octets"):
                sign.verify(rsa_key().public_key(), scheme, b"octets", bytes(octets), ALL)


def test_rsa_signatures_of_special_values() -> None:
    """CVE-2026-35334 and its like: 0, 1, n-1, n."""
    numbers = rsa_key().public_key().public_numbers()
    for value in (0, 1, numbers.n - 1, numbers.n, 2**2048 - 1):
        for scheme in SCHEMES:
            if scheme.fits(rsa_key()):
                with pytest.raises(CryptoError):
                    sign.verify(rsa_key().public_key(), scheme, b"octets", value.to_bytes(256, "big"), ALL)


def test_pss_salts_have_the_hashs_length() -> None:
    scheme = next(s for s in SCHEMES if s.encoding is Encoding.PSS and s.hash == "sha256")
    for salt in (0, 31, 33, 222):
        signature = rsa_key().sign(b"octets", padding.PSS(padding.MGF1(hashes.SHA256()), salt), hashes.SHA256())
        with pytest.raises(CryptoError):
            sign.verify(rsa_key().public_key(), scheme, b"octets", signature)


def test_keys_too_small_to_trust() -> None:
    small = rsa_key(1024)
    sign.verify(small.public_key(), SCHEMES[0], b"x", sign.sign(small, SCHEMES[0], b"x"))
    with pytest.raises(CryptoError):
        rsakey.public_key(small.public_key().public_numbers().n >> 8 | 1, 3)
    wide = next(s for s in SCHEMES if s.encoding is Encoding.PSS and s.hash == "sha512")
    with pytest.raises(CryptoError, match="cannot sign with RSASSA-PSS with sha512"):
        sign.sign(small, wide, b"x")


@pytest.mark.parametrize("octets", [16, 20, 32, 48, 64])
def test_ikev1_signs_the_hash_itself(octets: int) -> None:
    """RFC 2409 5.1: PKCS#1 padding of type 1, no OID."""
    key, digest = rsa_key(2048, 65537), bytes(range(octets))
    signature = sign.sign_ikev1(key, digest)
    sign.verify_ikev1(key.public_key(), digest, signature)
    plain = pow(int.from_bytes(signature, "big"), 65537, key.public_key().public_numbers().n).to_bytes(256, "big")
    assert plain == b"\0\1" + b"\xff" * (253 - octets) + b"\0" + digest
    for other in (digest[:-1], digest + b"\0", digest[:-1] + b"\xfe", b""):
        with pytest.raises(CryptoError):
            sign.verify_ikev1(key.public_key(), other, signature)
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(256), b"\xff" * 256):
        with pytest.raises(CryptoError):
            sign.verify_ikev1(key.public_key(), digest, wrong)


def test_ikev1_signatures_with_other_padding() -> None:
    """CVE-2018-15836, CVE-2026-50721: garbage behind the hash, a hash cut or lengthened, short padding, type 2."""
    key, digest = rsa_key(2048, 3), bytes(range(20))
    padded = b"\0\1" + b"\xff" * 233 + b"\0" + digest
    sign.verify_ikev1(key.public_key(), digest, raw(int.from_bytes(padded, "big"), key))
    for forged in (
        b"\0\1" + b"\xff" * 8 + b"\0" + digest + bytes(225),
        b"\0\1" + b"\xff" * 232 + b"\0" + digest + b"\0",
        b"\0\1" + b"\xff" * 237 + b"\0" + digest[:16],
        b"\0\1" + b"\xff" * 213 + b"\0" + digest + digest,
        b"\0\2" + b"\xff" * 233 + b"\0" + digest,
        b"\0\0" + b"\xff" * 233 + b"\0" + digest,
        b"\0\1" + b"\xfe" * 233 + b"\0" + digest,
        bytes(236) + digest,
    ):
        with pytest.raises(CryptoError, match="does not verify"):
            sign.verify_ikev1(key.public_key(), digest, raw(int.from_bytes(forged, "big"), key))


def test_ikev1_signs_with_rsa_alone() -> None:
    with pytest.raises(CryptoError, match="no RSA key"):
        sign.sign_ikev1(ec_key("secp256r1"), bytes(20))
    with pytest.raises(CryptoError, match="no RSA key"):
        sign.verify_ikev1(ec_key("secp256r1").public_key(), bytes(20), bytes(256))


@pytest.mark.parametrize(("method", "curve"), [(9, "secp256r1"), (10, "secp384r1"), (11, "secp521r1")])
@pytest.mark.parametrize("size", [20, 32, 48, 64])
def test_ikev1_signs_a_hash_as_it_is_by_ecdsa(method: int, curve: str, size: int) -> None:
    """RFC 4754: r and s side by side, of HASH_I itself."""
    key, digest = ec_key(curve), bytes(range(size))
    signature = sign.sign_ikev1(key, digest, method=method)
    public = key.public_key()
    assert len(signature) == 2 * ((public.key_size + 7) // 8)
    sign.verify_ikev1(public, digest, signature, method)
    for bad in (
        signature[:-1],
        signature + b"\0",
        b"",
        bytes(len(signature)),
        bytes([signature[0] ^ 1]) + signature[1:],
    ):
        with pytest.raises(CryptoError):
            sign.verify_ikev1(public, digest, bad, method)
    with pytest.raises(CryptoError):
        sign.verify_ikev1(public, digest[::-1], signature, method)
    for other in {9, 10, 11} - {method}:
        with pytest.raises(CryptoError):
            sign.verify_ikev1(public, digest, signature, other)
        with pytest.raises(CryptoError):
            sign.sign_ikev1(key, digest, method=other)
    with pytest.raises(CryptoError, match="another one than MD5"):
        sign.sign_ikev1(key, bytes(16), method=method)
