# SPDX-License-Identifier: GPL-2.0-or-later
"""A host on a link of ours whose record names a gateway: met as a host, or as its group says, never by the gateway.

west 192.0.2.1, host 192.0.2.20 and others on its link === east 198.51.100.7, the gateway of their records
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from openswan.base.said import Said, Shunt
from openswan.engine.oeevents import Learned, Verdict
from openswan.policy.connection import Connection
from openswan.policy.onlink import Links
from tests.sim.pair import EAST, WEST, Pair, SimHost, rsa_key
from tests.sim.test_groups import target
from tests.sim.test_oedns import PERMISSIVE, PRIVATE, both, gateway
from tests.sim.test_oegateway import HOST, INSIDE, gateways, meets

NEAR = "192.0.2.20"


def linked(host: SimHost, *nets: str) -> None:
    """The host's routes say that these nets are on its link."""
    host.post(replace(host.network(), links=Links(tuple(map(ip_network, nets)))))


def named(pair: Pair, host: str, *addresses: str) -> None:
    """The host's record names gateways: east, with east's key, or itself with a key that nobody has."""
    keys = {EAST: rsa_key(2)}
    found = tuple(gateway(keys.get(each, rsa_key(3)), each) for each in addresses)
    for each in (pair.west, pair.east):
        each.dns[host] = Learned(ip_address(host), Verdict.GATEWAYS, found, 300.0)


@pytest.mark.parametrize(("policy", "shunt"), [(PRIVATE, Shunt.DROP), (PERMISSIVE, Shunt.PASS)], ids=["drop", "pass"])
def test_a_gateway_is_not_called_for_a_host_on_our_link(policy: Connection, shunt: Shunt) -> None:
    pair = both(policy, policy)
    named(pair, NEAR, EAST)
    linked(pair.west, "192.0.2.0/24")
    pair.send(pair.west, WEST, NEAR)
    pair.run(1.0)
    assert target(pair.west, NEAR) is shunt and not pair.west.pluto.core.states.ikes
    assert f"{NEAR}: its records name {EAST}, but it is on our own link" in "\n".join(pair.west.lines)


def test_of_several_it_is_the_host_itself_that_is_called() -> None:
    pair = both()
    named(pair, NEAR, EAST, NEAR)
    linked(pair.west, "192.0.2.0/24")
    pair.send(pair.west, WEST, NEAR)
    pair.run(1.0)
    [ike] = pair.west.pluto.core.states.ikes.values()
    assert str(ike.machine.remote.address) == NEAR


def test_elsewhere_the_gateway_is_called() -> None:
    """The same record and a narrower link: the tunnel is there, until the host turns out to be on a link after all."""
    pair = gateways(HOST)
    linked(pair.east, "198.51.100.0/24")
    pair.send(pair.east, EAST, INSIDE)
    assert pair.run(3.0, lambda: not pair.missing())
    assert isinstance(meets(pair.east, EAST, INSIDE), Said)
    linked(pair.east, "198.51.100.0/24", "10.1.0.0/16")
    assert meets(pair.east, EAST, INSIDE) is Shunt.TRAP
    pair.send(pair.east, EAST, INSIDE)
    pair.run(1.0)
    assert meets(pair.east, EAST, INSIDE) is Shunt.DROP
    assert pair.run(3.0, lambda: not isinstance(meets(pair.west, INSIDE, EAST), Said)), "and the gateway is told"
    assert pair.east.clear == []


def test_nobody_speaks_to_us_for_a_host_on_our_link() -> None:
    """West has the key that the host's signed record names; east sees that host without west."""
    pair = gateways(HOST)
    linked(pair.east, "10.1.0.0/16")
    pair.send(pair.west, INSIDE, EAST)
    pair.run(8.0)
    assert not isinstance(meets(pair.west, INSIDE, EAST), Said)
    assert meets(pair.east, EAST, INSIDE) is Shunt.TRAP
