# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.x509 promises."""

from __future__ import annotations

import hashlib
from ipaddress import ip_address, ip_network
from random import Random

import pytest
from cryptography import x509 as library
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from openswan.base.errors import CryptoError
from openswan.crypto import x509
from tests.unit.crypto.keys import certify, ec_key, ed448_key, ed_key, name, revoke, rsa_key

NAMES = library.SubjectAlternativeName(
    [
        library.DNSName("East.Example.org"),
        library.RFC822Name("Admin@Example.ORG"),
        library.IPAddress(ip_address("192.0.2.1")),
        library.IPAddress(ip_address("2001:db8::1")),
        library.DirectoryName(name("other")),
        library.UniformResourceIdentifier("https://example.org"),
    ]
)
LEAF = certify("east", rsa_key(), "root", ec_key(), extensions=[NAMES])


def pem(cert: library.Certificate) -> bytes:
    return cert.public_bytes(Encoding.PEM)


def test_pem_and_der() -> None:
    assert x509.load(pem(LEAF)) == x509.load(x509.der(LEAF)) == LEAF
    other = certify("other", ec_key(), "root", ec_key())
    assert x509.load_all(b"a comment\n" + pem(LEAF) + b"between\n" + pem(other)) == [LEAF, other]
    assert x509.load_all(x509.der(LEAF)) == [LEAF]
    with pytest.raises(CryptoError, match="no certificate in this PEM file"):
        x509.load_all(b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"0",
        b"\x30",
        b"\x30\x80",
        b"\x30\x81",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x89" + b"\xff" * 9,
        b"-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n",
        bytes(70000),
    ],
)
def test_octets_that_are_no_certificate(data: bytes) -> None:
    """CVE-2009-2661, CVE-2013-5018."""
    with pytest.raises(CryptoError):
        x509.load(data)


def test_truncated_at_each_octet() -> None:
    data = x509.der(LEAF)
    for end in range(len(data)):
        with pytest.raises(CryptoError):
            x509.load(data[:end])


@pytest.mark.parametrize(
    "text", [b"", b"Z", b"260101000000", b"999999999999Z", b"2601010000xxZ", b"99999999999999Z", b"260230000000Z"]
)
def test_times_that_are_none(text: bytes) -> None:
    """CVE-2009-2185: the time's own length octet is mended, the ones around it too."""
    data = x509.der(LEAF)
    at = data.index(b"\x17\x0d")
    for tag in (b"\x17", b"\x18"):
        with pytest.raises(CryptoError):
            x509.load(data[:at] + tag + bytes([len(text)]) + text + data[at + 15 :])
        if len(text) == 13:
            continue
        with pytest.raises(CryptoError):
            x509.load(data[:at] + tag + b"\x0d" + text.ljust(13, b"\0")[:13] + data[at + 15 :])


@pytest.mark.parametrize("seed", range(3))
def test_damaged_certificates_never_raise_anything_else(seed: int) -> None:
    """CVE-2009-2185, CVE-2017-9023."""
    random = Random(seed)
    good = x509.der(LEAF)
    survived = 0
    for _ in range(1500):
        octets = bytearray(good)
        for _ in range(random.choice((1, 1, 2, 4))):
            octets[random.randrange(len(octets))] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
        try:
            cert = x509.load(bytes(octets))
            x509.describe(cert)
            x509.identities(cert)
            x509.key_hash(cert)
            x509.public_key(cert)
            x509.is_issuer(cert, LEAF)
            survived += 1
        except CryptoError:
            continue
    assert survived


def test_serial_numbers_are_positive() -> None:
    data = bytearray(x509.der(certify("east", rsa_key(), "root", ec_key(), serial=0x11223344)))
    at = data.index(b"\x02\x04\x11\x22\x33\x44") + 2
    for bad in (b"\0\0\0\0", b"\x80\0\0\1"):
        data[at : at + 4] = bad
        with pytest.raises(CryptoError):
            x509.load(bytes(data))


def test_keys_of_certificates() -> None:
    for key in (rsa_key(), ec_key(), ed_key(), ed448_key()):
        cert = certify("east", key, "root", ec_key())
        spki = cert.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert x509.public_key(cert) == key.public_key()
        assert x509.key_hash(cert) == hashlib.sha1(spki, usedforsecurity=False).digest()
    for bad in (dsa.generate_private_key(2048), ec.generate_private_key(ec.SECP192R1())):
        with pytest.raises(CryptoError, match="holds no RSA, Ed25519 or Ed448 key"):
            x509.public_key(certify("east", bad, "root", ec_key()))  # type: ignore[arg-type]


