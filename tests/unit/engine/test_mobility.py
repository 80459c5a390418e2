# SPDX-License-Identifier: GPL-2.0-or-later
"""Which connections can move, and which of our addresses are told; whole moves are in tests/sim/test_mobility.py."""

from __future__ import annotations

from ipaddress import ip_address

from openswan.engine.events import DefaultRoute, Interface, NetworkState
from openswan.plane.commands import SetEroute
from tests.sim.pair import EAST, WEST, make_pair, tunnel


def test_only_what_lies_outside_is_told() -> None:
    pair = make_pair(1)
    mobility = pair.west.pluto.brain.mobility
    wan = Interface("eth0", "ipsec0", tuple((ip_address(a), 24) for a in (WEST, "192.0.2.9", "2001:db8::1", "fe80::1")))
    lan = Interface("eth1", "ipsec0", ((ip_address("10.1.0.1"), 24),))
    lte = Interface("wwan0", "", ((ip_address("203.0.113.40"), 24),))
    down = Interface("eth2", "", ((ip_address("203.0.113.50"), 24),), up=False)
    routes = tuple(DefaultRoute(name, ip_address(EAST), None) for name in ("wwan0", "eth2"))
    pair.west.post(NetworkState((wan, lan, lte, down), routes))
    assert [str(a) for a in mobility.others(ip_address(WEST))] == ["192.0.2.9", "2001:db8::1", "203.0.113.40"]
    assert [str(a) for a in mobility.others(ip_address("203.0.113.40"))] == []


def test_what_is_not_up_or_not_ours_to_move_does_not_move() -> None:
    pair = make_pair(1)
    west, east = tunnel(mobike=True)
    pair.west.load(west)
    pair.east.load(east)
    conn = pair.west.pluto.core.conns.named["net-net"]
    assert not pair.west.pluto.brain.mobility.can_move(conn)
    pair.west.request("initiate", name="net-net")
    assert pair.run(10.0, pair.up)
    assert pair.west.pluto.brain.mobility.can_move(conn)
    there = pair.east.pluto.core.conns.named["net-net"]
    assert not pair.east.pluto.brain.mobility.can_move(there), "the end that answered does not decide"


def test_an_address_that_never_was_away_releases_nothing() -> None:
    pair = make_pair(1)
    west, east = tunnel(mobike=True)
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(10.0, pair.up)
    before = pair.west.klips.history.count(SetEroute.__name__)
    pair.west.post(pair.west.network())
    assert pair.west.klips.history.count(SetEroute.__name__) == before
