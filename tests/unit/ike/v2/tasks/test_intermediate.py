# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE_INTERMEDIATE and additional key exchanges: ML-KEM beside X25519, what AUTH covers, all that is out of place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openswan.crypto import dh
from openswan.crypto.keymat import IkeKeys
from openswan.crypto.prf import Prf
from openswan.crypto.secret import Secret
from openswan.ike.effects import IkeFailed
from openswan.ike.v2.states import State
from openswan.ike.v2.tasks import intermediate
from openswan.policy.proposal import NO_KE, Proposal, Transform
from openswan.wire.header import Flags, Header
from openswan.wire.v2.ke import Ke
from openswan.wire.v2.numbers import DhId, ExchangeType, NotifyType, PayloadType
from tests.unit.ike.pair import GCM, IKE_GCM, PRF, X25519, Pair, ike_policy

KEM768, KEM1024 = Transform("ml_kem_768"), Transform("ml_kem_1024")
HYBRID = Proposal(1, (GCM,), (), (PRF,), (X25519,), addke=((KEM768,),))
TWICE = Proposal(1, (GCM,), (), (PRF,), (X25519,), addke=((KEM768,), (KEM1024,)))
OPTIONAL = Proposal(1, (GCM,), (), (PRF,), (X25519,), addke=((KEM768, NO_KE),))
INTERMEDIATE = 43


def pair(ours: Proposal | tuple[Proposal, ...] = HYBRID, theirs: Any = None, **more: Any) -> Pair:
    ours = ours if isinstance(ours, tuple) else (ours,)
    theirs = ours if theirs is None else theirs if isinstance(theirs, tuple) else (theirs,)
    a = ike_policy("@a", "@b", proposals=ours, **more)
    return Pair(a, ike_policy("@b", "@a", proposals=theirs, **more))


def rounds(it: Pair) -> int:
    return len({d.data[20:24] for d in it.log if d.data[18] == INTERMEDIATE and d.sender is it.a})


def refused(it: Pair, why: str) -> None:
    it.start()
    it.pass_time(100)
    reasons = [e.reason for side in (it.a, it.b) for e in side.seen(IkeFailed)]
    assert any(why in reason for reason in reasons), reasons
    assert not it.a.machines and not it.b.machines and not it.a.installed and not it.b.installed


@pytest.mark.parametrize(("proposal", "count"), [(HYBRID, 1), (TWICE, 2), (OPTIONAL, 1)])
def test_ml_kem_beside_x25519(proposal: Proposal, count: int) -> None:
    it = pair(proposal).up()
    it.agree()
    assert rounds(it) == count == it.a.sa.intermediates == it.b.sa.intermediates
    chosen = it.a.sa.chosen
    assert chosen is not None and chosen == it.b.sa.chosen and chosen.addke[0] == KEM768
    assert "group=x25519+mlkem768" in str(chosen)


def test_without_where_that_will_do() -> None:
    for ours, theirs in (((HYBRID, IKE_GCM), IKE_GCM), (IKE_GCM, (HYBRID, IKE_GCM)), (OPTIONAL, IKE_GCM)):
        it = pair(ours, theirs)
        it.start()
        it.run()
        if ours is OPTIONAL:
            # Whoever does not know the transform types passes over the proposal (RFC 9370 2.2.1).
            continue
        it.agree()
        assert rounds(it) == 0 and it.a.sa.chosen is not None and it.a.sa.chosen.addke == ()


def test_the_keys_change_with_each_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    renew = intermediate.renew

    def watch(sa: Any, shared: bytes) -> None:
        before = bytes(sa.keys.d.data)
        renew(sa, shared)
        assert bytes(sa.keys.d.data) != before
        seen.append(bytes(sa.keys.d.data))

    monkeypatch.setattr(intermediate, "renew", watch)
    pair(TWICE).up().agree()
    assert len(seen) == 4 and len(set(seen)) == 2


@pytest.mark.parametrize("lost", range(8))
def test_every_datagram_may_be_lost_once(lost: int) -> None:
    it = pair(TWICE, fragment_size=600)
    it.filter = lambda d: len([x for x in it.log if x.data[18] in (INTERMEDIATE, 35)]) != lost + 1
    it.start()
    it.pass_time(30)
    it.agree()
    assert it.a.installed


