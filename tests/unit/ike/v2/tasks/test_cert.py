# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates in IKE_AUTH: kinds of keys, chains, requests, and each reason to say no."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openswan.base.errors import CryptoError
from openswan.crypto import sign, x509
from openswan.crypto.revocation import Question, Way
from openswan.crypto.tokenkey import TokenKey, TokenUri
from openswan.ike.effects import IkeFailed, Work
from openswan.ike.later import CertificateJob, RevocationJob, SignJob
from openswan.ike.v2.tasks import cert
from openswan.ike.v2.values import Ignored
from openswan.policy.connection import SendCert
from openswan.policy.identity import FROM_CERT, Identity, IdKind, parse_identity
from openswan.wire.message import Message
from openswan.wire.v2.cert import Cert, CertReq, HashUrl
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import CertEncoding, ExchangeType, NotifyType
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
    assert request.hashes() == (cert.trust_store((authority().der,)).hashes(),)
    assert cert.requests(replace(policy, peer_by_certificate=False)) == []


def test_requests_name_the_authority_that_is_wanted_alone() -> None:
    other = authority("rsa", 1)
    policy = certified(A, B, anchors=(authority().der, other.der), peer_ca=other.cert.subject.public_bytes())
    (request,) = cert.requests(policy)
    assert isinstance(request, CertReq)
    assert request.hashes() == (x509.key_hash(other.cert),)
    (request,) = cert.requests(replace(policy, peer_ca=name("middle").public_bytes()))
    assert isinstance(request, CertReq)
    assert len(request.hashes()) == 2
    assert cert.requests(replace(policy, request_certs=False)) == []


def test_the_authority_that_is_wanted() -> None:
    root, middle = authority().cert.subject.public_bytes(), intermediate().cert.subject.public_bytes()
    own = below_intermediate(B)
    chain: dict[str, Any] = {"private_key": own.key, "certificates": (own.der, intermediate().der)}
    for wanted in (root, middle, parse_identity("C=ca, O=test, CN=INTERMEDIATE").body):
        pair_of(a={"peer_ca": wanted}, b=chain).up()
    refused(pair_of(a={"peer_ca": name("another").public_bytes()}, b=chain), "wants one of 'C=CA, O=Test, CN=another'")
    refused(pair_of(a={"peer_ca": middle}), "wants one of")
    # The certificate itself is no authority of its own.
    refused(pair_of(a={"peer_ca": name(B).public_bytes()}), "wants one of")


def test_hashes_of_requests_are_remembered_once_and_not_without_end() -> None:
    pair = pair_of().up()
    asked = pair.b.sa.peer_authorities
    assert asked == (x509.key_hash(authority().cert),)
    many = CertReq(CertEncoding.X509_SIGNATURE, b"".join(bytes([n >> 8, n & 255]) * 10 for n in range(3000)))
    message = Message(pair.b.sa.header(ExchangeType.IKE_AUTH, 1, response=False), (many,))
    cert.learn_requests(pair.b.sa, message)
    assert len(pair.b.sa.peer_authorities or ()) == cert.MOST_AUTHORITIES + 1


@pytest.mark.parametrize("side", ["a", "b"])
def test_revocation_is_looked_up_before_the_peer_is_let_in(side: str) -> None:
    pair = pair_of()
    waiting = getattr(pair, side)
    first = Question(Way.OCSP, "http://x/", authority().cert, holder(B).cert)
    second = Question(Way.CRL, "http://y/", authority().cert)
    # Each step is done again from its start: what was asked first is not asked again, what is new is.
    waiting.ask.questions = [(first,), (second,)]
    pair.start()
    pair.run()
    (work,) = waiting.seen(Work)
    assert work.job == RevocationJob((first,))
    assert not waiting.sa.is_established and not waiting.installed
    assert not [line for line in waiting.logs() if "peer ID" in line], "told once, at the end"
    pair.pass_time(3)
    assert not waiting.sa.is_established
    waiting.do(waiting.sa, waiting.sa.resume(work.job, b"", pair.now))
    pair.run()
    assert [w.job for w in waiting.seen(Work)] == [RevocationJob((first,)), RevocationJob((second,))]
    waiting.do(waiting.sa, waiting.sa.resume(work.job, b"", pair.now))  # too late to matter
    waiting.do(waiting.sa, waiting.sa.resume(waiting.seen(Work)[-1].job, b"", pair.now))
    pair.run()
    pair.pass_time(5)
    pair.agree()
    assert pair.a.sa.is_established and pair.b.sa.is_established
    assert len([line for line in waiting.logs() if "peer ID" in line]) == 1
    assert waiting.sa.peer_chain == tuple(waiting.ask.chains[-1])
    assert not waiting.sa.results and waiting.sa.postponed is None


@pytest.mark.parametrize("side", ["a", "b"])
def test_revoked(side: str) -> None:
    pair = pair_of()
    getattr(pair, side).ask.revoked = "certificate 'x' was revoked at noon"
    refused(pair, "was revoked at noon")


