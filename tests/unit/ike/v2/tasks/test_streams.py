# SPDX-License-Identifier: GPL-2.0-or-later
"""An IKE SA in TCP: no repetitions, no fragments, no other ports; and another connection when one breaks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.base.address import Endpoint
from openswan.ike.effects import ChildEstablished, Gone, IkeGone, PeerMoved, ProbeAnswered
from openswan.ike.events import Probe
from openswan.ike.v2.states import State
from openswan.plane.commands import Encap
from tests.unit.ike.pair import ADDRESS_A, ADDRESS_B, Pair, ike_policy

A, B = Endpoint(ADDRESS_A.address, 40001, stream=True), Endpoint(ADDRESS_B.address, 4500, stream=True)
A2 = replace(A, port=40002)


def in_tcp() -> Pair:
    pair = Pair(ike_policy(mobike=True))
    pair.endpoint_a, pair.endpoint_b = A, B
    return pair.up()


def test_ports_are_those_of_the_connection_and_esp_is_in_it() -> None:
    pair = in_tcp()
    for end, encap in ((pair.a, Encap(40001, 4500, stream=True)), (pair.b, Encap(4500, 40001, stream=True))):
        assert end.seen(ChildEstablished)[0].encap == encap
        assert not end.sa.nat_here and not end.sa.nat_there and not end.sa.fragments and not end.sa.mobike
    assert (pair.a.sa.local, pair.a.sa.remote) == (A, B)


def test_requests_are_not_repeated_but_given_up_as_ever() -> None:
    pair = in_tcp()
    sent = len(pair.log)
    pair.filter = lambda _: False
    pair.a.request(Probe(4))
    pair.pass_time(61)
    assert len(pair.log) == sent + 1
    assert pair.a.seen(IkeGone)[0].reason is Gone.TIMEOUT


@pytest.mark.parametrize("busy", [True, False])
def test_another_connection_of_ours(busy: bool) -> None:
    pair = in_tcp()
    if busy:
        pair.filter = lambda _: False
        pair.a.request(Probe(4))
        pair.filter = lambda _: True
    pair.a.do(pair.a.sa, pair.a.sa.reconnected(A2, B, pair.now))
    pair.run()
    assert pair.a.seen(PeerMoved) == [PeerMoved(A2, B, "TCP")]
    assert pair.b.seen(PeerMoved) == [PeerMoved(B, A2, "TCP")]
    assert (pair.b.sa.local, pair.b.sa.remote) == (B, A2)
    assert [e.token for e in pair.a.seen(ProbeAnswered)] == [4 if busy else 0]


def test_the_end_that_opens_connections_does_not_go_over_to_others() -> None:
    pair = in_tcp()
    pair.b.sa.local, pair.b.sa.remote = B, A2
    pair.b.request(Probe(5))
    pair.run()
    assert pair.a.sa.local == A and not pair.a.seen(PeerMoved)


def test_an_authentic_message_in_udp_moves_nothing() -> None:
    pair = in_tcp()
    pair.a.sa.local, pair.a.sa.remote = ADDRESS_A, ADDRESS_B
    pair.a.request(Probe(5))
    pair.run()
    assert (pair.b.sa.local, pair.b.sa.remote) == (B, A) and not pair.b.seen(PeerMoved)


def test_too_late() -> None:
    pair = in_tcp()
    pair.filter = lambda _: False
    machine = pair.a.sa
    pair.a.do(machine, machine.abandon(pair.now))
    assert machine.state is State.GONE and machine.reconnected(A2, B, pair.now) == []
