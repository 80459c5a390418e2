# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates: reading them, what identities they vouch for, which authority they come from (RFC 5280, RFC 4945)."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from openswan.base.errors import CryptoError
from openswan.crypto.rsakey import EdPublicKey, PublicKey, check_public
from openswan.crypto.sign import CURVE_HASH

MAX_CERTIFICATE = 65535
"""Octets; nothing longer fits in an IKE message."""
MAX_IDENTITIES = 256
"""Names taken from one certificate; more than any gateway has."""
ID_IPV4_ADDR, ID_FQDN, ID_USER_FQDN, ID_IPV6_ADDR, ID_DER_ASN1_DN = 1, 2, 3, 5, 9
"""ID types as an ID payload has them (RFC 7296 3.5)."""
BROKEN = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)
"""What the library raises for a certificate it cannot make sense of."""


def load(data: bytes, what: str = "certificate") -> x509.Certificate:
    """A certificate from PEM or DER, every part of it parsed; CryptoError when any part cannot be."""
    if len(data) > MAX_CERTIFICATE:
        raise CryptoError(f"{what} of {len(data)} octets is too long")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the library only warns about must not reach the daemon's stderr
            read = x509.load_pem_x509_certificate if b"-----BEGIN" in data else x509.load_der_x509_certificate
            cert = read(data)
            # The library parses lazily; a broken field must show here and not in the middle of a decision.
            _ = (cert.subject.public_bytes(), cert.issuer.public_bytes(), cert.version)
            _ = (cert.not_valid_before_utc, cert.not_valid_after_utc, cert.signature, cert.signature_algorithm_oid)
            _ = list(cert.extensions)
            if cert.serial_number <= 0:
                raise ValueError("its serial number is not positive")
            key = cert.public_key()
    except BROKEN as why:
        raise CryptoError(f"{what} is neither PEM nor DER of a certificate: {_first_line(why)}") from None
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        check_public(numbers.n, numbers.e)
    return cert


def load_all(data: bytes, what: str = "certificate") -> list[x509.Certificate]:
    """Every certificate of a PEM file, or the one of a DER file; CryptoError when there is none or one is broken."""
    end = b"-----END CERTIFICATE-----"
    if b"-----BEGIN" not in data:
        return [load(data, what)]
    found = [
        load(part[part.index(b"-----BEGIN CERTIFICATE") :] + end, what)
        for part in data.split(end)[:-1]
        if b"-----BEGIN CERTIFICATE" in part
    ]
    if not found:
        raise CryptoError("no certificate in this PEM file")
    return found


def load_crl(data: bytes) -> x509.CertificateRevocationList:
    """A revocation list from PEM or DER; CryptoError when it cannot be read."""
    try:
        read = x509.load_pem_x509_crl if b"-----BEGIN" in data else x509.load_der_x509_crl
        crl = read(data)
        _ = (crl.issuer.public_bytes(), crl.last_update_utc, crl.next_update_utc, list(crl.extensions), len(crl))
        return crl
    except BROKEN as why:
        raise CryptoError(f"neither PEM nor DER of a revocation list: {_first_line(why)}") from None


def der(cert: x509.Certificate) -> bytes:
    """The certificate as a CERT payload carries it."""
    return cert.public_bytes(Encoding.DER)


