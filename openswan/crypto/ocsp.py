# SPDX-License-Identifier: GPL-2.0-or-later
"""OCSP: asking a responder about one certificate, and which answers count (RFC 6960, RFC 5019, RFC 9654)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, SignatureAlgorithmOID

from openswan.base.errors import CryptoError
from openswan.crypto.crl import MAX_URI, MAX_URIS, SKEW
from openswan.crypto.sign import HASHES
from openswan.crypto.x509 import BROKEN, describe, is_issuer, load, show_name

NONCE_OCTETS = 32
"""RFC 9654 2.1."""
REQUEST_TYPE, RESPONSE_TYPE = "application/ocsp-request", "application/ocsp-response"
MOST_GET = 255
"""A request longer than this in a URI goes by POST (RFC 6960 A.1)."""
MOST_RESPONSE = 65536
"""Octets of an answer."""
BAD_ANSWER = (*BROKEN, InvalidSignature, UnsupportedAlgorithm, OverflowError)


class CertId(NamedTuple):
    """What names a certificate to a responder (RFC 6960 4.1.1)."""

    issuer_name: bytes
    """SHA-1 of the issuer's name."""
    issuer_key: bytes
    """SHA-1 of the issuer's public key, without algorithm."""
    serial: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a responder said about one certificate."""

    revoked: datetime | None
    """None: good."""
    since: datetime
    until: datetime
    responder: str
    """Who signed it."""

    def is_current(self, at: datetime) -> bool:
        """Does it count at that time?"""
        return self.since <= at + SKEW and at <= self.until


def cert_id(cert: x509.Certificate, issuer: x509.Certificate) -> CertId:
    """The names of a certificate in OCSP."""
    return CertId(_sha1(cert.issuer.public_bytes()), _sha1(_key_bits(issuer)), cert.serial_number)


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def _key_bits(cert: x509.Certificate) -> bytes:
    """The subjectPublicKey BIT STRING's octets; the library knows them as SubjectKeyIdentifier's input."""
    key = cert.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    raise CryptoError(f"certificate {describe(cert)}: OCSP cannot ask about its kind of key")


def ocsp_uris(cert: x509.Certificate) -> tuple[str, ...]:
    """Where a certificate says it can be asked about; at most MAX_URIS."""
    try:
        access = cert.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ()
    found = [
        place.access_location.value
        for place in access
        if place.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(place.access_location, x509.UniformResourceIdentifier)
        and len(place.access_location.value) <= MAX_URI
    ]
    return tuple(dict.fromkeys(found))[:MAX_URIS]


def request(cert: x509.Certificate, issuer: x509.Certificate, nonce: bytes = b"") -> bytes:
    """DER of a request about one certificate; with a nonce, the answer must repeat it if it has one."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(cert, issuer, hashes.SHA1())
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), False)
    return builder.build().public_bytes(Encoding.DER)


def get_uri(uri: str, body: bytes) -> str:
    """The URI that asks by GET, or an empty text when the request is too long for one (RFC 6960 A.1)."""
    text = quote(base64.b64encode(body).decode(), safe="")
    return f"{uri.rstrip('/')}/{text}" if len(text) <= MOST_GET else ""


def read(
    data: bytes,
    cert: x509.Certificate,
    issuer: x509.Certificate,
    at: datetime,
    *,
    nonce: bytes = b"",
    trusted: Iterable[x509.Certificate] = (),
    least: timedelta = timedelta(),
    most: timedelta = timedelta(days=1),
) -> Answer:
    """What an answer says about `cert`; CryptoError when it says nothing or does not count.

    It must be signed by the issuer, by whom the issuer has delegated it to (RFC 6960 4.2.2.2), or by one of `trusted`.
    It is believed for at least `least` and at most `most` from now on, and no longer than it says itself.
    """
    if len(data) > MOST_RESPONSE:
        raise CryptoError(f"OCSP answer of {len(data)} octets is too long")
    try:
        response = ocsp.load_der_ocsp_response(data)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise CryptoError(f"the OCSP responder says {response.response_status.name}")
        _check_nonce(response, nonce)
        signer = _signer(response, issuer, at, tuple(trusted))
        wanted = cert_id(cert, issuer)
        single = next((one for one in response.responses if _is_about(one, wanted, cert, issuer)), None)
        if single is None:
            raise CryptoError("the OCSP answer is about another certificate")
        return _answer(single, at, show_name(signer.subject), least, most)
    except BAD_ANSWER as why:
        reason = str(why).splitlines()[0] if str(why) else type(why).__name__
        raise CryptoError(f"the OCSP answer cannot be read: {reason}") from None


