# SPDX-License-Identifier: GPL-2.0-or-later
"""Proofs: shared keys, raw RSA keys old and new way, null, and everything that must not pass for one."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from openswan.crypto import rsakey
from openswan.ike.effects import IkeEstablished, IkeFailed, Work
from openswan.ike.events import RekeyIke
from openswan.ike.later import KeysJob
from openswan.ike.policy import IkePolicy
from openswan.ike.v2.core import Core
from openswan.ike.v2.tasks import auth
from openswan.policy.connection import Auth as Means
from openswan.policy.gateways import Published
from openswan.policy.grade import Grade
from openswan.policy.identity import NOBODY, parse_identity
from openswan.wire.v2.auth import Auth, DigitalSignature
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import AuthMethod, NotifyType
from tests.unit.ike.pair import Pair, ike_policy
from tests.unit.ike.pki import key


def public(private: Any) -> bytes:
    return rsakey.encode_public(private.public_key())


def raw(me: str, peer: str, own: Any, peers: tuple[bytes, ...], **more: Any) -> IkePolicy:
    values: dict[str, Any] = {
        "my_auth": Means.RSASIG,
        "peer_auth": Means.RSASIG,
        "psk": b"",
        "private_key": own,
        "peer_keys": peers,
    }
    return ike_policy(me, peer, **{**values, **more})


def raw_pair(a: dict[str, Any] | None = None, b: dict[str, Any] | None = None) -> Pair:
    first, second = key("rsa", 1), key("rsa", 2)
    return Pair(
        raw("@a", "@b", first, (public(second),), **(a or {})), raw("@b", "@a", second, (public(first),), **(b or {}))
    )


def refused(pair: Pair, reason: str) -> None:
    pair.start()
    pair.pass_time(100)
    reasons = [e.reason for side in (pair.a, pair.b) for e in side.seen(IkeFailed)]
    assert any(reason in text for text in reasons), reasons
    assert not pair.a.machines and not pair.b.machines
    assert not pair.a.installed and not pair.b.installed


def method_of(pair: Pair, name: str) -> AuthMethod:
    datagram = next(d for d in pair.log if d.data[18] == 35 and d.sender.name == name)
    return next(p.method for p in pair.peek(datagram) if isinstance(p, Auth))


def test_raw_rsa_keys_by_method_14() -> None:
    pair = raw_pair().up()
    assert method_of(pair, "a") == method_of(pair, "b") == AuthMethod.DIGITAL_SIGNATURE
    pair.agree()


def test_raw_rsa_keys_by_method_1() -> None:
    pair = raw_pair()
    pair.start()
    pair.step()
    pair.b.sa.peer_hashes = ()
    pair.run()
    assert pair.a.sa.is_established
    assert method_of(pair, "b") == AuthMethod.RSA


def test_one_of_several_keys() -> None:
    pair = raw_pair(a={"peer_keys": (public(key("rsa", 3)), public(key("rsa", 2)))}).up()
    pair.agree()


def test_exponent_three() -> None:
    small = rsa.generate_private_key(3, 2048)
    Pair(raw("@a", "@b", small, (public(key("rsa", 2)),)), raw("@b", "@a", key("rsa", 2), (public(small),))).up()


def test_wrong_or_missing_keys() -> None:
    refused(raw_pair(a={"peer_keys": (public(key("rsa", 3)),)}), "failed (wrong key?)")
    refused(raw_pair(b={"peer_keys": ()}), "no RSA public key known for '@a'")
    refused(raw_pair(b={"peer_keys": (b"\3", b"")}), "no RSA public key known for '@a'")
    refused(raw_pair(a={"private_key": None}), "unable to locate my private key")
    refused(raw_pair(b={"private_key": None}), "unable to locate my private key")


def test_one_side_by_key_the_other_by_secret() -> None:
    second = key("rsa", 2)
    a = ike_policy(my_auth=Means.PSK, peer_auth=Means.RSASIG, peer_keys=(public(second),))
    b = ike_policy("@b", "@a", my_auth=Means.RSASIG, peer_auth=Means.PSK, private_key=second)
    Pair(a, b).up().agree()


def test_shared_keys() -> None:
    Pair(ike_policy(psk=b"x"), ike_policy("@b", "@a", psk=b"x")).up()
    refused(
        Pair(ike_policy(psk=b"x"), ike_policy("@b", "@a", psk=b"y")), '"test": PSK authentication failed AUTH mismatch!'
    )
    differ = Pair(ike_policy(psk=b"x"), ike_policy("@b", "@a", psk=b"y"))
    refused(differ, "compare ipsec.secrets")
    (told,) = differ.a.seen(IkeFailed)
    assert told.reason.endswith("the peer's log says which)"), "whoever began is told too, and no more"


def test_no_shared_key() -> None:
    # CVE-2024-2357
    refused(Pair(ike_policy(psk=b""), ike_policy("@b", "@a")), "No matching PSK found for connection:test")
    refused(Pair(ike_policy(), ike_policy("@b", "@a", psk=b"")), "No matching PSK found for connection:test")


def test_null_only_where_both_allow_it() -> None:
    null = {"my_auth": Means.NULL, "peer_auth": Means.NULL, "psk": b""}
    Pair(ike_policy(**null), ike_policy("@b", "@a", **null)).up().agree()
    refused(Pair(ike_policy(**null), ike_policy("@b", "@a")), "authenticates by NULL, the connection wants PSK")


def test_another_way_than_the_connection_wants() -> None:
    second = key("rsa", 2)
    refused(
        Pair(ike_policy(), raw("@b", "@a", second, (), peer_auth=Means.RSASIG)),
        "authenticates by PSK, the connection wants RSASIG",
    )


def test_preference_among_several_ways() -> None:
    both = Means.PSK | Means.RSASIG | Means.ECDSA
    assert auth.my_means(ike_policy(my_auth=both)) is Means.PSK
    assert auth.my_means(ike_policy(my_auth=both, private_key=key("rsa", 1))) is Means.RSASIG
    assert auth.my_means(ike_policy(my_auth=both, private_key=key("ecdsa"))) is Means.ECDSA


@pytest.mark.parametrize("method", [*range(0, 20), 200, 255])
def test_proofs_of_every_method_with_nonsense(method: int, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = auth.make

    def lie(sa: Core, policy: IkePolicy, me: Any) -> Auth:
        proof = honest(sa, policy, me)
        return Auth(AuthMethod(method), bytes(len(proof.data)))

    monkeypatch.setattr(auth, "make", lie)
    everything = Means.PSK | Means.RSASIG | Means.ECDSA | Means.NULL
    for pair in (
        Pair(ike_policy(peer_auth=everything)),
        raw_pair(a={"peer_auth": everything}, b={"peer_auth": everything}),
    ):
        pair.start()
        pair.pass_time(100)
        assert not pair.a.installed and not pair.b.installed
        assert pair.b.seen(IkeFailed)


@pytest.mark.parametrize("algorithm", [b"\x30", b"\x30\x00", b"\x30\x0d" + bytes(13), b"x" * 255])
def test_signature_algorithms_nobody_knows(algorithm: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def lie(sa: Core, policy: IkePolicy, me: Any) -> Auth:
        return Auth(AuthMethod.DIGITAL_SIGNATURE, DigitalSignature(algorithm, bytes(256)).emit())

    monkeypatch.setattr(auth, "make", lie)
    refused(raw_pair(), "algorithm we do not know")


def test_every_octet_of_a_signature_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = auth.make
    for change in (lambda d: d[:-1], lambda d: d + b"\0", lambda d: d[:-1] + bytes([d[-1] ^ 1]), lambda d: d[:17]):
        monkeypatch.setattr(
            auth, "make", lambda sa, policy, me, change=change: _changed(honest(sa, policy, me), change)
        )
        pair = raw_pair()
        pair.start()
        pair.run()
        assert pair.b.seen(IkeFailed)
        assert not pair.b.installed


def _changed(proof: Auth, change: Any) -> Auth:
    return Auth(proof.method, change(proof.data))


NULL = {"my_auth": Means.NULL, "peer_auth": Means.NULL, "psk": b""}


def test_who_proves_nothing_is_nobody_whatever_it_says() -> None:
    pair = Pair(ike_policy("@somebody", None, **NULL), ike_policy("%null", "%null", **NULL)).up()
    pair.agree()
    assert pair.a.sa.peer_id == pair.b.sa.peer_id == pair.a.sa.my_id == NOBODY
    assert pair.a.sa.anonymous and pair.b.sa.anonymous
    [question] = pair.b.ask.child_questions
    assert question.anonymous and question.peer_id == NOBODY


def test_nobody_cannot_send_others_away() -> None:
    """INITIAL_CONTACT is not sent by nobody, and not heard from nobody (RFC 7619 2.3)."""
    null = {**NULL, "initial_contact": True}
    pair = Pair(ike_policy("%null", "%null", **null), ike_policy("%null", "%null", **NULL)).up()
    assert not [e for e in pair.b.seen(IkeEstablished) if e.initial_contact]
    datagram = next(d for d in pair.log if d.data[18] == 35)
    assert all(p.kind != NotifyType.INITIAL_CONTACT for p in pair.peek(datagram) if isinstance(p, Notify))


def test_an_unproved_name_in_a_proof_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "my_identity", lambda sa, policy: policy.my_id)
    pair = Pair(ike_policy("@boss", None, **NULL), ike_policy("%null", "%null", **NULL)).up()
    assert pair.b.sa.peer_id == NOBODY
    assert any("not proved and not used: '@boss'" in line for line in pair.b.logs())


def test_nobody_with_a_proof_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "my_identity", lambda sa, policy: NOBODY)
    refused(Pair(ike_policy("@a", "@b"), ike_policy("@b", None)), "claims to be nobody")


@pytest.mark.parametrize("role", ["initiator", "responder"])
def test_only_one_side_proves_itself(role: str) -> None:
    server, client = key("rsa", 2), key("rsa", 1)
    nobody = ike_policy("%null", "@b", my_auth=Means.NULL, peer_auth=Means.RSASIG, psk=b"", peer_keys=(public(server),))
    known = raw("@b", "%null", server, (), peer_auth=Means.NULL)
    assert client
    pair = (Pair(nobody, known) if role == "initiator" else Pair(known, nobody)).up()
    pair.agree()
    ends = (pair.a, pair.b) if role == "initiator" else (pair.b, pair.a)
    assert not ends[0].sa.anonymous and ends[1].sa.anonymous
    # Rekeying the IKE SA does not make anybody of nobody.
    pair.a.request(RekeyIke(7))
    pair.run()
    assert [side.sa.anonymous for side in ends] == [False, True]


def by_dns(**more: Any) -> Pair:
    """The responder knows the initiator's key from the DNS alone."""
    pair = raw_pair(b={"peer_keys": (), "peer_published": True, **more})
    pair.b.ask.dns = ["a.example", Published((key("rsa", 1).public_key(),), Grade.DNSSEC, 60.0)]
    return pair


