# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates in IKE_AUTH: kinds of keys, chains, requests, and each reason to say no."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openswan.ike.effects import IkeFailed
from openswan.ike.v2.tasks import cert
from openswan.policy.connection import SendCert
from openswan.policy.identity import FROM_CERT, Identity, IdKind, parse_identity
from openswan.wire.v2.cert import Cert, CertReq
from openswan.wire.v2.numbers import NotifyType
from tests.unit.ike.pair import NOON, Pair
from tests.unit.ike.pki import DAY, authority, below_intermediate, certified, holder, intermediate, name

A, B = "a.test", "b.test"


def pair_of(
    kind: str = "rsa", peer_kind: str = "", a: dict[str, Any] | None = None, b: dict[str, Any] | None = None
) -> Pair:
    peer_kind = peer_kind or kind
    return Pair(certified(A, B, kind, peer_kind, **(a or {})), certified(B, A, peer_kind, kind, **(b or {})))


def refused(pair: Pair, reason: str) -> None:
    """The handshake fails on both sides, for that reason on one of them."""
    pair.start()
    pair.pass_time(100)
    reasons = [e.reason for side in (pair.a, pair.b) for e in side.seen(IkeFailed)]
    assert any(reason in text for text in reasons), reasons
    assert not pair.a.machines and not pair.b.machines
    assert not pair.a.installed and not pair.b.installed


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ecdsa384"])
@pytest.mark.parametrize("peer_kind", ["rsa", "ecdsa"])
def test_kinds_of_keys(kind: str, peer_kind: str) -> None:
    pair = pair_of(kind, peer_kind, b={"fragmentation": False}).up()
    pair.agree()
    auth = next(d for d in pair.log if d.data[18] == 35)
    payloads = pair.peek(auth)
    assert any(isinstance(p, Cert) for p in payloads)
    assert any(isinstance(p, CertReq) and p.hashes() for p in payloads)


@pytest.mark.parametrize("size", [400, 576, 1220])
def test_fragmented(size: int) -> None:
    pair = pair_of(a={"fragment_size": size}, b={"fragment_size": size}).up()
    pair.agree()
    assert all(len(d.data) <= size for d in pair.log if d.data[18] != 34)
    assert len(pair.log) > 4


def test_fragments_only_when_both_can() -> None:
    pair = pair_of(a={"fragment_size": 400}, b={"fragmentation": False}).up()
    assert len(pair.log) == 4


@pytest.mark.parametrize("lost", range(10))
def test_fragmented_with_loss(lost: int) -> None:
    pair = pair_of(a={"fragment_size": 500}, b={"fragment_size": 500})
    pair.filter = lambda _: len(pair.log) != lost + 1
    pair.start()
    pair.pass_time(20)
    pair.agree()
    assert pair.a.sa.is_established


def test_by_the_fixed_methods_when_the_peer_knows_no_other() -> None:
    for kind in ("rsa", "ecdsa"):
        pair = pair_of(kind, b={"fragmentation": False})
        pair.start()
        pair.step()
        pair.b.sa.peer_hashes = ()
        pair.run()
        assert pair.a.sa.is_established
        method = next(
            p for d in pair.log if d.data[18] == 35 and d.sender is pair.b for p in pair.peek(d) if p.type == 39
        )
        assert int(method.method) == {"rsa": 1, "ecdsa": 9}[kind]  # type: ignore[attr-defined]


def test_chain_over_an_intermediate() -> None:
    own = below_intermediate(B)
    pair = pair_of(b={"private_key": own.key, "certificates": (own.der, intermediate().der)}).up()
    pair.agree()


def test_chain_without_its_intermediate() -> None:
    own = below_intermediate(B)
    refused(pair_of(b={"private_key": own.key, "certificates": (own.der,)}), "intermediate")


def test_foreign_authority() -> None:
    own = holder(B, "rsa", 1)
    refused(pair_of(b={"private_key": own.key, "certificates": (own.der,)}), "not trusted")
    own = holder(A, "rsa", 1)
    refused(pair_of(a={"private_key": own.key, "certificates": (own.der,)}), "not trusted")


def test_expired() -> None:
    pair = pair_of()
    pair.a.ask.date = NOON + 200 * DAY
    refused(pair, "has expired")


def test_certificate_of_somebody_else() -> None:
    own = holder("c.test")
    refused(pair_of(b={"private_key": own.key, "certificates": (own.der,)}), "does not vouch")


def test_key_that_is_not_the_certificates() -> None:
    refused(pair_of(b={"private_key": holder("c.test").key}), "does not verify")


def test_no_certificate_sent() -> None:
    refused(pair_of(b={"send_cert": SendCert.NEVER}), "sent no certificate")


def test_no_authority_here() -> None:
    refused(pair_of(a={"anchors": ()}), "no authority")


def test_garbage_instead_of_a_certificate() -> None:
    for garbage in (b"\0", b"0" * 100, b"\x30\x84\xff\xff\xff\xff", holder(B).der[:-1]):
        refused(pair_of(b={"certificates": (garbage,)}), "certificate")


def test_sent_only_when_asked() -> None:
    pair_of(b={"send_cert": SendCert.IF_ASKED}).up()
    configured = {"peer_certificate": holder(B).der, "anchors": (), "peer_by_certificate": False}
    pair = pair_of(a=configured, b={"send_cert": SendCert.IF_ASKED}).up()
    answer = next(d for d in pair.log if d.data[18] == 35 and d.sender is pair.b)
    assert not any(isinstance(p, Cert) for p in pair.peek(answer))


def test_configured_certificate_must_be_that_one() -> None:
    other = holder("c.test")
    refused(pair_of(a={"peer_certificate": other.der}), "another certificate")


def test_identity_from_the_certificate() -> None:
    subject = Identity(IdKind.DER_ASN1_DN, name(B).public_bytes())
    pair = pair_of(a={"peer_id": subject}, b={"my_id": FROM_CERT}).up()
    assert pair.a.sa.peer_id == subject
    assert pair.b.sa.my_id == subject


def test_identity_from_a_certificate_that_is_not_there() -> None:
    refused(pair_of(a={"my_id": FROM_CERT, "certificates": ()}), "there is no certificate")


def test_a_claimed_pattern_is_not_a_pattern() -> None:
    claim = parse_identity("C=CA, O=Test, CN=*")
    refused(pair_of(a={"peer_id": None}, b={"my_id": claim}), "does not vouch")


def test_distinguished_names_of_other_string_types_match() -> None:
    subject = parse_identity("C=ca, O=TEST, CN=B.test")
    assert subject.body != name(B).public_bytes()
    pair_of(a={"peer_id": subject}, b={"my_id": subject}).up()


def test_requests_name_our_authorities() -> None:
    policy = certified(A, B)
    (request,) = cert.requests(policy)
    assert isinstance(request, CertReq)
    assert request.hashes() == (cert.trust_store((authority().der,), ()).hashes(),)
    assert cert.requests(replace(policy, peer_by_certificate=False)) == []


def test_failure_is_told_as_authentication_failed() -> None:
    pair = pair_of(b={"send_cert": SendCert.NEVER})
    pair.start()
    pair.run()
    assert pair.a.seen(IkeFailed)[0].notify == NotifyType.AUTHENTICATION_FAILED
