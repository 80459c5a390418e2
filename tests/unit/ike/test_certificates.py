# SPDX-License-Identifier: GPL-2.0-or-later
"""What both versions of IKE ask of certificates; each version's own tests have the rest."""

from __future__ import annotations

import pytest

from openswan.base.errors import CryptoError
from openswan.crypto.revocation import Question, Way
from openswan.ike import certificates
from openswan.ike.later import Later, RevocationJob
from openswan.policy.identity import FROM_CERT, Identity, IdKind, parse_identity
from tests.unit.ike.pair import NOON
from tests.unit.ike.pki import authority, below_intermediate, certified, holder, intermediate, name
from tests.unit.ike.v1.pair import Asked, by_certificate, policy

A, B = "a.test", "b.test"


def test_a_policy_of_either_version_will_do() -> None:
    sent = [holder(B).der]
    for one in (certified(A, B), policy(**by_certificate(A))):
        chain = certificates.judge(one, parse_identity("@b.test"), sent, NOON)
        assert chain == (holder(B).cert, authority().cert)


def test_our_identity() -> None:
    assert certificates.my_identity(certified(A, B)) == parse_identity("@a.test")
    subject = Identity(IdKind.DER_ASN1_DN, name(A).public_bytes())
    assert certificates.my_identity(certified(A, B, my_id=FROM_CERT)) == subject
    with pytest.raises(CryptoError, match="there is no certificate"):
        certificates.my_identity(certified(A, B, my_id=FROM_CERT, certificates=()))


def test_names() -> None:
    leaf = holder(B).cert
    assert certificates.carries_name(leaf, parse_identity("@b.test"))
    assert certificates.carries_name(leaf, certificates.subject_identity(leaf))
    assert not certificates.carries_name(leaf, parse_identity("@a.test"))
    assert not certificates.carries_name(leaf, parse_identity("C=CA, O=Test, CN=*"))
    assert certificates.issuers([holder(B).der, b"garbage", below_intermediate(A).der]) == (
        authority().cert.subject.public_bytes(), intermediate().cert.subject.public_bytes(),
    )  # fmt: skip


def test_revocation_is_asked_until_nothing_is_unknown() -> None:
    asked, question = Asked(), Question(Way.CRL, "http://y/", authority().cert)
    chain = (holder(B).cert, authority().cert)

    def need(job: object) -> bytes:
        raise Later(RevocationJob((question,)))

    certificates.require_unrevoked(asked, need, chain, 0.0)
    asked.unknown = [(question,)]
    with pytest.raises(Later):
        certificates.require_unrevoked(asked, need, chain, 0.0)
    asked.unknown = [(question,)] * 100
    with pytest.raises(CryptoError, match="cannot be told"):
        certificates.require_unrevoked(asked, lambda job: b"", chain, 0.0)
    assert len(asked.unknown) == 100 - certificates.MOST_ROUNDS
    asked.revoked = "revoked"
    with pytest.raises(CryptoError, match="revoked"):
        certificates.require_unrevoked(asked, need, chain, 0.0)
