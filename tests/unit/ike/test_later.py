# SPDX-License-Identifier: GPL-2.0-or-later
"""What ike.later promises; how steps stop and go on is in v2/tasks/test_cert.py."""

from __future__ import annotations

from ipaddress import ip_address

from cryptography.hazmat.primitives.asymmetric import ed25519

from openswan.crypto.revocation import Question, Way
from openswan.crypto.sign import SCHEMES
from openswan.crypto.tokenkey import TokenKey, TokenUri
from openswan.ike.later import CertificateJob, Later, RevocationJob, SignJob
from openswan.wire.v2.cert import HashUrl
from tests.unit.ike.pki import authority


def test_jobs_are_equal_when_they_ask_the_same() -> None:
    one, other = (RevocationJob((Question(Way.CRL, "http://x/", authority().cert),)) for _ in range(2))
    assert one == other and hash(one) == hash(other) and "http://x/" in str(one)
    key = TokenKey(TokenUri(label="x"), ed25519.Ed25519PrivateKey.generate().public_key())
    twin = TokenKey(key.uri, key.public)
    assert SignJob(key, SCHEMES[0], b"a") == SignJob(key, SCHEMES[0], b"a") != SignJob(key, SCHEMES[0], b"b")
    assert SignJob(key, SCHEMES[0], b"a") != SignJob(twin, SCHEMES[0], b"a"), "read again: another key"
    assert Later(one).job is one


def test_a_certificate_is_fetched_for_somebody() -> None:
    what = HashUrl.of("http://x/", b"certificate")
    job = CertificateJob(what, ip_address("192.0.2.1"))
    assert job == CertificateJob(HashUrl.parse(what.emit()), ip_address("192.0.2.1"))
    assert str(job) == f"http://x/{what.digest.hex()} to send the peer's certificate"