def test_an_exchange_with_nothing_in_it() -> None:
    it = pair(IKE_GCM, intermediate=True).up()
    it.agree()
    assert rounds(it) == 1
    assert rounds(pair(IKE_GCM, IKE_GCM).up()) == 0


def test_auth_covers_the_exchanges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody in the middle who could change them would be noticed."""
    remember = intermediate.remember

    def differently(sa: Any, header: Any, first: Any, content: bytes, initiator: bool) -> None:
        remember(sa, header, first, content + b"x" * (sa.is_initiator and initiator), initiator)

    monkeypatch.setattr(intermediate, "remember", differently)
    refused(pair(IKE_GCM, intermediate=True), "AUTH mismatch")


def test_what_auth_covers_octet_for_octet() -> None:
    """RFC 9242 3.3.2, figure 1: lengths without IV, padding and checksum, then the payloads in clear."""

    class Sa:
        intermediate_i = b"before"
        intermediate_r = b""

        def need_keys(self) -> Any:
            keys = IkeKeys(*(Secret(bytes([n]) * 32) for n in range(7)))
            return Prf("prf_hmac_sha2_256"), keys, None

    sa: Any = Sa()
    header = Header(b"i" * 8, b"r" * 8, ExchangeType.IKE_INTERMEDIATE, Flags.INITIATOR, 1)
    intermediate.remember(sa, header, PayloadType.KE, b"content", True)
    a = b"i" * 8 + b"r" * 8 + bytes.fromhex("2e202b08 00000001 00000027") + bytes.fromhex("2200000b")
    assert sa.intermediate_i == Prf("prf_hmac_sha2_256")(bytes([5]) * 32, b"before" + a + b"content")


def at_intermediate(it: Pair) -> None:
    it.start()
    for _ in range(2):
        it.step()
    assert it.b.sa.state is State.R1 and it.wire
    it.wire.clear()


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [Ke(DhId(31), bytes(32))],
        [Ke(DhId.ML_KEM_768, bytes(1183))],
        [Ke(DhId.ML_KEM_768, b"\xff" * 1184)],
        [Ke(DhId.ML_KEM_1024, bytes(1568))],
    ],
)
def test_a_wrong_key_ends_it(payloads: list[Ke]) -> None:
    it = pair()
    at_intermediate(it)
    it.inject(it.a, it.forge(it.a, INTERMEDIATE, payloads, message_id=1))
    assert it.b.sa.state is State.LINGER
    assert it.b.seen(IkeFailed)[0].notify == NotifyType.INVALID_SYNTAX


def test_ike_auth_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intermediate, "due", lambda sa: None)
    refused(pair(), "IKE_AUTH before the key exchange of ml_kem_768")


def test_no_more_than_were_agreed_on() -> None:
    it = pair(IKE_GCM, intermediate=True)
    at_intermediate(it)
    it.filter = lambda d: False
    for number in range(1, 6):
        it.inject(it.a, it.forge(it.a, INTERMEDIATE, [], message_id=number))
    assert it.b.sa.intermediates == intermediate.MOST_EMPTY and it.b.sa.state is State.R1


def test_an_exchange_nobody_announced_is_ignored() -> None:
    it = pair(IKE_GCM)
    at_intermediate(it)
    it.inject(it.a, it.forge(it.a, INTERMEDIATE, [], message_id=1))
    assert it.b.sa.intermediates == 0 and not it.wire


def test_a_forged_ciphertext_gives_other_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """ML-KEM rejects implicitly: the next message does not open."""
    respond = dh.respond

    def forge(group: str, peer: bytes, rng: Any) -> tuple[bytes, bytes]:
        public, shared = respond(group, peer, rng)
        return bytes(len(public)) if group == "ml_kem_768" else public, shared

    monkeypatch.setattr(dh, "respond", forge)
    it = pair()
    it.start()
    it.pass_time(100)
    assert not it.a.installed and not it.b.installed


def test_agreement_without_the_exchange_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from openswan.ike.v2.tasks import extensions

    monkeypatch.setattr(extensions, "_intermediate", lambda policies: False)
    refused(pair(), "without IKE_INTERMEDIATE")
    assert replace(HYBRID, addke=()) != HYBRID
