# SPDX-License-Identifier: GPL-2.0-or-later
"""NAT detection, the move to 4500, forced and refused encapsulation, and mappings that change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.base.address import Endpoint, parse_address
from openswan.ike.effects import PeerMoved, Send
from openswan.ike.events import Probe
from openswan.ike.v2.tasks.natd import describe
from openswan.plane.commands import Encap
from openswan.wire.message import Message
from openswan.wire.v2.numbers import NotifyType
from tests.unit.ike.pair import ADDRESS_A, ADDRESS_B, Pair, ike_policy

OUTSIDE = parse_address("203.0.113.9")


def behind_nat(pair: Pair, offset: int = 10000) -> Pair:
    pair.nat = lambda end: Endpoint(OUTSIDE, end.port + offset)
    pair.unnat = lambda end: Endpoint(ADDRESS_A.address, end.port - offset)
    return pair


def test_no_nat_stays_on_500_and_uses_protocol_50() -> None:
    pair = Pair().up()
    assert describe(pair.a.sa) == describe(pair.b.sa) == "no NAT detected"
    for side in (pair.a, pair.b):
        assert next(iter(side.installed.values())).encap is None
        assert side.sa.local.port == side.sa.remote.port == 500


def test_initiator_behind_nat() -> None:
    pair = behind_nat(Pair()).up()
    assert describe(pair.a.sa) == "i am NATed"
    assert describe(pair.b.sa) == "peer is NATed"
    assert (pair.a.sa.local.port, pair.a.sa.remote.port) == (4500, 4500)
    assert pair.b.sa.remote == Endpoint(OUTSIDE, 14500)
    assert pair.b.sa.local == Endpoint(ADDRESS_B.address, 4500)
    (child,) = pair.b.installed.values()
    assert child.encap == Encap(4500, 14500)
    assert next(iter(pair.a.installed.values())).encap == Encap(4500, 4500)
    pair.agree()


def test_forced_encapsulation_makes_both_believe() -> None:
    pair = Pair(ike_policy(encapsulation="yes")).up()
    assert next(iter(pair.a.installed.values())).encap == Encap(4500, 4500)
    assert next(iter(pair.b.installed.values())).encap == Encap(4500, 4500)


def test_encapsulation_forced_by_the_responder() -> None:
    pair = Pair(ike_b=ike_policy("@b", "@a", encapsulation="yes")).up()
    assert pair.a.sa.local.port == 4500
    assert next(iter(pair.b.installed.values())).encap == Encap(4500, 4500)


def test_no_encapsulation_says_nothing_of_addresses() -> None:
    pair = behind_nat(Pair(ike_policy(encapsulation="no"), ike_policy("@b", "@a")))
    pair.start()
    assert Message.parse(pair.wire[0].data).notify(NotifyType.NAT_DETECTION_SOURCE_IP) is None
    pair.run()
    assert pair.a.sa.local.port == 500
    assert next(iter(pair.b.installed.values())).encap is None


@pytest.mark.parametrize(
    ("mine", "theirs", "encap"), [("auto", "auto", True), ("auto", "no", False), ("no", "auto", False)]
)
def test_two_of_our_own_prefer_udp(mine: str, theirs: str, encap: bool) -> None:
    pair = Pair(
        ike_policy(own_vendor=True, encapsulation=mine), ike_policy("@b", "@a", own_vendor=True, encapsulation=theirs)
    ).up()
    for side in (pair.a, pair.b):
        assert (next(iter(side.installed.values())).encap is not None) is encap


def test_a_new_mapping_is_taken_from_authentic_messages_only() -> None:
    pair = behind_nat(Pair()).up()
    moved = Endpoint(OUTSIDE, 20001)
    pair.a.request(Probe())
    probe = pair.wire.pop()
    forged = probe.data[:-1] + bytes([probe.data[-1] ^ 1])
    pair.arrive(pair.b, forged, pair.b.sa.local, moved)
    assert not pair.b.seen(PeerMoved)
    pair.arrive(pair.b, probe.data, pair.b.sa.local, moved)
    assert pair.b.seen(PeerMoved) == [PeerMoved(pair.b.sa.local, moved)]
    assert pair.b.sa.remote == moved
    answer = pair.b.seen(Send)[-1]
    assert answer.remote == moved
    # A replay from elsewhere gets the answer there, but moves nothing (RFC 7296 2.23).
    elsewhere = Endpoint(OUTSIDE, 30001)
    pair.arrive(pair.b, probe.data, pair.b.sa.local, elsewhere)
    assert pair.b.sa.remote == moved
    assert len(pair.b.seen(PeerMoved)) == 1


def test_without_nat_an_odd_source_gets_its_answer_and_nothing_else() -> None:
    pair = Pair().up()
    pair.a.request(Probe())
    pair.arrive(pair.b, pair.wire.pop().data, ADDRESS_B, Endpoint(OUTSIDE, 9))
    assert pair.b.seen(Send)[-1].remote == Endpoint(OUTSIDE, 9)
    assert pair.b.sa.remote == ADDRESS_A
    assert not pair.b.seen(PeerMoved)


def test_other_ports_than_4500() -> None:
    pair = behind_nat(
        Pair(ike_policy(remote_natt_port=4600), replace(ike_policy("@b", "@a"), local_natt_port=4600))
    ).up()
    assert pair.b.sa.local.port == 4600
    assert next(iter(pair.b.installed.values())).encap == Encap(4600, 14500)
