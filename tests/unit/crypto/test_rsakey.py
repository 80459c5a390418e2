# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.rsakey promises."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from openswan.base.errors import CryptoError
from openswan.crypto import rsakey
from openswan.crypto.rsakey import RsaFields
from tests.unit.crypto.keys import ec_key, ed_key, rsa_key


def test_octets_are_where_the_drawing_says() -> None:
    """RFC 3110 2."""
    data = rsakey.encode_public(rsa_key(2048).public_key())
    assert data[:4] == b"\x03\x01\x00\x01"
    assert len(data) == 4 + 256
    assert rsakey.decode_public(data).public_numbers() == rsa_key(2048).public_key().public_numbers()
    classic = rsakey.encode_public(rsa_key(2192, 3).public_key())
    assert classic[:2] == b"\x01\x03"
    # The nine characters operators know start with AQ because of that.
    assert rsakey.keyid(classic).startswith("AQ")
    assert len(rsakey.keyid(classic)) == 9
    assert base64.b64encode(classic).decode().startswith(rsakey.keyid(classic))


def test_an_exponent_longer_than_255_octets() -> None:
    numbers = rsa.RSAPublicNumbers((1 << 2047) + 1, (1 << 4095) + 1)
    data = rsakey.encode_public(numbers)
    assert data[:3] == b"\x00\x01\x00"
    assert rsakey.decode_public(data).public_numbers() == numbers


def octets(exponent: int, modulus: int) -> bytes:
    return rsakey.encode_public(rsa.RSAPublicNumbers(exponent, modulus))


def test_numbers_that_make_no_key() -> None:
    """CVE-2026-14957, CVE-2021-41990: exponent 0 and 1, even or tiny or no modulus."""
    n = rsa_key(2048).public_key().public_numbers().n
    for exponent, modulus in (
        (0, n),
        (1, n),
        (2, n),
        (4, n),
        (n, n),
        (n + 2, n),
        (3, 0),
        (3, 15),
        (3, n + 1),
        (3, n >> 1100),
    ):
        with pytest.raises(CryptoError):
            rsakey.public_key(modulus, exponent)
        with pytest.raises(CryptoError):
            rsakey.decode_public(octets(exponent, modulus))
    with pytest.raises(CryptoError, match="1024 to 8192"):
        rsakey.public_key((1 << 16383) + 1, 3)


def test_truncated_at_each_octet() -> None:
    data = rsakey.encode_public(rsa_key(2048).public_key())
    for end in range(132):
        with pytest.raises(CryptoError):
            rsakey.decode_public(data[:end])
    for bad in (b"\0", b"\0\1", b"\0\0\0", b"\xff" + bytes(10), b"\1\0" + data[4:], b"\1\3\0" + data[4:]):
        with pytest.raises(CryptoError):
            rsakey.decode_public(bad)


def test_text_forms() -> None:
    data = bytes.fromhex("0103deadbeef")
    assert rsakey.to_text(data) == "0sAQPerb7v"
    for text in ("0sAQPerb7v", "0SAQPe rb7v", "0x0103deadbeef", "0X0103_dead_beef"):
        assert rsakey.from_text(text) == data


@pytest.mark.parametrize("text", ["", "0s", "0x", "AQPerb7v", "0xabc", "0xgg", "0x_01", "0sAQ!!", "0sAQP", "0t abc"])
def test_text_that_is_no_key(text: str) -> None:
    with pytest.raises(CryptoError):
        rsakey.from_text(text)


def test_fields_round_trip() -> None:
    fields = RsaFields.of(rsa_key(2192, 3))
    assert fields.key().private_numbers() == rsa_key(2192, 3).private_numbers()
    lines = fields.lines()
    assert [line.split(":")[0] for line in lines] == list(rsakey.NAMES.values())
    assert lines[1] == "PublicExponent: 0x03"
    values = {name: int(value, 16) for name, value in (line.split(": ") for line in lines)}
    assert RsaFields.named(values) == fields


def test_private_numbers_are_not_shown() -> None:
    fields = RsaFields.of(rsa_key())
    assert str(fields.private_exponent) not in repr(fields)
    assert str(fields.prime1) not in repr(fields)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(CryptoError, match="Prime1 keyword not found where expected in RSA key"):
        RsaFields.named({"Modulus": 1, "PublicExponent": 1, "PrivateExponent": 1})


@pytest.mark.parametrize(
    ("field", "complaint"),
    [
        ("modulus", r"n != p \* q"),
        ("prime1", r"n != p \* q"),
        ("private_exponent", "d is not the inverse"),
        ("exponent1", "dP != d mod"),
        ("exponent2", "dQ != d mod"),
        ("coefficient", "qInv != 1/q mod p"),
    ],
)
def test_numbers_that_do_not_belong_together(field: str, complaint: str) -> None:
    good = RsaFields.of(rsa_key())
    with pytest.raises(CryptoError, match=complaint):
        replace(good, **{field: getattr(good, field) + 2}).key()
    with pytest.raises(CryptoError):
        replace(good, **{field: 0}).key()


def test_e_must_be_coprime() -> None:
    good = RsaFields.of(rsa_key())
    factor = next(f for f in range(3, 10**6, 2) if (good.prime1 - 1) % f == 0 or (good.prime2 - 1) % f == 0)
    with pytest.raises(CryptoError, match="have a common factor"):
        replace(good, public_exponent=factor).check()


def pem(key: object, word: bytes = b"", how: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    encryption = BestAvailableEncryption(word) if word else NoEncryption()
    return key.private_bytes(Encoding.PEM, how, encryption)  # type: ignore[attr-defined,no-any-return]


def test_key_files() -> None:
    for how in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        loaded = rsakey.load_private(pem(rsa_key(), how=how))
        assert isinstance(loaded, rsa.RSAPrivateKey)
        assert loaded.private_numbers() == rsa_key().private_numbers()
    der = rsa_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert rsakey.load_private(der)
    assert rsakey.load_private(pem(ec_key()))
    assert rsakey.load_private(pem(ed_key()))
    assert rsakey.load_private(pem(rsa_key(), b"word"), "word")


@pytest.mark.parametrize(
    ("data", "word", "complaint"),
    [
        (b"", "", "neither PEM nor DER"),
        (b"-----BEGIN RSA PRIVATE KEY-----\nrubbish\n-----END RSA PRIVATE KEY-----\n", "", "neither PEM nor DER"),
        (b"\x30\x84\xff\xff\xff\xff", "", "neither PEM nor DER"),
    ],
)
def test_files_without_a_key(data: bytes, word: str, complaint: str) -> None:
    with pytest.raises(CryptoError, match=complaint):
        rsakey.load_private(data, word)


def test_passphrases() -> None:
    locked = pem(rsa_key(), b"word")
    with pytest.raises(CryptoError, match="a passphrase is needed"):
        rsakey.load_private(locked)
    with pytest.raises(CryptoError, match="wrong passphrase"):
        rsakey.load_private(locked, "other")
    with pytest.raises(CryptoError, match="not encrypted"):
        rsakey.load_private(pem(rsa_key()), "word")


def test_kinds_of_key_that_are_not_used() -> None:
    with pytest.raises(CryptoError, match="only RSA, ECDSA, Ed25519 and Ed448"):
        rsakey.load_private(pem(dsa.generate_private_key(2048)))


def test_generating() -> None:
    fields = rsakey.generate(1024)
    fields.check()
    assert (fields.modulus.bit_length(), fields.public_exponent) == (1024, 3)
    for bits in (0, 1023, 8193):
        with pytest.raises(CryptoError, match="1024 to 8192"):
            rsakey.generate(bits)
