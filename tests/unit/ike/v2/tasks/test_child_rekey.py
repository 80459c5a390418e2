# SPDX-License-Identifier: GPL-2.0-or-later
"""Rekeying a child: alone, with and without PFS, from either end, both at once, and what must be refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.ike.effects import ChildEstablished, ChildGone, Gone, RequestFailed
from openswan.ike.events import DeleteChild, RekeyChild
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType, ProtocolId
from tests.unit.ike.pair import (
    ECP256,
    ESP_GCM,
    IKE_GCM,
    MODP2048,
    X25519,
    Datagram,
    Pair,
    Side,
    child_policy,
    ike_policy,
    mirrored,
    opened,
)


def only(side: Side) -> int:
    assert len(side.installed) == 1
    return next(iter(side.installed))


@pytest.mark.parametrize("pfs", [True, False])
@pytest.mark.parametrize("who", ["a", "b"])
def test_rekey(pfs: bool, who: str) -> None:
    pair = Pair(child=child_policy(pfs=pfs)).up()
    asker, other = (pair.a, pair.b) if who == "a" else (pair.b, pair.a)
    old = only(asker)
    old_keys = asker.installed[old].enc_in
    asker.request(RekeyChild(old, 9))
    pair.run()
    pair.agree()
    new = asker.seen(ChildEstablished)[-1]
    assert (new.replaces, new.initiator, new.token) == (old, True, 9)
    assert new.chosen.dh == (X25519 if pfs else None)
    assert new.enc_in != old_keys
    gone = asker.seen(ChildGone)[-1]
    assert (gone.spi_in, gone.reason, gone.replaced_by) == (old, Gone.REPLACED, new.spi_in)
    there = other.seen(ChildEstablished)[-1]
    assert there.replaces and not there.initiator
    assert other.seen(ChildGone)[-1].reason is Gone.REPLACED
    assert other.seen(ChildGone)[-1].replaced_by == there.spi_in


def test_new_child_is_installed_before_the_old_one_goes() -> None:
    pair = Pair().up()
    pair.a.request(RekeyChild(only(pair.a)))
    pair.run()
    for side in (pair.a, pair.b):
        kinds = [type(e) for e in side.effects if isinstance(e, ChildEstablished | ChildGone)]
        assert kinds == [ChildEstablished, ChildEstablished, ChildGone]


def test_pfs_with_another_group_than_the_first_guess() -> None:
    mine = replace(ESP_GCM, dh=(MODP2048, ECP256))
    theirs = replace(ESP_GCM, dh=(ECP256,))
    pair = Pair(child=child_policy(proposals=(mine,)), child_b=mirrored(child_policy(proposals=(theirs,)))).up()
    pair.a.request(RekeyChild(only(pair.a)))
    pair.run()
    pair.agree()
    assert pair.a.seen(ChildEstablished)[-1].chosen.dh == ECP256


def test_responder_without_pfs_grants_it() -> None:
    pair = Pair(child_b=mirrored(child_policy(pfs=False))).up()
    pair.a.request(RekeyChild(only(pair.a)))
    pair.run()
    pair.agree()
    assert pair.a.seen(ChildEstablished)[-1].chosen.dh == X25519


def test_responder_with_pfs_refuses_to_do_without() -> None:
    pair = Pair(child=child_policy(pfs=False), child_b=mirrored(child_policy(pfs=True))).up()
    old = only(pair.a)
    pair.a.request(RekeyChild(old, 4))
    pair.run()
    failed = pair.a.seen(RequestFailed)[-1]
    assert failed.notify == NotifyType.NO_PROPOSAL_CHOSEN
    assert failed.request.token == 4
    assert only(pair.a) == old
    pair.agree()


def collide(seed: int, lose: str = "") -> Pair:
    """Both ends ask before either hears the other; `lose` drops the first datagram of one of them."""
    pair = Pair(seed=seed).up()
    a, b = only(pair.a), only(pair.b)
    pair.wire.clear()
    dropped: list[Datagram] = []

    def drop(datagram: Datagram) -> bool:
        if lose and datagram.sender.name == lose and not dropped:
            dropped.append(datagram)
            return False
        return True

    pair.filter = drop
    pair.a.request(RekeyChild(a))
    pair.b.request(RekeyChild(b))
    return pair


@pytest.mark.parametrize("seed", range(12))
def test_collision_leaves_one_child(seed: int) -> None:
    pair = collide(seed)
    pair.run()
    pair.agree()
    assert len(pair.a.installed) == 1
    redundant = [e for side in (pair.a, pair.b) for e in side.seen(ChildEstablished) if e.redundant]
    assert len(redundant) == 1
    # The lowest nonce of the four decides: the survivor is of the other exchange, asked for by the other end.
    reasons = [e.reason for side in (pair.a, pair.b) for e in side.seen(ChildGone)]
    assert sorted(r.name for r in reasons) == ["REDUNDANT", "REDUNDANT", "REPLACED", "REPLACED"]


def test_collision_is_settled_by_the_lowest_nonce() -> None:
    winners = set()
    for seed in range(12):
        pair = collide(seed)
        nonces: dict[str, list[bytes]] = {"a": [], "b": []}
        at = len(pair.log) - 2
        pair.run()
        for datagram in pair.log[at : at + 4]:
            # The exchange's asker is whoever sent a request with its own nonce.
            message = pair.peek(datagram)
            nonce = next(p.data for p in message if type(p).__name__ == "Nonce")
            is_response = bool(datagram.data[19] & 0x20)
            asker = datagram.sender.name if not is_response else {"a": "b", "b": "a"}[datagram.sender.name]
            nonces[asker].append(nonce)
        loser = min(nonces, key=lambda name: min(nonces[name]))
        survivor = pair.a.installed[only(pair.a)]
        assert survivor.initiator == (loser == "b")
        winners.add(loser)
    assert winners == {"a", "b"}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("lose", ["a", "b"])
def test_collision_that_one_end_never_noticed(seed: int, lose: str) -> None:
    pair = collide(seed, lose)
    pair.pass_time(30)
    pair.agree()
    assert len(pair.a.installed) == 1
    loser = pair.a if lose == "a" else pair.b
    assert NotifyType.CHILD_SA_NOT_FOUND.name in loser.seen(RequestFailed)[-1].reason
    assert not [e for e in pair.a.effects + pair.b.effects if isinstance(e, ChildEstablished) and e.redundant]


def test_rekey_of_a_child_being_deleted_has_to_wait() -> None:
    pair = Pair().up()
    a, b = only(pair.a), only(pair.b)
    pair.a.request(DeleteChild(a))
    pair.b.request(RekeyChild(b))
    rekey = pair.wire.pop(1)
    pair.deliver(rekey)
    answer = pair.peek(pair.wire[-1])
    assert [n.kind for n in answer if isinstance(n, Notify)] == [NotifyType.TEMPORARY_FAILURE]
    pair.pass_time(30)
    assert not pair.a.installed and not pair.b.installed
    assert pair.b.seen(RequestFailed)


@pytest.mark.parametrize(
    ("protocol", "spi"),
    [
        (ProtocolId.NONE, b""),
        (ProtocolId.IKE, b""),
        (ProtocolId.NONE, b"\1\2\3\4"),
        (ProtocolId.IKE, bytes(8)),
        (ProtocolId.AH, b"\1\2\3\4"),
        (ProtocolId.ESP, b"\1\2\3\4"),
        (ProtocolId.ESP, b"\1\2\3"),
        (ProtocolId.ESP, bytes(16)),
    ],
)
def test_rekey_of_what_does_not_exist(protocol: ProtocolId, spi: bytes) -> None:
    pair = Pair().up()
    pair.a.request(RekeyChild(only(pair.a)))
    request = pair.peek(pair.wire.pop())
    changed = [Notify(NotifyType.REKEY_SA, b"", protocol, spi) if isinstance(p, Notify) else p for p in request]
    before = dict(pair.b.installed)
    pair.inject(pair.a, pair.forge(pair.a, 36, changed, message_id=2))
    (notify,) = opened(pair.a.sa, *_message(pair))
    assert isinstance(notify, Notify)
    assert (notify.kind, notify.protocol, notify.spi) == (NotifyType.CHILD_SA_NOT_FOUND, protocol, spi)
    assert pair.b.installed == before
    assert pair.b.sa.is_established


def _message(pair: Pair):  # type: ignore[no-untyped-def]
    from openswan.wire.message import Message

    data = pair.wire[-1].data
    return Message.parse(data), data


def test_child_unknown_to_the_peer_is_made_anew() -> None:
    pair = Pair().up()
    old = only(pair.a)
    # The peer loses it without a word.
    pair.b.sa.children.clear()
    pair.b.installed.clear()
    pair.a.request(RekeyChild(old, 5))
    pair.run()
    pair.agree()
    assert pair.a.seen(ChildGone)[-1].reason is Gone.UNKNOWN_TO_PEER
    assert pair.a.seen(ChildEstablished)[-1].token == 5


def test_rekey_of_a_child_that_is_not_there_fails_at_once() -> None:
    pair = Pair().up()
    pair.a.request(RekeyChild(1, 6))
    assert pair.a.seen(RequestFailed)[-1].request.token == 6
    assert not pair.wire


def test_delete_from_the_peer_while_we_rekey() -> None:
    pair = Pair().up()
    pair.a.request(RekeyChild(only(pair.a)))
    pair.b.request(DeleteChild(only(pair.b)))
    pair.deliver(pair.wire.pop(1))
    assert pair.a.seen(ChildGone)[-1].reason is Gone.PEER
    pair.pass_time(40)
    pair.agree()


def test_cbc_keys_are_cut_in_the_same_order() -> None:
    proposal = (IKE_GCM,)
    pair = Pair(ike=ike_policy(proposals=proposal), child=child_policy(proposals=(child_policy().proposals[1],))).up()
    pair.a.request(RekeyChild(only(pair.a)))
    pair.run()
    pair.agree()
    sa = pair.a.installed[only(pair.a)]
    assert (len(sa.enc_in), len(sa.auth_in)) == (16, 32)


def overtaken(pair: Pair) -> Datagram:
    """a rekeys; b's answer is held back by the network."""
    (spi,) = pair.a.installed
    pair.a.request(RekeyChild(spi))
    pair.step()
    return pair.wire.pop()


def test_rekeyed_again_before_its_answer_has_arrived() -> None:
    """The request may be about the very child our unanswered one has made: CHILD_SA_NOT_FOUND would be wrong."""
    pair = Pair().up()
    answer = overtaken(pair)
    pair.b.request(RekeyChild(next(reversed(pair.b.installed))))
    pair.step()
    assert [p.kind for p in pair.peek(pair.wire[-1])] == [NotifyType.TEMPORARY_FAILURE]  # type: ignore[attr-defined]
    pair.wire.append(answer)
    pair.pass_time(30)
    assert len(pair.a.installed) == 1
    pair.agree()


def test_closed_again_before_its_answer_has_arrived() -> None:
    pair = Pair().up()
    answer = overtaken(pair)
    pair.b.request(DeleteChild(next(reversed(pair.b.installed))))
    pair.run()
    pair.wire.append(answer)
    pair.pass_time(30)
    pair.agree()
    assert not pair.a.sa.closed_early