def test_rsa_keys_nobody_should_trust() -> None:
    """CVE-2026-14957: exponent 1 (and 0, and even) in a certificate."""
    data = x509.der(LEAF)
    for bad in (b"\0\0\1", b"\0\0\0", b"\1\0\0"):
        with pytest.raises(CryptoError):
            x509.load(data.replace(b"\x02\x03\x01\x00\x01", b"\x02\x03" + bad))


def test_a_description_has_subject_serial_and_dates() -> None:
    cert = certify("east", rsa_key(), "root", ec_key(), serial=0xABC)
    assert x509.describe(cert) == (
        "'C=CA, O=Example, CN=east' (serial abc, valid from 2026-05-22 12:00:00 until 2026-06-11 12:00:00 UTC)"
    )
    assert "(empty name)" in x509.describe(certify("", rsa_key(), "root", ec_key()))


def test_identities() -> None:
    found = x509.identities(LEAF)
    assert found == (
        (9, LEAF.subject.public_bytes()),
        (2, b"East.Example.org"),
        (3, b"Admin@Example.ORG"),
        (1, bytes([192, 0, 2, 1])),
        (5, ip_address("2001:db8::1").packed),
        (9, name("other").public_bytes()),
    )
    assert x509.identities(certify("", rsa_key(), "root", ec_key())) == ()


@pytest.mark.parametrize(
    ("kind", "body", "answer"),
    [
        (2, b"east.example.ORG", True),
        (2, b"east.example.org.", True),
        (2, b"west.example.org", False),
        (2, b"example.org", False),
        (2, b"east", False),
        (3, b"Admin@example.org", True),
        (3, b"admin@example.org", False),
        (1, bytes([192, 0, 2, 1]), True),
        (1, bytes([192, 0, 2, 2]), False),
        (5, ip_address("2001:db8::1").packed, True),
        (9, LEAF.subject.public_bytes(), True),
        (9, LEAF.subject.public_bytes()[:-1], False),
        (9, b"", False),
        (9, b"\x30", False),
        (11, b"East.Example.org", False),
    ],
)
def test_what_a_certificate_vouches_for(kind: int, body: bytes, answer: bool) -> None:
    """CVE-2013-6075: a DN shorter than it claims is just another one."""
    assert x509.vouches_for(LEAF, kind, body) is answer
    if answer:
        x509.require_identity(LEAF, kind, body, "shown")
        return
    with pytest.raises(CryptoError, match="does not vouch for identity 'shown'"):
        x509.require_identity(LEAF, kind, body, "shown")


def test_no_wildcards_and_no_host_name_in_the_subject() -> None:
    """RFC 4945 5.1.3.5 and 5.1.2.2."""
    cert = certify(
        "east.example.org",
        rsa_key(),
        "root",
        ec_key(),
        extensions=[library.SubjectAlternativeName([library.DNSName("*.example.org")])],
    )
    assert not x509.vouches_for(cert, 2, b"east.example.org")
    networks = library.NameConstraints([library.IPAddress(ip_network("192.0.2.0/24"))], None)
    assert x509.identities(certify("", rsa_key(), "root", ec_key(), extensions=[networks])) == ()


def test_the_chain_to_send() -> None:
    root = certify("root", ec_key(), "root", ec_key(), authority=True)
    middle = certify("middle", ed_key(), "root", ec_key(), authority=True)
    leaf = certify("leaf", rsa_key(), "middle", ed_key())
    assert x509.chain_to_send(leaf, [root, middle]) == [leaf, middle]
    assert x509.chain_to_send(leaf, [root]) == [leaf]
    assert x509.chain_to_send(root, [root, middle]) == [root]


def test_authorities_that_certify_each_other_end() -> None:
    """CVE-2004-0590: A signed by B, B signed by A."""
    a = certify("A", ec_key(), "B", ed_key(), authority=True)
    b = certify("B", ed_key(), "A", ec_key(), authority=True)
    leaf = certify("leaf", rsa_key(), "A", ec_key())
    assert x509.chain_to_send(leaf, [a, b]) == [leaf, a, b]


def test_same_names_are_not_enough_for_an_issuer() -> None:
    """CVE-2004-0590: the issuer's name matches, the signature does not."""
    root = certify("root", ec_key(), "root", ec_key(), authority=True)
    assert x509.is_issuer(root, certify("leaf", rsa_key(), "root", ec_key()))
    assert not x509.is_issuer(root, certify("leaf", rsa_key(), "root", ec_key(which=1)))


def test_revocation_lists() -> None:
    crl = revoke("root", ec_key(), [5, 6])
    assert len(x509.load_crl(crl)) == 2
    as_pem = x509.load_crl(crl).public_bytes(Encoding.PEM)
    assert x509.load_crl(as_pem) == x509.load_crl(crl)
    for end in range(0, len(crl), 7):
        with pytest.raises(CryptoError, match="revocation list"):
            x509.load_crl(crl[:end])
