# SPDX-License-Identifier: GPL-2.0-or-later
"""Proofs by certificate in Main and Aggressive Mode: chains, names, requests, and each reason to say no."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openswan.crypto.dnskey import raw_octets
from openswan.crypto.revocation import Question, Way
from openswan.crypto.rsakey import PublicKey
from openswan.crypto.sign import RAW_RSA, sign_ikev1
from openswan.crypto.tokenkey import TokenKey, TokenUri
from openswan.ike.certificates import trust_store
from openswan.ike.effects import Forget, IkeFailed, Send, Work
from openswan.ike.later import KeysJob, RevocationJob, SignJob
from openswan.ike.v1 import proof
from openswan.ike.v1.core import HALF_OPEN
from openswan.ike.v1.effects import IsakmpEstablished
from openswan.policy.connection import SendCert
from openswan.policy.gateways import Published
from openswan.policy.grade import Grade
from openswan.policy.identity import FROM_CERT, Identity, IdKind, parse_identity
from openswan.wire.v1.body import Payload
from openswan.wire.v1.cert import Cert, CertReq
from openswan.wire.v1.message import Message
from openswan.wire.v1.numbers import AuthMethod, CertEncoding, NotifyType
from tests.unit.crypto.keys import ec_key, rsa_key
from tests.unit.ike.pki import authority, below_intermediate, holder, intermediate, name
from tests.unit.ike.v1.pair import Pair, by_certificate, by_rsa, policy

MODES = pytest.mark.parametrize("aggressive", [False, True], ids=["main", "aggressive"])
A, B = "a.test", "b.test"


def pair_of(a: dict[str, Any] | None = None, b: dict[str, Any] | None = None, aggressive: bool = False) -> Pair:
    common = {"aggressive": aggressive}
    first = {"me": "@a.test", "peer": "@b.test", **common, **by_certificate(A), **(a or {})}
    second = {"me": "@b.test", "peer": "@a.test", **common, **by_certificate(B), **(b or {})}
    for values in (first, second):
        for key in ("my_id", "peer_id"):
            values.setdefault(key, parse_identity(values["me" if key == "my_id" else "peer"]))
    return Pair(policy(**first), policy(**second))


def refused(pair: Pair, reason: str) -> None:
    pair.start().run()
    lines = pair.a.lines() + pair.b.lines()
    assert any(reason in line for line in lines), lines
    assert not (pair.a.seen(IsakmpEstablished) and pair.b.seen(IsakmpEstablished))
    for _ in range(40):
        if pair.due() is not None and not (pair.a.seen(Forget) and pair.b.seen(Forget)):
            pair.tick().run()
    assert not (pair.a.seen(IsakmpEstablished) and pair.b.seen(IsakmpEstablished))


@MODES
def test_certificates(aggressive: bool) -> None:
    pair = pair_of(aggressive=aggressive).up()
    assert [cert.subject for cert in pair.a.sa.peer_chain] == [holder(B).cert.subject, authority().cert.subject]
    assert pair.b.sa.peer_chain[0] == holder(A, "rsa").cert
    assert pair.a.sa.wants_certificate and pair.b.sa.wants_certificate
    for end in (pair.a, pair.b):
        assert {"I am sending my cert", "I am sending a certificate request"} <= set(end.lines())


@MODES
def test_in_pieces(aggressive: bool) -> None:
    small = {"fragment_size": 400}
    pair = pair_of(small, small, aggressive).up()
    # Until the responder's vendor IDs are here the initiator cuts nothing: the first message of either mode is whole.
    assert all(len(one) <= 400 for one in pair.b.sent() + pair.a.sent()[1:])


@MODES
def test_a_chain_over_an_intermediate(aggressive: bool) -> None:
    own = below_intermediate(B)
    with_it = {"private_key": own.key, "certificates": (own.der, intermediate().der)}
    pair_of(b=with_it, aggressive=aggressive).up()
    refused(pair_of(b={**with_it, "certificates": (own.der,)}, aggressive=aggressive), "intermediate")


@MODES
@pytest.mark.parametrize("side", ["a", "b"])
def test_reasons_to_say_no(aggressive: bool, side: str) -> None:
    me = A if side == "a" else B

    def one(mine: dict[str, Any] | None = None, theirs: dict[str, Any] | None = None) -> Pair:
        ends = {"a": mine, "b": theirs} if side == "a" else {"a": theirs, "b": mine}
        return pair_of(**ends, aggressive=aggressive)

    foreign, other = holder(me, "rsa", 1), holder("c.test")
    refused(one({"private_key": foreign.key, "certificates": (foreign.der,)}), "not trusted")
    refused(one({"private_key": other.key, "certificates": (other.der,)}), "does not vouch")
    refused(one({"private_key": other.key}), "Signature check (on @")
    refused(one({"send_cert": SendCert.NEVER}), "sent no certificate")
    refused(one(theirs={"anchors": ()}), "no authority")
    refused(one(theirs={"peer_ca": name("another").public_bytes()}), "wants one of 'C=CA, O=Test, CN=another'")
    refused(one(theirs={"peer_certificate": other.der}), "another certificate")
    refused(one({"my_id": parse_identity("@elsewhere")}), "@elsewhere")
    for garbage in (b"\0", b"0" * 100, b"\x30\x84\xff\xff\xff\xff", holder(me).der[:-1]):
        refused(one({"certificates": (garbage,)}), "certificate")


@MODES
def test_names(aggressive: bool) -> None:
    subject = Identity(IdKind.DER_ASN1_DN, name(B).public_bytes())
    pair = pair_of({"peer_id": subject}, {"my_id": FROM_CERT}, aggressive).up()
    assert pair.a.sa.peer_id == subject
    pair = pair_of({"peer_id": parse_identity("C=CA, O=Test, CN=*")}, {"my_id": FROM_CERT}, aggressive).up()
    claim = parse_identity("C=CA, O=Test, CN=*")
    refused(pair_of({"peer_id": None}, {"my_id": claim}, aggressive), "does not vouch")
    refused(pair_of({}, {"my_id": FROM_CERT, "certificates": ()}, aggressive), "there is no certificate")


@MODES
def test_sent_only_when_asked(aggressive: bool) -> None:
    pair_of(b={"send_cert": SendCert.IF_ASKED}, aggressive=aggressive).up()
    configured = {"peer_certificate": holder(B).der, "anchors": (), "peer_by_certificate": False}
    pair = pair_of(configured, {"send_cert": SendCert.IF_ASKED}, aggressive).up()
    assert not pair.b.sa.wants_certificate and pair.a.sa.peer_chain == (holder(B).cert,)


def test_requests_name_our_authorities() -> None:
    sa = Pair().a.sa
    one = policy(**by_certificate(A))
    [request] = proof.wanted(sa, one)
    assert request == CertReq(CertEncoding.X509_SIGNATURE, authority().cert.subject.public_bytes())
    many = tuple(authority("rsa", which).der for which in range(proof.MOST_REQUESTS + 1))
    assert proof.wanted(sa, replace(one, anchors=many)) == [CertReq(CertEncoding.X509_SIGNATURE, b"")]
    assert len(proof.wanted(sa, replace(one, anchors=many[:3]))) == 3
    third = authority("rsa", 2).cert.subject.public_bytes()
    assert proof.wanted(sa, replace(one, anchors=many, peer_ca=third)) == [CertReq(CertEncoding.X509_SIGNATURE, third)]
    assert trust_store(many[:2]).names(b"nobody") == trust_store(many[:2]).names()


def test_nothing_is_asked_of_a_peer_that_has_no_certificate_to_show() -> None:
    pair = pair_of({"request_certs": False}, {"request_certs": False})
    pair.up()
    assert not pair.a.sa.wants_certificate
    assert not any(Message.parse(one).content.first(CertReq) for one in pair.b.sent()[:2])


@MODES
@pytest.mark.parametrize("side", ["a", "b"])
def test_revocation_is_looked_up_before_the_peer_is_let_in(aggressive: bool, side: str) -> None:
    pair = pair_of(aggressive=aggressive)
    end = getattr(pair, side)
    first = Question(Way.OCSP, "http://x/", authority().cert, holder(B).cert)
    second = Question(Way.CRL, "http://y/", authority().cert)
    end.sa.ask.unknown = [(first,), (second,)]
    pair.start().run()
    [work] = end.seen(Work)
    assert work.job == RevocationJob((first,)) and not end.sa.is_established
    before = len(end.sent())
    pair.later(3)
    if end is pair.a:
        assert len(end.sent()) == before, "it is our turn: nothing is repeated"
    pair.collect(end, end.sa.resume(work.job, b"", pair.now))
    pair.run()
    assert [one.job for one in end.seen(Work)] == [RevocationJob((first,)), RevocationJob((second,))]
    pair.collect(end, end.sa.resume(work.job, b"", pair.now))  # too late to matter
    pair.collect(end, end.sa.resume(end.seen(Work)[-1].job, b"", pair.now))
    pair.run().later(3)
    assert pair.a.sa.is_established and pair.b.sa.is_established
    assert len([line for line in end.lines() if "peer ID" in line]) <= 2
    assert not end.sa.results and end.sa.postponed is None


@MODES
@pytest.mark.parametrize("side", ["a", "b"])
def test_revoked(aggressive: bool, side: str) -> None:
    pair = pair_of(aggressive=aggressive)
    getattr(pair, side).sa.ask.revoked = "certificate 'x' was revoked at noon"
    refused(pair, "was revoked at noon")
    # The same, found out later.
    pair = pair_of(aggressive=aggressive)
    end = getattr(pair, side)
    end.sa.ask.unknown = [(Question(Way.CRL, "http://y/", authority().cert),)]
    pair.start().run()
    end.sa.ask.revoked = "certificate 'x' was revoked at noon"
    pair.collect(end, end.sa.resume(end.seen(Work)[0].job, b"", pair.now))
    assert end.seen(Forget) and [one.notify for one in end.seen(IkeFailed)] == [NotifyType.INVALID_CERTIFICATE]


@pytest.mark.parametrize("side", ["a", "b"])
def test_an_answer_that_never_comes_ends_in_time(side: str) -> None:
    pair = pair_of()
    end = getattr(pair, side)
    end.sa.ask.unknown = [(Question(Way.CRL, "http://y/", authority().cert),)]
    pair.start().run()
    pair.later(HALF_OPEN + 1)
    assert "gave up waiting for what http://y/ know of revoked certificates" in end.lines()
    assert end.seen(Forget) and not end.seen(IsakmpEstablished)


def test_while_waiting_nothing_else_is_taken() -> None:
    pair = pair_of()
    pair.b.sa.ask.unknown = [(Question(Way.CRL, "http://y/", authority().cert),)]  # type: ignore[attr-defined]
    pair.start().run()
    last, before = pair.a.sent()[-1], len(pair.b.effects)
    for _ in range(10):
        pair.b.effects += pair.b.sa.receive(last, pair.b.sa.local, pair.b.sa.remote, pair.now)
    assert not [one for one in pair.b.effects[before:] if isinstance(one, Work | Send)]
    pair.collect(pair.b, pair.b.sa.resume(pair.b.seen(Work)[0].job, b"", pair.now))
    pair.run()
    assert pair.a.sa.is_established and pair.b.sa.is_established


@MODES
def test_nothing_is_looked_up_for_who_has_not_the_key(aggressive: bool) -> None:
    """CVE-2022-40617: a certificate is no reason to fetch anything."""
    pair = pair_of(b={"private_key": holder("c.test").key}, aggressive=aggressive)
    pair.a.sa.ask.unknown = [(Question(Way.CRL, "http://y/", authority().cert),)]  # type: ignore[attr-defined]
    refused(pair, "Signature check")
    assert not pair.a.seen(Work) and not pair.a.sa.ask.chains  # type: ignore[attr-defined]


def test_certificates_of_other_kinds_are_passed_over() -> None:
    payloads: list[Payload] = [Cert(CertEncoding(kind), b"x") for kind in range(12) if kind != 4]
    content = Message.clear(Message.parse(Pair().start().a.sent()[0]).header, payloads).content
    assert proof.sent(content) == []


def by_dns(*keys: PublicKey) -> Pair:
    """The responder looks the initiator's key up; what the DNS has is not known yet."""
    pair = Pair(policy(**by_rsa(1, 2)), policy("@b", "@a", **{**by_rsa(2, 1), "peer_keys": (), "peer_published": True}))
    pair.asked.dns = "1.2.0.192.in-addr.arpa"
    pair.start().run()
    job = pair.b.seen(Work)[-1].job
    assert job == KeysJob("1.2.0.192.in-addr.arpa") and not pair.b.sa.is_established
    pair.asked.dns = Published(keys, Grade.DNSSEC, reason="" if keys else "no key is published")
    pair.collect(pair.b, pair.b.sa.resume(job, b"", pair.now))
    pair.run()
    return pair


