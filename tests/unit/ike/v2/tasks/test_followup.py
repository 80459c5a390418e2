# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE_FOLLOWUP_KE: new children, rekeyed ones and rekeyed IKE SAs with ML-KEM; collisions, losses, odd messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openswan.crypto import keymat
from openswan.ike.effects import RequestFailed
from openswan.ike.events import CreateChild, DeleteChild, RekeyChild, RekeyIke
from openswan.ike.v2.tasks import followup
from openswan.policy.proposal import Proposal, Transform
from openswan.wire.v2.ke import Ke
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import DhId, NotifyType
from tests.unit.ike.pair import GCM, X25519, Pair, child_policy, ike_policy
from tests.unit.ike.v2.tasks.test_intermediate import HYBRID, KEM768, KEM1024, TWICE

ESP = Proposal(3, (GCM,), dh=(X25519,), addke=((KEM768,),))
ESP_TWICE = replace(ESP, addke=((KEM768,), (KEM1024,)))
FOLLOWUP = 44


def pair(ike: Proposal = HYBRID, esp: Proposal = ESP, **more: Any) -> Pair:
    a = ike_policy("@a", "@b", proposals=(ike,), **more)
    b = ike_policy("@b", "@a", proposals=(ike,), **more)
    return Pair(a, b, child=child_policy(proposals=(esp,))).up()


def followups(it: Pair) -> int:
    return len({(d.sender.name, d.data[:28]) for d in it.log if d.data[18] == FOLLOWUP and not d.data[19] & 0x20})


def test_a_new_child() -> None:
    it = pair(esp=ESP_TWICE)
    it.a.request(CreateChild(replace(it.child), 5))
    it.run()
    it.agree()
    assert len(it.a.installed) == 2 and not it.b.sa.followups
    assert [c.chosen.addke for c in it.a.installed.values()] == [(), (KEM768, KEM1024)]


@pytest.mark.parametrize("who", ["a", "b"])
def test_a_rekeyed_child(who: str) -> None:
    it = pair()
    side = getattr(it, who)
    [old] = side.installed
    side.request(RekeyChild(old, 5))
    it.run()
    it.agree()
    assert len(it.a.installed) == 1 and old not in side.installed
    assert next(iter(it.a.installed.values())).chosen.addke == (KEM768,)


@pytest.mark.parametrize("who", ["a", "b"])
def test_a_rekeyed_ike_sa(who: str) -> None:
    it = pair(TWICE)
    before = it.a.sa
    getattr(it, who).request(RekeyIke(5))
    it.run()
    it.agree()
    assert it.a.sa is not before and it.a.sa.chosen is not None and it.a.sa.chosen.addke == (KEM768, KEM1024)
    assert it.a.sa.keys is not None and it.b.sa.keys is not None
    assert it.a.sa.keys.d.data == it.b.sa.keys.d.data
    it.b.request(CreateChild(it.b.ask.children[0], 6))
    it.run()
    it.agree()


