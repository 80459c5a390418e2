# SPDX-License-Identifier: GPL-2.0-or-later
"""Postquantum preshared keys: every row of RFC 8784 table 1, and what the keys become."""

from __future__ import annotations

from typing import Any

import pytest

from openswan.crypto import keymat
from openswan.crypto.prf import Prf
from openswan.crypto.secret import Secret
from openswan.ike.effects import IkeFailed
from openswan.ike.events import RekeyIke
from openswan.policy.connection import Auth as Means
from openswan.policy.connection import PpkUse
from openswan.wire.message import Message
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType
from tests.unit.ike.pair import Pair, ike_policy
from tests.unit.ike.pki import certified
from tests.unit.ike.v2.tasks.test_eap_auth import client, server

NO, PROPOSE, INSIST = PpkUse.NO, PpkUse.PROPOSE, PpkUse.INSIST
ONE = ((b"one", b"a secret of many random octets"),)
OTHER = ((b"two", b"another one"),)
FALSE = ((b"one", b"not the same"),)


def pair(a: PpkUse, b: PpkUse, ours: Any = ONE, theirs: Any = ONE) -> Pair:
    return Pair(ike_policy("@a", "@b", ppk=a, ppks=ours), ike_policy("@b", "@a", ppk=b, ppks=theirs))


def mixed(it: Pair) -> bool:
    used = [any("used as additional IKE secret" in line for line in side.logs()) for side in (it.a, it.b)]
    without = [any("without" in line for line in side.logs()) for side in (it.a, it.b)]
    assert it.a.sa.keys_without_ppk is None and it.b.sa.keys_without_ppk is None
    return all(used) and not any(without)


@pytest.mark.parametrize("a", [PROPOSE, INSIST])
@pytest.mark.parametrize("b", [PROPOSE, INSIST])
def test_both_have_it(a: PpkUse, b: PpkUse) -> None:
    it = pair(a, b).up()
    it.agree()
    assert mixed(it)
    it.a.request(RekeyIke(1))
    it.run()
    it.agree()


@pytest.mark.parametrize(
    ("a", "b", "ours", "theirs"),
    [
        (NO, PROPOSE, ONE, ONE),
        (PROPOSE, NO, ONE, ONE),
        (PROPOSE, PROPOSE, ONE, ()),
        (PROPOSE, PROPOSE, (), ONE),
        (PROPOSE, PROPOSE, ONE, OTHER),
        (NO, NO, ONE, ONE),
    ],
)
def test_without_where_that_will_do(a: PpkUse, b: PpkUse, ours: Any, theirs: Any) -> None:
    it = pair(a, b, ours, theirs).up()
    it.agree()
    assert not mixed(it)


@pytest.mark.parametrize(
    ("a", "b", "ours", "theirs", "why"),
    [
        (INSIST, NO, ONE, ONE, "the peer does not want one"),
        (INSIST, PROPOSE, (), ONE, "there is none in ipsec.secrets"),
        (NO, INSIST, ONE, ONE, "the peer does not use one"),
        (PROPOSE, INSIST, ONE, OTHER, "we have none of the name 'one'"),
        (INSIST, PROPOSE, ONE, OTHER, "insists on a PPK 'one'"),
        (PROPOSE, PROPOSE, ONE, FALSE, "AUTH mismatch"),
        (INSIST, INSIST, ONE, FALSE, "AUTH mismatch"),
    ],
)
def test_refused(a: PpkUse, b: PpkUse, ours: Any, theirs: Any, why: str) -> None:
    it = pair(a, b, ours, theirs)
    it.start()
    it.pass_time(100)
    reasons = [e.reason for side in (it.a, it.b) for e in side.seen(IkeFailed)]
    assert any(why in reason for reason in reasons), reasons
    assert not it.a.machines and not it.b.machines and not it.a.installed and not it.b.installed


def test_an_initiator_that_insists_takes_no_answer_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """A responder that pretends to have no PPK: its AUTH would be good, and is refused."""
    it = pair(PROPOSE, PROPOSE, ONE, OTHER)
    it.start()
    for _ in range(3):
        it.step()
    it.a.sa.tasks[0].policy = ike_policy("@a", "@b", ppk=INSIST, ppks=ONE)  # type: ignore[attr-defined]
    it.run()
    assert any("the peer goes on without" in e.reason for e in it.a.seen(IkeFailed))


@pytest.mark.parametrize("data", [b"", b"\x01one", b"\x02", b"\x02" + b"x" * 5000, b"\xffone"])
def test_odd_names(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    it = pair(PROPOSE, PROPOSE)
    it.start()
    it.step()
    it.step()
    [datagram] = it.wire
    payloads = [
        Notify(p.kind, data) if isinstance(p, Notify) and p.kind == NotifyType.PPK_IDENTITY else p
        for p in it.peek(datagram)
    ]
    channel = it.a.sa.channel
    assert channel is not None
    it.wire.clear()
    it.inject(it.a, channel.seal(Message.parse(datagram.data).header, payloads, it.rng_a)[0])
    it.run()
    assert it.a.sa.is_established and not mixed(it), "NO_PPK_AUTH is there"


@pytest.mark.parametrize("use", [PROPOSE, INSIST])
def test_with_signatures_and_with_eap(use: PpkUse) -> None:
    more: dict[str, Any] = {"ppk": use, "ppks": ONE}
    it = Pair(certified("a", "b", **more), certified("b", "a", **more)).up()
    it.agree()
    assert mixed(it)
    it = Pair(client(**more), server(**more))
    it.a.ask.passwords = it.b.ask.passwords = {"joe": "secret"}
    it.up().agree()
    assert mixed(it)
    null: dict[str, Any] = {"my_auth": Means.NULL, "peer_auth": Means.NULL, "psk": b"", **more}
    assert mixed(Pair(ike_policy("%null", "%null", **null), ike_policy("%null", "%null", **null)).up())


def test_what_the_keys_become() -> None:
    prf = Prf("prf_hmac_sha2_256")
    keys = keymat.IkeKeys(*(Secret(bytes([n]) * 32) for n in range(7)))
    made = keymat.with_ppk(prf, b"ppk", keys)
    assert set(made) == {"d", "pi", "pr"} and len({bytes(s.data) for s in made.values()}) == 3
    # prf+ of 32 octets is one round: prf(PPK, SK_d' | 0x01) (RFC 8784 3).
    assert bytes(made["d"].data) == prf(b"ppk", bytes(keys.d.data) + b"\x01")