def public_key(cert: x509.Certificate) -> PublicKey:
    """The key a certificate is about; CryptoError when it is of a kind that is not used here."""
    key = cert.public_key()
    if isinstance(key, rsa.RSAPublicKey | EdPublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVE_HASH:
        return key
    raise CryptoError(
        f"certificate {describe(cert)} holds no RSA, Ed25519 or Ed448 key, nor one on P-256, P-384 or P-521"
    )


def may_sign_lists(cert: x509.Certificate) -> bool:
    """May the holder of that certificate sign revocation lists (RFC 5280 4.2.1.3)?"""
    try:
        return cert.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def key_hash(cert: x509.Certificate) -> bytes:
    """SHA-1 of SubjectPublicKeyInfo: how certificate requests name an authority (RFC 7296 3.7)."""
    return spki_hash(cert.public_key())


def spki_hash(key: CertificatePublicKeyTypes) -> bytes:
    """SHA-1 of a key's SubjectPublicKeyInfo."""
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha1(spki, usedforsecurity=False).digest()


def describe(cert: x509.Certificate) -> str:
    """Subject, serial number and validity on one line, for messages."""
    return (
        f"'{show_name(cert.subject)}' (serial {cert.serial_number:x}, valid from "
        f"{cert.not_valid_before_utc:%Y-%m-%d %H:%M:%S} until {cert.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC)"
    )


def show_name(name: x509.Name) -> str:
    """A distinguished name in the order of its DER: `C=CA, O=Example, CN=east`."""
    return ", ".join(rdn.rfc4514_string() for rdn in name.rdns) or "(empty name)"


def identities(cert: x509.Certificate) -> tuple[tuple[int, bytes], ...]:
    """Every identity a certificate vouches for, as (ID type, ID payload body): its subject, then subjectAltName.

    At most MAX_IDENTITIES. The common name is not a host name (RFC 4945 5.1.2.2 leaves it at the DN).
    """
    found: list[tuple[int, bytes]] = []
    if list(cert.subject):
        found.append((ID_DER_ASN1_DN, cert.subject.public_bytes()))
    try:
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(found)
    for name in list(names)[:MAX_IDENTITIES]:
        if isinstance(name, x509.IPAddress):
            packed = getattr(name.value, "packed", b"")
            if packed:
                found.append((ID_IPV4_ADDR if len(packed) == 4 else ID_IPV6_ADDR, packed))
        elif isinstance(name, x509.DNSName):
            found.append((ID_FQDN, name.value.encode()))
        elif isinstance(name, x509.RFC822Name):
            found.append((ID_USER_FQDN, name.value.encode()))
        elif isinstance(name, x509.DirectoryName):
            found.append((ID_DER_ASN1_DN, name.value.public_bytes()))
    return tuple(found)


def vouches_for(cert: x509.Certificate, kind: int, body: bytes) -> bool:
    """Is (kind, body) of an ID payload one of the certificate's identities?

    Host names and the domain of a mailbox compare without regard to case, addresses and DNs octet by octet; whoever
    wants DNs of other string types to match compares identities() by its own rules. No wildcards (RFC 4945 5.1.3.5).
    """
    wanted = _comparable(kind, body)
    return any(_comparable(*identity) == wanted for identity in identities(cert))


def require_valid(cert: x509.Certificate, at: datetime) -> None:
    """CryptoError, with the dates, unless the certificate is valid at that time."""
    if not cert.not_valid_before_utc <= at <= cert.not_valid_after_utc:
        word = "is not valid yet" if at < cert.not_valid_before_utc else "has expired"
        raise CryptoError(f"certificate {describe(cert)} {word}: it is {at:%Y-%m-%d %H:%M:%S} UTC")


def require_identity(cert: x509.Certificate, kind: int, body: bytes, shown: str) -> None:
    """CryptoError unless the certificate vouches for the identity; `shown` is how the message prints it."""
    if not vouches_for(cert, kind, body):
        raise CryptoError(
            f"certificate {describe(cert)} does not vouch for identity '{shown}': neither subject nor subjectAltName"
        )


def chain_to_send(leaf: x509.Certificate, candidates: Iterable[x509.Certificate]) -> list[x509.Certificate]:
    """The leaf and, upwards, the intermediates among `candidates`; self-issued ones (roots) are left out."""
    pool = list(candidates)
    chain = [leaf]
    while (up := next((c for c in pool if c not in chain and is_issuer(c, chain[-1])), None)) is not None:
        if up.subject == up.issuer:
            break
        chain.append(up)
    return chain


def is_issuer(authority: x509.Certificate, cert: x509.Certificate) -> bool:
    """Did `authority` sign `cert`: names agree and the signature verifies?"""
    try:
        cert.verify_directly_issued_by(authority)
    except Exception:  # the library raises many kinds here, and each means no
        return False
    return True


def _comparable(kind: int, body: bytes) -> tuple[int, bytes]:
    if kind == ID_FQDN:
        return kind, body.lower().rstrip(b".")
    if kind == ID_USER_FQDN:
        local, at, domain = body.rpartition(b"@")
        return kind, local + at + domain.lower()
    return kind, body


def _first_line(why: BaseException) -> str:
    return (str(why).splitlines() or [type(why).__name__])[0]