def test_the_secrets_stand_behind_the_nonces(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9370 2.2.4: KEYMAT = prf+(SK_d, SK(0) | Ni | Nr | SK(1) | ...)."""
    seen: list[tuple[bytes, bytes]] = []
    real = keymat.keymat

    def watch(prf: Any, d: Any, ni: bytes, nr: bytes, count: int, shared: bytes = b"", more: bytes = b"") -> bytes:
        seen.append((shared, more))
        made = real(prf, d, ni, nr, count, shared, more)
        assert made == prf.plus(d.data, shared + ni + nr + more, count)
        return made

    monkeypatch.setattr(keymat, "keymat", watch)
    it = pair(esp=ESP_TWICE)
    it.a.request(CreateChild(it.child, 5))
    it.run()
    assert [(len(shared), len(more)) for shared, more in seen[-2:]] == [(32, 64)] * 2 and seen[-1] == seen[-2]


@pytest.mark.parametrize("lost", range(6))
@pytest.mark.parametrize("what", ["child", "ike"])
def test_every_message_may_be_lost_once(lost: int, what: str) -> None:
    it = pair()
    start = len(it.log)
    it.filter = lambda d: len(it.log) != start + lost + 1
    it.a.request(RekeyChild(next(iter(it.a.installed)), 5) if what == "child" else RekeyIke(5))
    it.pass_time(30)
    it.agree()
    assert len(it.a.installed) == 1 and followups(it) >= 1


@pytest.mark.parametrize("what", ["child", "ike"])
def test_both_at_once_try_again_one_after_the_other(what: str) -> None:
    it = pair()
    for side in (it.a, it.b):
        side.request(RekeyChild(next(iter(side.installed)), 5) if what == "child" else RekeyIke(5))
    it.pass_time(60)
    it.agree()
    assert len(it.a.installed) == 1 and not it.a.sa.followups and not it.b.sa.followups
    assert it.a.sa.is_established and it.b.sa.is_established


def test_the_child_is_closed_meanwhile() -> None:
    it = pair()
    it.a.request(RekeyChild(next(iter(it.a.installed)), 5))
    it.step()
    it.b.request(DeleteChild(next(iter(it.b.installed)), 6))
    it.pass_time(30)
    it.agree()


def at_followup(it: Pair) -> None:
    it.a.request(CreateChild(it.child, 5))
    it.step()
    it.step()
    [datagram] = [d for d in it.wire if d.data[18] == FOLLOWUP][:1]
    it.wire.clear()
    assert datagram and len(it.b.sa.followups) == 1


@pytest.mark.parametrize("link", [b"", b"x" * 16, None])
def test_an_exchange_that_belongs_to_nothing(link: bytes | None) -> None:
    it = pair(fragmentation=False)
    at_followup(it)
    payloads: list[Any] = [Ke(DhId.ML_KEM_768, bytes(1184))]
    payloads += [] if link is None else [Notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, link)]
    it.inject(it.a, it.forge(it.a, FOLLOWUP, payloads, message_id=it.b.sa.receive_window.expected))
    it.run()
    [failed] = it.a.seen(RequestFailed)
    assert failed.notify == NotifyType.STATE_NOT_FOUND and it.a.sa.is_established
    it.agree()


def test_agreements_are_not_remembered_for_ever() -> None:
    it = pair(fragmentation=False)
    for number in range(6):
        followup.begin(it.b.sa, followup.Pending([KEM768], lambda more, now: None, it.now + 60, replaces=number + 1))
    assert len(it.b.sa.followups) == followup.MOST_PENDING
    assert followup.pending(it.b.sa, it.now, replaces=6) and not followup.pending(it.b.sa, it.now, replaces=1)
    assert not followup.pending(it.b.sa, it.now + 61, replaces=6) and not it.b.sa.followups


def test_an_answer_without_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followup, "begin", lambda sa, pending: [])
    it = pair()
    it.a.request(CreateChild(it.child, 5))
    it.run()
    assert "how they are linked" in it.a.seen(RequestFailed)[0].reason
    assert len(it.a.installed) == 1


def test_a_peer_without_the_method_gets_its_sas_without() -> None:
    classic = Proposal(3, (GCM,), dh=(X25519,))
    either = replace(ESP, addke=((KEM768, Transform("none")),))
    a = ike_policy("@a", "@b", proposals=(HYBRID,))
    b = ike_policy("@b", "@a", proposals=(HYBRID,))
    it = Pair(a, b, child=child_policy(proposals=(either, classic)))
    it.b.ask.children = [replace(it.b.ask.children[0], proposals=(classic,))]
    it.up()
    it.a.request(RekeyChild(next(iter(it.a.installed)), 5))
    it.run()
    it.agree()
    assert next(iter(it.a.installed.values())).chosen.addke == () and followups(it) == 0