def test_a_key_is_looked_up_before_its_proof_is_judged() -> None:
    pair = by_dns()
    pair.start()
    pair.run()
    (work,) = pair.b.seen(Work)
    assert work.job == KeysJob("a.example") and str(work.job) == "the DNS to say which keys a.example has"
    assert not pair.b.sa.is_established and pair.b.sa.peer_grade is None
    pair.b.do(pair.b.sa, pair.b.sa.resume(work.job, b"", pair.now))
    pair.run()
    pair.agree()
    assert pair.b.sa.peer_grade is Grade.DNSSEC and pair.a.sa.peer_grade is None
    assert pair.b.ask.claims == [(parse_identity("@a"), pair.endpoint_a.address)] * 2
    pair.b.request(RekeyIke())
    pair.run()
    assert pair.b.sa.peer_grade is Grade.DNSSEC, "a successor is as good"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Published((), reason="no record"), "the DNS has no public key for '@a': no record"),
        (Published((key("rsa", 3).public_key(),)), "wrong key?"),
        ("a.example", "the DNS has no public key for '@a': it does not answer"),
    ],
    ids=["none", "another", "still not known"],
)
def test_what_the_dns_says_does_not_let_everybody_in(said: Published | str, reason: str) -> None:
    pair = by_dns()
    pair.b.ask.dns[1] = said
    pair.start()
    pair.run()
    (work,) = pair.b.seen(Work)
    pair.b.do(pair.b.sa, pair.b.sa.resume(work.job, b"", pair.now))
    pair.run()
    assert any(reason in each.reason for each in pair.b.seen(IkeFailed)) and not pair.b.installed
