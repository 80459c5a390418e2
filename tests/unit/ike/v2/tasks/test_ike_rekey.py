# SPDX-License-Identifier: GPL-2.0-or-later
"""Rekeying the IKE SA: alone, both ends at once, half noticed, against child exchanges, and before authentication."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.ike.effects import ChildGone, Forget, IkeGone, IkeRekeyed, NewSuccessor, ProbeAnswered, RequestFailed
from openswan.ike.events import CreateChild, DeleteChild, DeleteIke, Probe, RekeyChild, RekeyIke
from openswan.ike.v2.states import State
from openswan.ike.v2.values import Ignored
from openswan.policy.proposal import Transform
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType
from tests.unit.ike.pair import ECP256, IKE_GCM, MODP2048, X25519, Datagram, Pair, ike_policy


def alive(pair: Pair) -> None:
    """One machine is left on each side, and they understand each other and their children."""
    pair.agree()
    assert pair.a.machines == [pair.a.sa]
    assert pair.b.machines == [pair.b.sa]
    assert (pair.a.sa.spi_i, pair.a.sa.spi_r) == (pair.b.sa.spi_i, pair.b.sa.spi_r)
    for side, token in ((pair.a, 71), (pair.b, 72)):
        side.request(Probe(token))
        pair.run()
        assert side.seen(ProbeAnswered)[-1].token == token
    spi = next(iter(pair.a.installed))
    pair.a.request(RekeyChild(spi))
    pair.run()
    pair.agree()


@pytest.mark.parametrize("who", ["a", "b"])
def test_rekey(who: str) -> None:
    pair = Pair().up()
    asker, other = (pair.a, pair.b) if who == "a" else (pair.b, pair.a)
    old = asker.sa
    children = dict(asker.installed)
    asker.request(RekeyIke(3))
    pair.run()
    assert asker.sa is not old
    assert asker.installed == children
    assert asker.sa.is_initiator and not other.sa.is_initiator
    assert [(e.initiator, e.token) for e in asker.seen(IkeRekeyed)] == [(True, 3)]
    assert [e.initiator for e in other.seen(IkeRekeyed)] == [False]
    assert not asker.seen(IkeGone) and not other.seen(ChildGone)
    assert asker.seen(Forget)
    # The other end of the old SA lingers for repetitions, then it is gone too.
    pair.pass_time(60)
    alive(pair)


def test_old_keys_are_wiped() -> None:
    pair = Pair().up()
    old = pair.a.sa
    pair.a.request(RekeyIke())
    pair.run()
    assert old.state is State.GONE
    assert old.keys is None and old.channel is None


def test_rekey_again_and_again() -> None:
    pair = Pair().up()
    for turn in range(6):
        (pair.a if turn % 2 else pair.b).request(RekeyIke())
        pair.pass_time(60)
    alive(pair)


def test_another_group_than_the_first_guess() -> None:
    first = ike_policy(proposals=(replace(IKE_GCM, dh=(MODP2048, ECP256)),))
    second = ike_policy("@b", "@a", proposals=(replace(IKE_GCM, dh=(ECP256,)),))
    pair = Pair(first, second).up()
    assert pair.a.sa.chosen is not None
    assert pair.a.sa.chosen.dh == ECP256
    # Forget what was chosen, so that the first guess is wrong again.
    pair.a.sa.chosen = replace(pair.a.sa.chosen, dh=X25519)
    pair.a.request(RekeyIke())
    pair.pass_time(60)
    alive(pair)


@pytest.mark.parametrize("who", ["a", "b"])
def test_the_prf_stays_the_same_whatever_is_preferred(who: str) -> None:
    """Responders prefer by their own lists, and these differ: without care every rekeying would change the PRF."""
    sha384, sha256 = Transform("prf_hmac_sha2_384"), Transform("prf_hmac_sha2_256")
    pair = Pair(
        ike_policy(proposals=(replace(IKE_GCM, prf=(sha384, sha256)),)),
        ike_policy("@b", "@a", proposals=(replace(IKE_GCM, prf=(sha256, sha384)),)),
    ).up()
    for asker in (pair.a, pair.b) if who == "a" else (pair.b, pair.a):
        asker.request(RekeyIke())
        pair.pass_time(60)
        assert asker.sa.chosen is not None and asker.sa.chosen.prf == sha256
    alive(pair)


def test_another_prf_when_the_policy_no_longer_allows_the_old_one() -> None:
    sha384 = Transform("prf_hmac_sha2_384")
    pair = Pair().up()
    for side in (pair.a, pair.b):
        assert side.sa.policy is not None
        side.sa.policy = replace(side.sa.policy, proposals=(replace(IKE_GCM, prf=(sha384,)),))
    pair.a.request(RekeyIke())
    pair.pass_time(60)
    assert pair.b.sa.chosen is not None and pair.b.sa.chosen.prf == sha384
    pair.b.request(RekeyIke())
    pair.pass_time(60)
    alive(pair)


@pytest.mark.parametrize("seed", range(12))
def test_collision(seed: int) -> None:
    pair = Pair(seed=seed).up()
    pair.a.request(RekeyIke())
    pair.b.request(RekeyIke())
    pair.run()
    for side in (pair.a, pair.b):
        assert len(side.seen(NewSuccessor)) == 2
        assert len(side.seen(IkeRekeyed)) == 1
        assert not side.seen(IkeGone) and not side.seen(ChildGone)
    assert pair.a.seen(IkeRekeyed)[0].initiator != pair.b.seen(IkeRekeyed)[0].initiator
    pair.pass_time(130)
    alive(pair)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("lose", ["a", "b"])
def test_collision_that_one_end_never_noticed(seed: int, lose: str) -> None:
    pair = Pair(seed=seed).up()
    dropped: list[Datagram] = []

    def drop(datagram: Datagram) -> bool:
        if datagram.sender.name == lose and not dropped:
            dropped.append(datagram)
            return False
        return True

    pair.filter = drop
    pair.a.request(RekeyIke())
    pair.b.request(RekeyIke())
    pair.run()
    pair.pass_time(130)
    for side in (pair.a, pair.b):
        assert len(side.seen(IkeRekeyed)) == 1
    alive(pair)


@pytest.mark.parametrize("seed", range(8))
def test_collision_with_every_single_datagram_lost(seed: int) -> None:
    # Six to eight datagrams settle it; whichever is lost, both ends come to agree.
    for lost in range(10):
        pair = Pair(seed=seed).up()
        start = len(pair.log)
        pair.filter = lambda _, start=start, lost=lost, log=pair.log: len(log) - start != lost + 1  # type: ignore[misc]
        pair.a.request(RekeyIke())
        pair.b.request(RekeyIke())
        pair.pass_time(200)
        pair.filter = lambda _: True
        alive(pair)


def test_ike_rekey_waits_for_a_child_exchange_of_the_other_side() -> None:
    pair = Pair().up()
    pair.a.request(RekeyChild(next(iter(pair.a.installed))))
    pair.b.request(RekeyIke(8))
    pair.run()
    assert not pair.b.seen(RequestFailed)
    pair.pass_time(100)
    assert pair.b.seen(IkeRekeyed)[-1].token == 8
    alive(pair)


def test_child_exchange_waits_for_an_ike_rekey_of_the_other_side() -> None:
    pair = Pair().up()
    pair.a.request(RekeyIke())
    pair.b.request(CreateChild(pair.b.ask.children[0], 8))
    child_request = pair.wire.pop(1)
    pair.deliver(child_request)
    answer = pair.peek(pair.wire[-1])
    assert [n.kind for n in answer if isinstance(n, Notify)] == [NotifyType.TEMPORARY_FAILURE]
    pair.pass_time(100)
    assert len(pair.b.installed) == 2
    alive(pair)


def test_delete_of_a_child_goes_through_while_we_rekey() -> None:
    pair = Pair().up()
    pair.a.request(RekeyIke())
    pair.b.request(DeleteChild(next(iter(pair.b.installed))))
    pair.deliver(pair.wire.pop(1))
    assert not pair.a.installed
    pair.run()
    pair.pass_time(60)
    pair.agree()


def test_close_from_the_peer_while_we_rekey() -> None:
    pair = Pair().up()
    pair.a.request(RekeyIke(4))
    pair.b.request(DeleteIke())
    pair.deliver(pair.wire.pop(1))
    assert pair.a.seen(IkeGone)
    pair.pass_time(60)
    assert not pair.a.machines and not pair.b.machines
    assert not pair.a.installed and not pair.b.installed
    assert pair.a.seen(RequestFailed)[-1].request.token == 4


def test_rekey_while_we_close_is_put_off() -> None:
    pair = Pair().up()
    pair.a.request(DeleteIke())
    pair.b.request(RekeyIke())
    pair.deliver(pair.wire.pop(1))
    answer = pair.peek(pair.wire[-1])
    assert [n.kind for n in answer if isinstance(n, Notify)] == [NotifyType.TEMPORARY_FAILURE]
    pair.pass_time(60)
    assert not pair.a.machines and not pair.b.machines


def test_waiting_requests_move_to_the_successor() -> None:
    pair = Pair().up()
    pair.a.request(RekeyIke())
    pair.a.request(Probe(5))
    pair.a.request(CreateChild(pair.child, 6))
    pair.run()
    assert pair.a.seen(ProbeAnswered)[-1].token == 5
    assert len(pair.a.installed) == 2
    pair.pass_time(60)
    alive(pair)


@pytest.mark.parametrize("exchange", [36, 37, 38, 43, 44])
def test_nothing_but_ike_auth_before_authentication(exchange: int) -> None:
    # CVE-2014-2338, CVE-2019-12312: a rekeying of an unauthenticated IKE SA must not establish anything.
    pair = Pair()
    pair.start()
    pair.step()
    pair.step()
    pair.wire.clear()
    assert pair.b.sa.state is State.R1
    from openswan.ike.v2.tasks.ike_rekey import IkeRekey

    task = IkeRekey(RekeyIke())
    pair.a.sa.state = State.I3
    payloads = task.build(pair.a.sa, pair.now)
    assert payloads is not None
    request = pair.forge(pair.a, exchange, payloads if exchange == 36 else (), message_id=1)
    pair.inject(pair.a, request)
    assert pair.b.sa.state is State.R1
    assert not pair.wire
    assert pair.b.sa.counters[Ignored.OUT_OF_PLACE] == 1


def one_sided(pair: Pair) -> Datagram:
    """Both ask; a's exchange is done, b's request has not reached a."""
    pair.b.request(RekeyIke())
    late = pair.wire.pop()
    pair.a.request(RekeyIke())
    pair.step()
    pair.step()
    pair.wire.clear()
    return late


def test_a_successor_that_is_not_decided_yet_is_not_rekeyed() -> None:
    pair = Pair().up()
    one_sided(pair)
    pair.a.request(RekeyIke())
    pair.step()
    assert pair.peek(pair.wire[-1])[0].kind == NotifyType.TEMPORARY_FAILURE  # type: ignore[attr-defined]
    pair.pass_time(300)
    pair.agree()
    assert len(pair.a.machines) == len(pair.b.machines) == 1


def test_a_successor_that_was_closed_before_it_was_decided_inherits_nothing() -> None:
    pair = Pair().up()
    one_sided(pair)
    pair.a.request(DeleteIke())
    pair.pass_time(300)
    assert not pair.a.machines and not pair.b.machines
    assert not pair.a.installed and not pair.b.installed
