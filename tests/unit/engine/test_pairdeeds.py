# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machine of opportunistic encryption wants is done: eroutes of pairs, and whose they are."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.base.said import Shunt
from openswan.engine import oeevents as oe
from openswan.engine.oeevents import Pair
from openswan.engine.pairdeeds import flow_of
from openswan.engine.routing import RouteEvent
from openswan.plane.commands import DelEroute
from openswan.policy.connection import Connection
from tests.sim import test_groups as groups
from tests.sim.pair import EAST, WEST
from tests.unit.engine.test_pairs import PAIR, alone, pairs


def test_the_eroute_of_a_pair_is_as_narrow_as_can_be() -> None:
    key = flow_of(PAIR)
    assert (str(key.src), str(key.dst), key.protocol) == (f"{WEST}/32", f"{EAST}/32", 0)


def test_an_overflow_ends_the_engine_s_own_hold_and_no_eroute_of_ours() -> None:
    hosts = alone()
    mine = pairs(hosts.west)
    other = Pair(PAIR.src, ip_address("198.51.100.77"))
    mine.deeds(oe.Overflow(other))
    assert mine.overflows == 1 and groups.target(hosts.west, "198.51.100.77") is Shunt.TRAP
    hosts.send(hosts.west, WEST, EAST)
    hosts.run(1.0)
    mine.deeds(oe.Overflow(PAIR))
    assert mine.overflows == 2 and groups.target(hosts.west, EAST) is Shunt.HOLD


def test_a_negotiation_that_goes_on_keeps_no_eroute_of_the_pair() -> None:
    """The failure shunt is the pair's, and stays when its instance ends."""
    hosts = alone()
    hosts.send(hosts.west, WEST, EAST)
    hosts.run(1.0)
    mine = pairs(hosts.west)
    conn = mine.conns[PAIR]
    router = hosts.west.pluto.brain.router
    router.happen(conn, RouteEvent.ROUTE)
    assert router.eroutes.get(flow_of(PAIR)) is conn
    hosts.run(3.0)
    assert groups.target(hosts.west, EAST) is Shunt.DROP and flow_of(PAIR) not in router.eroutes
    hosts.run(20.0)
    assert mine.conns == {} and groups.target(hosts.west, EAST) is Shunt.DROP


@pytest.mark.parametrize("policy", [groups.PRIVATE, groups.PERMISSIVE], ids=lambda policy: policy.name)
def test_a_packet_that_still_arrives_meets_what_was_decided(policy: Connection) -> None:
    """Whatever took the pair's eroute away, also while its peer is being called."""
    hosts = alone(policy)
    hosts.send(hosts.west, WEST, EAST)
    hosts.run(1.0)
    mine, met = pairs(hosts.west), []
    assert PAIR in mine.conns
    for _ in range(2):
        hosts.west.klips.do(DelEroute(flow_of(PAIR)))
        hosts.send(hosts.west, WEST, EAST)
        hosts.run(0.01)
        met.append(groups.target(hosts.west, EAST))
        assert met[-1] is mine.machine.pairs[PAIR].shunt
        hosts.run(20.0)
    assert met == [Shunt.HOLD, Shunt.DROP if policy is groups.PRIVATE else Shunt.PASS]
    assert not hosts.west.klips.refusals