def _check_nonce(response: ocsp.OCSPResponse, nonce: bytes) -> None:
    try:
        got = response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return  # prepared answers have none
    if nonce and got != nonce:
        raise CryptoError("the OCSP answer is to another question: its nonce is not ours")


def _is_about(
    single: ocsp.OCSPSingleResponse, wanted: CertId, cert: x509.Certificate, issuer: x509.Certificate
) -> bool:
    if single.serial_number != wanted.serial:
        return False
    digest = hashlib.new(single.hash_algorithm.name, usedforsecurity=False)
    names, keys = digest.copy(), digest.copy()
    names.update(cert.issuer.public_bytes())
    keys.update(_key_bits(issuer))
    return single.issuer_name_hash == names.digest() and single.issuer_key_hash == keys.digest()


def _answer(single: ocsp.OCSPSingleResponse, at: datetime, responder: str, least: timedelta, most: timedelta) -> Answer:
    since, until = single.this_update_utc, single.next_update_utc
    if since > at + SKEW:
        raise CryptoError(f"the OCSP answer is from the future, {since:%Y-%m-%d %H:%M:%S} UTC")
    if until is not None and until < at:
        raise CryptoError(f"the OCSP answer was good until {until:%Y-%m-%d %H:%M:%S} UTC")
    if until is None and since < at - max(most, SKEW):
        raise CryptoError(f"the OCSP answer is from {since:%Y-%m-%d %H:%M:%S} UTC and does not say how long it counts")
    ends = min(until, at + most) if until is not None else at + max(least, SKEW)
    if single.certificate_status is ocsp.OCSPCertStatus.UNKNOWN:
        raise CryptoError("the OCSP responder does not know the certificate")
    revoked = None
    if single.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        revoked = single.revocation_time_utc or since
    return Answer(revoked, since, ends, responder)


def _signer(
    response: ocsp.OCSPResponse, issuer: x509.Certificate, at: datetime, trusted: tuple[x509.Certificate, ...]
) -> x509.Certificate:
    """Who signed the answer, once it is sure that he may and did."""
    for candidate in (issuer, *trusted):
        if _is_responder(response, candidate):
            _verify(response, candidate)
            return candidate
    for enclosed in response.certificates[:MAX_URIS]:
        if not _is_responder(response, enclosed):
            continue
        delegate = load(enclosed.public_bytes(Encoding.DER), "certificate of the OCSP responder")
        _check_delegate(delegate, issuer, at)
        _verify(response, delegate)
        return delegate
    raise CryptoError("the OCSP answer is signed by nobody the authority has delegated it to")


def _is_responder(response: ocsp.OCSPResponse, cert: x509.Certificate) -> bool:
    if response.responder_name is not None:
        return response.responder_name == cert.subject
    try:
        return response.responder_key_hash == _sha1(_key_bits(cert))
    except CryptoError:
        return False


def _check_delegate(delegate: x509.Certificate, issuer: x509.Certificate, at: datetime) -> None:
    """RFC 6960 4.2.2.2: issued by that very authority, for that purpose, and valid."""
    if not is_issuer(issuer, delegate):
        raise CryptoError(f"OCSP responder {describe(delegate)} was not certified by the authority it speaks for")
    try:
        purposes = delegate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        purposes = x509.ExtendedKeyUsage([])
    if ExtendedKeyUsageOID.OCSP_SIGNING not in purposes:
        raise CryptoError(f"OCSP responder {describe(delegate)}: extendedKeyUsage does not allow OCSP signing")
    if not delegate.not_valid_before_utc <= at <= delegate.not_valid_after_utc:
        raise CryptoError(f"OCSP responder {describe(delegate)} is not valid now")


def _verify(response: ocsp.OCSPResponse, signer: x509.Certificate) -> None:
    key, algorithm = signer.public_key(), response.signature_hash_algorithm
    if algorithm is not None and algorithm.name not in HASHES:
        raise CryptoError(f"the OCSP answer is signed with {algorithm.name}, which is not used")
    if algorithm is not None and algorithm.name == "sha1":
        raise CryptoError("the OCSP answer is signed with SHA-1, which proves nothing any more")
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            if response.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
                pad: padding.AsymmetricPadding = padding.PSS(padding.MGF1(algorithm), padding.PSS.DIGEST_LENGTH)
            else:
                pad = padding.PKCS1v15()
            key.verify(response.signature, response.tbs_response_bytes, pad, algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(algorithm))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(response.signature, response.tbs_response_bytes)
        else:
            raise CryptoError("the OCSP answer is signed with a kind of key that is not used")
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        raise CryptoError(f"the OCSP answer's signature is not {describe(signer)}'s") from None
