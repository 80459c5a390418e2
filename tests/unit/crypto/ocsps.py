# SPDX-License-Identifier: GPL-2.0-or-later
"""OCSP answers as a responder makes them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.unit.crypto.keys import NOW

GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
HOUR = timedelta(hours=1)


def answer(
    cert: x509.Certificate,
    issuer: x509.Certificate,
    key: Any,
    status: ocsp.OCSPCertStatus = GOOD,
    *,
    signer: x509.Certificate | None = None,
    nonce: bytes = b"",
    since: timedelta = -HOUR,
    until: timedelta | None = HOUR,
    by_name: bool = False,
    enclose: bool = True,
    now: Any = NOW,
) -> bytes:
    """DER of an answer about `cert`."""
    revoked = status is REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=cert,
        issuer=issuer,
        algorithm=hashes.SHA1(),
        cert_status=status,
        this_update=now + since,
        next_update=now + until if until is not None else None,
        revocation_time=now - 2 * HOUR if revoked else None,
        revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
    )
    encoding = ocsp.OCSPResponderEncoding.NAME if by_name else ocsp.OCSPResponderEncoding.HASH
    builder = builder.responder_id(encoding, signer or issuer)
    if signer is not None and enclose:
        builder = builder.certificates([signer])
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