@pytest.mark.parametrize("side", ["a", "b"])
def test_an_answer_that_never_comes_ends_in_time(side: str) -> None:
    pair = pair_of()
    question = Question(Way.CRL, "http://y/", authority().cert)
    getattr(pair, side).ask.questions = [(question,)]
    refused(pair, "gave up waiting for what http://y/ know")


def test_while_waiting_another_request_is_not_taken() -> None:
    pair = pair_of()
    pair.b.ask.questions = [(Question(Way.CRL, "http://y/", authority().cert),)]
    pair.start()
    pair.run()
    again = pair.forge(pair.a, ExchangeType.IKE_AUTH, (), message_id=2)
    pair.inject(pair.a, again)
    assert pair.b.sa.counters[Ignored.OUT_OF_PLACE] == 1
    (work,) = pair.b.seen(Work)
    pair.b.do(pair.b.sa, pair.b.sa.resume(work.job, b"", pair.now))
    pair.run()
    pair.agree()


def test_nothing_is_looked_up_for_who_has_not_the_key() -> None:
    """CVE-2022-40617: a certificate is no reason to fetch anything."""
    pair = pair_of(b={"private_key": holder("c.test").key})
    pair.a.ask.questions = [(Question(Way.CRL, "http://y/", authority().cert),)]
    refused(pair, "does not verify")
    assert not pair.a.ask.chains and not pair.a.seen(Work)


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
@pytest.mark.parametrize("fixed", [False, True])
def test_a_key_in_a_token(side: str, kind: str, fixed: bool) -> None:
    own = holder(A if side == "a" else B, kind)
    token = TokenKey(TokenUri(label="gw"), own.cert.public_key())
    pair = pair_of(kind, **{side: {"private_key": token}})  # type: ignore[arg-type]
    waiting = getattr(pair, side)
    pair.start()
    if fixed:
        pair.step()
        pair.b.sa.peer_hashes = ()
    pair.run()
    (work,) = waiting.seen(Work)
    assert isinstance(work.job, SignJob) and work.job.key is token
    signature = sign.sign(own.key, work.job.scheme, work.job.octets)
    waiting.do(waiting.sa, waiting.sa.resume(work.job, signature, pair.now))
    pair.run()
    pair.agree()
    assert pair.a.sa.is_established and pair.b.sa.is_established


def test_a_token_that_does_not_sign() -> None:
    for side in ("a", "b"):
        own = holder(A if side == "a" else B)
        pair = pair_of(**{side: {"private_key": TokenKey(TokenUri(label="gw"), own.cert.public_key())}})  # type: ignore[arg-type]
        waiting = getattr(pair, side)
        pair.start()
        pair.run()
        (work,) = waiting.seen(Work)
        waiting.do(waiting.sa, waiting.sa.resume(work.job, CryptoError("PIN incorrect"), pair.now))
        pair.pass_time(100)
        assert "PIN incorrect" in waiting.seen(IkeFailed)[0].reason
        assert not pair.a.machines and not pair.b.machines


def test_failure_is_told_as_authentication_failed() -> None:
    pair = pair_of(b={"send_cert": SendCert.NEVER})
    pair.start()
    pair.run()
    assert pair.a.seen(IkeFailed)[0].notify == NotifyType.AUTHENTICATION_FAILED


BASE = "http://pki.test/certs/"
FETCHES = {"fetch_certs": True, "fragmentation": False}
SOMEWHERE: dict[str, Any] = {"certificate_bases": (BASE,), "fragmentation": False}


def certs_of(pair: Pair, side: str) -> list[Cert]:
    """The CERT payloads that a side has sent."""
    sent = next(d for d in pair.log if d.data[18] == 35 and d.sender is getattr(pair, side))
    return [payload for payload in pair.peek(sent) if isinstance(payload, Cert)]


@pytest.mark.parametrize("side", ["a", "b"])
def test_hash_and_url_to_peers_that_fetch_certificates(side: str) -> None:
    """The other one waits until the certificate has been fetched, and judges it as if it had been sent."""
    pair = pair_of(**{side: SOMEWHERE, "b" if side == "a" else "a": FETCHES})
    other, own = getattr(pair, "b" if side == "a" else "a"), holder(A if side == "a" else B, "rsa")
    other.ask.served = [None, own.der]
    pair.start()
    pair.run()
    (work,) = other.seen(Work)
    assert work.job == CertificateJob(HashUrl.of(BASE, own.der), getattr(pair, side).sa.local.address)
    assert not other.sa.is_established and not other.installed
    pair.pass_time(2)
    other.do(other.sa, other.sa.resume(work.job, b"", pair.now))
    pair.run()
    pair.agree()
    (sent,) = certs_of(pair, side)
    assert sent == Cert(CertEncoding.HASH_AND_URL, HashUrl.of(BASE, own.der).emit())
    assert [x509.der(c) for c in other.sa.peer_chain] == [own.der, authority().der]
    # The other one is not told that certificates are fetched here, and sends its own.
    (back,) = certs_of(pair, "b" if side == "a" else "a")
    assert back.encoding == CertEncoding.X509_SIGNATURE