def test_a_key_that_the_dns_has() -> None:
    key = rsa_key(2048, 65537, 1).public_key()
    pair = by_dns(rsa_key(2048, 65537, 3).public_key(), key)
    assert pair.a.sa.is_established and pair.b.sa.is_established
    assert (pair.b.sa.peer_grade, pair.b.sa.peer_key) == (Grade.DNSSEC, raw_octets(key))
    assert pair.a.sa.peer_grade is None, "a key of the configuration"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("none", "the DNS has no public key for '@a': no key is published"),
        ("another", "tried 1 keys but none worked"),
        ("curve", "tried 1 keys but none worked"),
    ],
)
def test_keys_of_the_dns_that_will_not_do(kind: str, words: str) -> None:
    keys = {
        "none": (),
        "another": (rsa_key(2048, 65537, 3).public_key(),),
        "curve": (ec_key("secp256r1").public_key(),),
    }
    pair = by_dns(*keys[kind])
    assert not pair.b.sa.is_established and pair.b.sa.peer_key == b""
    assert any(words in line for line in pair.b.lines())


@MODES
@pytest.mark.parametrize(("kind", "method"), [("ecdsa", AuthMethod.ECDSA_256), ("ecdsa384", AuthMethod.ECDSA_384)])
def test_ecdsa(kind: str, method: AuthMethod, aggressive: bool) -> None:
    """RFC 4754: both ends have keys on the curve of the method."""
    a, b = ({**by_certificate(who, kind), "method": method} for who in (A, B))
    pair = pair_of(a, b, aggressive)
    pair.start().run()
    assert pair.a.sa.is_established and pair.b.sa.is_established
    assert pair.a.sa.need_chosen().method is method


def test_a_key_on_another_curve_than_the_method_says() -> None:
    a = {**by_certificate(A, "ecdsa"), "method": AuthMethod.ECDSA_256}
    b = {**by_certificate(B, "ecdsa384"), "method": AuthMethod.ECDSA_256}
    pair = pair_of(a, b)
    pair.start().run()
    assert not pair.a.sa.is_established and not pair.b.sa.is_established
    assert "authentication method 9 needs a key on secp256r1" in pair.b.lines()


def test_a_key_in_a_token_signs_elsewhere_and_main_mode_waits() -> None:
    own = rsa_key(2048, 65537, 1)
    uri = TokenUri(label="x")
    a = {**by_rsa(1, 2), "private_key": TokenKey(uri, own.public_key())}
    pair = Pair(policy(**a), policy("@b", "@a", **by_rsa(2, 1)))
    pair.start().run()
    job = pair.a.seen(Work)[-1].job
    assert isinstance(job, SignJob) and job.scheme == RAW_RSA and not pair.a.sa.is_established
    pair.collect(pair.a, pair.a.sa.resume(job, sign_ikev1(own, job.octets), pair.now))
    pair.run()
    assert pair.a.sa.is_established and pair.b.sa.is_established
