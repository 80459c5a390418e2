# SPDX-License-Identifier: GPL-2.0-or-later
"""What ike.later promises; how steps stop and go on is in v2/tasks/test_cert.py."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ed25519

from openswan.crypto.revocation import Question, Way
from openswan.crypto.sign import SCHEMES
from openswan.crypto.tokenkey import TokenKey, TokenUri
from openswan.ike.later import Later, RevocationJob, SignJob
from tests.unit.ike.pki import authority


def test_jobs_are_equal_when_they_ask_the_same() -> None:
    one, other = (RevocationJob((Question(Way.CRL, "http://x/", authority().cert),)) for _ in range(2))
    assert one == other and hash(one) == hash(other) and "http://x/" in str(one)
    key = TokenKey(TokenUri(label="x"), ed25519.Ed25519PrivateKey.generate().public_key())
    twin = TokenKey(key.uri, key.public)
    assert SignJob(key, SCHEMES[0], b"a") == SignJob(key, SCHEMES[0], b"a") != SignJob(key, SCHEMES[0], b"b")
    assert SignJob(key, SCHEMES[0], b"a") != SignJob(twin, SCHEMES[0], b"a"), "read again: another key"
    assert Later(one).job is one
