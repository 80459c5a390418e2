# SPDX-License-Identifier: GPL-2.0-or-later
"""Closing an IKE SA at any moment, and the silence after it."""

from __future__ import annotations

import pytest

from openswan.ike.effects import ChildGone, Forget, Gone, IkeGone, RequestFailed
from openswan.ike.events import CreateChild, DeleteIke, Probe, RekeyIke
from openswan.ike.v2.core import LINGER
from openswan.ike.v2.states import State
from openswan.policy.connection import Auth as Means
from openswan.wire.v2.delete import Delete
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType, ProtocolId
from tests.unit.ike.pair import Pair, ike_policy


@pytest.mark.parametrize("who", ["a", "b"])
def test_close(who: str) -> None:
    pair = Pair().up()
    asker, other = (pair.a, pair.b) if who == "a" else (pair.b, pair.a)
    asker.request(DeleteIke())
    assert not asker.installed
    assert pair.peek(pair.wire[0]) == (Delete(ProtocolId.IKE),)
    pair.step()
    assert pair.peek(pair.wire[0]) == ()
    pair.run()
    assert asker.sa.state is State.GONE
    assert other.sa.state is State.LINGER
    assert other.sa.children == {} and not other.installed
    pair.pass_time(LINGER)
    assert other.sa.state is State.GONE
    assert other.sa.keys is None


def test_lost_answer_is_repeated_while_lingering() -> None:
    pair = Pair().up()
    start = len(pair.log)
    pair.filter = lambda _: len(pair.log) - start != 2
    pair.a.request(DeleteIke())
    pair.pass_time(5)
    assert pair.a.sa.state is State.GONE


def test_both_at_once() -> None:
    pair = Pair().up()
    pair.a.request(DeleteIke())
    pair.b.request(DeleteIke())
    pair.pass_time(60)
    for side in (pair.a, pair.b):
        assert len(side.seen(IkeGone)) == len(side.seen(ChildGone)) == len(side.seen(Forget)) == 1


def test_close_waits_for_an_unanswered_request() -> None:
    pair = Pair(ike_policy(window=1)).up()
    pair.a.request(Probe(3))
    pair.a.request(Probe(4))
    pair.a.request(DeleteIke())
    assert not pair.a.installed
    assert pair.a.seen(RequestFailed)[0].request.token == 4
    pair.run()
    assert pair.a.sa.state is State.GONE and pair.b.sa.state is State.LINGER


def test_requests_after_the_end_fail() -> None:
    pair = Pair().up()
    pair.a.request(DeleteIke())
    pair.a.request(CreateChild(pair.child, 4))
    assert pair.a.seen(RequestFailed)[-1].request.token == 4
    pair.a.request(DeleteIke())
    pair.run()
    assert len(pair.a.seen(IkeGone)) == 1


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_close_before_it_is_established(steps: int) -> None:
    pair = Pair()
    pair.start()
    for _ in range(steps):
        pair.step()
    pair.a.request(DeleteIke())
    assert pair.a.sa.state is State.GONE
    assert [type(e) for e in pair.a.effects[-2:]] == [IkeGone, Forget]


def test_abandon_says_nothing() -> None:
    pair = Pair().up()
    keys = pair.a.sa.keys
    pair.a.do(pair.a.sa, pair.a.sa.abandon(pair.now))
    assert not pair.wire
    assert keys is not None
    with pytest.raises(Exception, match="wiped"):
        _ = keys.d.data
    assert pair.a.seen(IkeGone)[0].reason is Gone.LOCAL
    assert pair.a.sa.abandon(pair.now) == []


def test_an_initiator_that_refuses_its_peer_says_why_and_that_it_is_over() -> None:
    pair = Pair(ike_policy(peer_auth=Means.RSASIG), ike_policy("@b", "@a"))
    pair.start()
    while pair.a.sa.state is not State.CLOSING:
        assert pair.step(), pair.a.logs()
    assert pair.peek(pair.wire[0]) == (Notify(NotifyType.AUTHENTICATION_FAILED), Delete(ProtocolId.IKE))
    pair.run()
    assert pair.a.sa.state is State.GONE and pair.b.sa.state is State.LINGER
    assert "the peer ends the IKE SA: AUTHENTICATION_FAILED" in " ".join(map(str, pair.b.logs()))
    assert not pair.b.installed


@pytest.mark.parametrize("kind", [NotifyType.AUTHENTICATION_FAILED, NotifyType.INVALID_SYNTAX])
def test_fatal_notification_from_the_peer(kind: NotifyType) -> None:
    pair = Pair().up()
    pair.inject(pair.a, pair.forge(pair.a, 37, [Notify(kind)]))
    assert pair.b.seen(IkeGone)[0].reason is Gone.PEER
    assert not pair.b.installed


@pytest.mark.parametrize("kind", [k for k in NotifyType if k not in (7, 24)])
def test_other_notifications_change_nothing(kind: NotifyType) -> None:
    pair = Pair().up()
    before = set(pair.b.installed)
    pair.inject(pair.a, pair.forge(pair.a, 37, [Notify(kind, b"data")]))
    assert pair.b.sa.is_established and set(pair.b.installed) == before
    assert pair.peek(pair.wire[-1]) == ()


def test_delete_followed_by_more() -> None:
    # CVE-2023-38712's idea: the SA is deleted, the rest of the message must not touch what is gone.
    pair = Pair().up()
    spi = next(iter(pair.a.installed)).to_bytes(4, "big")
    everything = [Delete(ProtocolId.IKE), Delete(ProtocolId.ESP, (spi,)), Delete(ProtocolId.IKE), Notify(NotifyType(7))]
    pair.inject(pair.a, pair.forge(pair.a, 37, everything))
    assert len(pair.b.seen(IkeGone)) == 1
    assert pair.b.sa.state is State.LINGER


def test_a_successor_that_is_made_while_we_close_is_closed_too() -> None:
    pair = Pair().up()
    pair.a.request(RekeyIke())
    pair.a.request(DeleteIke())
    pair.pass_time(30)
    assert not pair.a.machines and not pair.b.machines
    assert not pair.a.installed and not pair.b.installed


def test_close_during_a_collision() -> None:
    """What the peer's exchange has made goes too, whether or not it has inherited there."""
    pair = Pair().up()
    pair.a.request(RekeyIke())
    pair.b.request(RekeyIke())
    pair.deliver(pair.wire.pop(1))
    pair.a.request(DeleteIke())
    pair.pass_time(200)
    assert not pair.a.machines and not pair.b.machines
    assert not pair.a.installed and not pair.b.installed
