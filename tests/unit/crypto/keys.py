# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys and certificates made once per test run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from openswan.crypto.rsakey import EdPrivateKey, PrivateKey

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


@cache
def rsa_key(bits: int = 2048, exponent: int = 65537, which: int = 0) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(exponent, bits)


@cache
def ec_key(curve: str = "secp256r1", which: int = 0) -> ec.EllipticCurvePrivateKey:
    curves = {"secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1(), "secp521r1": ec.SECP521R1()}
    return ec.generate_private_key(curves[curve])


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


@cache
def ed448_key() -> ed448.Ed448PrivateKey:
    return ed448.Ed448PrivateKey.generate()


def name(common: str) -> x509.Name:
    attributes = [(NameOID.COUNTRY_NAME, "CA"), (NameOID.ORGANIZATION_NAME, "Example"), (NameOID.COMMON_NAME, common)]
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])


def certify(
    subject: str,
    key: PrivateKey,
    issuer: str,
    issuer_key: PrivateKey,
    *,
    authority: bool = False,
    extensions: Sequence[x509.ExtensionType] = (),
    critical: bool = False,
    start: timedelta = timedelta(days=-10),
    end: timedelta = timedelta(days=10),
    serial: int = 0,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject) if subject else x509.Name([]))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(NOW + start)
        .not_valid_after(NOW + end)
    )
    if authority:
        builder = builder.add_extension(x509.BasicConstraints(True, None), True)
    for extension in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, None if isinstance(issuer_key, EdPrivateKey) else hashes.SHA256())


def revoke(issuer: str, key: PrivateKey, serials: Sequence[int], days: int = 5) -> bytes:
    builder = x509.CertificateRevocationListBuilder().issuer_name(name(issuer)).last_update(NOW - timedelta(days=1))
    builder = builder.next_update(NOW + timedelta(days=days))
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - timedelta(days=2)).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