def test_certificates_that_are_nowhere_are_sent_beside_those_that_are_somewhere() -> None:
    own = below_intermediate(B)
    chain = (own.der, intermediate().der)
    pair = pair_of(a=FETCHES, b={"private_key": own.key, "certificates": chain, "certificate_bases": ("", BASE)})
    pair.a.ask.served = [intermediate().der]
    pair.up().agree()
    assert [one.encoding for one in certs_of(pair, "b")] == [CertEncoding.X509_SIGNATURE, CertEncoding.HASH_AND_URL]
    assert not pair.a.seen(Work), "what is known is not waited for"


def test_peers_that_fetch_none_get_the_certificate() -> None:
    pair = pair_of(a=SOMEWHERE, b=SOMEWHERE).up()
    assert {one.encoding for side in "ab" for one in certs_of(pair, side)} == {CertEncoding.X509_SIGNATURE}


def test_that_certificates_are_fetched_is_said_only_with_a_request() -> None:
    policy = certified(A, B, **FETCHES)
    assert cert.requests(policy)[1:] == [Notify(NotifyType.HTTP_CERT_LOOKUP_SUPPORTED)]
    assert cert.requests(replace(policy, request_certs=False)) == []
    assert cert.requests(replace(policy, peer_by_certificate=False)) == []


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_certificate_that_is_not_to_be_had(side: str) -> None:
    pair = pair_of(**{side: SOMEWHERE, "b" if side == "a" else "a": FETCHES})
    getattr(pair, "b" if side == "a" else "a").ask.served = ["the server says 404"]
    refused(pair, "the peer's certificate is not to be had: the server says 404")


def test_a_fetch_that_ends_without_a_certificate() -> None:
    pair = pair_of(a=FETCHES, b=SOMEWHERE)
    pair.a.ask.served = [None]
    pair.start()
    pair.run()
    (work,) = pair.a.seen(Work)
    pair.a.do(pair.a.sa, pair.a.sa.resume(work.job, b"", pair.now))
    assert "it did not come" in pair.a.seen(IkeFailed)[0].reason
    assert len(pair.a.seen(Work)) == 1


def test_an_intermediate_that_is_not_to_be_had_is_left_out() -> None:
    own = below_intermediate(B)
    chain = (own.der, intermediate().der)
    bases = {"private_key": own.key, "certificates": chain, "certificate_bases": ("", BASE)}
    pair = pair_of(a={**FETCHES, "anchors": (authority().der, intermediate().der)}, b=bases)
    pair.up().agree()
    assert len([line for line in pair.a.logs() if "left out: nothing is served" in line]) == 1
    refused(pair_of(a=FETCHES, b=bases), "intermediate")


def test_a_configured_certificate_needs_no_other() -> None:
    configured = {"peer_certificate": holder(B).der, "anchors": (), "peer_by_certificate": False}
    pair = pair_of(a=configured, b=SOMEWHERE)
    pair.start()
    pair.step()
    pair.b.sa.peer_fetches = True
    pair.run()
    pair.agree()
    assert any("left out: nothing is served" in line for line in pair.a.logs())


@pytest.mark.parametrize(
    ("encoding", "data", "reason"),
    [
        (
            CertEncoding.HASH_AND_URL_BUNDLE,
            bytes(20) + b"http://x/",
            "bundle of certificates by hash and URL, which is",
        ),
        (CertEncoding.HASH_AND_URL, bytes(20), "one of them is missing"),
        (CertEncoding.HASH_AND_URL, bytes(20) + b"http://\n", "are no URL"),
    ],
)
def test_other_things_by_hash_and_url(
    encoding: CertEncoding, data: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cert, "to_send", lambda sa, policy, method: [Cert(encoding, data)])
    pair = pair_of()
    refused(pair, reason)
    assert not pair.a.ask.named and not pair.b.ask.named


def test_no_more_than_four_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [Cert(CertEncoding.HASH_AND_URL, HashUrl.of(BASE, bytes([n])).emit()) for n in range(9)]
    monkeypatch.setattr(cert, "to_send", lambda sa, policy, method: many)
    pair = pair_of()
    pair.b.ask.served = [holder(A).der]
    pair.start()
    pair.run()
    assert {what.url for what, _ in pair.b.ask.named} == {HashUrl.of(BASE, bytes([n])).url for n in range(4)}
    assert len([line for line in pair.b.logs() if "more than 4 certificates" in line]) == 5


def test_nothing_is_looked_up_for_other_proofs(monkeypatch: pytest.MonkeyPatch) -> None:
    named = [Cert(CertEncoding.HASH_AND_URL, HashUrl.of(BASE, b"x").emit())]
    monkeypatch.setattr(cert, "to_send", lambda sa, policy, method: named)
    pair = Pair().up()
    assert not pair.b.ask.named and not pair.a.ask.named
