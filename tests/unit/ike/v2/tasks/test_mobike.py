# SPDX-License-Identifier: GPL-2.0-or-later
"""MOBIKE: who may move whom, what is checked, what is refused, and requests that were under way."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.base.address import Endpoint
from openswan.ike.effects import IkeGone, PeerMoved, ProbeAnswered, Silent
from openswan.ike.events import MoveIke, Probe, RekeyIke, TellAddresses
from openswan.wire.header import Header
from openswan.wire.v2.body import Payload
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ExchangeType, NotifyType
from tests.unit.ike.pair import ADDRESS_B, Datagram, Pair, ike_policy

N = NotifyType
HASHES = (N.NAT_DETECTION_SOURCE_IP, N.NAT_DETECTION_DESTINATION_IP)
HERE, THERE = ip_address("203.0.113.9"), ip_address("198.51.100.4")


def make(a: bool = True, b: bool = True, others: tuple[str, ...] = (), **more: object) -> Pair:
    """Both ends on the NAT traversal port, with MOBIKE or without; `others`: further addresses of b."""
    pair = Pair(ike_policy(mobike=a, **more), ike_policy("@b", "@a", mobike=b, **more))
    pair.b.ask.other_addresses = lambda local: tuple(map(ip_address, others))  # type: ignore[method-assign]
    return pair.up()


def notes(pair: Pair, datagram: Datagram) -> list[Notify]:
    return [p for p in pair.peek(datagram) if isinstance(p, Notify)]


def moved(side: object) -> list[str]:
    return [f"{e.local.address} {e.remote.address}" for e in side.seen(PeerMoved)]  # type: ignore[attr-defined]


def test_ike_moves_to_port_4500_without_any_nat_and_esp_stays_raw() -> None:
    pair = make()
    assert (pair.a.sa.local.port, pair.b.sa.remote.port) == (4500, 4500)
    assert not pair.a.sa.encapsulate and pair.a.sa.decides and not pair.b.sa.decides and pair.b.sa.mobike
    assert make(encapsulation="no").a.sa.local.port == 500


@pytest.mark.parametrize(("a", "b"), ((True, False), (False, True), (False, False)))
def test_both_must_want_it(a: bool, b: bool) -> None:
    pair = make(a, b)
    assert not pair.a.sa.mobike and not pair.b.sa.mobike
    update = [Notify(N.UPDATE_SA_ADDRESSES)]
    pair.a.sa.local = Endpoint(HERE, 4500)
    pair.inject(pair.a, pair.forge(pair.a, 37, update))
    pair.run()
    assert pair.b.sa.remote.address != HERE and not moved(pair.b)


def test_the_peer_follows_and_is_asked_whether_it_is_there() -> None:
    pair = make()
    pair.a.request(MoveIke(HERE))
    assert moved(pair.a) == [f"{HERE} {ADDRESS_B.address}"], "at once"
    assert {n.kind for n in notes(pair, pair.wire[0])} == {
        N.UPDATE_SA_ADDRESSES, *HASHES, N.COOKIE2,
    }  # fmt: skip
    pair.run()
    assert moved(pair.b) == [f"{ADDRESS_B.address} {HERE}"] and pair.a.seen(PeerMoved)[-1].why == "confirmed"
    assert not pair.b.sa.nat_there and not pair.a.sa.nat_here
    (question,) = [d for d in pair.log[-2:] if d.sender is pair.b]
    assert {n.kind for n in notes(pair, question)} == {*HASHES, N.COOKIE2} and question.remote.address == HERE
    pair.a.request(Probe(5))
    pair.run()
    assert pair.a.seen(ProbeAnswered) and not pair.a.seen(IkeGone)


def test_hashes_stand_beside_every_cookie_and_change_nothing_where_udp_is_not_wanted() -> None:
    """libreswan returns a COOKIE2 beside them only."""
    pair = make(encapsulation="no")
    pair.a.request(MoveIke(HERE))
    assert {n.kind for n in notes(pair, pair.wire[0])} == {
        N.UPDATE_SA_ADDRESSES, *HASHES, N.COOKIE2, N.NO_NATS_ALLOWED,
    }  # fmt: skip
    pair.run()
    (question,) = [d for d in pair.log[-2:] if d.sender is pair.b]
    assert {n.kind for n in notes(pair, question)} == {*HASHES, N.COOKIE2}
    assert pair.a.seen(PeerMoved)[-1].why == "confirmed"
    assert not pair.a.sa.encapsulate and not pair.b.sa.encapsulate


def test_a_request_that_was_under_way_goes_on_from_the_new_address() -> None:
    pair = make()
    pair.filter = lambda datagram: datagram.local.address in (HERE, ADDRESS_B.address)
    pair.a.request(Probe(3))
    pair.a.request(MoveIke(HERE))
    pair.pass_time(2.0)
    assert pair.a.seen(ProbeAnswered) and moved(pair.b) == [f"{ADDRESS_B.address} {HERE}"]


def test_two_moves_before_an_answer_end_at_the_last() -> None:
    pair = make()
    pair.filter = lambda datagram: datagram.sender is pair.b or datagram.local.address == THERE
    pair.a.request(MoveIke(HERE))
    pair.a.request(MoveIke(THERE))
    pair.pass_time(3.0)
    assert pair.b.sa.remote.address == THERE and pair.a.sa.local.address == THERE
    assert not pair.b.sa.nat_there


@pytest.mark.parametrize("lost", ("request", "answer"))
def test_a_move_while_the_proof_is_unanswered_is_caught_up_with(lost: str) -> None:
    """IKE_AUTH goes on from the new address; whatever the peer knew before, it knows that address in the end."""
    pair = Pair(ike_policy(mobike=True), ike_policy("@b", "@a", mobike=True))
    whose = pair.a if lost == "request" else pair.b
    pair.filter = lambda d: d.sender is not whose or Header.parse(d.data).exchange != ExchangeType.IKE_AUTH
    pair.start()
    pair.run()
    assert pair.a.sa.proving and not pair.a.sa.is_established
    pair.a.request(MoveIke(HERE))
    pair.filter = lambda datagram: True
    pair.pass_time(3.0)
    assert pair.a.sa.is_established and pair.a.sa.local.address == pair.b.sa.remote.address == HERE
    assert pair.a.seen(PeerMoved)[-1].why == "confirmed" and not pair.b.sa.nat_there
    pair.a.request(Probe(5))
    pair.run()
    assert pair.a.seen(ProbeAnswered) and not pair.a.seen(IkeGone)


def test_silence_is_counted_anew_from_another_address() -> None:
    pair = make()
    pair.filter = lambda datagram: False
    pair.a.request(Probe(3))
    pair.pass_time(6.0)
    assert len(pair.a.seen(Silent)) == 1
    pair.a.request(MoveIke(HERE))
    pair.pass_time(1.0)
    assert len(pair.a.seen(Silent)) == 1
    pair.pass_time(6.0)
    assert len(pair.a.seen(Silent)) == 2


def test_the_right_to_decide_is_inherited() -> None:
    pair = make()
    pair.b.request(RekeyIke())
    pair.run()
    assert pair.b.sa.is_initiator and not pair.b.sa.decides and pair.a.sa.decides
    pair.a.request(MoveIke(HERE))
    pair.run()
    assert pair.b.sa.remote.address == HERE


def test_the_responder_may_not_move_the_initiator() -> None:
    pair = make()
    before = pair.a.sa.remote
    pair.b.sa.local = Endpoint(THERE, 4500)
    pair.inject(pair.b, pair.forge(pair.b, 37, [Notify(N.UPDATE_SA_ADDRESSES)], message_id=0))
    pair.run()
    assert pair.a.sa.remote == before


@pytest.mark.parametrize("answer", ("none", "wrong", "two"))
def test_an_answer_without_the_cookie_ends_the_sa(answer: str) -> None:
    pair = make()
    pair.a.request(MoveIke(HERE))
    pair.wire.clear()
    cookies: dict[str, list[Payload]] = {
        "none": [], "wrong": [Notify(N.COOKIE2, bytes(16))], "two": [Notify(N.COOKIE2, bytes(16))] * 2,
    }  # fmt: skip
    header = pair.b.sa.header(37, next(iter(pair.a.sa.flights)), response=True)  # type: ignore[arg-type]
    assert pair.b.sa.channel is not None
    (data,) = pair.b.sa.channel.seal(header, cookies[answer], pair.rng_b)
    pair.arrive(pair.a, data, pair.a.sa.local, pair.a.sa.remote)
    assert pair.a.seen(IkeGone)


def test_a_peer_that_is_not_there_is_dropped_in_time() -> None:
    """Its update came through somebody in between; the question to the forged address is never answered."""
    pair = make()
    pair.a.request(MoveIke(HERE))
    pair.filter = lambda datagram: datagram.remote.address != HERE
    pair.pass_time(120.0)
    assert pair.b.seen(IkeGone)


def test_no_nats_allowed_is_kept_to() -> None:
    pair = make(encapsulation="no")
    pair.nat = lambda end: Endpoint(THERE, 30000) if end.address == HERE else end
    pair.a.request(MoveIke(HERE))
    pair.run()
    assert pair.b.sa.remote.address not in (THERE, HERE) and pair.a.seen(IkeGone)
    assert any("UNEXPECTED_NAT_DETECTED" in line for line in pair.b.logs())


def test_a_nat_on_the_new_way_is_found_and_esp_goes_into_udp() -> None:
    pair = make()
    pair.nat = lambda end: Endpoint(THERE, 30000) if end.address == HERE else end
    pair.unnat = lambda end: Endpoint(HERE, 4500) if end.address == THERE else end
    pair.a.request(MoveIke(HERE))
    pair.run()
    assert pair.b.sa.nat_there and pair.a.sa.nat_here and pair.a.sa.encapsulate and pair.b.sa.encapsulate
    assert [e.why for e in pair.a.seen(PeerMoved)] == ["MOBIKE", "confirmed"]
    assert not pair.a.seen(IkeGone)


def test_other_addresses_are_told_bounded_and_sorted_out() -> None:
    pair = make(others=tuple(f"198.51.100.{n}" for n in range(1, 20)))
    assert len(pair.a.sa.peer_addresses) == 8
    pair.b.ask.other_addresses = lambda local: (THERE, ip_address("2001:db8::7"))  # type: ignore[method-assign]
    pair.b.request(TellAddresses())
    pair.run()
    assert pair.a.sa.peer_addresses == (THERE, ip_address("2001:db8::7"))
    pair.b.ask.other_addresses = lambda local: ()  # type: ignore[method-assign]
    pair.b.request(TellAddresses())
    pair.run()
    assert pair.a.sa.peer_addresses == ()
    bad = [
        Notify(N.ADDITIONAL_IP4_ADDRESS, data)
        for data in (b"", b"\x0a\x00\x00", bytes(4), b"\x7f\0\0\1", b"\xe0\0\0\1")
    ]
    pair.inject(pair.b, pair.forge(pair.b, 37, bad))
    assert pair.a.sa.peer_addresses == () and not pair.a.seen(IkeGone)


def test_a_silent_address_is_left_for_one_that_answers() -> None:
    pair = make(others=(str(THERE),))
    pair.filter = lambda d: d.remote.address != ADDRESS_B.address
    pair.unnat = lambda end: end
    pair.a.request(Probe(4))
    pair.pass_time(12.0)
    assert pair.a.sa.remote.address == THERE and pair.a.seen(ProbeAnswered)
    assert pair.b.sa.local.address == THERE
