# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys out of DNS records: each algorithm, and what each refuses."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from openswan.base.errors import CryptoError
from openswan.crypto.dnskey import public_key_of, raw_key, raw_octets, record_octets
from openswan.crypto.rsakey import PublicKey, encode_public


def test_rsa() -> None:
    key = rsa.generate_private_key(65537, 2048).public_key()
    assert public_key_of(2, encode_public(key)) == key


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_ecdsa(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve).public_key()
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    assert public_key_of(3, point[1:]) == key


@pytest.mark.parametrize("kind", [ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey])
def test_eddsa(kind: type[ed25519.Ed25519PrivateKey] | type[ed448.Ed448PrivateKey]) -> None:
    key = kind.generate().public_key()
    assert public_key_of(4, key.public_bytes_raw()) == key


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048).public_key(),
        ec.generate_private_key(ec.SECP256R1()).public_key(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
    ],
    ids=lambda key: type(key).__name__,
)
def test_into_a_record_and_back(key: PublicKey) -> None:
    assert public_key_of(*record_octets(key)) == key


@pytest.mark.parametrize(
    ("algorithm", "octets", "why"),
    [
        (2, b"", "RSA public key is cut short"),
        (2, b"\x03\x01\x00\x01" + bytes([0x80]) + bytes(60) + b"\x01", "RSA modulus of 496 bits"),
        (3, bytes(63), "ECDSA key of 63 octets: 64 (P-256) or 96 (P-384) are expected"),
        (3, b"\x01" * 64, "ECDSA key is no point of its curve"),
        (4, bytes(31), "EdDSA key of 31 octets: 32 (Ed25519) or 57 (Ed448) are expected"),
        (1, b"x", "keys of algorithm 1 are not used: publish RSA (2), ECDSA (3) or EdDSA (4)"),
        (9, b"x", "keys of algorithm 9 are not used"),
    ],
)
def test_refused(algorithm: int, octets: bytes, why: str) -> None:
    with pytest.raises(CryptoError) as caught:
        public_key_of(algorithm, octets)
    assert str(caught.value).startswith(why)


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048).public_key(),
        ec.generate_private_key(ec.SECP521R1()).public_key(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
        ed448.Ed448PrivateKey.generate().public_key(),
    ],
    ids=lambda key: type(key).__name__,
)
def test_octets_of_every_kind_of_key_and_back(key: PublicKey) -> None:
    assert raw_key(raw_octets(key)) == key


def test_an_rsa_key_that_begins_as_der_does() -> None:
    modulus = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n
    numbers = rsa.RSAPublicNumbers((1 << 383) + 1, modulus)
    octets = encode_public(numbers)
    assert octets[0] == 0x30 and raw_key(octets) == numbers.public_key()


@pytest.mark.parametrize("octets", [b"", b"\x30", b"\x30\x03\x02\x01\x05"])
def test_octets_that_are_no_key(octets: bytes) -> None:
    with pytest.raises(CryptoError):
        raw_key(octets)
